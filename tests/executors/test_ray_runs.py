"""Runs on a Ray cluster by the command line, and what that refuses."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hpsearch.core.errors import NoStoreError
from hpsearch.store import Store
from tests.attacks.searches import journal
from tests.clusters import STORE, start_cluster
from tests.conftest import ROOT


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
        (["--checkpoints", "nowhere://me:secret@x"], "nowhere://x"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_is_refused_in_one_line(hpsearch, write, options, told):
    code, _, err = hpsearch("run", write(), *options)
    assert (code, told in err, err.count("\n")) == (2, True, 1), err
    assert "secret" not in err
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
    searcher=Hyperband(max_epochs=4, eta=2),
    evaluator=Holdout(rows=300),
)
"""


@pytest.fixture
def nodes():
    cluster = start_cluster(*[{"num_cpus": 1}] * 2)
    yield cluster
    cluster.shutdown()


@pytest.fixture
def node():
    cluster = start_cluster({"num_cpus": 1})
    yield cluster
    cluster.shutdown()


@pytest.fixture
def run():
    processes = []

    def run(*options):
        process = subprocess.Popen(
            [sys.executable, "-m", "hpsearch", "run", *map(str, options)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process

    yield run
    for process in processes:
        process.kill()
        process.communicate()


@pytest.mark.slow
def test_nodes_come_and_go_and_the_study_ends_as_if_nothing_had(nodes, run, hpsearch, tmp_path):
    study = tmp_path / "code" / "study.py"
    study.parent.mkdir()
    study.write_text(STUDY)
    study.with_name("beside.py").write_text(
        "from hpsearch import *\nSPACE = Space(dropout=Float(0.0, 0.5), batch_size=Choice(32, 64))"
    )
    far = f"file://{tmp_path}/far"
    disturbed = run(
        study, "--ray", nodes.address, "--store", "r.db", "--checkpoints", far, "--engine", "fit"
    )
    told = []
    for line in disturbed.stdout:
        told.append(line)
        if "[3/" in line:
            nodes.remove_node(nodes.list_all_nodes()[-1], allow_graceful=False)
        if "[5/" in line:
            nodes.add_node(num_cpus=1, object_store_memory=STORE)
    _, err = disturbed.communicate(timeout=120)
    assert disturbed.returncode == 0, err
    assert any("[5/" in line for line in told)
    assert [path.name for path in Path("far").iterdir()] == ["r.db-1"]
    assert len(list(Path("far", "r.db-1").glob("*/fold-0.npz"))) == 3
    code, _, err = hpsearch("run", study, "--store", "l.db", "--inline", "--engine", "fit")
    assert (code, err) == (0, "")
    assert journal(Path("r.db")) == journal(Path("l.db"))


@pytest.mark.slow
def test_ctrl_c_lets_the_workers_reach_their_checkpoints(node, run, tmp_path):
    study = tmp_path / "study.py"
    beside = "SPACE = Space(dropout=Float(0.0, 0.5))"
    study.write_text(
        STUDY.replace("from beside import SPACE", "").replace("study =", f"{beside}\nstudy =")
        .replace("Hyperband(max_epochs=4, eta=2)", "Random(trials=2, epochs=400)")
    )  # fmt: skip
    command = [study, "--ray", node.address, "--engine", "fit"]
    first = run(*command)
    while _epochs_of_running_trials(tmp_path / "store.db") < 3:
        assert first.poll() is None
        time.sleep(0.2)
    first.send_signal(signal.SIGINT)
    out, err = first.communicate(timeout=60)
    assert first.returncode == 130, err
    assert "accuracy" not in out
    assert list(tmp_path.glob("checkpoints/*/*/fold-0.npz"))


def _epochs_of_running_trials(store):
    try:
        with Store(store) as opened:
            return opened.db.query("SELECT max(epochs) FROM live")[0][0] or 0
    except NoStoreError:
        return 0


@pytest.mark.thorough
@pytest.mark.slow
def test_several_studies_take_turns_on_a_cluster(node, run, tmp_path):
    text = STUDY.replace("from beside import SPACE", "").replace(
        "study =", "SPACE = Space(dropout=Float(0.0, 0.5))\nstudy ="
    )
    text = text.replace("Hyperband(max_epochs=4, eta=2)", "Random(trials=2, epochs=2)")
    for name in "ab":
        (tmp_path / f"{name}.py").write_text(text)
    (tmp_path / "dead.py").write_text("raise RuntimeError('broken')")
    files = [tmp_path / f"{name}.py" for name in ("dead", "a", "b")]
    out, err = (begun := run(*files, "--ray", node.address, "--store", "s.db")).communicate()
    assert begun.returncode == 1, err
    assert "dead stopped: " in out
    lines = [line[:1] for line in out.splitlines() if "/2] trial" in line]
    assert lines == ["a", "a", "b", "b"]
