"""What every executor must keep to, wherever it runs its jobs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from hpsearch.core.errors import DataError
from hpsearch.core.trial import Job
from hpsearch.executors import Executor, Prepare
from tests import fakes

Make = Callable[[Prepare], Executor]


@contextmanager
def opened(make: Make, prepare: Prepare = fakes.prepare) -> Iterator[Executor]:
    executor = make(prepare)
    try:
        assert executor.open() == fakes.FACTS
        yield executor
    finally:
        executor.close()


class ExecutorContract:
    """Subclasses give a fixture `make`."""

    def test_gives_each_job_its_own_outcome(self, make: Make) -> None:
        jobs = [Job({"dropout": dropout}, epochs=3) for dropout in (0.1, 0.2, 0.5, 0.3)]
        with opened(make) as executor:
            futures = [executor.submit(job) for job in jobs]
            assert [f.result(60) for f in futures] == [fakes.outcome(job) for job in jobs]

    def test_has_room_for_a_job(self, make: Make) -> None:
        with opened(make) as executor:
            assert executor.workers >= 1
            assert executor.together >= 1

    def test_a_study_that_cannot_work_is_refused_at_once(self, make: Make) -> None:
        executor = make(fakes.prepare_refused)
        with pytest.raises(DataError, match="not good enough"):
            executor.open()
        executor.close()

    def test_closes_twice(self, make: Make) -> None:
        with opened(make) as executor:
            executor.close()
