"""What an executor is: something that runs jobs."""

from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import replace
from typing import Protocol

from hpsearch.core.trial import Facts, Job, Outcome, ProgressReport

Work = Callable[[Sequence[Job]], Iterator[tuple[int, Outcome]]]
"""Does jobs, side by side if it can, and yields each one's place and outcome as it ends.

A job that fails is an Outcome with a failure, not an exception.
"""

Prepare = Callable[[], tuple[Facts, Work]]
"""Loads what the work needs, once. Raises HpsearchError where the study cannot work at all."""


class Executor(Protocol):
    """Runs jobs, in this process or elsewhere.

    open -> (listen) -> submit_all -> wait -> submit_all -> wait ... -> (interrupt) -> close
    """

    @property
    def workers(self) -> int:
        """How many workers do jobs; 1 at least."""

    @property
    def together(self) -> int:
        """How many jobs a worker can do side by side."""

    def open(self) -> Facts:
        """Start, and return what the first worker found.

        Raises HpsearchError where the study cannot work.
        """

    def submit_all(self, jobs: Sequence[Job]) -> "list[Future[Outcome]]":
        """Take jobs; they are done side by side where that is faster.

        A job whose workers are lost again and again ends as an Outcome with a failure. A future
        raises Interrupted after `interrupt`, and HpsearchError where the study is no longer what
        the run began with, or the disk is full; nothing else.
        """

    def submit(self, job: Job) -> "Future[Outcome]":
        """Take one job."""

    def wait(
        self, futures: "Collection[Future[Outcome]]", seconds: float
    ) -> "set[Future[Outcome]]":
        """Wait until one of these is done, and return those that are.

        None after these seconds, where others do the jobs. Where this thread does them, it does so
        here.
        """

    def listen(self, on_progress: Callable[[ProgressReport], None]) -> None:
        """Report how far running jobs are, a few times a second; maybe from another thread."""

    def interrupt(self) -> None:
        """Ask running jobs to stop at the end of their epoch, with a checkpoint, and start no pending ones."""

    def close(self) -> None:
        """Stop at once; running jobs are abandoned."""


class SubmitMixin:
    """`submit` for an executor that has `submit_all`."""

    __slots__ = ()

    def submit(self: "Executor", job: Job) -> "Future[Outcome]":
        (future,) = self.submit_all([job])
        return future


def wait_for_others(
    futures: "Collection[Future[Outcome]]", seconds: float
) -> "set[Future[Outcome]]":
    """`Executor.wait` where other threads or processes do the jobs."""
    return wait(futures, seconds, return_when=FIRST_COMPLETED)[0]


def loaded_the_same(facts: Facts, first: Facts | None) -> bool:
    """Whether two workers loaded the same study and data."""
    assert first is not None
    # These may depend on its memory and machine.
    machine = {name: getattr(first, name) for name in ("together", "remark", "epoch_seconds")}
    return replace(facts, **machine) == first


def work_one_by_one(do: Callable[[Job], Outcome]) -> Work:
    """Work that never does jobs side by side."""

    def work(jobs: Sequence[Job]) -> Iterator[tuple[int, Outcome]]:
        yield from enumerate(map(do, jobs))

    return work
