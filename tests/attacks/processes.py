"""The processes of a run: who they are, which signals they get, what stays behind."""

import os
import random
import re
import signal
import time
from pathlib import Path


def family(mark: str) -> list[int]:
    """The processes of a run that live, by the mark that all inherit in their environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            alive = path.joinpath("stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
            command = path.joinpath("cmdline").read_bytes()
            if alive and mark.encode() in path.joinpath("environ").read_bytes():
                # Python's own helper has nothing to lose, and ends when the last worker does.
                found += [] if b"resource_tracker" in command else [int(path.name)]
        except OSError:
            continue
    return found


def no_orphans(mark: str, seconds: float = 2.0) -> bool:
    """Whether all processes of a run end within so many seconds."""
    deadline = time.monotonic() + seconds
    while family(mark) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not family(mark)


def kill_family(mark: str) -> None:
    """Kill every process of a run at once."""
    for pid in family(mark):
        send(pid, signal.SIGKILL)


def send(pid: int, number: int) -> None:
    """Send a signal to a process, if it still lives."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def a_worker(mark: str, parent: int, dice: random.Random) -> int | None:
    """One of a run's workers; None where there is none yet."""
    workers = [pid for pid in family(mark) if pid != parent]
    return dice.choice(workers) if workers else None


def own_errors(err: str) -> str:
    """What a run printed, without what Python prints of a worker whose parent died.

    A worker that is being born when its parent is killed finds nobody to tell it what to run:
    multiprocessing says so before any code of ours is loaded.
    """
    return re.sub(
        r"Traceback(?:(?!Traceback).)*in spawn_main(?:(?!Traceback).)*EOFError: .*",
        "",
        err,
        flags=re.S,
    )
