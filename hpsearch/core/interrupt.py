"""A request to stop soon, in the process that trains.

A signal handler or a deadline makes it. Training checks for it after each epoch, where it can stop
without losing anything.
"""

import math
import threading
import time

_requested = threading.Event()
_deadline = math.inf
_expected = math.inf


class Interrupted(Exception):
    """Training stopped at a checkpoint, as requested. It can be continued from there."""


def request(*_: object) -> None:
    """Ask training in this process to stop after its epoch, with a checkpoint. Usable as a signal handler."""
    _requested.set()


def request_at(deadline: float) -> None:
    """Ask training to stop from this time of `time.monotonic` on."""
    global _deadline
    _deadline = deadline


def expect_in(seconds: float) -> None:
    """Tell training in this process in how many seconds another process will ask it to stop."""
    global _expected
    _expected = time.monotonic() + seconds


def seconds_left() -> float:
    """Until training will be asked to stop, as far as is known; infinite where it will not be."""
    return min(_deadline, _expected) - time.monotonic()


def is_requested() -> bool:
    """Whether training should stop after its epoch, with a checkpoint."""
    return _requested.is_set() or time.monotonic() >= _deadline


def withdraw() -> None:
    """Forget the request, because another run begins."""
    request_at(math.inf)
    expect_in(math.inf)
    _requested.clear()
