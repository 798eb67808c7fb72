"""Where jobs run."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Protocol

from hpsearch.core.trial import Facts, Job, Outcome, ProgressReport

Work = Callable[[Sequence[Job]], Iterator[tuple[int, Outcome]]]
"""Does jobs, side by side if it can, and yields each one's place and outcome as it ends. A job that
fails is an Outcome with a failure, not an exception.
"""

Prepare = Callable[[], tuple[Facts, Work]]
"""Loads what the work needs, once. Raises HpsearchError where the study cannot work at all."""


class Executor(Protocol):
    @property
    def capacity(self) -> int:
        """Jobs worth having in flight."""

    def open(self) -> Facts:
        """Start, and return what was found; raises HpsearchError where the study cannot work."""

    def submit_all(self, jobs: Sequence[Job]) -> "list[Future[Outcome]]":
        """Take jobs, together where that is faster. A lost worker is an Outcome with a failure,
        after some attempts.

        A future raises HpsearchError where the study is no longer what the run began with, or
        the disk is full, and Interrupted after `interrupt`; nothing else.
        """

    def submit(self, job: Job) -> "Future[Outcome]":
        """Take one job."""

    def listen(self, heard: Callable[[ProgressReport], None]) -> None:
        """Tell how far running jobs are, a few times a second; maybe in another thread."""

    def interrupt(self) -> None:
        """Ask what runs to stop at its next checkpoint, and begin nothing that waits."""

    def close(self) -> None:
        """Stop at once; what runs is abandoned."""


class Pool:
    """An executor's `submit`, where it has `submit_all`."""

    __slots__ = ()

    def submit(self: "Executor", job: Job) -> "Future[Outcome]":
        (future,) = self.submit_all([job])
        return future


def found_the_same(facts: Facts, first: Facts | None) -> bool:
    """Whether two workers loaded the same study and data.

    How many trials one trains at a time, and what it remarks, may depend on its memory and machine.
    """
    assert first is not None
    return replace(facts, together=first.together, remark=first.remark) == first


def one_by_one(do: Callable[[Job], Outcome]) -> Work:
    """The work of who can do no jobs side by side."""

    def work(jobs: Sequence[Job]) -> Iterator[tuple[int, Outcome]]:
        yield from enumerate(map(do, jobs))

    return work
