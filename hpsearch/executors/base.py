"""Where jobs run."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Protocol

from hpsearch.trial import Facts, Job, Outcome

Work = Callable[[Job], Outcome]
"""Does one job. A job that fails is an Outcome with a failure, not an exception."""

Prepare = Callable[[], tuple[Facts, Work]]
"""Loads what the work needs, once. Raises HpsearchError where the study cannot work at all."""


class Executor(Protocol):
    @property
    def capacity(self) -> int:
        """Jobs worth having in flight."""

    def open(self) -> Facts:
        """Start, and return what was found; raises HpsearchError where the study cannot work."""

    def submit(self, job: Job) -> "Future[Outcome]":
        """Take a job. A lost worker is an Outcome with a failure, after some attempts.

        The future raises HpsearchError where the study is no longer what the run began with, or
        the disk is full, and Interrupted after `interrupt`; nothing else.
        """

    def interrupt(self) -> None:
        """Ask what runs to stop at its next checkpoint, and begin nothing that waits."""

    def close(self) -> None:
        """Stop at once; what runs is abandoned."""
