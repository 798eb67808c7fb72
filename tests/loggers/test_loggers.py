"""What tools are told of trials, and what they write of it; and what is refused in one line."""

import importlib.util
import os
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from hpsearch.core.trial import Curve, Failure, Outcome, ProgressReport, Score
from hpsearch.loggers import LoggedSearch, LoggedTrial, LogSender, TrialLogError, check_place
from tests.conftest import ROOT
from tests.export.events import read_events

SEARCH = LoggedSearch("k" * 24, "digits", "accuracy", {"seed": 0})
TRIAL = LoggedTrial(7, {"units": 8, "act": "relu"}, 3, parent=2)
CURVE = Curve(
    (0.4, 0.5, 0.6), (0.3, 0.5, 0.4), (3.0, 2.0, 1.0), (3.0, 2.0, 2.5),
    metrics={"f1": {"train": (0.1, 0.2, 0.3), "validation": (0.2, float("nan"), 0.1)}},
)  # fmt: skip
OUTCOME = Outcome(Score(0.5, 0.01, 2, (CURVE,)), None, 2.0, 30, 0, started=1000.0)
FAILED = Outcome(failure=Failure("nan", "loss became nan", "Traceback"), seconds=1.0)


class Recorder:
    """A tool that notes what it is told, and fails or waits where it is asked to."""

    def __init__(self, *, fail=(), ended=(), gate=None):
        self.told, self.fail, self.ended, self.gate = [], fail, ended, gate

    def _note(self, *what):
        if self.gate is not None:
            self.gate.wait(30)
        self.told.append(what)
        if what[0] in self.fail:
            raise SystemExit("no room at http://me:hunter2@there/x")

    def open(self, search):
        self._note("open", search.name)

    def has_ended(self, trial):
        return trial in self.ended

    def begin_trial(self, trial):
        self._note("begin", trial.id)

    def log_epoch(self, trial, name, epoch, value, at):
        self._note("epoch", trial, name, epoch, value)

    def end_trial(self, trial, outcome, at):
        self._note("end", trial.id)

    def close(self, at):
        self._note("close")


def make_sender(*tools):
    said = []
    place = check_place("tensorboard:events")
    return LogSender([(place, tool) for tool in tools], said.append), said


def test_a_tool_is_told_of_epochs_as_they_come_and_of_each_end_once():
    tool = Recorder(ended={1})
    sender, said = make_sender(tool)
    sender.report(ProgressReport(0, 0, 1.0, 0.3, is_even=True))  # before a search: left out
    sender.begin(SEARCH, {0: TRIAL}.get, [(LoggedTrial(1, {}, 3), OUTCOME), (LoggedTrial(2, {}, 3), FAILED)])  # fmt: skip
    for report in (
        ProgressReport(0, 0, 0.0), ProgressReport(0, 0, 1.0, 0.3, is_even=True),
        ProgressReport(0, 0, 1.0, 0.3, is_even=True), ProgressReport(0, 0, 1.5, 0.4),
        ProgressReport(0, 1, 2.0, 0.9, is_even=True), ProgressReport(9, 0, 2.0, 0.9, is_even=True),
    ):  # fmt: skip
        sender.report(report)
    sender.end_trial(TRIAL, OUTCOME)
    sender.close()
    assert tool.told == [
        ("open", "digits"), ("end", 2), ("begin", 7),
        ("epoch", 7, "accuracy/validation", 1, 0.3), ("epoch", 7, "progress/accuracy", 1, 0.4),
        ("end", 7), ("close",),
    ]  # fmt: skip
    assert said == []


def test_a_report_that_comes_after_the_end_of_its_trial_is_left_out():
    tool = Recorder()
    sender, said = make_sender(tool)
    sender.begin(SEARCH, {0: TRIAL}.get)
    sender.end_trial(TRIAL, OUTCOME)
    sender.report(ProgressReport(0, 0, 3.0, 0.4, is_even=True))
    sender.close()
    assert tool.told == [("open", "digits"), ("end", 7), ("close",)]
    assert said == []


@pytest.mark.parametrize("fail", ["open", "begin", "epoch", "end", "close"])
def test_a_tool_that_fails_is_told_of_once_without_its_password(fail):
    tool, other = Recorder(fail=[fail]), Recorder()
    sender, said = make_sender(tool, other)
    sender.begin(SEARCH, {0: TRIAL}.get)
    for epoch in (1.0, 2.0):
        sender.report(ProgressReport(0, 0, epoch, 0.3, is_even=True))
    sender.end_trial(TRIAL, OUTCOME)
    sender.close()
    (line,) = said
    assert "--log tensorboard:events fails: SystemExit: no room at http://there/x" in line
    assert ("end", 7) in other.told
    # One that cannot be opened is not tried again; one that was goes on.
    assert len(tool.told) == 1 if fail == "open" else ("close",) in tool.told


def test_a_tool_that_hangs_is_not_waited_for_beyond_the_hours(monkeypatch):
    monkeypatch.setattr("hpsearch.loggers.sender._LEAST_WAIT", 0.1)
    gate = threading.Event()
    sender, said = make_sender(Recorder(gate=gate))
    sender.begin(SEARCH, {0: TRIAL}.get)
    closing = threading.Thread(target=sender.close, args=(-100.0,))
    closing.start()
    closing.join(15.0)
    assert not closing.is_alive()  # else it waits for a minute
    assert ["is too slow" in line for line in said] == [True]
    gate.set()


def test_a_second_ctrl_c_waits_for_no_tool():
    gate = threading.Event()
    sender, _ = make_sender(Recorder(gate=gate))
    sender.begin(SEARCH, {0: TRIAL}.get)
    closing = threading.Thread(target=partial(sender.close, at_once=True))
    closing.start()
    closing.join(15.0)
    assert not closing.is_alive()
    gate.set()


def test_a_slow_tool_gets_fewer_epochs_and_holds_nobody_up(monkeypatch):
    monkeypatch.setattr("hpsearch.loggers.sender._WAIT_SECONDS", 0.1)
    monkeypatch.setattr("hpsearch.loggers.sender._MOST_WAITING", 10)
    gate = threading.Event()
    tool = Recorder(gate=gate)
    sender, said = make_sender(tool)
    sender.begin(SEARCH, {0: TRIAL}.get)
    for epoch in range(1, 100):
        sender.report(ProgressReport(0, 0, float(epoch), 0.3, is_even=True))
    sender.end_trial(TRIAL, OUTCOME)
    sender.close()
    (line,) = said
    assert "is too slow" in line
    gate.set()
    for thread in threading.enumerate():
        if thread.name == "log tensorboard":
            thread.join(10)
    assert len([what for what in tool.told if what[0] == "epoch"]) < 20
    assert ("end", 7) in tool.told


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("mlfow:x", "did you mean 'mlflow'"), ("mlflow", "logs go to mlflow:URI"),
        ("wandb:", "wandb: needs its PROJECT"), ("tensorboard:s3://a:b@c/d", "on this machine"),
        ("comet:https://me:hunter2@there", "logs go to"), ("wandb:a/b/c", "ENTITY/PROJECT"),
        ("mlflow:http://me:hunter2@127.0.0.1:9/x", "nobody answers at http://127.0.0.1:9/x"),
        ("tensorboard:s.py/x", "cannot be made"),
    ],
)  # fmt: skip
def test_what_cannot_be_logged_to_is_refused_before_anything_starts(hpsearch, text, says):
    Path("s.py").write_text(
        "from hpsearch import *\nfrom hpsearch.tasks import digits\nfrom spaces import mlp\n"
        "study = Study(task=digits.task(), space=Space(dropout=Float(0, 0.5)), "
        "build=mlp.model(hidden=(8,)))\n"
    )
    code, out, err = hpsearch("run", "s.py", "--log", text)
    assert (code, out, len(err.splitlines())) == (2, "", 1), err
    assert says in err
    assert "hunter2" not in err
    assert not Path("store.db").exists()


def test_a_missing_package_is_refused_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(TrialLogError, match=r"pip install 'hpsearch\[wandb\]'"):
        check_place("wandb:mine")


def test_wandb_without_a_key_is_refused(monkeypatch):
    wandb = pytest.importorskip("hpsearch.loggers.wandb")
    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(Path.cwd()))
    monkeypatch.setenv("NETRC", str(Path("none").absolute()))
    with pytest.raises(TrialLogError, match="WANDB_MODE=offline"):
        wandb.make_tool("mine")


def test_a_password_is_in_no_text_of_a_place():
    place = check_place("mlflow:http://me:hunter2@there/x?token=abc")
    assert place.target.endswith("abc")
    assert str(place) == "mlflow:http://there/x?token=***"
    assert "hunter2" not in repr(place)


def read_mlflow(uri=None):
    """Each trial's run: status, parameters, tags, and by metric the values by step."""
    from mlflow.tracking import MlflowClient

    # MLflow keeps connections by URI, also those of a test before, in another folder.
    client = MlflowClient(uri or f"sqlite:///{Path('ml.db').absolute()}")
    found = {}
    for experiment in client.search_experiments():
        for run in client.search_runs([experiment.experiment_id]):
            histories = {
                name: [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, name)]
                for name in run.data.metrics
            }
            trial = int(run.data.tags["hpsearch.trial"])
            assert trial not in found
            found[trial] = (run.info.status, run.data.params, run.data.tags, histories)
    return found


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of MLflow's own statements
def test_mlflow_has_a_run_a_trial_that_goes_on_after_a_kill():
    from hpsearch.loggers.mlflow import make_tool

    first = make_tool("sqlite:///ml.db")
    first.open(SEARCH)
    first.begin_trial(TRIAL)
    first.log_epoch(7, "accuracy/validation", 1, 0.3, 1001.0)
    first.end_trial(LoggedTrial(8, {"units": 9}, 3), FAILED, 1002.0)
    status, params, _, histories = read_mlflow()[7]
    assert (status, params) == ("RUNNING", {"units": "8", "act": "relu"})
    assert histories == {"accuracy/validation": [(1, 0.3)]}
    # The process is killed here; another one goes on, from the epochs before the last checkpoint.
    again = make_tool("sqlite:///ml.db")
    again.open(SEARCH)
    assert (again.has_ended(8), again.has_ended(7)) == (True, False)
    again.begin_trial(TRIAL)
    again.log_epoch(7, "accuracy/validation", 1, 0.3, 1003.0)
    again.log_epoch(7, "accuracy/validation", 2, 0.5, 1004.0)
    again.end_trial(TRIAL, OUTCOME, 1005.0)
    other = make_tool("sqlite:///ml.db")
    other.open(LoggedSearch("other", "digits", "accuracy", {}))
    assert not other.has_ended(8)
    other.close(1006.0)
    found = read_mlflow()
    status, _, tags, histories = found[7]
    assert (status, tags["continues"], tags["state"]) == ("FINISHED", "2", "complete")
    assert sorted(histories["accuracy/validation"]) == [(1, 0.3), (2, 0.5), (3, 0.4)]
    assert sorted(histories["f1/validation"]) == [(1, 0.2), (3, 0.1)]
    assert histories["value"] == [(2, 0.5)]
    assert found[8][0] == "FAILED"
    assert found[8][2]["message"] == "loss became nan"


def read_scalars(path):
    """By name, the values by step, as TensorBoard shows them: a restart forgets later steps."""
    found, kinds = {}, []
    for event in read_events(path):
        if event.HasField("session_log"):
            for values in found.values():
                for step in [step for step in values if step >= event.step]:
                    del values[step]
        for value in event.summary.value:
            if value.HasField("simple_value"):
                own = found.setdefault(value.tag, {})
                assert event.step not in own, "a value twice"
                assert all(step < event.step for step in own), "steps go back"
                own[event.step] = round(value.simple_value, 4)
            else:
                kinds.append(value.tag)
    return {name: values for name, values in found.items() if values}, kinds


def test_tensorboard_has_a_file_a_trial_that_goes_on_after_a_kill():
    from hpsearch.loggers.tensorboard import make_tool

    first = make_tool("events")
    first.open(SEARCH)
    first.begin_trial(TRIAL)
    for epoch, value in ((1, 0.3), (2, 0.5), (2, 0.5)):
        first.log_epoch(7, "accuracy/validation", epoch, value, 1000.0 + epoch)
    (file,) = Path("events").rglob("events.out*")
    assert read_scalars(file)[0] == {"accuracy/validation": {1: 0.3, 2: 0.5}}  # already now
    assert not first.has_ended(7)
    again = make_tool("events")
    again.open(SEARCH)
    again.begin_trial(TRIAL)
    again.log_epoch(7, "accuracy/validation", 2, 0.5, 1005.0)
    assert read_scalars(file)[0] == {"accuracy/validation": {1: 0.3, 2: 0.5}}
    again.end_trial(TRIAL, OUTCOME, 1006.0)
    assert again.has_ended(7)
    scalars, kinds = read_scalars(file)
    assert scalars["accuracy/validation"] == {1: 0.3, 2: 0.5, 3: 0.4}
    assert scalars["loss/train"] == {1: 3.0, 2: 2.0, 3: 1.0}
    assert scalars["f1/validation"] == {1: 0.2, 3: 0.1}
    assert (scalars["value"], scalars["value/f1"] if "value/f1" in scalars else None) == (
        {2: 0.5},
        None,
    )
    assert kinds == ["_hparams_/session_start_info", "_hparams_/session_end_info"]
    assert len(list(Path("events").rglob("events.out*"))) == 1
    again.end_trial(LoggedTrial(8, {}, 3), FAILED, 1007.0)
    assert again.has_ended(8)
    for tool in (first, again):
        tool.close(1008.0)


@pytest.mark.slow
def test_wandb_offline_has_a_run_a_trial(monkeypatch):
    wandb = pytest.importorskip("wandb")
    from hpsearch.loggers.wandb import make_tool
    from tests.export.wandb_files import has_ended, read_config, read_history, read_summary

    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(Path.cwd()))
    wandb.teardown()  # else it goes on with the settings of a test before
    tool = make_tool("team/mine")
    tool.open(SEARCH)
    tool.begin_trial(TRIAL)
    tool.log_epoch(7, "accuracy/validation", 1, 0.3, 1001.0)
    tool.log_epoch(7, "accuracy/validation", 1, 0.3, 1001.0)
    tool.end_trial(TRIAL, OUTCOME, 1002.0)
    tool.end_trial(LoggedTrial(8, {"units": 9}, 3), FAILED, 1003.0)
    tool.close(1004.0)
    deadline = time.monotonic() + 30  # its service writes the last records after `finish`
    found = sorted(Path("wandb").glob("offline-*/*.wandb"))
    while not all(has_ended(f) for f in found) and time.monotonic() < deadline:
        time.sleep(0.1)
    files = {read_config(f)["hpsearch"]["trial"]: f for f in found}
    assert set(files) == {7, 8}
    assert read_config(files[7])["units"] == 8
    curve = [(row["epoch"], row["accuracy/validation"])
             for row in read_history(files[7]) if "accuracy/validation" in row]  # fmt: skip
    assert curve == [(1, 0.3), (2, 0.5), (3, 0.4)]
    summary = read_summary(files[7])
    assert (summary["value"], summary["hpsearch/best_epoch"]) == (0.5, 2)
    assert read_summary(files[8])["hpsearch/failure"] == "nan"


OPEN_AT_ONCE = """
import sys
from hpsearch.loggers import LoggedSearch, check_place, open_tool
tool = open_tool(check_place("mlflow:sqlite:///ml.db"))
print("ready", flush=True)
sys.stdin.readline()
tool.open(LoggedSearch("k" * 24, sys.argv[1], "accuracy", {}))
"""


@pytest.mark.thorough
@pytest.mark.slow
def test_studies_of_a_sweep_make_one_database_of_mlflow():
    opened = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN_AT_ONCE, name],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in ("a", "b", "c")
    ]
    for process in opened:
        assert process.stdout.readline() == "ready\n"
    for process in opened:
        process.stdin.write("\n")
        process.stdin.flush()
    for process in opened:
        _, err = process.communicate(timeout=200)
        assert process.returncode == 0, err
    with closing(sqlite3.connect("ml.db")) as db:
        names = {name for (name,) in db.execute("SELECT name FROM experiments")}
    assert names >= {"a", "b", "c"}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_database_of_mlflow_is_made_whole_or_not_at_all(tmp_path, monkeypatch):
    from hpsearch.loggers import mlflow

    class Dies:
        def __init__(self, tracking_uri):
            Path(tracking_uri.removeprefix("sqlite:///")).write_bytes(b"half")

        def search_experiments(self, max_results):
            raise KeyboardInterrupt

    monkeypatch.setattr(mlflow, "MlflowClient", Dies)
    with pytest.raises(KeyboardInterrupt):
        mlflow.make_database(tmp_path / "ml.db")
    assert list(tmp_path.iterdir()) == []
