"""Jobs that wait for a worker."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace

from hpsearch.core.trial import Job, Outcome, ProgressReport
from hpsearch.executors.base import Pool


@dataclass(eq=False, slots=True)
class Waiting:
    """A job and its future. single: it must not be done together with others.

    started: when a worker first took it, in seconds since 1970; clock: by the monotonic clock.
    losses: how often its worker was lost; faults: how often it may have been the job's own doing.
    """

    job: Job
    future: "Future[Outcome]" = field(default_factory=Future)
    single: bool = False
    device: str = ""
    started: float | None = None
    clock: float = 0.0
    losses: int = 0
    faults: int = 0

    def taken(self, device: str) -> None:
        """By a worker there; for the first time, if it is done again."""
        self.device = device
        if self.started is None:
            self.started, self.clock = time.time(), time.monotonic()

    def lose(self, *, at_fault: bool) -> None:
        self.losses += 1
        self.faults += at_fault

    def end(self, outcome: Outcome) -> None:
        if not outcome.seconds and self.started is not None:  # its worker could not tell
            outcome = replace(outcome, seconds=time.monotonic() - self.clock)
        self.future.set_result(replace(outcome, device=self.device, started=self.started))


class Line:
    """Who waits longest is done first."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: deque[Waiting] = deque()
        self._closed = False

    def put(self, items: Sequence[Waiting]) -> None:
        with self._changed:
            self._waiting.extend(items)
            self._changed.notify(len(items))  # each takes one at least; a thousand may wait

    def take(self, most: int, sharers: Callable[[], int]) -> list[Waiting]:
        """Wait for some, and take at most so many, and no more than is fair among those who wait.

        None of them, once the line is closed.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            if self._closed:
                return []
            taken = [self._waiting.popleft()]
            fair = -(-(len(self._waiting) + 1) // max(1, sharers()))
            while not taken[0].single and len(taken) < min(most, fair):
                if not self._waiting or self._waiting[0].single:
                    break
                taken.append(self._waiting.popleft())
            return taken

    def drained(self) -> list[Waiting]:
        """Take all."""
        with self._changed:
            taken = list(self._waiting)
            self._waiting.clear()
            return taken

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class Lined(Pool):
    """An executor whose workers take jobs from one line; who listens may come after they began."""

    def __init__(self) -> None:
        self._line = Line()
        self._heard: Callable[[ProgressReport], None] = lambda reached: None

    def submit_all(self, jobs: Sequence[Job]) -> "list[Future[Outcome]]":
        waiting = [Waiting(job) for job in jobs]
        self._line.put(waiting)
        return [item.future for item in waiting]

    def listen(self, heard: Callable[[ProgressReport], None]) -> None:
        self._heard = heard
