"""What is begun before a deadline, by a clock that does not run by itself."""

import math
import time
from concurrent.futures import Future
from pathlib import Path

import pytest

from hpsearch import Random
from hpsearch.core.errors import HpsearchError
from hpsearch.core.trial import Outcome
from hpsearch.executors import Inline, Processes
from hpsearch.executors.base import wait_for_others
from hpsearch.runs import signals
from hpsearch.runs.checkpoints import SearchCheckpoints
from hpsearch.runs.deadline import DeadlineEstimate
from hpsearch.runs.driver import Driver
from hpsearch.runs.loop import Loop
from hpsearch.runs.replay import replay
from hpsearch.store import AskedEvent, Store
from tests import fakes
from tests.builders import make_record
from tests.fakes import METRIC, SPACE


class Clock:
    def __init__(self, deadline):
        self.now, self.deadline = 0.0, deadline

    def __call__(self):
        return self.now

    def left(self):
        return self.deadline - self.now


def paced(deadline, *ended):
    """An estimate after trials of (epochs, seconds) that ran one after the other."""
    clock = Clock(deadline)
    estimate = DeadlineEstimate(clock.left, clock=clock)
    estimate.record_start()
    for epochs, seconds in ended:
        clock.now += seconds
        estimate.record_end(epochs, seconds)
    return estimate


def test_without_a_deadline_all_is_begun():
    assert DeadlineEstimate().allows([10] * 1000, 10**6)
    assert paced(math.inf, (10, 1e9)).allows([10] * 1000, 10)


def test_before_the_first_has_ended_time_decides_how_many_are_begun():
    assert paced(36).allows([], 10)
    assert not paced(36).allows([10], 10)
    assert paced(3600).allows([10] * 100, 10)


def test_a_measured_pace_decides_what_fits():
    estimate = paced(40, (10, 10))  # 30 seconds are left
    assert estimate.allows([], 10)
    assert estimate.allows([10, 10], 10)
    assert not estimate.allows([10, 10, 10], 10)
    assert estimate.allows([], 30)
    assert not estimate.allows([], 31)
    assert not estimate.allows([10, 10], 20)
    assert not estimate.allows([1, 1, 1], 1)  # a short one is compiled too
    assert not paced(15, (10, 10)).allows([], 10)


def test_side_by_side_a_trial_may_cost_less_than_it_takes():
    clock = Clock(100)
    estimate = DeadlineEstimate(clock.left, clock=clock)
    estimate.record_start()
    clock.now = 40
    for _ in range(4):  # of four workers
        estimate.record_end(10, 40.0)
    assert estimate.allows([10] * 5, 10)
    assert not estimate.allows([10] * 6, 10)
    clock.now = 61  # each costs the run 10 seconds, but takes 40
    assert not estimate.allows([], 10)


class Machine:
    """An executor that does the jobs in its line one after the other, `seconds` each."""

    workers, together = 8, 1

    def __init__(self, clock, seconds):
        self.clock, self.seconds, self.line, self.most = clock, seconds, [], 0
        self.interrupted = self.closed = False

    def submit_all(self, jobs):
        added = [(job, Future()) for job in jobs]
        self.line += added
        self.most = max(self.most, len(self.line))
        return [future for _, future in added]

    def wait(self, futures, seconds):
        return wait_for_others(futures, seconds)

    def step(self):
        """Let time pass; the loop calls it whenever it has polled."""
        if self.interrupted:
            self.clock.now += 1.0
        elif self.line:
            job, future = self.line.pop(0)
            self.clock.now += self.seconds
            future.set_result(Outcome(fakes.outcome(job).score, seconds=self.seconds))

    def interrupt(self):
        self.interrupted = True  # and what runs does not heed it

    def close(self):
        self.closed = True


class Deaf(Machine):
    """One whose jobs neither end nor stop."""

    def step(self):
        self.clock.now += 1.0


@pytest.fixture
def go():
    """Run a search; returns the machine, whether the search is done, and how many are complete."""

    def go(deadline, seconds, trials=200, kind=Machine):
        clock = Clock(deadline)
        machine = kind(clock, seconds)
        with Store(Path("store.db"), create=True) as store:
            known = store.searches()
            journal = store.journal(known[0].id) if known else store.begin_search(make_record())
            search = Random(trials=trials, epochs=5).start(SPACE, seed=0)
            driver = Driver(
                machine, should_stop=lambda: clock.left() <= 0,
                is_overdue=lambda: clock.left() <= -5, on_poll=machine.step,
            )  # fmt: skip
            loop = Loop(
                search, journal, replay(search, journal.events(), METRIC), driver, METRIC,
                SearchCheckpoints(Path("checkpoints")), deadline=DeadlineEstimate(clock.left, clock=clock),
            )  # fmt: skip
            done = loop.run()
            events = list(journal.events())
        return machine, done, sum(not isinstance(event, AskedEvent) for event in events)

    return go


def test_as_many_are_complete_as_fit_and_nothing_is_stopped(go):
    machine, done, told = go(deadline=36, seconds=5)
    assert (done, told) == (False, 7)
    assert machine.clock.now == 35
    assert not machine.interrupted
    machine, done, told = go(
        deadline=1000, seconds=5, trials=9
    )  # it goes on with the one held back
    assert (done, told) == (True, 9)


def test_a_long_deadline_fills_the_machine_at_once(go):
    machine, done, told = go(deadline=3600, seconds=5, trials=30)
    assert (done, told, machine.most) == (True, 30, 8)


def test_what_does_not_heed_the_wish_to_stop_is_given_up(go):
    machine, done, told = go(deadline=20, seconds=1, kind=Deaf)
    assert (done, told) == (False, 0)
    assert (machine.interrupted, machine.closed, machine.clock.now) == (True, True, 25)


def hang():
    time.sleep(600)
    raise AssertionError


def test_a_study_that_loads_longer_than_the_hours_ends_in_one_line(monkeypatch):
    monkeypatch.setattr(signals, "_GRACE", signals._TO_EXIT)
    executor = Processes(hang)
    with pytest.raises(HpsearchError, match=r"took longer than --hours 0\.0003"):
        signals.open_in_time(executor, signals.StopCondition(0.0003))
    assert not executor._workers[0].alive
    assert signals.open_in_time(Inline(fakes.prepare), signals.StopCondition(1.0)) == fakes.FACTS


def test_hours_end_with_a_while_to_reach_a_checkpoint():
    short, long = signals.StopCondition(0.01), signals.StopCondition(10.0)
    assert short.seconds_until_overdue() - short.seconds_left() == pytest.approx(
        5.0 - signals._TO_EXIT, abs=0.1
    )
    assert long.seconds_until_overdue() - long.seconds_left() == pytest.approx(
        720.0 - signals._TO_EXIT, abs=0.1
    )
    assert signals.StopCondition().seconds_left() == math.inf
    assert not signals.StopCondition().is_overdue()
    assert not short.should_stop()
