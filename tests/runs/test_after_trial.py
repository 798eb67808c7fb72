"""`Study(after_trial=...)`: told of each trial, by the process that runs the search."""

import json
import re
import sys
import types
from pathlib import Path

import pytest

from tests.runs.whole_runs import finish, journal, start

pytestmark = pytest.mark.slow

RECORDING = """
import json, os
from hpsearch import *
from hpsearch.tasks import digits
from spaces import mlp

def note(trial):
    assert trial.outcome.score.folds[0].validation
    told = [trial.study, trial.task, trial.metric, trial.direction, trial.trial, trial.parent,
            trial.epochs, trial.value, sorted(trial.params)]
    with open("told.jsonl", "a") as file:
        file.write(json.dumps([os.getpid(), *told]) + "\\n")
    trial.params.clear()  # the record is the function's own

study = Study(
    task=digits.task(),
    space=Space(dropout=Float(0.0, 0.5)),
    build=mlp.model(hidden=(8,)),
    searcher=Hyperband(max_epochs=2, eta=2),
    evaluator=KFold(2),
    after_trial=note,
)
"""


def told():
    return [json.loads(line) for line in Path("told.jsonl").read_text().splitlines()]


def ended_trials(store="store.db"):
    """The ids of the trials in a store, in the order in which they ended."""
    (events,) = journal(store)
    ids = {event[0]: event[2] for event in events if len(event) == 3 and event[2]}
    return [ids[event[0]] for event in events if len(event) == 2]


def test_it_is_told_of_each_trial_once_by_the_parent(hpsearch, write):
    file = write(text=RECORDING)
    process = start(file, "--repeats", 2, "--finalists", 1)
    assert finish(process)[0] == 0
    lines = told()
    assert {line[0] for line in lines} == {process.pid}
    assert [line[5] for line in lines] == ended_trials()  # repeats are not told of
    for _, study, task, metric, direction, trial, parent, epochs, value, names in lines:
        assert (study, task, metric, direction) == ("small", "digits", "accuracy", "max")
        assert epochs == (1 if parent is None and epochs == 1 else 2)
        assert names == ["dropout"]
        assert parent is None or (parent < trial and epochs == 2)
        assert 0 < value <= 1
    assert any(line[6] for line in lines)
    # A run that continues tells of no earlier trial again.
    assert hpsearch("run", file, "--inline", "--engine", "fit")[0] == 0
    assert told() == lines


def test_it_is_told_once_over_a_kill(write):
    file = write(text=RECORDING)
    process = start(file, "--inline")
    assert any("] trial" in line for line in process.stdout)
    process.kill()
    process.communicate()
    assert finish(start(file, "--inline"))[0] == 0
    trials = [line[5] for line in told()]
    assert len(set(trials)) == len(trials)
    assert len(ended_trials()) - 1 <= len(trials) <= len(ended_trials())


def test_one_that_raises_harms_nothing(hpsearch, write):
    file = write(text=RECORDING)
    assert hpsearch("run", file, "--inline", "--store", "whole.db", "--engine", "fit")[0] == 0
    broken = RECORDING.replace("def note(trial):", "def note(trial):\n    raise OSError('no net')")
    code, out, err = hpsearch("run", write(text=broken), "--inline", "--engine", "fit")
    assert code == 0
    assert (out + err).count("after_trial fails on trial 1: OSError: no net; the search") == 1
    assert journal("store.db") == journal("whole.db")
    exits = broken.replace("raise OSError('no net')", "raise SystemExit(3)")
    assert hpsearch("run", write("other", text=exits), "--inline")[0] == 0


def test_a_failed_trial_is_told_of_too(hpsearch, write):
    text = RECORDING.replace("    assert trial.outcome.score.folds[0].validation\n", "").replace(
        "build=mlp.model(hidden=(8,)),",
        "build=lambda spec, dropout: mlp.model(hidden=(8,))(spec, dropout=dropout)\n"
        "    if dropout < 0.25 else 1 / 0,",
    )
    assert hpsearch("run", write(text=text), "--inline")[0] == 0
    values = [line[8] for line in told()]
    assert None in values
    assert any(value is not None for value in values)


def guide_example(name):
    """The code of the guide that logs to this tool."""
    page = Path(__file__).parents[2] / "hpsearch" / "guide" / "training.md"
    blocks = re.findall(r"```py(?:thon)?\n(.*?)```", page.read_text(), re.DOTALL)
    return next(block for block in blocks if f"import {name}\n" in block)


@pytest.mark.filterwarnings("ignore")  # MLflow's own
def test_the_guides_mlflow_logger(hpsearch, write, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    code = guide_example("mlflow")
    text = RECORDING.replace("\nstudy = Study(", f"\n{code}\nstudy = Study(").replace(
        "after_trial=note", "after_trial=log_to_mlflow"
    )
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{Path('mlflow.db').absolute()}")
    code, out, err = finish(start(write(text=text), "--inline"))
    assert code == 0
    assert "after_trial fails" not in out + err, out + err
    client = mlflow.MlflowClient(f"sqlite:///{Path('mlflow.db').absolute()}")
    experiment = client.get_experiment_by_name("small")
    runs = client.search_runs([experiment.experiment_id])
    assert {int(run.data.tags["trial"]) for run in runs} == set(ended_trials())
    for run in runs:
        row = json.loads(hpsearch("show", run.data.tags["trial"], "--json")[1])
        assert run.data.metrics["value"] == pytest.approx(row["value"])
        assert float(run.data.params["dropout"]) == pytest.approx(row["params"]["dropout"])
        curve = client.get_metric_history(run.info.run_id, "fold 0 accuracy")
        assert [point.step for point in curve] == list(range(1, row["epochs"] + 1))


def test_the_guides_wandb_logger(hpsearch, write, monkeypatch):
    """With Weights & Biases itself where it is installed; else with what the example calls of it."""
    runs = []
    try:
        import wandb

        wandb.teardown()  # else it goes on in the folder of a test before
    except ImportError:
        fake = types.ModuleType("wandb")

        class Run:
            def __init__(self, **options):
                self.options, self.logged, self.summary = options, [], {}
                runs.append(self)

            def log(self, values, step):
                self.logged.append((step, values))

            def finish(self):
                self.finished = True

        fake.init = lambda **options: Run(**options)
        monkeypatch.setitem(sys.modules, "wandb", fake)
    code = guide_example("wandb")
    text = RECORDING.replace("\nstudy = Study(", f"\n{code}\nstudy = Study(").replace(
        "after_trial=note", "after_trial=log_to_wandb"
    )
    code, out, err = hpsearch("run", write(text=text), "--inline")
    assert code == 0
    assert "after_trial fails" not in out + err, out + err
    trials = ended_trials()
    if runs:
        assert [run.options["mode"] for run in runs] == ["offline"] * len(trials)
        assert all(run.finished and run.summary["value"] for run in runs)
        assert [len(run.logged) for run in runs] == [
            run.options["config"]["epochs"] for run in runs
        ]
    else:
        assert len(list(Path("wandb").glob("offline-run-*"))) == len(trials)
