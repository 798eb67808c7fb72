"""How far running trials are, from whatever thread it is heard to the store."""

import threading
import time

from hpsearch.store import Journal
from hpsearch.trial import Reached

_SECONDS = 0.5  # between two writes


class Heard:
    """Keeps the last that was heard of each trial until the journal's own thread writes it."""

    def __init__(self, journal: Journal) -> None:
        self._journal, self._thread = journal, threading.get_ident()
        self._lock = threading.Lock()
        self._unwritten: dict[tuple[int, int], Reached] = {}
        self._written = 0.0

    def __call__(self, reached: Reached) -> None:
        with self._lock:
            self._unwritten[reached.trial, reached.repeat] = reached
        if threading.get_ident() == self._thread:  # no other will come to write it
            self.write()

    def write(self) -> None:
        """Write what is new, unless that was done just now."""
        if not self._unwritten or time.monotonic() - self._written < _SECONDS:
            return
        with self._lock:
            some, self._unwritten = self._unwritten, {}
        self._journal.reached(some.values())
        self._written = time.monotonic()
