"""Write how far running trials are to the store."""

import threading
from collections.abc import Callable
from contextlib import suppress

from hpsearch.core.errors import StoreLostError, first_line
from hpsearch.core.progress import Throttle
from hpsearch.core.trial import ProgressReport
from hpsearch.store import Heartbeat

_SECONDS = 0.5  # between two writes
_HEARTBEAT_SECONDS = 5.0  # between two writes while there is no new report


class ProgressWriter:
    """Takes progress reports from any thread; the thread that owns the store writes them.

    Only the latest report of each trial is kept. Progress that cannot be written or shown does not
    fail the run: the user is told once. Only a store that is no longer this run's ends the run, at
    the next `poll`.

    Args:
        heartbeat: the run's row in the store.
        on_poll: called after every poll, whether anything was written or not.
        show_line: shows the user one line.
    """

    def __init__(
        self,
        heartbeat: Heartbeat,
        on_poll: Callable[[], None],
        show_line: Callable[[str], object],
    ) -> None:
        self._heartbeat, self._on_poll, self._show_line = heartbeat, on_poll, show_line
        self._thread = threading.get_ident()
        self._lock = threading.Lock()
        self._unwritten: dict[tuple[int, int], ProgressReport] = {}
        self._throttle = Throttle(wait_first=True)
        self._has_warned = False
        self._lost_store: StoreLostError | None = None

    def __call__(self, reached: ProgressReport) -> None:
        """Take a report of one trial, which may be in the middle of its training."""
        with self._lock:
            self._unwritten[reached.trial, reached.repeat] = reached
        # A report from the store's own thread (training runs inline) must be written now: nothing
        # polls until the trial ends.
        if threading.get_ident() == self._thread:
            self._write_and_refresh()

    def poll(self) -> None:
        """Write new reports, unless the last write was just now. Raises StoreLostError."""
        self._write_and_refresh()
        if self._lost_store is not None:
            raise self._lost_store

    def _write_and_refresh(self) -> None:
        # Anything may fail here: the database, the terminal, or the code that draws on it.
        try:
            seconds = _SECONDS if self._unwritten else _HEARTBEAT_SECONDS
            if self._lost_store is None and self._throttle.is_due(seconds):
                with self._lock:
                    some, self._unwritten = self._unwritten, {}
                self._heartbeat.write(some.values())
            self._on_poll()
        except StoreLostError as error:
            self._lost_store = error
        except Exception as error:
            self._warn(error)

    def _warn(self, error: Exception) -> None:
        if not self._has_warned:
            self._has_warned = True
            with suppress(OSError):  # the terminal is gone
                self._show_line(f"progress cannot be shown ({first_line(error)}); the run goes on")
