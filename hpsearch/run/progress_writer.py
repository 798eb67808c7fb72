"""How far running trials are, from whatever thread it is heard to the store."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress

from hpsearch.core.errors import StoreLostError, first_line
from hpsearch.core.trial import Reached
from hpsearch.store import Signs

_SECONDS = 0.5  # between two writes
_QUIET = 5.0  # after which a run says that it lives, though nothing is new


class Heard:
    """Keeps the last that was heard of each trial until the store's own thread writes it.

    Showing a run never fails it: where progress cannot be written or shown, that is said once, and
    the run goes on. Only a store that is no longer this run's ends it, at the next `poll`.

    Args:
        then: is called after that thread had a look, whether it wrote or not.
        say: takes a line for the user.
    """

    def __init__(
        self, signs: Signs, then: Callable[[], None], say: Callable[[str], object]
    ) -> None:
        self._signs, self._then, self._say = signs, then, say
        self._thread = threading.get_ident()
        self._lock = threading.Lock()
        self._unwritten: dict[tuple[int, int], Reached] = {}
        self._written = time.monotonic()
        self._warned = False
        self._lost: StoreLostError | None = None

    def __call__(self, reached: Reached) -> None:
        """Take what a trial says of itself; it may be in the middle of its training."""
        with self._lock:
            self._unwritten[reached.trial, reached.repeat] = reached
        if threading.get_ident() == self._thread:  # no other will come to write it
            self._show()

    def poll(self) -> None:
        """Write what is new, unless that was done just now. Raises StoreLostError."""
        self._show()
        if self._lost is not None:
            raise self._lost

    def _show(self) -> None:
        since = time.monotonic() - self._written
        # What fails may be anything of the database, of the terminal, or of what draws on it.
        try:
            if self._lost is None and since >= (_SECONDS if self._unwritten else _QUIET):
                self._written = time.monotonic()
                with self._lock:
                    some, self._unwritten = self._unwritten, {}
                self._signs.heard(some.values())
            self._then()
        except StoreLostError as error:
            self._lost = error
        except Exception as error:
            self._warn(error)

    def _warn(self, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            with suppress(OSError):  # of a terminal that is gone
                self._say(f"progress is not shown for now ({first_line(error)}); the run goes on")
