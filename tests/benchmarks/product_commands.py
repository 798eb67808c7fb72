"""Commands of hpsearch that a benchmark runs, on a store of its own."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def command(folder: Path, *arguments: str, minutes: float | None = None) -> str:
    """Run a command of hpsearch on the store in a folder.

    What it prints is shown; with --json it is returned instead.

    Args:
        minutes: after which it is killed, by `subprocess.TimeoutExpired`.
    """
    store = "--store", str(folder / "store.db")
    print("+ hpsearch", *arguments, flush=True)
    kept = subprocess.PIPE if "--json" in arguments else None
    made = subprocess.run(
        [sys.executable, "-m", "hpsearch", *arguments, *store],
        cwd=ROOT, stdout=kept, text=True, check=True,
        timeout=None if minutes is None else 60 * minutes,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )  # fmt: skip
    return made.stdout or ""
