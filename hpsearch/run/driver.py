"""Keeps an executor busy: submits jobs, waits for them, and stops them when a run shall end."""

from collections.abc import Callable, Collection, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from typing import Literal, Protocol

from hpsearch.core.interrupt import Interrupted
from hpsearch.core.trial import Job, Outcome
from hpsearch.executors import Executor
from hpsearch.run.display import Display, NoDisplay

_POLL = 0.1  # seconds after which a request to stop is noticed

End = Literal["finished", "stopped", "given up"]


class JobSource(Protocol):
    """What is trained: the trials of a search, or repeats of the best ones."""

    def next_jobs(self, running: Collection[Job]) -> Sequence[Job]:
        """Jobs to submit now, beside those that run. None, while nothing runs: it is finished."""

    def job_ended(self, job: Job, outcome: Outcome) -> None:
        """Take an outcome."""

    def job_interrupted(self, job: Job) -> None:
        """A job was stopped at a checkpoint; the next run submits it again."""


@dataclass(slots=True)
class Driver:
    """Runs jobs until their source has no more, or the run shall stop.

    Args:
        should_stop: whether to begin nothing more, and let what runs stop at its next checkpoint.
        is_overdue: whether jobs that were asked to stop, and still run, are to be given up.
        on_poll: called several times a second.
    """

    executor: Executor
    display: Display = field(default_factory=NoDisplay)
    should_stop: Callable[[], bool] = lambda: False
    is_overdue: Callable[[], bool] = lambda: False
    on_poll: Callable[[], None] = lambda: None

    def run(self, source: JobSource) -> End:
        """Returns how it ended; "given up" leaves jobs without an outcome."""
        running: dict[Future[Outcome], Job] = {}
        stopping = False
        while True:
            if self.should_stop() and not stopping:
                stopping = True
                self.display.stopping(len(running))
                self.executor.interrupt()
            if stopping and self.is_overdue():
                self.executor.close()
                return "given up"
            # All at once: what is submitted together can be trained together.
            if not stopping and (jobs := source.next_jobs(running.values())):
                running.update(zip(self.executor.submit_all(jobs), jobs, strict=True))
            if not running:
                return "stopped" if stopping else "finished"
            ended, _ = wait(running, _POLL, return_when=FIRST_COMPLETED)
            self.on_poll()
            for future in sorted(ended, key=lambda f: (running[f].trial, running[f].repeat)):
                job = running.pop(future)
                try:
                    outcome = future.result()
                except Interrupted:
                    source.job_interrupted(job)
                else:
                    source.job_ended(job, outcome)
