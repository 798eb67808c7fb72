"""A bound of the processor time that a baseline may take."""

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from hpsearch.core.errors import TrialFailed
from hpsearch.core.trial import Job, Outcome
from hpsearch.executors import Work

BOUND_HINT = "--baselines full trains it without a bound"


def bound_processor_time(work: Work, seconds: float | None) -> Work:
    """The same work; a job that takes more processor time fails, and says so.

    Processor time does not depend on what else the machine does, so that the same baselines end in
    time beside a search and without it.

    Args:
        seconds: None: no bound.
    """
    if seconds is None:
        return work

    def do(jobs: Sequence[Job]) -> Iterator[tuple[int, Outcome]]:
        for place, job in enumerate(jobs):
            with _fail_after(seconds):
                for _, outcome in work([job]):
                    yield place, outcome

    return do


@contextmanager
def _fail_after(seconds: float) -> Iterator[None]:
    """Raise TrialFailed in the main thread once this process has worked so long.

    Where the system has no such timer (Windows), there is no bound.
    """
    if not hasattr(signal, "setitimer"):
        yield
        return

    def fail(*_: object) -> None:
        raise TrialFailed(f"it takes more than {seconds:g} seconds of processor time; {BOUND_HINT}")

    before = signal.signal(signal.SIGPROF, fail)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
