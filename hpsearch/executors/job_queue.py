"""The queue of jobs and the policy of retries that `Processes` and `RayCluster` share.

A worker takes jobs from the queue, several at a time if it can train them side by side. Where the
worker is lost, or memory runs out, with several in hand, those that have not ended go back into the
queue, marked to be done alone: so only the job at fault fails.
"""

import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Collection, Generator, Sequence
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass, field, replace

from hpsearch.core.errors import HpsearchError
from hpsearch.core.interrupt import Interrupted
from hpsearch.core.trial import Facts, Failure, Job, Outcome, ProgressReport
from hpsearch.executors.base import Prepare, SubmitMixin, wait_for_others

ATTEMPTS = 4  # times that a job, or the start of the first worker, may end its worker


class TimedOut(Exception):
    """A job, or the start of a worker, took longer than it may."""

    def __str__(self) -> str:
        return "the worker exceeded its time limit"


@dataclass(eq=False, slots=True)
class PendingJob:
    """A job that has been submitted, and its future.

    Args:
        alone: it must not be done side by side with others.
        device: where it is being done, or was done last.
        started: when a worker first took it, in seconds since 1970; None before that.
        started_clock: the same by the monotonic clock.
        made: when it was submitted, by the monotonic clock.
        losses: how often its worker was lost.
        faults: how often that may have been the job's own fault.
    """

    job: Job
    future: "Future[Outcome]" = field(default_factory=Future)
    alone: bool = False
    device: str = ""
    started: float | None = None
    started_clock: float = 0.0
    made: float = field(default_factory=time.monotonic)
    losses: int = 0
    faults: int = 0

    def make_current_job(self) -> Job:
        """The job with the seconds that are left now: it may have waited for hours."""
        waited = time.monotonic() - self.made
        return replace(self.job, seconds_left=self.job.seconds_left - waited)

    def mark_started(self, device: str) -> None:
        """Note which device does it; the time only at the first attempt."""
        self.device = device
        if self.started is None:
            self.started, self.started_clock = time.time(), time.monotonic()

    def count_loss(self, *, at_fault: bool) -> None:
        """Note that its worker was lost; at_fault: possibly by the job."""
        self.losses += 1
        self.faults += at_fault

    def finish(self, outcome: Outcome) -> None:
        """Set the future's result."""
        if not outcome.seconds and self.started is not None:  # its worker did not measure them
            outcome = replace(outcome, seconds=time.monotonic() - self.started_clock)
        self.future.set_result(replace(outcome, device=self.device, started=self.started))


class JobQueue:
    """First in, first out; shared by all workers of an executor."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._pending: deque[PendingJob] = deque()
        self._closed = False

    def put(self, jobs: Sequence[PendingJob]) -> None:
        with self._changed:
            self._pending.extend(jobs)
            self._changed.notify(len(jobs))  # each takes one at least; a thousand may wait

    def put_back(self, jobs: Sequence[PendingJob]) -> None:
        """Queue jobs again that did not end, to be done alone."""
        for pending in jobs:
            pending.alone = True
        self.put(jobs)

    def put_first(self, jobs: Sequence[PendingJob]) -> None:
        """Queue jobs again before all others: they were stopped at a checkpoint, and go on."""
        with self._changed:
            self._pending.extendleft(reversed(jobs))
            self._changed.notify(len(jobs))

    def take(
        self,
        most: int,
        count_idle: Callable[[], int],
        is_recalled: Callable[[], bool] = lambda: False,
    ) -> list[PendingJob]:
        """Wait for jobs and take some; empty once the queue is closed, or the slot recalled.

        Args:
            most: how many to take at most.
            count_idle: how many workers wait for jobs; none takes more than its fair share.
            is_recalled: whether the taker's slot was recalled; `wake` has it asked again.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._pending or self._closed or is_recalled())
            if self._closed or is_recalled():
                return []
            taken = [self._pending.popleft()]
            fair = -(-(len(self._pending) + 1) // max(1, count_idle()))
            while not taken[0].alone and len(taken) < min(most, fair):
                if not self._pending or self._pending[0].alone:
                    break
                taken.append(self._pending.popleft())
            return taken

    def wake(self) -> None:
        """Have those who wait for jobs look again whether their slot was recalled."""
        with self._changed:
            self._changed.notify_all()

    def count(self) -> int:
        """How many jobs wait."""
        with self._changed:
            return len(self._pending)

    def take_all(self) -> list[PendingJob]:
        """Take all pending jobs without waiting."""
        with self._changed:
            taken = list(self._pending)
            self._pending.clear()
            return taken

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class QueuedExecutor(SubmitMixin, ABC):
    """What the executors with a queue have in common.

    Args:
        prepare: loads the study in each worker.
        timeout: seconds that a job may take.
        recycle: jobs after which a worker is replaced; None: never.
    """

    def __init__(self, prepare: Prepare, timeout: float | None, recycle: int | None) -> None:
        self._prepare, self._timeout, self._recycle = prepare, timeout, recycle
        self._queue = JobQueue()
        self._facts: Facts | None = None  # of the first worker
        self._stopping = self._has_begun = False  # has_begun: jobs were submitted
        self._lock = threading.Lock()
        self._on_progress: Callable[[ProgressReport], None] = lambda reached: None

    @property
    def together(self) -> int:
        return self._facts.together if self._facts else 1

    @abstractmethod
    def _count_idle(self) -> int:
        """How many workers wait for jobs, or soon will."""

    def submit_all(self, jobs: Sequence[Job]) -> "list[Future[Outcome]]":
        pending = [PendingJob(job) for job in jobs]
        self._queue.put(pending)
        self._has_begun = True
        return [each.future for each in pending]

    def wait(
        self, futures: "Collection[Future[Outcome]]", seconds: float
    ) -> "set[Future[Outcome]]":
        return wait_for_others(futures, seconds)

    def listen(self, on_progress: Callable[[ProgressReport], None]) -> None:
        self._on_progress = on_progress

    def _report_progress(self, reached: ProgressReport) -> None:
        # Looked up at each report: the listener may come after the workers have started.
        self._on_progress(reached)

    def _take_jobs(self, is_recalled: Callable[[], bool] = lambda: False) -> list[PendingJob]:
        assert self._facts is not None
        return self._queue.take(self._facts.together, self._count_idle, is_recalled)

    def _has_done_enough(self, jobs: int) -> bool:
        """Whether a worker that did so many jobs is to be replaced."""
        return self._recycle is not None and jobs >= self._recycle

    def _timeout_failure(self) -> Failure:
        return Failure("timeout", f"it took longer than {self._timeout:g} seconds")


def finish_as_they_end(
    taken: Sequence[PendingJob],
    outcomes: Generator[tuple[int, Outcome], None, None],
    finish: Callable[[PendingJob, Outcome], None] = PendingJob.finish,
    was_recalled: Callable[[], bool] = lambda: False,
) -> tuple[list[PendingJob], Exception | None]:
    """Finish jobs that one worker does, as their outcomes come.

    Args:
        was_recalled: whether the worker was interrupted because its slot is to be given back.

    Returns the jobs that must be done again, and the error that ended the worker, if one did. Where
    the run itself must end (HpsearchError) or is interrupted, the jobs' futures raise that.
    """
    left = dict(enumerate(taken))
    try:
        with closing(outcomes):
            for place, outcome in outcomes:
                # Side by side, nobody knows whose memory it was.
                if len(taken) == 1 or not lacks_memory(outcome):
                    finish(left.pop(place), outcome)
    except (HpsearchError, Interrupted) as error:
        if isinstance(error, Interrupted) and was_recalled():
            return list(left.values()), error
        for pending in left.values():
            pending.future.set_exception(error)
        return [], None
    except Exception as error:  # whatever it is, the search must go on
        return list(left.values()), error
    return list(left.values()), None


def lacks_memory(outcome: Outcome) -> bool:
    """Whether a job failed because memory ran out."""
    return outcome.failure is not None and outcome.failure.kind == "memory"


def worker_failure(kind: str, error: Exception, times: int) -> Failure:
    """The failure of a job that ended its workers so many times."""
    return Failure(kind, f"{error}, {times} times in a row")


def first_worker_error(error: Exception, way_out: str) -> HpsearchError:
    """The error that ends the run because no worker could load the study."""
    return HpsearchError(f"{error} while it loaded the study, {ATTEMPTS} times in a row; {way_out}")


def start_daemon(target: Callable[..., None], *arguments: object) -> threading.Thread:
    """Start and return a thread."""
    # A daemon: an interrupted parent must not wait for a job that runs for hours.
    thread = threading.Thread(target=target, args=arguments, daemon=True)
    thread.start()
    return thread
