"""What large stores take: `python -m tests.benchmarks.load [CASE ...]`.

Each store is filled without training, then read by every command that reads, each in a process of its
own. Printed are the seconds and the most memory (resident, in MB) of each process. A row is one store:
many long trials, many studies, many short trials, and many trials with folds.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from hpsearch import Random
from hpsearch.evaluators import Holdout, KFold
from hpsearch.evaluators.base import Evaluator
from hpsearch.store import Store
from tests.filled import fill

# Studies, trials of each, epochs, folds.
CASES = {
    "long": (1, 2_000, 200, 5),
    "studies": (200, 20, 20, 1),
    "trivial": (1, 5_000, 1, 1),
    "many": (1, 10_000, 50, 4),
}
READERS = ("rank", "show", "studies", "report", "export csv", "watch")


def fill_case(case: str, path: Path) -> None:
    studies, trials, epochs, folds = CASES[case]
    evaluator: Evaluator = KFold(folds) if folds > 1 else Holdout(rows=100)
    with Store(path, create=True) as store:
        for number in range(studies):
            name = f"study{number}"
            fill(store, Random(trials=trials, epochs=epochs), evaluator, study=name, folds=folds)


def measured(*command: str) -> tuple[float, float]:
    """Seconds and MB of a process."""
    begin = time.perf_counter()
    with open(os.devnull, "wb") as nothing:
        process = subprocess.Popen([sys.executable, "-m", *command], stdout=nothing)
        _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return seconds, used.ru_maxrss / 1024


def reading(reader: str, folder: Path) -> list[str]:
    outputs = {
        "report": [str(folder / "report.html")],
        "export csv": [str(folder / "csv"), "--force"],
    }
    arguments = {"show": ["1"], "report": ["made"], "watch": ["--json"]}
    command = ["hpsearch", *reader.split(), *arguments.get(reader, [])]
    command += ["-o", *outputs[reader]] if reader in outputs else []
    return [*command, "--store", str(folder / "store.db")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", default=[], metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--fill", type=Path, help="only fill a store at this path")
    options = parser.parse_args()
    cases = options.cases or list(CASES)
    if options.fill is not None:
        fill_case(cases[0], options.fill)
        return
    print("case", "size", "fill", *READERS, sep=" | ")
    for case in cases:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            store = folder / "store.db"
            found = [measured("tests.benchmarks.load", case, "--fill", str(store))]
            found += [measured(*reading(reader, folder)) for reader in READERS]
            size = f"{store.stat().st_size / 1e6:,.0f} MB"
            print(
                case, size, *(f"{s:.1f} s, {mb:,.0f} MB" for s, mb in found), sep=" | ", flush=True
            )


if __name__ == "__main__":
    main()
