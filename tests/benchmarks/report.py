"""How long does a report of 2,000 trials x 50 epochs take to write, and how large is it?"""

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from hpsearch import Hyperband, Random
from hpsearch.evaluators import Holdout, KFold
from hpsearch.store import Store
from tests.filled import fill

CASES = {
    "random, holdout": (Random(trials=2000, epochs=50), Holdout(rows=100), 1),
    "random, 4 folds": (Random(trials=2000, epochs=50), KFold(4), 4),
    "hyperband, holdout": (Hyperband(50, 3, iterations=99, trials=2000), Holdout(rows=100), 1),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        for name, (searcher, evaluator, folds) in CASES.items():
            path = Path(folder) / f"{name}.db"
            with Store(path, create=True) as store:
                fill(store, searcher, evaluator, folds=folds)
            file = Path(folder) / "report.html"
            command = ["report", "filled", "-o", str(file), "--store", str(path)]
            seconds, work = [], []
            for _ in range(rounds):
                begin, worked = time.perf_counter(), processor()
                subprocess.run(
                    [sys.executable, "-m", "hpsearch", *command], check=True, capture_output=True
                )
                seconds.append(time.perf_counter() - begin)
                work.append(processor() - worked)
            print(
                f"{name}: {statistics.median(seconds):.1f} s, {statistics.median(work):.1f} s of a "
                f"processor, {file.stat().st_size / 1e6:.2f} MB",
                flush=True,
            )


def processor() -> float:
    """Seconds that processes begun here have taken."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
