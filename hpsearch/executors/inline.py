"""Jobs run in this process, one after the other: for debuggers, notebooks and tests."""

from concurrent.futures import Future
from dataclasses import dataclass, field

from hpsearch.executors.base import Prepare, Work
from hpsearch.trial import Facts, Job, Outcome


@dataclass(slots=True)
class Inline:
    prepare: Prepare
    _work: Work | None = field(default=None, init=False)

    @property
    def capacity(self) -> int:
        return 1

    def open(self) -> Facts:
        facts, self._work = self.prepare()
        return facts

    def submit(self, job: Job) -> "Future[Outcome]":
        assert self._work is not None, "open() comes first"
        future: Future[Outcome] = Future()
        future.set_result(self._work(job))
        return future

    def close(self) -> None:
        self._work = None
