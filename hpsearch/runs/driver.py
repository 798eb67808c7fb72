"""Keeps an executor busy: submits jobs, waits for them, and stops them when the run must end."""

from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Literal, Protocol

from hpsearch.core.interrupt import Interrupted
from hpsearch.core.trial import Job, Outcome
from hpsearch.executors import Executor
from hpsearch.runs.display import Display, NoDisplay

_POLL_SECONDS = 0.1

DriverEnd = Literal["finished", "stopped", "given up"]
"""How `Driver.run` ended. "given up" leaves jobs without an outcome."""


class JobSource(Protocol):
    """Where jobs come from and outcomes go: the trials of a search, or repeats of the best ones."""

    def next_jobs(self, running: Collection[Job]) -> Sequence[Job]:
        """The jobs to submit now. An empty list while nothing runs ends the loop.

        Args:
            running: the jobs that run; a live view, from which a job is gone once it has ended.
        """

    def record_outcome(self, job: Job, outcome: Outcome) -> None:
        """Record how a job ended."""

    def record_interruption(self, job: Job) -> None:
        """Note that a job stopped early, with a checkpoint; the next run submits it again."""


@dataclass(slots=True)
class Driver:
    """Runs jobs until their source has no more, or the run must stop.

    Args:
        executor: where jobs run; it is open.
        display: shows that the run is stopping.
        should_stop: whether to submit nothing more and stop running jobs at the end of their epoch.
        is_overdue: whether to give up jobs that were asked to stop and still run.
        on_poll: called several times a second.
    """

    executor: Executor
    display: Display = field(default_factory=NoDisplay)
    should_stop: Callable[[], bool] = lambda: False
    is_overdue: Callable[[], bool] = lambda: False
    on_poll: Callable[[], None] = lambda: None

    def run(self, source: JobSource) -> DriverEnd:
        running: dict[Future[Outcome], Job] = {}
        stopping = False
        while True:
            # Stop, if it is time to.
            if self.should_stop() and not stopping:
                stopping = True
                self.display.show_stopping(len(running))
                self.executor.interrupt()
            if stopping and self.is_overdue():
                self.executor.close()
                return "given up"
            # Submit. All jobs at once: those submitted together can be trained together.
            if not stopping and (jobs := source.next_jobs(running.values())):
                running.update(zip(self.executor.submit_all(jobs), jobs, strict=True))
            if not running:
                return "stopped" if stopping else "finished"
            # Wait, and record what ended: by number, because a set has no order.
            ended = self.executor.wait(running, _POLL_SECONDS)
            self.on_poll()
            for future in sorted(ended, key=lambda f: (running[f].trial, running[f].repeat)):
                job = running.pop(future)
                try:
                    outcome = future.result()
                except Interrupted:
                    source.record_interruption(job)
                else:
                    source.record_outcome(job, outcome)
