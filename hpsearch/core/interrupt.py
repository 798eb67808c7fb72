"""A wish to stop soon, which training heeds at the end of an epoch.

A signal handler or a deadline sets it, in the process that trains; what trains asks for it where
it can stop without losing anything.
"""

import math
import threading
import time

_wish = threading.Event()
_deadline = math.inf


class Interrupted(Exception):
    """Training stopped at a checkpoint, because it was asked to; it can be continued from there."""


def request(*_: object) -> None:
    """Ask what trains in this process to stop at its next checkpoint; fit to be a signal handler."""
    _wish.set()


def request_at(deadline: float) -> None:
    """Ask for it from a time of `time.monotonic` on."""
    global _deadline
    _deadline = deadline


def is_requested() -> bool:
    return _wish.is_set() or time.monotonic() >= _deadline


def withdraw() -> None:
    """Forget the wish: another run begins."""
    request_at(math.inf)
    _wish.clear()
