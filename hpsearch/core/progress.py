"""Progress of the jobs in this process: folds report their epochs, and one listener gets them."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from hpsearch.core.trial import Job, ProgressReport

Listener = Callable[[Sequence[ProgressReport]], None]


class Throttle:
    """Limits how often something happens.

    Args:
        wait_first: whether to wait before the first time too.
    """

    def __init__(self, *, wait_first: bool = False) -> None:
        self._last = time.monotonic() if wait_first else -math.inf

    def is_due(self, seconds: float) -> bool:
        """Whether so many seconds have passed since this last returned True."""
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
    """Report the progress of jobs to this listener, at most once in so many seconds.

    Args:
        listener: None for no reports.
    """
    global _listener, _seconds, _throttle
    _listener, _seconds, _throttle = listener, seconds, Throttle()
    _latest.clear()


def call_when_loaded(call: Callable[[], None] | None) -> None:
    """Set what is called when the study and the data are loaded, before a model is built."""
    global _on_loaded
    _on_loaded = call


def report_loaded() -> None:
    """Report that the study and the data are loaded; what follows should not take long."""
    if _on_loaded is not None:
        _on_loaded()


class JobProgress:
    """Reports the progress of one job: the means of its folds' epochs and values."""

    def __init__(self, job: Job, folds: int) -> None:
        self._start = ProgressReport(job.trial, job.repeat, float(job.start_epoch))
        self._epochs = [job.start_epoch] * folds
        self._values: dict[int, float] = {}
        _report(self._start)

    def of_fold(self, fold: int) -> Callable[[int, float], None]:
        """The function that a fold calls after each epoch, with its epochs so far and its value."""

        def report_epoch(epochs: int, value: float) -> None:
            self._epochs[fold], self._values[fold] = epochs, value
            mean_epochs = sum(self._epochs) / len(self._epochs)
            mean_value = sum(self._values.values()) / len(self._values)
            is_even = len(self._values) == len(self._epochs) and len(set(self._epochs)) == 1
            _report(replace(self._start, epochs=mean_epochs, value=mean_value, is_even=is_even))

        return report_epoch


def forget(job: Job) -> None:
    """Report nothing more of a job that has ended: what still waits would come after its outcome."""
    _latest.pop((job.trial, job.repeat), None)


def _report(report: ProgressReport) -> None:
    if _listener is None:
        return
    _latest[report.trial, report.repeat] = report
    if _throttle.is_due(_seconds):
        _listener(list(_latest.values()))
        _latest.clear()
