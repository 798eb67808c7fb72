"""Baselines: what `Study(baselines=)` and `--baselines` are given, and estimators that misbehave."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from hpsearch import Choice, Data, Holdout, SeasonalValue, Space, Study, Task
from hpsearch.core.errors import StudyError
from hpsearch.core.trial import Job
from hpsearch.runs.baseline_study import choose_study_baselines, make_companion
from hpsearch.runs.worker import prepare_work
from tests.attacks import expected, tiny
from tests.attacks.calls import JUNK
from tests.attacks.expected import Call
from tests.attacks.figures import Figures
from tests.attacks.guard import NotUsable
from tests.attacks.hostile_sources import RAISES


class Model(ClassifierMixin, BaseEstimator):
    """An estimator that fits and predicts what it is told."""

    def __init__(self, fitted: Any = None, predicted: Any = None, likely: Any = None) -> None:
        self.fitted, self.predicted, self.likely = fitted, predicted, likely

    def fit(self, x: Any, y: Any) -> Any:
        self.classes_ = np.unique(y)
        return self if self.fitted is None else self.fitted()

    def predict(self, x: Any) -> Any:
        return np.zeros(len(x), int) if self.predicted is None else self.predicted(x)

    def predict_proba(self, x: Any) -> Any:
        return np.full((len(x), 2), 0.5) if self.likely is None else self.likely(x)


class NoPredict(BaseEstimator):
    def fit(self, x: Any, y: Any) -> Any:
        return self


class ClassesOnly(BaseEstimator):
    def fit(self, x: Any, y: Any) -> Any:
        return self

    def predict(self, x: Any) -> Any:
        return np.zeros(len(x), int)


def _study(baselines: Any, task: Task | None = None) -> Study:
    return Study(
        task=task or tiny.learn_classes(), space=Space(a=Choice(1, 2)), build=tiny.build,
        evaluator=Holdout(), name="odd", baselines=baselines,
    )  # fmt: skip


def _train(baselines: Any, task: Task | None = None) -> None:
    """Train baselines as a run does beside its search; what is wrong with one must be its failure."""
    study = _study(baselines, task)
    chosen = choose_study_baselines(study)
    if not chosen.baselines:
        raise StudyError("; ".join(chosen.notes) or "none is left, and nothing was said")
    companion = make_companion(study, chosen)
    _, work = prepare_work(companion, study.task.load(), try_points=False)
    for number, name in enumerate(chosen.baselines):
        [(_, outcome)] = work([Job({"baseline": name}, 1, trial=number)])
        if outcome.failure is not None:
            raise StudyError(f"baseline {name} failed: {outcome.failure.message}")
        assert outcome.score is not None
        if not np.isfinite(outcome.score.value):
            raise NotUsable(f"{name} has the value {outcome.score.value}")


def _arguments() -> Iterator[Call]:
    for what, value in JUNK.items():
        expect = "works" if what in ("None", "[]") else "either" if what in ("{}",) else "clear"
        yield Call(f"baselines={what}", partial(_study, value), expect)
        if what not in ("a list in itself", "{}", "[]", "['a', None]", "[5]", "{1: 2}", "{'a': 1}"):
            named = partial(_named, value)
            yield Call(f"a baseline named {what}", named, "either")
        if what in ("a function", "a class"):
            continue  # these return estimators, as far as one sees: they fail when they are trained
        yield Call(f"a baseline that is {what}", partial(_study, {"mine": value}))
    for name in (
        "ridge",
        "Ridge regression",
        "seasonal value",
        "",
        "a/b",
        "a\nb",
        "x" * 300,
        " ",
        "*",
    ):
        yield Call(f"{name[:20]!r} of hpsearch's own", partial(_study, {name: None}))
    for name in ("majority class", "logistic regression", "gradient boosting"):
        yield Call(f"{name!r} of hpsearch's own", partial(_train, {name: None}), "works")
    for name in ("mean", "median", "ridge regression", "previous value", "TF-IDF, linear"):
        yield Call(f"{name!r} of classes", partial(_train, {name: None}))
    for what, value in JUNK.items():
        yield Call(f"SeasonalValue({what})", partial(SeasonalValue, value))
        if what == "None":
            continue
        yield Call(f"run(baselines={what})", partial(_run, value))
    for steps in (3, 39, 40, 10**6):
        yield Call(f"a season of {steps} of 40 rows without times", partial(_seasonal, steps, None))
        timed = partial(_seasonal, steps, np.arange(40))
        expect = "works" if steps < 40 else "clear"
        yield Call(f"a season of {steps} of 40 rows", timed, expect)
    several = partial(_seasonal, 3, np.arange(40) // 2)
    yield Call("a season of rows of one time", several)


def _named(name: Any) -> Any:
    try:
        hash(name)
    except TypeError:
        raise StudyError("no dictionary has such a key") from None
    return _study({name: LogisticRegression()})


def _run(value: Any) -> None:
    tiny.search(Space(a=Choice(1, 2)), tiny.learn_classes(), baselines=value)


def _seasonal(steps: int, times: Any) -> None:
    data = Data(tiny.X, tiny.NUMBERS, times=times)
    study = Study(
        task=Task("t", data, "mse", "mae"), space=Space(a=Choice(1, 2)), build=tiny.build,
        evaluator=Holdout(shuffle=False), name="odd", baselines={"season": SeasonalValue(steps)},
    )  # fmt: skip
    chosen = choose_study_baselines(study)
    if not chosen.baselines:
        raise StudyError("; ".join(chosen.notes) or "none is left, and nothing was said")
    _, work = prepare_work(make_companion(study, chosen), data, try_points=False)
    [(_, outcome)] = work([Job({"baseline": "season"}, 1, trial=0)])
    if outcome.failure is not None:
        raise StudyError(outcome.failure.message)


# What a fold's estimator predicts for 8 rows of two classes, in place of probabilities.
LIKELY: dict[str, Callable[[Any], Any]] = {
    "one row fewer": lambda x: np.full((len(x) - 1, 2), 0.5),
    "one row more": lambda x: np.full((len(x) + 1, 2), 0.5),
    "one column": lambda x: np.full((len(x), 1), 0.5),
    "three columns": lambda x: np.full((len(x), 3), 0.5),
    "no columns": lambda x: np.zeros((len(x), 0)),
    "a flat array": lambda x: np.full(len(x), 0.5),
    "NaN": lambda x: np.full((len(x), 2), np.nan),
    "None": lambda x: None,
    "texts": lambda x: np.full((len(x), 2), "a"),
    "lists": lambda x: [[0.5, 0.5]] * len(x),
    "a number": lambda x: 0.5,
    "complex numbers": lambda x: np.full((len(x), 2), 0.5j),
    "a generator": lambda x: (row for row in x),
}


def _models() -> Iterator[Call]:
    fine = ("lists",)
    for what, likely in LIKELY.items():
        expect = "works" if what in fine else "clear"
        call = partial(_train, {"mine": Model(likely=likely)})
        yield Call(f"probabilities of {what}", call, expect)
    for what, act in RAISES.items():
        if what == "raises GeneratorExit":
            continue  # by which Python itself ends what trains
        yield Call(f"fitting {what}", partial(_train, {"mine": Model(fitted=act)}))
        predicted = Model(likely=partial(_act, act))
        yield Call(f"predicting {what}", partial(_train, {"mine": predicted}))
        yield Call(f"a function that {what}", partial(_train, {"mine": _taking_nothing(act)}))
    for what, value in JUNK.items():
        if what == "a list in itself":
            continue  # without an end where the arguments of partial are told
        returned = partial(_train, {"mine": partial(_give, value)})
        yield Call(f"a function that returns {what}", returned)
    odd: dict[str, tuple[Any, str]] = {
        "no predict": (NoPredict(), "clear"),
        "no predict, by a function": (NoPredict, "clear"),
        "no probabilities": (ClassesOnly(), "works"),
        "a class of estimators": (LogisticRegression, "works"),
        "a transformer": (StandardScaler(), "clear"),
        "a pipeline of nothing": (make_pipeline(StandardScaler()), "clear"),
        "a pipeline": (make_pipeline(StandardScaler(), LogisticRegression()), "works"),
        "more neighbours than rows": (KNeighborsClassifier(99), "clear"),
        "what takes a moment": (Model(fitted=partial(time.sleep, 0.5)), "works"),
        "a function of arguments": (lambda depth: DummyClassifier(), "clear"),
        "a network": (tiny.build, "clear"),
        "a fitted one of other columns": (
            LogisticRegression().fit(tiny.X[:, :2], tiny.CLASSES),
            "works",
        ),
    }
    for what, (value, expect) in odd.items():
        yield Call(f"a baseline is {what}", partial(_train, {"mine": value}), expect)
    two = {"a": tiny.NUMBERS, "b": tiny.NUMBERS}
    several = Task("t", Data(tiny.X, two), {"a": "mse", "b": "mse"}, "a/mae")
    yield Call("baselines of several outputs", partial(_train, None, several))


def _taking_nothing(act: Callable[[], Any]) -> Callable[[], Any]:
    return lambda: act()


def _give(value: Any) -> Any:
    return value


def _act(act: Callable[[], Any], rows: Any) -> Any:
    return act()


def attack_baselines(sample: int | None, seed: int) -> Figures:
    return expected.attack("baselines", [*_arguments(), *_models()], sample, seed)


ATTACKS = {"baselines": attack_baselines}
