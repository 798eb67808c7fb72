"""Builds that raise: which of them fail a trial, refuse a study, or end a run."""

import json
import os
import re
import subprocess
import sys

import pytest

from hpsearch.training import backend
from tests.conftest import ROOT

pytestmark = pytest.mark.slow

BUILD = """
import os
from hpsearch import *
from hpsearch.tasks import digits
from spaces import mlp

class Odd(BaseException):
    pass

class Unprintable(Exception):
    def __str__(self):
        raise RuntimeError("no text")

def build(spec, units):
    small = mlp.model(hidden=(8,))
    {body}
    return small(spec)

study = Study(
    task=digits.task(),
    space=Space(units=Int(1, 100)),
    build=build,
    searcher=Random(trials=6, epochs=1),
    evaluator=Holdout(rows=300),
)
"""

TOO_LARGE = "if units > 40: raise ValueError(f'model too large: {units}')"


@pytest.fixture
def run(hpsearch, write):
    """Run a study whose build does this before it returns a model."""

    def run(body, *options):
        file = write("bad", ("{body}", body), text=BUILD)
        code, out, err = hpsearch("run", file, *options)
        return code, out, err

    return run


def failures(hpsearch):
    """(kind, message, traceback) of each failed trial."""
    shown = [json.loads(hpsearch("show", n, "--json")[1]) for n in range(1, 7)]
    return [(t["failure"], t["message"], t["detail"]) for t in shown if t["failure"]]


@pytest.mark.parametrize("engine", ["fit", "auto"])
def test_points_that_raise_are_failed_trials(run, hpsearch, engine):
    """As where `build` refuses models that are too large, the middle of the space among them."""
    code, out, err = run(TOO_LARGE, "--inline", "--engine", engine)
    assert code == 0
    assert (
        "build fails at some points; trials of these points will fail: ValueError: model too lar"
        in err + out
    )
    failed = failures(hpsearch)
    assert 0 < len(failed) < 6
    assert {kind for kind, _, _ in failed} == {"exception"}
    assert all("in build" in detail for _, _, detail in failed)
    assert len(json.loads(hpsearch("rank", "--json")[1])) == 6 - len(failed)


def test_trial_failed_is_recorded_without_a_traceback(run, hpsearch):
    code, out, _ = run("if units > 40: raise TrialFailed(f'{units} are too many')", "--inline")
    assert code == 0
    assert "will fail" not in out
    failed = failures(hpsearch)
    assert 0 < len(failed) < 6
    assert {(kind, detail) for kind, _, detail in failed} == {("failed", "")}


def test_a_study_of_which_every_trial_says_that_it_failed_is_not_at_fault(run):
    code, out, _ = run("raise TrialFailed('too large')", "--inline", "--trials", 25)
    assert code == 1
    assert "25 trials failed with failed: too large" in out


# What TensorFlow's C++ writes when it starts, whatever is asked of its log.
STARTING = re.compile(
    r"WARNING: All log messages before absl|[IWE]\d{4} \d|To enable the following"
)
ENDINGS = {
    "a point": "if units > 40: raise FatalError('the license server is gone')",
    "all points": "raise FatalError('the license server is gone')",
    "trials": "if units != 50: raise FatalError('the license server is gone')",
}


@pytest.mark.parametrize(
    ("when", "where"),
    [("a point", "--inline"), ("all points", "--inline"), ("trials", "--devices=cpu")],
)
def test_a_fatal_error_ends_the_run_in_one_line(run, when, where):
    code, out, err = run(ENDINGS[when], where)
    assert code == 2, (out, err)
    assert err.strip().endswith("the license server is gone")
    own = [line for line in err.splitlines() if not STARTING.match(line)]
    assert len(own) == 1


WHOLLY = {
    "always alike": (
        "raise KeyError('units')",
        "bad.py:16: all 8 points that were tried fail with Key",
    ),
    "ours": (
        "raise __import__('hpsearch.core.errors').core.errors.BuildError('no such layer')",
        "no such layer",
    ),
    "unprintable": ("raise Unprintable", "Unprintable: (its message cannot be shown)"),
    "10 MB": ("raise ValueError('x' * 10**7)", "ValueError: xxx"),
    "exit": ("exit(3)", "SystemExit: 3"),
}


@pytest.mark.parametrize("case", WHOLLY)
def test_a_study_whose_points_all_fail_alike_is_refused(run, case):
    body, message = WHOLLY[case]
    code, out, err = run(body, "--inline")
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) == 1
    assert len(err) < 2000


@pytest.mark.parametrize("body", ["raise Odd", "os._exit(3)"])
def test_whatever_ends_a_build_fails_its_trial_alone(run, hpsearch, body):
    code, _, _ = run(f"if units > 60: {body}", "--devices", "cpu", "--trials", 6)
    assert code == 0
    failed = failures(hpsearch)
    assert 0 < len(failed) < 6


@pytest.mark.skipif(backend.name() != "jax", reason="side by side is on jax")
def test_builds_that_raise_cost_others_no_second_training(monkeypatch):
    """Of many trials side by side, those whose build fails are left out, and the rest stay together."""
    from hpsearch import Holdout, Int, Random, Space, Study
    from hpsearch.core.trial import Job
    from hpsearch.runs import worker
    from hpsearch.tasks import digits
    from spaces import mlp

    calls = []

    def build(spec, units):
        calls.append(units)
        if units % 2:
            raise ValueError(f"{units} is odd")
        return mlp.model(hidden=(8,))(spec)

    study = Study(
        task=digits.task(),
        space=Space(units=Int(2, 100)),
        build=build,
        searcher=Random(trials=1, epochs=1),
        evaluator=Holdout(rows=300),
    )
    _, work = worker.prepare_work(study, study.task.load(), together=20)
    together = []
    original = type(study.evaluator).run

    def run(self, trainer, trials, *rest):
        together.append(len(trials))
        return original(self, trainer, trials, *rest)

    monkeypatch.setattr(type(study.evaluator), "run", run)
    calls.clear()
    outcomes = dict(work([Job({"units": units}, 1) for units in range(2, 22)]))
    assert [outcomes[place].failure is not None for place in range(20)] == [False, True] * 10
    assert all(outcome.seconds > 0 for outcome in outcomes.values())
    assert together[-1] == 10
    assert all(calls.count(units) <= 2 for units in calls)


def test_warnings_as_errors_are_of_the_study_not_of_keras(write):
    file = write("bad", ("{body}", "pass"), text=BUILD)
    command = [
        sys.executable,
        "-m",
        "hpsearch",
        "run",
        file,
        "--trials",
        "1",
        "--store",
        "store.db",
    ]
    environment = os.environ | {"PYTHONWARNINGS": "error", "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    file = write("bad", ("{body}", "__import__('warnings').warn('mine')"), text=BUILD)
    ended = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert "all 8 points that were tried fail with UserWarning: mine" in ended.stderr


def test_a_model_that_never_works_is_refused_though_keras_numbers_its_name(hpsearch, write):
    body = (
        "import keras; model = keras.Sequential([keras.Input(spec.input_shape)]); "
        "model.compile('adam', loss=spec.loss, metrics=spec.metrics); return model"
    )
    file = write("bad", ("{body}", body), text=BUILD)
    code, out, err = hpsearch("run", file, "--inline")
    assert (code, out, err.count("\n")) == (2, "", 1), err
    assert "points that were tried fail with" in err


@pytest.mark.thorough
@pytest.mark.skipif(backend.name() != "jax", reason="it is on TensorFlow already")
def test_on_tensorflow_they_fail_alike(check_on_tensorflow):
    check_on_tensorflow(__file__)
