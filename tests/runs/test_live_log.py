"""`run --log`: trials appear in other tools while they train, and the search does not notice."""

import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest

from hpsearch.runs import live_log
from tests.loggers.test_loggers import Recorder, read_mlflow, read_scalars
from tests.runs.test_own_studies import BEGIN
from tests.runs.whole_runs import finish, journal, start

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of MLflow's own statements
]

# Its first worker kills itself in the third epoch.
TRAIN = """
import os, signal, time
from pathlib import Path

def train(run, rate):
    x, y = run.train
    state = run.restore() or {"weights": np.zeros((3, 1))}
    weights = state["weights"]
    for epoch in run.epochs():
        time.sleep(SECONDS)
        if DIES and epoch == 3 and not Path("killed").exists():
            Path("killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        weights = weights - rate * x.T @ (x @ weights - y) / len(x)
        run.report(**run.measure(lambda rows: rows @ weights))
        run.save({"weights": weights})
    return lambda rows: rows @ weights

study = Study(task=task, train=train, space=Space(rate=Float(1e-3, 1e-1, log=True)),
              searcher=Random(trials=TRIALS, epochs=EPOCHS))
"""


def write_study(*, seconds=0.4, kill=False, trials=3, epochs=8):
    text = TRAIN.replace("SECONDS", str(seconds)).replace("DIES", str(kill))
    text = text.replace("TRIALS", str(trials)).replace("EPOCHS", str(epochs))
    Path("own.py").write_text(BEGIN + text)
    return Path("own.py")


def steps_of_running(name="mae/validation"):
    """The epochs that MLflow has of trials that are running."""
    with suppress(sqlite3.Error), closing(sqlite3.connect("file:ml.db?mode=ro", uri=True)) as db:
        return db.execute(
            "SELECT m.step FROM metrics m JOIN runs r ON r.run_uuid = m.run_uuid "
            "WHERE r.status = 'RUNNING' AND m.key = ?",
            [name],
        ).fetchall()
    return []


def wait_for_steps(process, count):
    deadline = time.monotonic() + 120
    while len(steps_of_running()) < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)


def check_complete(store, epochs):
    """MLflow and TensorBoard have each trial once, with each value of each curve once."""
    (events,) = journal(store)
    runs = read_mlflow()
    assert sorted(runs) == [1, 2, 3]
    for status, params, tags, histories in runs.values():
        assert status == "FINISHED", tags
        assert set(params) == {"rate"}
        assert tags["state"] == "complete"
        for name in ("mae/validation", "loss/validation", "r2/validation"):
            assert sorted(step for step, _ in histories[name]) == list(range(1, epochs + 1))
        assert len(histories["value"]) == 1
    files = {f.parent.name: f for f in Path("events").rglob("events.out*")}
    assert sorted(files) == ["trial 1", "trial 2", "trial 3"]
    for name, file in files.items():
        curve = dict(runs[int(name.split()[1])][3]["mae/validation"])
        scalars, kinds = read_scalars(file)
        assert scalars["mae/validation"] == {
            s: pytest.approx(v, abs=1e-4) for s, v in curve.items()
        }
        assert kinds == ["_hparams_/session_start_info", "_hparams_/session_end_info"]
    return events


LOGS = ("--log", "mlflow:sqlite:///ml.db", "--log", "tensorboard:events")


@pytest.mark.thorough
def test_metrics_appear_while_a_trial_trains_also_after_its_worker_was_killed():
    file = write_study(kill=True)
    process = start(file, *LOGS, "--checkpoint-every", 1)
    wait_for_steps(process, 2)
    code, _, err = finish(process)
    assert code == 0, err
    assert "--log" not in err
    assert Path("killed").exists()
    check_complete("store.db", 8)


@pytest.mark.thorough
def test_a_run_that_was_killed_goes_on_in_the_same_runs_without_duplicates():
    file = write_study()
    process = start(file, *LOGS, "--checkpoint-every", 1)
    wait_for_steps(process, 3)
    process.kill()
    finish(process)
    code, _, err = finish(start(file, *LOGS, "--checkpoint-every", 1))
    assert code == 0, err
    check_complete("store.db", 8)
    logged = journal("store.db")
    assert finish(start(file, store="plain.db"))[0] == 0
    assert journal("plain.db") == logged


def test_trials_that_ended_before_they_were_logged_are_added(hpsearch):
    file = write_study(seconds=0)
    assert hpsearch("run", file, "--inline")[0] == 0
    code, _, err = hpsearch("run", file, "--inline", *LOGS)
    assert code == 0, err
    check_complete("store.db", 8)


@pytest.mark.parametrize("fail", [["open"], ["epoch"], ["begin", "end", "close"]])
def test_a_tool_that_fails_is_told_of_once_and_the_search_is_the_same(hpsearch, monkeypatch, fail):
    file = write_study(seconds=0.02)
    assert hpsearch("run", file, "--inline", "--store", "plain.db")[0] == 0
    tool = Recorder(fail=fail)
    monkeypatch.setattr(live_log, "open_tool", lambda place: tool)
    code, out, err = hpsearch("run", file, "--inline", "--log", "tensorboard:events")
    assert code == 0, err
    told = [line for line in (out + err).splitlines() if "--log" in line]
    assert len(told) == 1
    assert "the search goes on" in told[0]
    assert "hunter2" not in out + err
    assert journal("store.db") == journal("plain.db")
