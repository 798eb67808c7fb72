import os
import signal
import subprocess
import sys
import time

import pytest

from hpsearch import executors
from hpsearch.executors import Inline, Processes, RayCluster
from hpsearch.trial import Job
from tests import fakes
from tests.conftest import ROOT
from tests.contracts.executor import ExecutorContract, opened

EXECUTORS = [Inline, Processes]
ELSEWHERE = [RayCluster]  # in test_ray.py, where there is a cluster


class TestExecutors(ExecutorContract):
    @pytest.fixture(params=EXECUTORS, ids=lambda e: e.__name__)
    def make(self, request):
        return request.param


def test_no_executor_escapes_the_contract():
    apart = {"Device", "Executor", "Prepare", "Work", "find", "one_by_one"}
    assert {e.__name__ for e in EXECUTORS + ELSEWHERE} == set(executors.__all__) - apart


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
    deadline = time.monotonic() + 2
    while _alive(worker) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _alive(worker)


def _alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
