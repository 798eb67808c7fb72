"""`Task(preprocess_y=)`: what has no inverse, changes the number of targets, or gives no numbers."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MinMaxScaler,
    OneHotEncoder,
    PowerTransformer,
    StandardScaler,
)

from hpsearch import Choice, Data, Difference, Int, Space, Task
from tests.attacks import expected, tiny
from tests.attacks.calls import JUNK
from tests.attacks.expected import Call
from tests.attacks.figures import Figures
from tests.attacks.hostile_sources import RAISES
from tests.attacks.preparation import CHANGES
from tests.attacks.tiny import Told

LOG = FunctionTransformer(np.log, np.exp)
_FINE = ("float64", "the other order of bytes", "lists", "objects", "texts")  # of numbers


class NoInverse(StandardScaler):
    inverse_transform = None


def _train(params: Any = None, y: Any = tiny.NUMBERS, **given: Any) -> None:
    tiny.train(tiny.learn_numbers(y, **given), params)


def _calls() -> Iterator[Call]:
    for what, value in JUNK.items():
        expect = "works" if what == "None" else "clear"
        yield Call(f"preprocess_y={what}", partial(_train, preprocess_y=value), expect)
        listed = partial(_train, preprocess_y=[StandardScaler(), value])
        yield Call(f"a list with {what}", listed)
        made = partial(_train, preprocess_y=partial(_give, value))
        yield Call(f"a function that returns {what}", made, expect)
    for what, act in RAISES.items():
        yield Call(f"a function that {what}", partial(_train, preprocess_y=_taking_nothing(act)))
        for name in ("learn", "change", "back"):
            acting = act if name == "learn" else partial(_act, act)
            told = Told(**{name: acting})
            yield Call(f"what {what} where it should {name}", partial(_train, preprocess_y=told))
    for what, change in CHANGES.items():
        expect = "works" if what in _FINE else "either" if what == "rows turned" else "clear"
        if what in ("int8", "one column more"):
            expect = "clear"  # targets do not come back; a shape is lost
        told = Told(change, back=None if what != "rows turned" else change)
        yield Call(f"targets become {what}", partial(_train, preprocess_y=told), expect)
        # What is tried on the training targets fails at once; predictions are changed like these.
        back = partial(_train, preprocess_y=Told(back=change))
        yield Call(f"predictions come back as {what}", back, expect)
    yield from _odd()
    yield from _searched()


def _taking_nothing(act: Callable[[], Any]) -> Callable[[], Any]:
    return lambda: act()


def _give(value: Any) -> Any:
    return value


def _act(act: Callable[[], Any], targets: Any) -> Any:
    return act()


def _odd() -> Iterator[Call]:
    odd: dict[str, Any] = {
        "a class": StandardScaler,
        "no inverse": NoInverse(),
        "a function without an inverse": FunctionTransformer(np.log),
        "a function with another's inverse": FunctionTransformer(np.log, np.expm1),
        "a function that loses most": FunctionTransformer(np.sign, np.sign),
        "bins": KBinsDiscretizer(3, encode="ordinal"),
        "columns of bins": KBinsDiscretizer(3),
        "one-hot columns": OneHotEncoder(),
        "more components than targets": PCA(3),
        "words": CountVectorizer(),
        "no transformers": [],
        "two differences": [Difference(0), Difference(1)],
        "a difference of no channel": Difference(),
        "a difference of a channel that is not there": Difference(9),
        "a difference of a column's name": Difference("close"),
        "a difference of another input": Difference(0, "other"),
        "a list in a list": [[StandardScaler()]],
        "a dict for one output": {"y": StandardScaler()},
        "a set": {StandardScaler()},
        "a function of anything": lambda **params: StandardScaler(),
        "what fits nothing": Told(learn=lambda: None),
    }
    for what, value in odd.items():
        yield Call(f"preprocess_y is {what}", partial(_train, preprocess_y=value))
    negative = partial(_train, y=tiny.X[:, 0], preprocess_y=LOG)
    yield Call("the logarithm of negative targets", negative)
    zeros = partial(_train, y=np.abs(tiny.NUMBERS) * (np.arange(40) % 3), preprocess_y=LOG)
    yield Call("the logarithm of zeros", zeros)
    for what, y in {
        "constant targets": np.ones(40),
        "large targets": tiny.NUMBERS * 1e30,
        "small targets": tiny.NUMBERS * 1e-30,
        "targets beyond float32": tiny.NUMBERS.astype(np.float64) * 1e60,
        "whole targets": np.arange(40),
    }.items():
        for step in (StandardScaler(), MinMaxScaler(), PowerTransformer()):
            call = partial(_train, y=y, preprocess_y=step)
            yield Call(f"{type(step).__name__} of {what}", call, "either")
    yield Call("NaN in targets", partial(_train, y=_with_nan(), preprocess_y=StandardScaler()))
    for what, given in {
        "classes": {"loss": "sparse_categorical_crossentropy"},
        "flags": {"loss": "binary_crossentropy"},
        "a metric in the changed unit": {"metric": "loss"},
        "a second metric in the changed unit": {"metrics": ["loss"]},
        "a dict of one output": {"loss": {"a": "mse", "b": "mse"}},
        "classes by mse": {"kind": "binary"},
    }.items():
        yield Call(f"preprocess_y of {what}", partial(_train_task, **given))
    unread = {"a": StandardScaler(), "c": StandardScaler()}
    two = {"loss": {"a": "mse", "b": "mse"}, "metric": "a/mae"}
    yield Call("an output that is not there", partial(_train_task, **two, preprocess_y=unread))


def _with_nan() -> Any:
    y = tiny.NUMBERS.copy()
    y[3] = np.nan
    return y


def _train_task(**given: Any) -> None:
    y: Any = tiny.NUMBERS
    if isinstance(given.get("loss"), dict):
        y = {"a": y, "b": y}
    elif "mse" not in given.get("loss", "mse") or "kind" in given:
        y = tiny.CLASSES
    how = {"loss": "mse", "metric": "mae", "preprocess_y": StandardScaler(), **given}
    if "cross" in str(how["loss"]):
        how["metric"] = "accuracy"
    tiny.train(Task("t", Data(tiny.X, y), **how))


def _choose(scale: Any) -> Any:
    return {"none": None, "log": LOG, "scaled": StandardScaler()}[scale]


def _searched() -> Iterator[Call]:
    for what, value in {"'log'": "log", "'none'": "none", **JUNK}.items():
        expect = "works" if what in ("'log'", "'none'") else "clear"
        yield Call(f"scale={what}", partial(_train, {"scale": value}, preprocess_y=_choose), expect)
    yield Call("no scale", partial(_train, {}, preprocess_y=_choose))
    spaces: dict[str, tuple[Space, Any]] = {
        "has not the parameter": (Space(n=Int(1, 3)), _choose),
        "has other values for it": (Space(scale=Choice("a", "b")), _choose),
        "makes classes of it": (Space(scale=Choice("a", "b")), lambda scale: StandardScaler),
        "makes what has no inverse": (
            Space(scale=Choice("a", "b")),
            lambda scale: FunctionTransformer(np.log),
        ),
    }
    for what, (space, make) in spaces.items():
        expect = "either" if what == "has other values for it" else "clear"
        task = tiny.learn_numbers(preprocess_y=make)
        yield Call(f"a search whose space {what}", partial(tiny.search, space, task), expect)
    both = tiny.learn_numbers(preprocess_y=_choose, preprocess=lambda scale: StandardScaler())
    yield Call("one parameter for both", partial(tiny.train, both, {"scale": "log"}), "works")


def attack_targets(sample: int | None, seed: int) -> Figures:
    return expected.attack("targets", list(_calls()), sample, seed)


ATTACKS = {"targets": attack_targets}
