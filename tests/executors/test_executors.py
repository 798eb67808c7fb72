import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial

import pytest

from hpsearch import executors
from hpsearch.core.errors import DiskFullError, FatalError, HpsearchError
from hpsearch.core.interrupt import Interrupted
from hpsearch.core.trial import Job
from hpsearch.executors import Inline, Processes, RayCluster, ray_cluster
from hpsearch.executors.ray_worker import WorkerLost
from tests import fakes
from tests.conftest import ROOT, is_alive
from tests.contracts.executor import ExecutorContract, opened

EXECUTORS = [Inline, Processes]
ELSEWHERE = [RayCluster]  # in test_ray.py, where there is a cluster


class TestExecutors(ExecutorContract):
    @pytest.fixture(params=EXECUTORS, ids=lambda e: e.__name__)
    def make(self, request):
        return request.param


def test_no_executor_escapes_the_contract():
    apart = {
        "BrokerOfSlots",
        "Demand",
        "Device",
        "LentSlots",
        "Move",
        "Executor",
        "Prepare",
        "Work",
        "find_devices",
        "work_one_by_one",
    }
    assert {e.__name__ for e in EXECUTORS + ELSEWHERE} == set(executors.__all__) - apart


def test_in_this_process_the_first_outcome_is_there_before_the_second_job_is_done():
    done = []

    def work(jobs):
        for place, job in enumerate(jobs):
            done.append(job.trial)
            yield place, fakes.outcome(job)

    executor = Inline(lambda: (replace(fakes.FACTS, together=2), work))
    executor.open()
    first, second, third = executor.submit_all(
        [Job({"dropout": 0.1}, 1, trial=n) for n in range(3)]
    )
    assert executor.wait([first, second], 0.1) == {first}
    assert done == [0]
    assert executor.wait([second, third], 0.1) == {second}
    assert (done, third.result().score) == (
        [0, 1, 2],
        fakes.outcome(Job({"dropout": 0.1}, 1)).score,
    )
    assert executor.wait([first], 0.1) == {first}
    executor.close()


@pytest.mark.parametrize("error", [DiskFullError("no room"), Interrupted()], ids=repr)
def test_in_this_process_an_error_of_all_jobs_ends_those_that_wait_too(error):
    def work(jobs):
        yield 0, fakes.outcome(jobs[0])
        raise error

    executor = Inline(lambda: (replace(fakes.FACTS, together=2), work))
    executor.open()
    futures = executor.submit_all([Job({"dropout": 0.1}, 1, trial=n) for n in range(4)])
    assert futures[0].result().score is not None
    assert [future.exception() for future in futures] == [None, error, error, error]


def test_a_job_whose_worker_is_killed_is_done_again(tmp_path):
    job = Job({"dropout": 0.2, "once": str(tmp_path / "marker")}, epochs=2)
    with opened(Processes, fakes.prepare_dying) as executor:
        assert executor.submit(job).result(60) == fakes.outcome(job)


def test_a_job_that_kills_every_worker_fails_and_the_next_is_done(tmp_path):
    (tmp_path / "there").touch()
    killer = Job({"dropout": 0.2, "once": "always"}, epochs=2)
    harmless = Job({"dropout": 0.2, "once": str(tmp_path / "there")}, epochs=2)
    with opened(Processes, fakes.prepare_dying) as executor:
        lost, done = executor.submit(killer), executor.submit(harmless)
        assert lost.result(60).failure.kind == "killed"
        assert "SIGKILL" in lost.result().failure.message
        assert done.result(60) == fakes.outcome(harmless)


def test_a_first_worker_killed_while_it_loads_is_started_again(tmp_path):
    executor = Processes(partial(fakes.prepare_dying_first, str(tmp_path), 3))
    assert executor.open() == fakes.FACTS
    executor.close()


@pytest.mark.slow
def test_a_study_that_always_kills_its_first_worker_ends_in_one_line(tmp_path):
    executor = Processes(partial(fakes.prepare_dying_first, str(tmp_path), 99))
    with pytest.raises(
        HpsearchError, match=r"SIGKILL\) while it loaded the study, 4 times in a row"
    ):
        executor.open()
    executor.close()
    assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.parametrize("how", ["dies", "hangs"])
def test_where_trying_models_ends_the_first_worker_it_goes_on_without(tmp_path, how):
    dying = partial(fakes.prepare_dying_first, str(tmp_path), 99)
    trying = dying if how == "dies" else fakes.prepare_hanging_when_loaded
    job = Job({"dropout": 0.2}, epochs=2)
    executor = Processes(trying, timeout=1.0, prepare_without_models=fakes.prepare)
    assert executor.open() == fakes.FACTS
    assert executor.submit(job).result(60) == fakes.outcome(job)
    executor.close()


def test_workers_that_remark_different_things_have_loaded_the_same_study():
    executor = Processes(fakes.prepare_remarking, per_device=2, recycle=1)
    executor.open()
    jobs = [Job({"dropout": 0.1 * n}, epochs=2) for n in range(4)]
    ended = [future.result(60) for future in executor.submit_all(jobs)]
    assert ended == [fakes.outcome(job) for job in jobs]
    executor.close()


def test_a_fatal_error_of_the_study_s_own_class_ends_the_run_by_its_message():
    executor = Processes(fakes.prepare_refusing_jobs)
    executor.open()
    with pytest.raises(FatalError, match="no license at somewhere:80"):
        executor.submit(Job({}, epochs=1)).result(60)
    executor.close()


class ClosedRay:
    """Ray, which is shut down while a worker starts."""

    def __init__(self, raised, cluster=None):
        self.raised, self.cluster, self.started = raised, cluster, 0

    def cluster_resources(self):
        return {"CPU": 2.0}

    def nodes(self):
        return [{"Alive": True, "NodeID": "n", "Resources": {"CPU": 2.0}}]

    def put(self, thing):
        return thing

    def worker(self, *_):
        return self

    def start(self):
        self.started += 1
        self.cluster.close()
        raise self.raised

    def kill(self):
        pass

    def shutdown(self):
        pass


@pytest.mark.parametrize(
    "raised", [ConnectionError("no Ray"), WorkerLost(OSError(), at_fault=True)]
)
def test_a_cluster_that_is_closed_while_it_loads_ends_in_one_line(monkeypatch, raised):
    ray = ClosedRay(raised)
    monkeypatch.setattr(ray_cluster.ray_connection, "connect", lambda *_: (ray, True))
    monkeypatch.setattr(ray_cluster, "RayWorker", ray.worker)
    ray.cluster = RayCluster(fakes.prepare)
    with pytest.raises(HpsearchError, match="closed while they loaded"):
        ray.cluster.open()
    assert ray.started == 1


@pytest.mark.slow
def test_a_failed_job_has_taken_the_time_that_it_took(tmp_path):
    for name in ("hang", "gone"):
        (tmp_path / name).mkdir()
    hanging = Job({"act": "hang", "to": str(tmp_path / "hang")}, epochs=1)
    executor = Processes(fakes.prepare_staged, timeout=0.3)
    executor.open()
    assert executor.submit(hanging).result(60).seconds >= 0.3
    executor.close()
    executor = Processes(fakes.prepare_dying)
    executor.open()
    assert executor.submit(Job({"once": "always"}, epochs=1)).result(60).seconds > 0.1
    executor.close()


@pytest.mark.slow
@pytest.mark.parametrize("act", ["die", "work"])
def test_what_a_job_forks_neither_blocks_the_run_nor_outlives_it(tmp_path, act):
    executor = Processes(fakes.prepare_forking)
    executor.open()
    outcome = executor.submit(Job({"dropout": 0.1, "act": act, "to": str(tmp_path)}, 2)).result(300)
    assert (outcome.failure.kind if outcome.failure else None) == (
        (act == "die" and "killed") or None
    )
    executor.close()
    children = [int(path.name) for path in tmp_path.iterdir()]
    assert len(children) == (4 if act == "die" else 1)
    deadline = time.monotonic() + 30  # they were told to end, and a busy machine takes its time
    while any(map(is_alive, children)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [child for child in children if is_alive(child)]


def test_an_unforeseen_error_at_the_start_keeps_its_traceback():
    executor = Processes(fakes.prepare_broken)
    with pytest.raises(RuntimeError, match="no such key"):
        executor.open()
    executor.close()


def test_an_orphaned_worker_ends_by_itself():
    code = (
        "import time; from hpsearch.executors import Processes; from tests import fakes;"
        "e = Processes(fakes.prepare); e.open(); print(e._workers[0].pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    worker = int(parent.stdout.readline())
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 30  # it ends by itself, and a busy machine takes its time
    while is_alive(worker) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_alive(worker)
