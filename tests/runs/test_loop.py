"""The loop and replay, with work that trains nothing."""

import random
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import pytest

from hpsearch import (
    Asha,
    Auto,
    Bayes,
    Float,
    Genetic,
    Hyperband,
    KerasTunerHyperband,
    Random,
    Space,
)
from hpsearch.core import interrupt
from hpsearch.core.errors import StudyError
from hpsearch.core.interrupt import Interrupted
from hpsearch.core.metric import Metric
from hpsearch.core.trial import Curve, Failure, Job, Outcome, Pause, Score, Suggestion
from hpsearch.executors import Inline, work_one_by_one
from hpsearch.executors.base import wait_for_others
from hpsearch.runs.checkpoints import SearchCheckpoints
from hpsearch.runs.driver import Driver
from hpsearch.runs.identity import find_changes
from hpsearch.runs.in_flight import InFlight
from hpsearch.runs.loop import Loop
from hpsearch.runs.replay import SearchState, make_observation, replay
from hpsearch.store import AskedEvent, Store, ToldEvent
from tests import fakes
from tests.builders import make_record
from tests.fakes import METRIC, SPACE, Halving


class Killed(BaseException):
    """Stands for SIGKILL: nothing that runs may catch it."""


class Fatal:
    """A journal that is killed at its nth call, before or after it appends."""

    def __init__(self, journal, after, before):
        self.journal, self.left, self.before = journal, after, before

    def count_complete(self):
        return self.journal.count_complete()

    def append_answer(self, trial, answer):
        return self._append(self.journal.append_answer, trial, answer)

    def append_outcome(self, trial, outcome):
        return self._append(self.journal.append_outcome, trial, outcome)

    def _append(self, append, *arguments):
        self.left -= 1
        if self.left == 0 and self.before:
            raise Killed
        result = append(*arguments)
        if self.left == 0:
            raise Killed
        return result


def go(
    searcher, *, space=SPACE, kill_after=0, before=False, work=fakes.prepare, seed=0,
    stopped=lambda: False, together=None, **options,
):  # fmt: skip
    """One run, or one that is killed; returns the journal's events."""
    with Store(Path("store.db"), create=True) as store:
        known = store.searches()
        journal = store.journal(known[0].id) if known else store.begin_search(make_record())
        search = searcher.start(space, seed=seed)
        progress = replay(search, journal.events(), METRIC)
        executor = Inline(work)
        executor.open()
        mortal = Fatal(journal, kill_after, before) if kill_after else journal
        checkpoints = SearchCheckpoints(Path("checkpoints"))
        try:
            driver = Driver(executor, should_stop=stopped)
            options["in_flight"] = InFlight(
                searcher.in_flight, together, progress.times, progress.asked_of_batch
            )
            Loop(search, mortal, progress, driver, METRIC, checkpoints, **options).run()
        finally:
            events = list(journal.events())
        return events


SEARCHERS = [
    Random(trials=4, epochs=2),
    Halving(points=4, epochs=4),
    Hyperband(max_epochs=4, eta=2),
    Asha(trials=9, max_epochs=4, eta=2),
    Bayes(trials=5, epochs=2),
    Genetic(trials=6, epochs=2, population=3),
]


@pytest.mark.parametrize("searcher", SEARCHERS, ids=repr)
@pytest.mark.parametrize("before", [True, False])
def test_killed_at_any_instant_and_continued_is_the_same_journal(searcher, before):
    whole = go(searcher)
    for instant in range(1, len(whole) + 1):
        Path("store.db").unlink()
        with pytest.raises(Killed):
            go(searcher, kill_after=instant, before=before)
        assert go(searcher) == whole


def side_by_side():
    return replace(fakes.FACTS, together=4), work_one_by_one(fakes.outcome)


@pytest.mark.parametrize(
    "searcher",
    [Bayes(trials=10, epochs=2), Auto(trials=6, max_epochs=4), Halving(points=6, epochs=4)],
    ids=repr,
)
def test_killed_at_any_instant_of_a_batch_is_the_same_journal(searcher):
    whole = go(searcher, work=side_by_side, together=4)
    kinds = "".join("a" if isinstance(e, AskedEvent) else "t" for e in whole)
    assert kinds.startswith("aaaatttt")
    for instant in range(1, len(whole) + 1):
        Path("store.db").unlink()
        with pytest.raises(Killed):
            go(searcher, work=side_by_side, together=4, kill_after=instant, before=instant % 2 == 1)
        assert go(searcher, work=side_by_side, together=4) == whole


def test_a_method_that_learns_is_asked_one_by_one_where_nothing_trains_side_by_side():
    events = go(Bayes(trials=5, epochs=2))
    kinds = "".join("a" if isinstance(e, AskedEvent) else "t" for e in events)
    assert kinds.startswith("atatat")


def test_killed_again_and_again_is_the_same_journal():
    searcher = Halving(points=6, epochs=4)
    whole = go(searcher)
    Path("store.db").unlink()
    kills = 0
    while True:
        try:
            assert go(searcher, kill_after=2, before=kills % 2 == 1) == whole
            break
        except Killed:
            kills += 1
    assert kills >= 8


def test_a_search_that_is_over_appends_nothing_more():
    assert go(SEARCHERS[0]) == go(SEARCHERS[0])


def test_more_trials_go_on_after_done():
    few = go(Random(trials=2, epochs=2))
    many = go(Random(trials=5, epochs=2))
    assert many[: len(few)] == few
    assert [e.trial for e in many if isinstance(e, AskedEvent)] == [0, 1, 2, 2, 3, 4, 5]
    assert go(Random(trials=5, epochs=2)) == many


def test_fewer_trials_than_there_are_change_nothing():
    many = go(Random(trials=5, epochs=2))
    assert go(Random(trials=2, epochs=2)) == many
    assert go(Random(trials=5, epochs=2)) == many


def test_a_continued_trial_gets_its_parents_folder_and_epochs():
    jobs = []

    def prepare():
        return fakes.FACTS, work_one_by_one(lambda job: jobs.append(job) or fakes.outcome(job))

    go(Halving(points=4, epochs=4), work=prepare)
    parents = {str(job.params): job.checkpoint_out for job in jobs[:4]}
    for job in jobs[4:]:
        assert job.checkpoint_in == parents[str(job.params)]
        assert (job.start_epoch, job.epochs) == (2, 4)
    assert len({job.checkpoint_out for job in jobs}) == 6


def test_a_failed_trial_does_not_stop_the_search():
    events = go(Halving(points=8, epochs=4), space=Space(dropout=Float(0.0, 0.9)))
    told = [e.outcome for e in events if not isinstance(e, AskedEvent)]
    assert len(told) == 12
    assert 0 < sum(o.failure is not None for o in told) < 12


def test_replay_refuses_what_was_not_asked():
    with pytest.raises(Killed):
        go(SEARCHERS[0], kill_after=3)
    with pytest.raises(StudyError, match=r"trial 1 was .* for 2 epochs, but .* --fresh"):
        go(SEARCHERS[0], seed=1)


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [
        (Hyperband(max_epochs=4, eta=2, iterations=2), Hyperband(max_epochs=4, eta=2)),
        pytest.param(
            KerasTunerHyperband(max_epochs=4, eta=2, iterations=2),
            KerasTunerHyperband(max_epochs=4, eta=2),
            marks=pytest.mark.slow,
        ),
    ],
    ids=["hyperband", "kerastuner"],
)
def test_a_search_goes_on_with_tighter_limits_wherever_it_was_killed(wide, narrow):
    """It ends what was begun, and begins no more."""
    whole, less = (go(searcher, work=side_by_side, together=4) for searcher in (narrow, narrow))
    assert whole == less
    Path("store.db").unlink()
    wide_events = go(wide, work=side_by_side, together=4)
    for instant in range(1, len(wide_events) + 1, 3):
        Path("store.db").unlink()
        with pytest.raises(Killed):
            go(wide, work=side_by_side, together=4, kill_after=instant)
        events = go(narrow, work=side_by_side, together=4)
        asked, told = (
            [
                each.trial
                for each in events
                if isinstance(each, kind) and (kind is ToldEvent or each.id)
            ]
            for kind in (AskedEvent, ToldEvent)
        )
        assert sorted(told) == sorted(asked) == list(range(len(asked)))
        assert len(whole) <= len(events) <= len(wide_events)


@pytest.mark.parametrize("trials", [4, 6, 8])
def test_a_batch_that_was_cut_off_is_none_beyond_a_smaller_number_of_trials(trials):
    """The run hears that the search is done, and so may repeat and end."""
    with pytest.raises(Killed):  # 8 of 12 told, and the third batch asked for
        go(Bayes(trials=40, epochs=2), work=side_by_side, together=4, kill_after=20)
    events = go(Bayes(trials=trials, epochs=2), work=side_by_side, together=4)
    assert isinstance(events[-1], AskedEvent)
    assert events[-1].answer is Pause.DONE


def test_an_observation_is_of_the_epochs_since_the_parent():
    folds = (Curve((0.5, 0.6, 0.7), (0.1, 0.2, 0.3)), Curve((0.7, 0.8, 0.9), (0.3, 0.4, 0.5)))
    outcome = Outcome(Score(0.4, None, 3, folds), None, 2.0, 9)
    seen = make_observation(outcome, 1, Metric("accuracy", "max"))
    assert seen.loss == -0.4
    assert seen.curve == pytest.approx((-0.3, -0.4))
    assert seen.train_curve == pytest.approx((-0.7, -0.8))
    assert (seen.seconds, seen.n_weights) == (2.0, 9)


def test_changes_are_told_by_name():
    before = make_record(space='{"a": {"type": "choice", "options": [1], "when": null}}')
    after = make_record(
        space='{"a": {"type": "choice", "options": [2], "when": null}}',
        training='{"patience": 3}',
        measure="loss (mse)",
        data="other",
    )
    assert find_changes(before, before) == []
    assert find_changes(after, before) == [
        "a was Choice(1), now Choice(2)",
        "metric was accuracy, now loss (mse)",
        "patience was None, now 3",
        "the data changed",
    ]


def test_a_pause_is_not_an_answer_to_act_on():
    events = go(Halving(points=2, epochs=2))
    assert [e.answer for e in events if isinstance(e, AskedEvent)][-1] is Pause.DONE
    assert all(
        isinstance(e.answer, Suggestion | Pause) for e in events if isinstance(e, AskedEvent)
    )


def test_a_budget_of_epochs_ends_the_asking_and_the_next_run_goes_on():
    whole = go(Random(trials=6, epochs=2))
    Path("store.db").unlink()
    part = go(Random(trials=6, epochs=2), most_epochs=5)
    assert len([e for e in part if not isinstance(e, AskedEvent)]) == 3
    assert go(Random(trials=6, epochs=2), most_epochs=4) == whole[: len(part) + 4]
    assert go(Random(trials=6, epochs=2)) == whole


def test_a_budget_of_all_that_a_search_takes_ends_it():
    """So that what follows a search, as its repeats, is not left out as if trials were missing."""
    exact = go(Random(trials=3, epochs=2), most_epochs=6)
    assert [e.answer for e in exact if isinstance(e, AskedEvent)][-1] is Pause.DONE


def test_what_an_earlier_run_began_is_within_the_budget_too():
    with pytest.raises(Killed):
        go(Random(trials=4, epochs=2), kill_after=1)  # after the first question
    events = go(Random(trials=4, epochs=2), most_epochs=2)
    assert len([e for e in events if not isinstance(e, AskedEvent)]) == 1


def test_stopped_it_asks_no_more_and_the_next_run_goes_on():
    whole = go(Random(trials=6, epochs=2))
    Path("store.db").unlink()
    calls = iter(range(100))
    part = go(Random(trials=6, epochs=2), stopped=lambda: next(calls) >= 7)
    assert 0 < len(part) < len(whole)
    interrupt.withdraw()
    assert go(Random(trials=6, epochs=2)) == whole


def test_an_interrupted_trial_is_submitted_again():
    def prepare():
        def work(job):
            if interrupt.is_requested():
                raise interrupt.Interrupted
            interrupt.request()
            return fakes.outcome(job)

        return fakes.FACTS, work_one_by_one(work)

    whole = go(Random(trials=3, epochs=2))
    Path("store.db").unlink()
    part = go(Random(trials=3, epochs=2), work=prepare, stopped=lambda: False, most_epochs=4)
    assert [e.trial for e in part] == [0, 0, 1]
    interrupt.withdraw()
    assert go(Random(trials=3, epochs=2)) == whole


@pytest.mark.parametrize("causes", [1, 2])
def test_a_study_whose_first_trials_all_fail_the_same_way_stops(causes):
    def prepare():
        def fail(job):
            cause = int(job.params["dropout"] * 1e6) % causes
            return Outcome(failure=Failure("exception", f"no such layer {cause}", "Traceback"))

        return fakes.FACTS, work_one_by_one(fail)

    if causes == 1:
        with pytest.raises(StudyError, match="the first 20 trials all failed with exception: no s"):
            go(Random(trials=50, epochs=2), work=prepare)
        with Store(Path("store.db")) as store:
            assert len(store.journal(1).failures()) == 20
    else:
        go(Random(trials=50, epochs=2), work=prepare)


class Crowd:
    """An executor of two places that ends jobs as it is told, one after the other."""

    workers, together = 2, 1

    def __init__(self, ends):
        self.ends, self.futures = ends, []

    def submit_all(self, jobs):
        for job in jobs:
            job.checkpoint_out.mkdir(parents=True)
            (job.checkpoint_out / "fold-0.npz").touch()
        submitted = [(job, Future()) for job in jobs]
        self.futures += submitted
        return [future for _, future in submitted]

    def wait(self, futures, seconds):
        return wait_for_others(futures, seconds)

    def interrupt(self):
        for (job, future), ends in zip(self.futures, self.ends, strict=True):
            future.set_result(fakes.outcome(job)) if ends else future.set_exception(Interrupted())


@pytest.mark.parametrize("ends", [(False, True), (True, False)])
def test_a_stop_keeps_the_checkpoints_it_asked_for_and_is_not_the_end(ends):
    """Though another trial ends meanwhile, and the search has nothing more to ask."""
    with Store(Path("store.db"), create=True) as store:
        journal = store.begin_search(make_record())
        search = Random(trials=2, epochs=2).start(SPACE, seed=0)
        crowd, progress = Crowd(ends), replay(search, journal.events(), METRIC)
        checkpoints = SearchCheckpoints(Path("checkpoints"), keep=0)
        stop = iter([False] * 8 + [True] * 100)
        driver = Driver(crowd, should_stop=lambda: next(stop))
        loop = Loop(search, journal, progress, driver, METRIC, checkpoints)
        assert loop.run() is False
        assert [p.name for p in Path("checkpoints").iterdir()] == [str(ends.index(False))]


class Disorderly:
    """An executor whose jobs end one at a time, in an order that a dice throws."""

    workers, together = 4, 1

    def __init__(self, seed):
        self.dice, self.running = random.Random(seed), []

    def submit_all(self, jobs):
        submitted = [(job, Future()) for job in jobs]
        self.running += submitted
        return [future for _, future in submitted]

    def wait(self, futures, seconds):
        return wait_for_others(futures, seconds)

    def end_one(self):
        if self.running:
            job, future = self.running.pop(self.dice.randrange(len(self.running)))
            future.set_result(fakes.outcome(job))
        return False


@pytest.mark.parametrize("searcher", [Random(trials=12, epochs=2), Halving(8, 4), SEARCHERS[2]])
def test_outcomes_may_come_in_any_order(searcher):
    """Each is told of its own trial, and the journal replays."""
    orders = set()
    for seed in range(4):
        with Store(Path(f"{seed}.db"), create=True) as store:
            journal = store.begin_search(make_record())
            executor = Disorderly(seed)
            # Asked before each wait whether to stop: a good time for one of the jobs to end.
            driver = Driver(executor, should_stop=executor.end_one)
            search, state = searcher.start(SPACE, seed=0), SearchState()
            checkpoints = SearchCheckpoints(Path(f"checkpoints-{seed}"), keep=0)
            assert Loop(search, journal, state, driver, METRIC, checkpoints).run()
            events = list(journal.events())
            told = [event for event in events if isinstance(event, ToldEvent)]
            orders.add(tuple(event.trial for event in told))
            for event in told:
                suggestion = state.suggestions[event.trial]
                job = Job(suggestion.params, suggestion.epochs)
                assert event.outcome == fakes.outcome(job)
            again = replay(searcher.start(SPACE, seed=0), journal.events(), METRIC)
            assert (again.unfinished, len(again.suggestions)) == ([], len(told))
    assert len(orders) > 1
