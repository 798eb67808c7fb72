"""A Ray cluster on this machine, whose nodes are processes that come and go."""

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from hpsearch.errors import DeviceError
from hpsearch.executors import RayCluster
from hpsearch.interrupt import Interrupted
from hpsearch.trial import Job
from tests import fakes
from tests.conftest import ROOT
from tests.contracts.executor import ExecutorContract, opened
from tests.test_chaos import results
from tests.test_executors import _alive

pytest.importorskip("ray")

STORE = 100 * 2**20  # bytes of a node's shared memory


def started(*nodes):
    """A cluster of such nodes, the first of which is its head."""
    from ray.cluster_utils import Cluster

    head, *others = [{"object_store_memory": STORE, **node} for node in nodes]
    cluster = Cluster(
        initialize_head=True,
        head_node_args={"include_dashboard": False, **head},
        shutdown_at_exit=True,
    )
    for node in others:
        cluster.add_node(**node)
    return cluster


@pytest.fixture(scope="module")
def cluster():
    """One node with two cores and a pretended GPU."""
    cluster = started({"num_cpus": 2, "num_gpus": 1})
    yield cluster
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
def test_a_gpu_is_shared_by_workers_that_each_take_their_part_of_it(make, tmp_path):
    with opened(lambda prepare: make(prepare, 0.5), fakes.prepare_staged) as executor:
        while executor.capacity < 2:
            time.sleep(0.1)
        jobs = [staged(tmp_path, "sleep", seconds=1.0)] * 2
        reports = [f.result(60) for f in executor.submit_all(jobs)]
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
def test_gpus_that_no_node_has_are_refused_by_what_there_is(cluster):
    executor = RayCluster(fakes.prepare, cluster.address, 1.0)
    with opened(lambda prepare: executor):
        pass  # there is one
    bare = started({"num_cpus": 1})
    try:
        executor = RayCluster(fakes.prepare, bare.address, 0.25)
        with pytest.raises(DeviceError, match=r"0\.25: no node .* 1 nodes with 1 cores and 0 GPUs"):
            executor.open()
        executor.close()
    finally:
        bare.shutdown()


@pytest.mark.slow
def test_workers_end_with_the_process_that_wanted_them(cluster, tmp_path):
    code = (
        "import sys, time; from tests import fakes; from hpsearch.executors import RayCluster;"
        "from hpsearch.trial import Job;"
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
    while _alive(worker) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not _alive(worker)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--ray", "127.0.0.1:9"], "nothing answers there"),
        (["--ray", "nowhere"], "neither auto nor HOST:PORT"),
        (["--ray", "ray://127.0.0.1:10001"], "on a node of the cluster"),
        (["--ray", "auto", "--devices", "0,1"], "--devices has no effect with --ray"),
        (["--ray", "auto", "--per-device", "2"], "--per-device has no effect with --ray"),
        (["--ray", "auto", "--inline"], "--inline has no effect with --ray"),
        (["--gpus-per-worker", "0.5"], "--gpus-per-worker has no effect without --ray"),
        (["--gpus-per-worker", "2"], "--gpus-per-worker"),
        (["--checkpoints", "s3://bucket/folder"], "s3fs"),
        (["--checkpoints", "nowhere://x"], "nowhere"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_is_refused_in_one_line(hpsearch, write, options, told):
    code, _, err = hpsearch("run", write(), *options)
    assert (code, told in err, err.count("\n")) == (2, True, 1), err
    assert not Path("checkpoints").exists()


def test_without_ray_the_extra_is_named(hpsearch, write, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    code, _, err = hpsearch("run", write(), "--ray", "auto")
    assert (code, "pip install 'hpsearch[ray]'" in err) == (2, True)


STUDY = """
from beside import SPACE
from hpsearch import *
from hpsearch.tasks import digits
from spaces import mlp

study = Study(
    task=digits.task(),
    space=SPACE,
    build=mlp.model(hidden=(32,)),
    searcher=Hyperband(max_epochs=9, eta=3),
    evaluator=Holdout(rows=300),
)
"""


@pytest.fixture
def nodes():
    cluster = started(*[{"num_cpus": 1}] * 3)
    yield cluster
    cluster.shutdown()


def run(*options):
    return subprocess.Popen(
        [sys.executable, "-m", "hpsearch", "run", *map(str, options)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_nodes_come_and_go_and_the_study_ends_as_if_nothing_had(nodes, tmp_path):
    study = tmp_path / "code" / "study.py"
    study.parent.mkdir()
    study.write_text(STUDY)
    study.with_name("beside.py").write_text(
        "from hpsearch import *\nSPACE = Space(dropout=Float(0.0, 0.5), batch_size=Choice(16, 32))"
    )
    far = f"file://{tmp_path}/far"
    disturbed = run(
        study, "--ray", nodes.address, "--store", "r.db", "--checkpoints", far, "--engine", "fit"
    )
    told = []
    for line in disturbed.stdout:
        told.append(line)
        if "[5/22]" in line:
            nodes.remove_node(nodes.list_all_nodes[-1], allow_graceful=False)
        if "[8/22]" in line:
            nodes.add_node(num_cpus=1, object_store_memory=STORE)
    _, err = disturbed.communicate(timeout=120)
    assert disturbed.returncode == 0, err
    assert any("[8/22]" in line for line in told)
    assert [path.name for path in Path("far").iterdir()] == ["r.db-1"]
    assert len(list(Path("far", "r.db-1").glob("*/fold-0.npz"))) == 3
    whole = run(study, "--store", "l.db", "--devices", "cpu:1", "--engine", "fit")
    assert whole.communicate(timeout=120)[1] == ""
    assert results("r.db") == results("l.db")


@pytest.mark.slow
def test_ctrl_c_lets_the_workers_reach_their_checkpoints_and_the_same_command_goes_on(
    cluster, tmp_path
):
    study = tmp_path / "study.py"
    beside = "SPACE = Space(dropout=Float(0.0, 0.5))"
    study.write_text(
        STUDY.replace("from beside import SPACE", "").replace("study =", f"{beside}\nstudy =")
        .replace("Hyperband(max_epochs=9, eta=3)", "Random(trials=2, epochs=400)")
    )  # fmt: skip
    command = [study, "--ray", cluster.address, "--gpus-per-worker", 0, "--engine", "fit"]
    first = run(*command)
    mark, deadline = "accuracy", time.monotonic() + 60
    while time.monotonic() < deadline and not _progress(tmp_path / "store.db"):
        time.sleep(0.2)
    first.send_signal(signal.SIGINT)
    out, err = first.communicate(timeout=60)
    assert first.returncode == 130, err
    assert mark not in out
    assert list(tmp_path.glob("checkpoints/*/*/fold-0.npz"))


def _progress(store):
    from hpsearch.errors import HpsearchError
    from hpsearch.store import Store

    try:
        with Store(store) as opened:
            return any(
                row["epochs"] > 3 for row in opened._connection.execute("SELECT * FROM reached")
            )
    except (HpsearchError, AttributeError):
        return False
