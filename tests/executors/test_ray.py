"""A Ray cluster on this machine, whose nodes are processes that come and go."""

import json
import os
import subprocess
import sys
import time
from functools import partial

import numpy as np
import pytest

from hpsearch.core.errors import DeviceError
from hpsearch.core.interrupt import Interrupted
from hpsearch.core.trial import Job
from hpsearch.executors import RayCluster
from tests import fakes
from tests.clusters import STORE, start_cluster
from tests.conftest import ROOT, is_alive
from tests.contracts.executor import ExecutorContract, opened

pytest.importorskip("ray")


@pytest.fixture(scope="module")
def cluster():
    """One node with two cores, to which this process is connected."""
    import ray

    cluster = start_cluster({"num_cpus": 2})
    ray.init(cluster.address, log_to_driver=False, logging_level="error")
    yield cluster
    ray.shutdown()
    cluster.shutdown()


@pytest.fixture
def make(cluster):
    return lambda prepare, gpus=0.0, **options: RayCluster(
        prepare, cluster.address, gpus, **options
    )


@pytest.mark.slow
class TestRayCluster(ExecutorContract):
    pass


def staged(tmp_path, act, **more):
    return Job({"act": act, "to": str(tmp_path), **more}, epochs=1)


@pytest.mark.slow
def test_a_job_whose_worker_is_killed_is_done_again_and_one_that_kills_them_all_fails(
    make, tmp_path
):
    once = Job({"dropout": 0.2, "once": str(tmp_path / "marker")}, epochs=2)
    always = Job({"dropout": 0.2, "once": "always"}, epochs=2)
    with opened(make, fakes.prepare_dying) as executor:
        done, lost = executor.submit_all([once, always])
        assert done.result(60) == fakes.outcome(once)
        assert lost.result(60).failure.kind == "killed"
        assert "4 times in a row" in lost.result().failure.message


@pytest.mark.slow
def test_what_runs_stops_at_its_checkpoint_and_what_waits_does_not_begin(make, tmp_path):
    with opened(make, fakes.prepare_staged) as executor:
        running = [executor.submit(staged(tmp_path, "patient")) for _ in range(4)]
        while not list(tmp_path.iterdir()):
            time.sleep(0.05)
        executor.interrupt()
        for future in running:
            with pytest.raises(Interrupted):
                future.result(30)
    assert len(list(tmp_path.iterdir())) < 4


@pytest.mark.slow
def test_a_job_that_takes_too_long_fails_and_the_next_is_done(make, tmp_path):
    heard = []
    with opened(lambda prepare: make(prepare, timeout=2.0), fakes.prepare_staged) as executor:
        executor.listen(heard.append)
        assert executor.submit(staged(tmp_path, "hang")).result(60).failure.kind == "timeout"
        done = executor.submit(staged(tmp_path, "sleep")).result(60)
        assert done.failure.kind == "report"
        assert done.started is not None
    assert done.device in {reached.device for reached in heard}


@pytest.mark.slow
def test_gpus_are_refused_where_there_are_none_and_else_shared(make, cluster, tmp_path):
    executor = make(fakes.prepare, 0.25)
    with pytest.raises(DeviceError, match=r"0\.25: no node .* 1 node with 2 cores and no GPU"):
        executor.open()
    executor.close()
    node = cluster.add_node(num_cpus=0, num_gpus=1, object_store_memory=STORE)
    with opened(lambda prepare: make(prepare, 0.5), fakes.prepare_staged) as executor:
        while executor.workers < 2:
            time.sleep(0.1)
        jobs = [staged(tmp_path, "sleep", seconds=1.0)] * 2
        reports = [f.result(60) for f in executor.submit_all(jobs)]
    cluster.remove_node(node)
    told = [json.loads(outcome.failure.message) for outcome in reports]
    assert len({report["pid"] for report in told}) == 2
    assert {report["device"] for report in told} == {"0"}
    assert {report["XLA_PYTHON_CLIENT_MEM_FRACTION"] for report in told} == {"0.450"}
    assert {report["NPROC"] for report in told} == {str(len(os.sched_getaffinity(0)))}
    assert {outcome.device.split(" ", 1)[1] for outcome in reports} == {"gpu 0"}


@pytest.mark.slow
def test_arrays_are_read_where_they_lie_without_a_copy(make):
    prepare = partial(fakes.prepare_reading, np.ones(2**20))
    with opened(make, prepare) as executor:
        report = executor.submit(Job({}, epochs=1)).result(60).failure.message
    assert json.loads(report) == {"writable": False, "sum": 2.0**20}


@pytest.mark.slow
def test_workers_end_with_the_process_that_wanted_them(cluster, tmp_path):
    code = (
        "import sys, time; from tests import fakes; from hpsearch.executors import RayCluster;"
        "from hpsearch.core.trial import Job;"
        "e = RayCluster(fakes.prepare_staged, sys.argv[1], 0); e.open();"
        "e.submit(Job({'act': 'hang', 'to': sys.argv[2]}, epochs=1)); time.sleep(600)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code, cluster.address, tmp_path], cwd=ROOT, stderr=subprocess.DEVNULL
    )
    try:
        while not (traces := list(tmp_path.iterdir())):
            time.sleep(0.1)
    finally:
        parent.kill()
        parent.wait()
    worker = int(traces[0].name.split()[1])
    deadline = time.monotonic() + 20
    while is_alive(worker) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not is_alive(worker)
