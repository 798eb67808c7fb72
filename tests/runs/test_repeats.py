"""The best few are trained anew, until whoever is first has paid its luck back."""

from concurrent.futures import Future
from pathlib import Path

import pytest

from hpsearch import Holdout
from hpsearch.core.interrupt import Interrupted
from hpsearch.core.metric import Metric
from hpsearch.core.trial import Failure, Outcome, Suggestion
from hpsearch.executors.base import wait_for_others
from hpsearch.runs.driver import Driver
from hpsearch.runs.repeats import Repeats
from hpsearch.runs.replay import SearchState
from hpsearch.store import Store, rank_searches
from tests.builders import RECORD, make_outcome_of_folds

LUCKY = {0: 0.99, 1: 0.95, 2: 0.94, 3: 0.90}  # what the search saw
TRUE = {0: 0.90, 1: 0.94, 2: 0.94, 3: 0.90}  # what any other seed sees


class Executor:
    """Trains at once; `fails` and `interrupted` say which (trial, repeat) do not end well."""

    workers, together = 5, 1

    def __init__(self, fails=(), interrupted=()):
        self.fails, self.interrupted, self.done = fails, list(interrupted), []
        self.seconds_left = []

    def submit_all(self, jobs):
        return [self._future(job) for job in jobs]

    def wait(self, futures, seconds):
        return wait_for_others(futures, seconds)

    def _future(self, job):
        place, future = (job.params["a"], job.repeat), Future()
        self.seconds_left.append(job.seconds_left)
        assert job.repeat > 0
        assert job.checkpoint_out.name == f"{place[0]}-repeat-{place[1]}"
        if place in self.interrupted:
            self.interrupted.remove(place)
            future.set_exception(Interrupted())
            return future
        self.done.append(place)
        failed = Outcome(failure=Failure("nan", "loss became nan"))
        future.set_result(
            failed if place in self.fails else make_outcome_of_folds([TRUE[place[0]]])
        )
        return future

    def interrupt(self): ...


def repeat(executor, *, repeats=5, finalists=2, stopped=lambda: False):
    """Repeat the best of a search that was; returns whether it ended, and the ranking."""
    with Store(Path("store.db"), create=True) as store:
        if store.searches():
            journal = store.journal(1)
        else:
            journal = store.begin_search(RECORD)
            for number, value in LUCKY.items():
                journal.append_answer(number, Suggestion({"a": number}, 2))
                journal.append_outcome(number, make_outcome_of_folds([value]))
        progress = SearchState(
            {number: Suggestion({"a": number}, 2) for number in LUCKY},
            {number: number + 1 for number in LUCKY},
        )

        def best():
            return [row.trial - 1 for row in rank_searches(store, [journal.search])]

        made = Repeats(
            repeats, finalists, best, journal, progress, Driver(executor, should_stop=stopped),
            Holdout(), Metric("accuracy", "max"), Path("checkpoints"), seconds_left=lambda: 40.0,
        )  # fmt: skip
        return made.run(), rank_searches(store, [journal.search])


def test_who_was_lucky_falls_behind_and_lets_another_in():
    executor = Executor()
    ended, rows = repeat(executor)
    assert ended
    assert [(row.trial, row.repeats) for row in rows] == [(2, 5), (3, 5), (1, 5), (4, 0)]
    assert rows[2].value == pytest.approx((0.99 + 5 * 0.90) / 6)
    assert sorted(executor.done) == [(trial, n) for trial in (0, 1, 2) for n in range(1, 6)]


def test_a_repeat_knows_how_long_it_has():
    executor = Executor()
    repeat(executor, repeats=1, finalists=1)
    assert set(executor.seconds_left) == {40.0}


def test_what_is_done_is_not_done_again():
    repeat(Executor())
    executor = Executor()
    repeat(executor)
    assert executor.done == []
    repeat(executor, repeats=6)
    assert executor.done == [(1, 6), (2, 6)]


def test_an_interrupted_repeat_is_trained_by_the_next_run():
    stops = iter([False, True])
    executor = Executor(interrupted=[(0, 2)])
    ended, _ = repeat(executor, finalists=3, stopped=lambda: next(stops, True))
    assert not ended
    assert executor.done == [(0, 1), (0, 3), (0, 4), (0, 5)]
    again = Executor()
    ended, rows = repeat(again, finalists=3)
    assert ended
    assert (0, 2) in again.done
    assert not set(again.done) & set(executor.done)
    assert [row.repeats for row in rows] == [5, 5, 5, 0]


def test_a_repeat_that_fails_is_recorded_and_leaves_the_others():
    _, rows = repeat(Executor(fails=[(1, 1)]), repeats=2, finalists=1)
    assert [row.trial for row in rows] == [3, 1, 4, 2]  # who failed is behind, and another came in
    assert rows[-1].value == pytest.approx((0.95 + 0.94) / 2)
    with Store(Path("store.db")) as store:
        trainings = store.journal(1).trainings(1)
    assert [t.failure and t.failure.kind for t in trainings] == [None, "nan", None]
