"""Write how far running trials are to the store."""

import threading
from collections.abc import Callable
from contextlib import suppress

from hpsearch.core.errors import StoreLostError, first_line
from hpsearch.core.progress import Throttle
from hpsearch.core.trial import ProgressReport
from hpsearch.store import Heartbeat

_SECONDS = 0.5  # between two writes
_QUIET = 5.0  # after which a run says that it lives, though nothing is new


class ProgressWriter:
    """Takes progress reports from any thread; the thread that owns the store writes them.

    Only the latest report of each trial is kept. Showing a run never fails it: where progress
    cannot be written or shown, the user is told once and the run goes on. Only a store that no
    longer is this run's ends it, at the next `poll`.

    Args:
        heartbeat: the run's row in the store.
        on_poll: called after every poll, whether anything was written or not.
        say: shows the user one line.
    """

    def __init__(
        self, heartbeat: Heartbeat, on_poll: Callable[[], None], say: Callable[[str], object]
    ) -> None:
        self._heartbeat, self._on_poll, self._say = heartbeat, on_poll, say
        self._thread = threading.get_ident()
        self._lock = threading.Lock()
        self._unwritten: dict[tuple[int, int], ProgressReport] = {}
        self._throttle = Throttle(wait_first=True)
        self._warned = False
        self._lost: StoreLostError | None = None

    def __call__(self, reached: ProgressReport) -> None:
        """Take a report of one trial, which may be in the middle of its training."""
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
        # What fails may be anything of the database, of the terminal, or of what draws on it.
        try:
            seconds = _SECONDS if self._unwritten else _QUIET
            if self._lost is None and self._throttle.is_due(seconds):
                with self._lock:
                    some, self._unwritten = self._unwritten, {}
                self._heartbeat.write(some.values())
            self._on_poll()
        except StoreLostError as error:
            self._lost = error
        except Exception as error:
            self._warn(error)

    def _warn(self, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            with suppress(OSError):  # of a terminal that is gone
                self._say(f"progress is not shown for now ({first_line(error)}); the run goes on")
