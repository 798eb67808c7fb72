import json
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager

import pytest

from hpsearch.core import user_locks
from hpsearch.core.errors import DeviceError
from hpsearch.core.interrupt import Interrupted
from hpsearch.core.trial import Job
from hpsearch.executors import BrokerOfSlots, Demand, Device, LentSlots, Processes
from hpsearch.executors.device_locks import lock_devices
from tests import fakes

DEVICES = [Device("cpu", cores=(0,)), Device("cpu", cores=(0,))]


class Simulation:
    """Runs with endless or limited work on lent slots, second by second.

    needs: the seconds of slots that each run can use; None: any. latency: seconds until a recalled
    slot is given back. opens: the second from which each run can use any.
    """

    def __init__(
        self, weights, slots, seconds=None, needs=None, latency=2, parallel=99, opens=None
    ):
        self.now = 0.0
        self.broker = BrokerOfSlots(weights, slots, seconds, lambda: self.now)
        self.needs = list(needs or [None] * len(weights))
        self.opens = list(opens or [0.0] * len(weights))
        self.parallel = parallel  # slots that a run can use at a time
        self.latency, self.recalled, self.moves = latency, {}, []
        self.useful = [0.0] * len(weights)

    def run(self, seconds):
        for _ in range(int(seconds)):
            for place, (run, at) in list(self.recalled.items()):
                if self.now >= at:
                    del self.recalled[place]
                    self.broker.take_back(run, place)
            for run, need in enumerate(self.needs):
                held = self.broker.held(run)
                done = need is not None and self.useful[run] >= need
                done = done or self.now < self.opens[run]
                busy = [] if done else held[: self.parallel]
                more = 0 if done else max(0, self.parallel - len(held))
                self.broker.note_demand(run, Demand(more, frozenset(held) - set(busy)))
                self.useful[run] += len(busy)
            for move in self.broker.decide():
                self.moves.append((self.now, move))
                if move.kind == "recall":
                    self.recalled[move.place] = (move.run, self.now + self.latency)
            self.now += 1.0
        return self


def test_slots_that_are_enough_are_lent_once():
    done = Simulation([1, 1], 4).run(1000)
    assert done.useful[0] == pytest.approx(done.useful[1], rel=0.1)
    assert sum(done.useful) > 0.98 * 4000
    # After both have two slots, these do not go back and forth.
    assert len([move for at, move in done.moves if at > 200]) == 0


@pytest.mark.parametrize(
    ("weights", "slots"),
    [([1, 1, 1, 1], 2), ([1, 1, 1], 1), ([2, 1, 1], 2), ([5, 1], 1), ([1, 1, 1], 4), ([3, 1], 2)],
)
def test_each_run_gets_its_share_of_the_time(weights, slots):
    done = Simulation(weights, slots).run(7200)
    for weight, useful in zip(weights, done.useful, strict=True):
        assert useful == pytest.approx(7200 * slots * weight / sum(weights), rel=0.1)


@pytest.mark.parametrize("latency", [0.1, 2, 6, 12])
@pytest.mark.parametrize("start", [2, 8])
def test_a_short_time_is_shared_on_a_slow_machine_too(latency, start):
    opens = [start, start + 1, start + 3, start + 6]
    begun = Simulation([1, 1, 1, 1], 2, seconds=180, latency=latency, opens=opens)
    for _ in range(4):
        begun.broker.note_start(start)
    done = begun.run(180)
    assert min(done.useful) >= 0.75 * sum(done.useful) / 4, done.useful


def test_a_short_time_is_shared_too_and_no_stretch_begins_at_its_end():
    done = Simulation([1, 1, 1, 1], 2, seconds=180).run(180)
    assert min(done.useful) >= 0.75 * 90
    assert not [move for at, move in done.moves if at > 180 - done.broker.stretch / 2]


def test_of_runs_equally_far_each_is_lent_a_slot():
    begun = Simulation([1, 1, 1, 1], 2, seconds=180)
    begun.broker._accounts[1].spent = 60.1
    for run in (0, 2, 3):
        begun.broker._accounts[run].spent = 60.0 + 0.01 * run
    begun.run(1)
    assert sorted(move.run for _, move in begun.moves) == [0, 2]


def test_what_one_run_does_not_use_goes_to_the_others():
    done = Simulation([1, 1, 1], 2, needs=[30, None, None]).run(3600)
    assert done.useful[0] == 30
    assert done.useful[1] == pytest.approx(done.useful[2], rel=0.1)
    assert sum(done.useful) > 0.95 * 7200


def test_a_free_slot_goes_to_whichever_run_can_use_it():
    done = Simulation([1, 1], 4, needs=[None, None], parallel=1).run(100)
    assert [len(done.broker.held(run)) for run in (0, 1)] == [1, 1]
    done.parallel = 3
    done.run(100)
    assert sorted(len(done.broker.held(run)) for run in (0, 1)) in ([1, 3], [2, 2])


def test_a_run_that_has_ended_holds_nothing_and_is_lent_nothing():
    begun = Simulation([1, 1], 2).run(10)
    begun.broker.end(0)
    begun.needs[0] = 0
    begun.run(10)
    assert (begun.broker.held(0), len(begun.broker.held(1))) == ([], 2)
    assert begun.broker.spent(0) == pytest.approx(10, abs=2)


def test_a_stretch_is_long_beside_the_start_of_a_worker_and_short_beside_the_hours():
    broker = BrokerOfSlots([1, 1], 1)
    broker.note_start(20.0)
    assert broker.stretch == 100.0
    short = BrokerOfSlots([1, 1], 1, seconds=40.0)
    short.note_start(20.0)
    assert short.stretch == 10.0


def test_a_run_that_learns_is_offered_a_free_slot_once_in_a_while():
    now = [0.0]
    broker = BrokerOfSlots([1], 2, None, lambda: now[0])
    broker.note_demand(0, Demand(pending=1, could_use_more=True))
    assert len(broker.decide()) == 1
    broker.note_demand(0, Demand(could_use_more=True))  # it is busy, and asks for more if it can
    assert [move.kind for move in broker.decide()] == ["lend"]
    broker.note_demand(0, Demand(idle=frozenset({1}), could_use_more=True))
    broker.take_back(0, 1)
    broker.note_demand(0, Demand(could_use_more=True))
    assert broker.decide() == []  # it did not use the last one
    now[0] = 11.0
    assert [move.kind for move in broker.decide()] == ["lend"]


@contextmanager
def lent(prepare, **options):
    """An executor on two slots, none lent yet, and what it told its lender."""
    told: list[tuple[str, object]] = []
    slots = LentSlots(DEVICES, lambda kind, content: told.append((kind, content)))
    executor = Processes(prepare, DEVICES, lent=slots, **options)
    try:
        yield executor, slots, told
    finally:
        executor.close()


def wait_until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_it_opens_on_the_first_slot_that_is_lent():
    with lent(fakes.prepare) as (executor, slots, told):
        opening = threading.Thread(target=executor.open)
        opening.start()
        slots.tell_demand()
        assert told == [("demand", Demand(pending=1))]
        slots.lend(1)
        opening.join(60)
        job = Job({"dropout": 0.2}, 2)
        done = executor.submit(job).result(60)
        assert (done, done.device) == (fakes.outcome(job), "cpu 1")
        assert told[1][0] == "started"


def test_without_a_slot_opening_ends_when_it_is_closed():
    with lent(fakes.prepare) as (executor, _, _told):
        threading.Timer(0.2, executor.close).start()
        with pytest.raises(DeviceError, match="no device was free"):
            executor.open()


def test_once_closed_it_gives_its_slots_back_at_once_and_takes_no_more():
    # Its run may go on for minutes, as while it waits for its baselines.
    with lent(fakes.prepare, in_flight=1) as (executor, slots, told):
        slots.lend(0)
        executor.open()
        executor.submit(Job({"dropout": 0.2}, 2)).result(60)
        executor.close()
        assert told[-2:] == [("demand", Demand()), ("returned", 0)]
        slots.lend(1)
        assert told[-1] == ("returned", 1)
        assert slots.usable == frozenset()


def test_a_recalled_slot_is_given_back_and_its_job_goes_on_elsewhere(tmp_path):
    job = Job({"a": 0.5}, 400, checkpoint_out=tmp_path / "trial")
    with lent(prepare_chain) as (executor, slots, told):
        slots.lend(0)
        executor.open()
        future = executor.submit(job)
        wait_until(job.checkpoint_out.exists)
        slots.tell_demand()
        slots.recall(0)
        wait_until(lambda: ("returned", 0) in told)
        assert executor._workers[0].pid is None or not executor._workers[0].alive
        slots.tell_demand()
        assert told[-1] == ("demand", Demand(pending=1))
        assert not future.done()
        assert json.loads((job.checkpoint_out / "fold-0.npz").read_text())  # where it goes on
        slots.lend(1)
        outcome = future.result(60)
    assert outcome.score == undisturbed(job, tmp_path).score
    assert outcome.device == "cpu 1"


def prepare_chain():
    return fakes.FACTS, fakes.work_one_by_one(fakes._chain)


def undisturbed(job, folder):
    return fakes._chain(Job(job.params, job.epochs, checkpoint_out=folder / "other"))


def test_jobs_that_wait_for_a_slot_are_interrupted_with_the_others():
    with lent(fakes.prepare) as (executor, slots, told):
        slots.lend(0)
        executor.open()
        slots.recall(0)
        wait_until(lambda: ("returned", 0) in told)
        waiting = executor.submit(Job({"dropout": 0.2}, 2))
        executor.interrupt()
        with pytest.raises(Interrupted):
            waiting.result(1)


def test_only_a_method_that_learns_counts_the_slots_that_it_holds():
    for in_flight, wanted in ((1, [1, 2]), (2, [2, 2])):
        with lent(fakes.prepare, in_flight=in_flight) as (executor, slots, _):
            slots.lend(0)
            executor.open()
            workers = [executor.workers]
            slots.lend(1)
            assert [*workers, executor.workers] == wanted


@pytest.mark.skipif(not hasattr(os, "fork"), reason="file locks")
def test_two_sweeps_on_one_gpu_are_refused_and_on_cores_warned_of(tmp_path, monkeypatch):
    monkeypatch.setattr(user_locks.tempfile, "gettempdir", lambda: str(tmp_path))
    said: list[str] = []
    gpu = Device("gpu", "3", "made", 2**34)
    with lock_devices([gpu, *DEVICES], said.append):
        with lock_devices([Device("gpu", "4")], said.append):
            pass
        with pytest.raises(DeviceError, match=rf"GPU 3 is shared out by process {os.getpid()}"):
            lock_devices([gpu], said.append).__enter__()
        assert said == []
        with lock_devices(DEVICES, said.append):
            assert [f"process {os.getpid()} trains" in line for line in said] == [True]
    with lock_devices([gpu], said.append):
        assert len(said) == 1
    pid = os.fork()
    if not pid:  # a dead process keeps no lock
        lock_devices([gpu], said.append).__enter__()
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    with lock_devices([gpu], said.append):
        pass
