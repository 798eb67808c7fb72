"""Devices by name, what their workers are told, and who shares them; no GPU is needed."""

import importlib.util
import json
import os
import subprocess
import sys
import time
from functools import partial

import pytest

from hpsearch.core.errors import DeviceError
from hpsearch.core.trial import Job
from hpsearch.executors import Processes, find_devices
from hpsearch.executors.devices import assign_slots
from tests import fakes
from tests.conftest import ROOT


@pytest.fixture
def pool(tmp_path):
    """pool(devices, per_device, ...) opens one; job(act, ...) makes a job for it."""
    made = []

    def pool(devices, per_device=1, **options):
        made.append(Processes(fakes.prepare_staged, find_devices(devices), per_device, **options))
        made[-1].open()
        return made[-1]

    yield pool
    for one in made:
        one.close()


@pytest.fixture
def job(tmp_path):
    folder = tmp_path / "traces"
    folder.mkdir()
    return lambda act="work", **params: Job({"act": act, "to": str(folder), **params}, epochs=1)


def reports(futures):
    return [json.loads(future.result(60).failure.message) for future in futures]


def test_names_of_devices(gpus, monkeypatch):
    gpus(80, 80, 40)
    assert [d.id for d in find_devices("auto")] == ["0", "1", "2"]
    assert [d.id for d in find_devices("2,0")] == ["2", "0"]
    assert [d.id for d in find_devices("GPU-1111")] == ["1"]
    assert [d.kind for d in find_devices("cpu:3")] == ["cpu"] * 3
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,GPU-0000")
    assert [d.id for d in find_devices("auto")] == ["2", "0"]
    assert [d.id for d in find_devices("1")] == ["0"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert [d.kind for d in find_devices("auto")] == ["host"]


def test_a_gpu_that_somebody_else_fills_is_left_out_of_auto(gpus):
    gpus(80, 80, free=[1, 79])
    assert [d.id for d in find_devices("auto")] == ["1"]
    gpus(80, free=[1])
    (cpu,) = find_devices("auto")
    assert dict(assign_slots([cpu], 1)[0].environment)["CUDA_VISIBLE_DEVICES"] == "-1"


@pytest.mark.parametrize(
    ("devices", "message"),
    [
        ("7", r"there is no GPU 7; this machine has 0 \(Pretend 80\), 1 \(Pretend 40\)"),
        ("0,,1", r"'' is neither auto"),
        ("0,0", r"GPU 0 occurs twice; use --per-device"),
        ("cpu:0", r"cpu takes a number of workers, as cpu:2"),
        ("cpu:two", r"cpu takes a number of workers"),
        ("cpu:99999999", r"cpu takes a number of workers, as cpu:2, of at most 1,000"),
        ("cpu:²", r"cpu takes a number of workers"),
        ("cpu:" + "9" * 5000, r"cpu takes a number of workers"),
        ("gpu", r"'gpu' is neither auto"),
        ("1", r"GPU 1 \(Pretend 40\) has 2\.0 of 40\.0 GiB free; leave it out"),
    ],
)
def test_devices_that_are_not_there_are_refused(gpus, devices, message):
    gpus(80, 40, free=[80, 2])
    with pytest.raises(DeviceError, match=message):
        find_devices(devices)


@pytest.mark.parametrize(("cpus", "per_device"), [(1, 10**15), (2, 501)])
def test_more_workers_than_any_machine_has_use_for_are_refused(cpus, per_device):
    with pytest.raises(DeviceError, match=f"at most 1,000 workers; --per-device {per_device} is"):
        assign_slots(find_devices(f"cpu:{cpus}"), per_device)


def test_without_gpus_the_way_out_is_named(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(DeviceError, match="none that nvidia-smi shows; use cpu"):
        find_devices("0")


def test_cores_are_split_and_shared_where_there_are_too_few(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(8)), raising=False)
    assert [d.cores for d in find_devices("cpu:2")] == [(0, 1, 2, 3), (4, 5, 6, 7)]
    assert [d.cores for d in find_devices("cpu:3")] == [(0, 1), (2, 3, 4), (5, 6, 7)]
    assert {len(d.cores) for d in find_devices("cpu:20")} == {1}
    two = assign_slots(find_devices("cpu:2"), 2)
    assert [slot.cores for slot in two] == [(0, 1), (4, 5), (2, 3), (6, 7)]


def test_workers_cut_their_work_alike_however_many_they_are():
    """Else sums end in other last bits, and one seed gives several results."""
    for name in ("NPROC", "TF_NUM_INTRAOP_THREADS"):
        told = {
            dict(s.environment)[name]
            for n in (1, 2, 5)
            for s in assign_slots(find_devices(f"cpu:{n}"), 2)
        }
        assert told == {str(len(os.sched_getaffinity(0)))}


@pytest.mark.slow
def test_each_device_has_its_number_and_one_job_at_a_time(gpus, pool, job):
    gpus(80, 80, 80, 80)
    executor = pool("0,1,2,3")
    # As much as the first worker cannot have done alone when the last one has started.
    found = reports([executor.submit(job(seconds=0.5)) for _ in range(40)])
    assert {r["device"] for r in found} == {"0", "1", "2", "3"}
    assert {r["crowd"] for r in found} == {0}
    assert {r["XLA_PYTHON_CLIENT_MEM_FRACTION"] for r in found} == {"0.900"}
    assert executor.workers == 4


@pytest.mark.slow
def test_workers_share_a_device_and_its_memory(gpus, pool, job):
    gpus(80)
    executor = pool("0", 3)
    found = reports([executor.submit(job(seconds=0.5)) for _ in range(24)])
    assert len({r["pid"] for r in found}) == 3
    assert {r["XLA_PYTHON_CLIENT_MEM_FRACTION"] for r in found} == {"0.300"}
    assert max(r["crowd"] for r in found) <= 2


@pytest.mark.slow
def test_the_parents_environment_stays_as_it_was(pool, job):
    before = dict(os.environ)
    executor = pool("cpu:2")
    (found,) = reports([executor.submit(job())])
    assert found["device"] == "-1"
    assert found["OMP_NUM_THREADS"] == found["NPROC"]
    executor.close()
    assert dict(os.environ) == before


@pytest.mark.slow
def test_as_many_workers_as_the_first_jobs_say_that_fit(gpus, pool, job):
    gpus(80)
    executor = pool("0", None)
    assert executor.workers == 1
    peak = 20 * 2**30
    found = reports([executor.submit(job(peak=peak)) for _ in range(2)])
    assert {r["XLA_PYTHON_CLIENT_PREALLOCATE"] for r in found} == {"false"}
    assert executor.workers == 2  # 0.9 * 80 GiB hold two of 1.2 * 20 GiB and what a process needs
    assert (
        len({r["pid"] for r in reports([executor.submit(job(seconds=1.0)) for _ in range(8)])}) == 2
    )


def test_workers_that_are_added_later_try_no_models_where_that_ended_the_first(gpus, job, tmp_path):
    gpus(80)
    (deaths := tmp_path / "deaths").mkdir()
    executor = Processes(
        partial(fakes.prepare_dying_first, str(deaths), 99),
        find_devices("0"),
        None,
        prepare_without_models=fakes.prepare_staged,
    )
    try:
        executor.open()
        died = len(list(deaths.iterdir()))
        reports([executor.submit(job(peak=20 * 2**30)) for _ in range(2)])
        assert executor.workers == 2
        jobs = [job(seconds=1.0) for _ in range(4)]
        ended = reports([executor.submit(each) for each in jobs])
        assert len({r["pid"] for r in ended}) == 2
        assert len(list(deaths.iterdir())) == died > 0
    finally:
        executor.close()


@pytest.mark.slow
def test_a_job_out_of_memory_is_tried_once_more_alone(gpus, pool, job):
    """The others on the device are unharmed, and wait for it."""
    gpus(80)
    executor = pool("0", 3)
    reports([executor.submit(job(seconds=0.5)) for _ in range(6)])  # all three are warm
    others = [executor.submit(job(seconds=0.5)) for _ in range(2)]
    time.sleep(0.2)
    hungry = executor.submit(job("hungry"))
    later = [executor.submit(job(seconds=0.1)) for _ in range(6)]
    (found,) = reports([hungry])
    assert found["crowd"] == 0
    assert found["XLA_PYTHON_CLIENT_MEM_FRACTION"] == "0.900"
    assert len(reports(others + later)) == 8
    glutton = executor.submit(job("glutton")).result(60)
    assert (glutton.failure.kind, glutton.score) == ("memory", None)


@pytest.mark.slow
def test_a_job_that_hangs_is_ended_and_the_next_is_done(pool, job):
    executor = pool("cpu:1", timeout=3.0)
    hangs, done = executor.submit(job("hang")), executor.submit(job())
    assert hangs.result(60).failure.kind == "timeout"
    assert hangs.result().failure.message == "it took longer than 3 seconds"
    assert len(reports([done])) == 1


@pytest.mark.slow
def test_workers_are_replaced_after_so_many_jobs(pool, job):
    executor = pool("cpu:1", recycle=2)
    found = [r["pid"] for r in reports([executor.submit(job()) for _ in range(6)])]
    assert found[0] == found[1] != found[2] == found[3] != found[4]
    assert len(set(found)) == 3


@pytest.mark.slow
def test_asked_to_stop_jobs_end_at_their_checkpoint_and_others_do_not_begin(pool, job):
    from hpsearch.core.interrupt import Interrupted

    executor = pool("cpu:1")
    running, waiting = executor.submit(job("patient")), executor.submit(job())
    time.sleep(0.3)
    executor.interrupt()
    for future in (running, waiting):
        with pytest.raises(Interrupted):
            future.result(60)


def test_no_library_is_told_another_number_of_threads_by_more_workers(monkeypatch):
    """Sums that are cut otherwise end in other last bits, and a ranking would depend on it."""
    monkeypatch.setattr("hpsearch.executors.devices._own_cores", lambda: set(range(4)))
    told = {
        slot.environment
        for number in (1, 2, 8)
        for slot in assign_slots(find_devices(f"cpu:{number}"), 1)
    } | {slot.environment for slot in assign_slots(find_devices("cpu"), 3)}
    assert len(told) == 1
    (environment,) = told
    libraries = ("OMP", "OPENBLAS", "MKL")
    assert {dict(environment)[f"{name}_NUM_THREADS"] for name in libraries} == {"4"}


TRAIN_AS_A_WORKER = """
import json, os, sys
os.sched_setaffinity(0, json.loads(sys.argv[1]))
from hpsearch import Data, Holdout, Task
from hpsearch.tasks import digits
from hpsearch.training import backend, engines
from hpsearch.training.base import Fit
from sklearn.decomposition import PCA
def build(spec):
    import keras
    model = keras.Sequential([
        keras.Input(spec.input_shape), keras.layers.Reshape((8, 7, 1)),
        keras.layers.Conv2D(16, 3, activation="relu"), keras.layers.Flatten(),
        keras.layers.Dense(256, activation="relu"), keras.layers.Dropout(0.3),
        keras.layers.Dense(spec.outputs, spec.activation)])
    model.compile("adam", loss=spec.loss, metrics=spec.metrics)
    return model
data = digits.task().load()
task = Task("digits", data, loss="sparse_categorical_crossentropy", metric="accuracy", preprocess=PCA(56, svd_solver="full"))
split = Holdout(rows=300).splits(task, data, seed=0)[0]
trainer = engines.make_trainer(task, "fit", backend.choose())
((_, curve),) = trainer.train([Fit(build, {"batch_size": 256}, split, 1, 3)], data)
print([value.hex() for value in (*curve.train_loss, *curve.validation_loss)])
"""


@pytest.mark.slow
@pytest.mark.skipif(len(find_devices("cpu")[0].cores) < 2, reason="needs two cores to share out")
@pytest.mark.parametrize("backend", ["tensorflow", "torch"])
def test_a_worker_trains_the_same_bits_however_many_there_are(backend):
    """In place of a search by 1, 2 and 8 workers: what differs between them is cores and threads."""
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"needs {backend}")
    places = {assign_slots(find_devices(f"cpu:{number}"), 1)[0] for number in (1, 2, 8)}
    cores = {slot.cores: slot for slot in places}
    assert len(cores) > 1
    told = set()
    for slot in cores.values():
        environment = {**os.environ, **dict(slot.environment), "KERAS_BACKEND": backend}
        ended = subprocess.run(
            [sys.executable, "-c", TRAIN_AS_A_WORKER, json.dumps(slot.cores)],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert ended.returncode == 0, ended.stderr
        told.add(ended.stdout.splitlines()[-1])
    assert len(told) == 1


def test_without_devices_there_are_no_slots():
    """So it is in a sweep on a Ray cluster, whose devices are not this machine's."""
    assert assign_slots([], 1) == []
