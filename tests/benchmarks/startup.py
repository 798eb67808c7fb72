"""How long commands take to start, beside a bare interpreter: `python -m tests.benchmarks.startup`.

Each in a process of its own, in turns; medians. `rank` reads a store of 200 complete trials.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from hpsearch.store import Store
from tests.builders import RECORD, fill_store

ROUNDS = 11


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.db"
        with Store(path, create=True) as store:
            fill_store(store, RECORD, *(0.5 + i / 1000 for i in range(200)))
        hpsearch = [sys.executable, "-m", "hpsearch"]
        commands = {
            "bare python": [sys.executable, "-c", "pass"],
            "import numpy": [sys.executable, "-c", "import numpy"],
            "--help": [*hpsearch, "--help"],
            "rank": [*hpsearch, "rank", "--store", str(path)],
            "rank --json": [*hpsearch, "rank", "--json", "--store", str(path)],
        }
        times: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(ROUNDS):
            for name, command in commands.items():
                start = time.perf_counter()
                subprocess.run(command, check=True, capture_output=True)
                times[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(values) for name, values in times.items()}
    for name, seconds in medians.items():
        print(f"{name:>14}  {seconds:6.3f} s  {seconds / medians['import numpy']:5.1f} x numpy")
    print(json.dumps({name: round(seconds, 4) for name, seconds in medians.items()}))


if __name__ == "__main__":
    main()
