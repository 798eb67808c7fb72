"""What it costs a run that others look on: `python -m tests.benchmarks.watching`.

A search of 100 trials by four workers, whose training is a chain of hashes (10 ms an epoch), alone
and while `watch` follows it and another process ranks ten times a second; in turns.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.attacks.searches import CHAIN_STUDY, CHAINED
from tests.conftest import ROOT

ROUNDS = 5
RANK = """
import time
from hpsearch.store import Store, rank_tasks
from pathlib import Path
while True:
    time.sleep(0.1)
    try:
        with Store(Path("store.db")) as store:
            rank_tasks(store)
    except Exception:
        pass
"""


def run(folder: Path, *, watched: bool) -> float:
    """Seconds of a whole run."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    def start(*arguments: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [sys.executable, *arguments],
            cwd=folder,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    (folder / "study.py").write_text(
        CHAIN_STUDY.replace("SEARCHER", "Random(trials=100, epochs=10)")
    )
    began = time.monotonic()
    search = start("-c", CHAINED[1], "study.py", "--devices", "cpu:4", "--store", "store.db")
    others = []
    if watched:
        while not (folder / "store.db").exists():
            time.sleep(0.02)
        time.sleep(0.2)  # until the search stands in it
        others = [
            start("-m", "hpsearch", "watch", "study", "--store", "store.db"),
            start("-c", RANK),
        ]
    search.wait()
    seconds = time.monotonic() - began
    for other in others:
        other.kill()
        other.wait()
    return seconds


def main() -> None:
    found: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(ROUNDS):
        for watched in found:
            with tempfile.TemporaryDirectory() as folder:
                found[watched].append(run(Path(folder), watched=watched))
    alone, seen = (statistics.median(found[watched]) for watched in (False, True))
    print(f"alone {alone:.2f} s, looked on {seen:.2f} s: {seen / alone:.2f} times")


if __name__ == "__main__":
    main()
