"""How long commands take to start: `python -m tests.benchmarks.startup [first [ROUNDS]]`.

Each in a process of its own, in turns; medians. Commands are timed beside a bare interpreter; `rank`
reads a store of 200 complete trials. With `first`, seconds are told from the command until a search
on digits shows its first finished trial: cold, when no compiled program is kept from an earlier
run, and warm, when all are.
"""

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from hpsearch.store import Store
from tests.builders import RECORD, fill_store

ROUNDS = 11
STUDY = Path(__file__).parents[2] / "studies" / "digits_dropout.py"
SEARCHES = {
    "random": [],
    "random, inline": ["--inline"],
    "auto": ["--searcher", "auto"],
    "auto, inline": ["--searcher", "auto", "--inline"],
}


def measure_first_results(rounds: int) -> None:
    """Print the median seconds to the first finished trial of each search."""
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    times: dict[str, list[float]] = {f"{n} {k}": [] for n in SEARCHES for k in ("cold", "warm")}
    for _ in range(rounds):
        for name, options in SEARCHES.items():
            with tempfile.TemporaryDirectory() as cache:
                for kind in ("cold", "warm"):
                    times[f"{name} {kind}"].append(seconds_to_first_result(options, cache))
    medians = {name: statistics.median(values) for name, values in times.items()}
    for name, seconds in medians.items():
        low, high = min(times[name]), max(times[name])
        print(f"{name:>20}  {seconds:5.2f} s  ({low:.2f} to {high:.2f})")
    print(json.dumps({name: round(seconds, 3) for name, seconds in medians.items()}))


def seconds_to_first_result(options: list[str], cache: str) -> float:
    """From the command to the line of the first finished trial; the run is killed then."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        command = [sys.executable, "-m", "hpsearch", "run", str(STUDY), *options]
        command += ["--store", f"{folder}/store.db"]
        environment = os.environ | {"XDG_CACHE_HOME": cache, "PYTHONUNBUFFERED": "1"}
        start = time.perf_counter()
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, cwd=STUDY.parents[1], env=environment
        ) as run:
            assert run.stdout is not None
            for line in run.stdout:
                if re.match(r"\[1\b", line):
                    seconds = time.perf_counter() - start
                    run.kill()  # its workers end with it
                    return seconds
        raise SystemExit(f"{' '.join(command)} ended without a finished trial")


def main() -> None:
    if sys.argv[1:2] == ["first"]:
        measure_first_results(int(sys.argv[2]) if sys.argv[2:] else 3)
        return
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
