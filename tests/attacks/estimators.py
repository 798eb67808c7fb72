"""`KerasSearchCV` and `Evaluator.evaluate`, each argument replaced by junk, with real training."""

import warnings
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from hpsearch import KerasSearchCV, KFold, Random, Space
from hpsearch.training import backend
from tests.attacks import uses
from tests.attacks.calls import JUNK
from tests.attacks.figures import Figures, draw, show_progress
from tests.attacks.guard import judge_call

_FEW = ("None", "True", "-1", "0", "1.5", "NaN", "2**70", "''", "'abc'", "a NUL", "[5]", "{'a': 1}", "object()",
        "a class", "an array of objects", "a 0-d array")  # fmt: skip


def _build(spec: Any, **params: Any) -> Any:
    import keras

    layers = [keras.Input(spec.input_shape), keras.layers.Dense(spec.outputs, spec.activation)]
    model = keras.Sequential(layers)
    model.compile("sgd", spec.loss, metrics=spec.metrics)
    return model


def _fit(**options: Any) -> Any:
    """X and y are scikit-learn's to check, and its own checks of estimators try them."""
    x = np.random.default_rng(0).normal(size=(30, 3))
    return KerasSearchCV(**options).fit(x, np.arange(30) % 2)


def _calls() -> list[tuple[str, Callable[..., Any], Mapping[str, Any]]]:
    options = {
        "build": _build, "space": Space(), "searcher": Random(1, 1), "cv": KFold(2), "kind": "classifier",
        "loss": None, "metric": None, "direction": None, "preprocess": None, "refit": False, "random_state": 0,
        "patience": None, "engine": "fit",
    }  # fmt: skip
    data = uses.data()
    once = {"build": _build, "params": {}, "task": uses.task(data), "epochs": 1, "seed": 0, "patience": None,
            "engine": "fit"}  # fmt: skip
    return [("KerasSearchCV.fit", _fit, options), ("evaluate", KFold(2).evaluate, once)]


def attack_estimators(sample: int | None, seed: int) -> Figures:
    backend.choose()
    import keras  # noqa: F401  before there are limits of memory

    cases = [
        (f"{name}({argument}={junk})", partial(call, **{**arguments, argument: JUNK[junk]}))
        for name, call, arguments in _calls()
        for argument in arguments
        for junk in _FEW
    ]
    figures = Figures("estimators")
    for name, call in show_progress("estimators", draw(cases, sample, seed)):
        with warnings.catch_warnings(action="ignore"):  # that all trials failed, say
            verdict, detail = judge_call(call, seconds=60.0)
        figures.add(verdict, name, detail)
    return figures
