"""How far the jobs of this process are: each fold reports its epochs, and one listener gets the latest."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from hpsearch.core.trial import Job, ProgressReport

Listener = Callable[[Sequence[ProgressReport]], None]


class Throttle:
    """Says when it is time again for what should not happen too often.

    Args:
        wait_first: whether the first time comes late, as all others; else it is at once.
    """

    def __init__(self, *, wait_first: bool = False) -> None:
        self._last = time.monotonic() if wait_first else -math.inf

    def is_due(self, seconds: float) -> bool:
        """Whether so many seconds have passed since it last was due. If so, they begin anew."""
        now = time.monotonic()
        due = now - self._last >= seconds
        if due:
            self._last = now
        return due


_listener: Listener | None = None
_on_loaded: Callable[[], None] | None = None
_latest: dict[tuple[int, int], ProgressReport] = {}
_throttle, _seconds = Throttle(), 0.25


def report_progress_to(listener: Listener | None, seconds: float = 0.25) -> None:
    """Let this listener get the progress of jobs, at most once in so many seconds; None: nobody."""
    global _listener, _seconds, _throttle
    _listener, _seconds, _throttle = listener, seconds, Throttle()
    _latest.clear()


def call_when_loaded(call: Callable[[], None] | None) -> None:
    """Call this once study and data are loaded, before a model is built."""
    global _on_loaded
    _on_loaded = call


def report_loaded() -> None:
    """Say that study and data are loaded: what follows should not take long."""
    if _on_loaded is not None:
        _on_loaded()


class JobProgress:
    """The progress of one job: the mean over its folds of their epochs, and of their values."""

    def __init__(self, job: Job, folds: int) -> None:
        self._reached = ProgressReport(job.trial, job.repeat, float(job.start_epoch))
        self._epochs = [job.start_epoch] * folds
        self._values: dict[int, float] = {}
        _report(self._reached)

    def of_fold(self, fold: int) -> Callable[[int, float], None]:
        """What a fold calls after each epoch, with the epochs it has and its value."""

        def report_epoch(epochs: int, value: float) -> None:
            self._epochs[fold], self._values[fold] = epochs, value
            mean_epochs = sum(self._epochs) / len(self._epochs)
            mean_value = sum(self._values.values()) / len(self._values)
            _report(replace(self._reached, epochs=mean_epochs, value=mean_value))

        return report_epoch


def _report(reached: ProgressReport) -> None:
    if _listener is None:
        return
    _latest[reached.trial, reached.repeat] = reached
    if _throttle.is_due(_seconds):
        _listener(list(_latest.values()))
        _latest.clear()
