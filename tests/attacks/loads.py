"""Load the study of a file, and its data: what `init` wrote can be used."""

import sys
from pathlib import Path

from hpsearch.runs.load import Overrides, load_study

if __name__ == "__main__":
    study = load_study(Path(sys.argv[1]), Overrides())
    data = study.task.load()
    study.evaluator.splits(study.task, data, seed=0)
    study.task.output_units(data.y)
    print(f"{data.rows} rows")
