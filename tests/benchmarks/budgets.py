"""How far runs with a budget of hours go over it, and how many trials they complete.

    python -m tests.benchmarks.budgets [--times 10] [--hours 0.01 0.02 0.05]

Every run is a new process with a new store; compiled programs are kept from run to run, as a user's
are, but for the first run of each row. The overshoot is the process's whole time, from its start to its
exit, less the hours.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
STUDY = ROOT / "studies" / "digits_dropout.py"
SEARCHES = {
    "its own": [],
    "200 trials": ["--trials", "200"],
    "hyperband": ["--searcher", "hyperband:max_epochs=27,eta=3"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--hours", type=float, nargs="+", default=[0.01, 0.02, 0.05])
    options = parser.parse_args()
    print(
        "| search | --hours | over: median (s) | worst (s) | allowed (s) | complete: median | least |"
    )
    print("|---|---|---|---|---|---|---|")
    for name, arguments in SEARCHES.items():
        for hours in options.hours:
            with tempfile.TemporaryDirectory() as cache:
                runs = [measure(hours, arguments, cache) for _ in range(options.times)]
            over, complete = zip(*runs, strict=True)
            allowed = max(5.0, 0.02 * 3600 * hours)
            print(
                f"| {name} | {hours:g} | {statistics.median(over):.1f} | {max(over):.1f} | "
                f"{allowed:.1f} | {statistics.median(complete):g} | {min(complete)} |",
                flush=True,
            )


def measure(hours: float, arguments: list[str], cache: str) -> tuple[float, int]:
    """The seconds that a run goes over its hours, negative where it ends before; its complete trials."""
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder, "store.db")
        command = [sys.executable, "-m", "hpsearch"]
        begun = time.monotonic()
        ended = subprocess.run(
            [*command, "run", str(STUDY), "--hours", str(hours), "--store", str(store), *arguments],
            cwd=ROOT,
            env={**os.environ, "JAX_COMPILATION_CACHE_DIR": cache},
            capture_output=True,
            text=True,
        )
        seconds = time.monotonic() - begun
        if ended.returncode not in (0, 1) or not store.exists():
            print(ended.stderr, file=sys.stderr)
            return seconds - 3600 * hours, 0
        ranked = subprocess.run(
            [*command, "rank", "--json", "--store", str(store)], capture_output=True, text=True
        )
        rows = json.loads(ranked.stdout) if ranked.returncode == 0 else []
        return seconds - 3600 * hours, sum(row["baseline"] is None for row in rows)


if __name__ == "__main__":
    main()
