"""How far running trials are, from whatever thread it is heard to the store."""

import threading
import time
from collections.abc import Callable

from hpsearch.store import Signs
from hpsearch.trial import Reached

_SECONDS = 0.5  # between two writes
_QUIET = 5.0  # after which a run says that it lives, though nothing is new


class Heard:
    """Keeps the last that was heard of each trial until the store's own thread writes it.

    then: is called after that thread had a look, whether it wrote or not.
    """

    def __init__(self, signs: Signs, then: Callable[[], None]) -> None:
        self._signs, self._then, self._thread = signs, then, threading.get_ident()
        self._lock = threading.Lock()
        self._unwritten: dict[tuple[int, int], Reached] = {}
        self._written = time.monotonic()

    def __call__(self, reached: Reached) -> None:
        with self._lock:
            self._unwritten[reached.trial, reached.repeat] = reached
        if threading.get_ident() == self._thread:  # no other will come to write it
            self.poll()

    def poll(self) -> None:
        """Write what is new, unless that was done just now."""
        since = time.monotonic() - self._written
        if since >= (_SECONDS if self._unwritten else _QUIET):
            with self._lock:
                some, self._unwritten = self._unwritten, {}
            self._signs.heard(some.values())
            self._written = time.monotonic()
        self._then()
