"""`Task(preprocess=)`: functions of parameters, and transformers that do what no transformer may."""

import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from hpsearch import Choice, Int, Space
from tests.attacks import expected, tiny
from tests.attacks.calls import JUNK
from tests.attacks.expected import Call
from tests.attacks.figures import Figures
from tests.attacks.hostile_sources import RAISES
from tests.attacks.tiny import Told

# What transformers give, in place of as many rows of numbers; and which of it is fine.
CHANGES: dict[str, Callable[[Any], Any]] = {
    "one row fewer": lambda x: x[:-1],
    "one row more": lambda x: np.concatenate([x, x[:1]]),
    "no row": lambda x: x[:0],
    "one column more": lambda x: np.concatenate([x, x[:, :1]], 1),
    "columns of none": lambda x: x[:, :0],
    "as many columns as rows": lambda x: np.ones((len(x), len(x))),
    "rows turned": lambda x: x.T,
    "a flat array": lambda x: x.reshape(-1),
    "float64": lambda x: x.astype(np.float64),
    "int8": lambda x: x.astype(np.int8),
    "the other order of bytes": lambda x: x.astype(">f4"),
    "complex numbers": lambda x: x * 1j,
    "texts": lambda x: x.astype(str),
    "objects": lambda x: x.astype(object),
    "objects of no numbers": lambda x: np.full(x.shape, object()),
    "masked rows": lambda x: np.ma.masked_array(x, np.arange(x.size).reshape(x.shape) % 7 == 0),
    "lists": lambda x: x.tolist(),
    "ragged lists": lambda x: [[0.0] * (k % 3) for k in range(len(x))],
    "NaN": lambda x: np.full_like(x, np.nan),
    "infinity": lambda x: np.full_like(x, np.inf),
    "numbers beyond 32 bits": lambda x: np.full(x.shape, 1e300),
    "a dict": lambda x: {"a": x},
    "a tuple": lambda x: (x, x),
    "a generator": lambda x: (row for row in x),
    "None": lambda x: None,
    "a number": lambda x: 1.0,
    "a text": lambda x: "rows",
    "a class": lambda x: StandardScaler,
    "itself": lambda x: StandardScaler(),
    "a frame of texts": lambda x: pd.DataFrame({"a": ["x"] * len(x)}),
}
FINE = ("one column more", "float64", "int8", "the other order of bytes", "lists", "objects")


class Locked(StandardScaler):
    """It cannot be copied."""

    def __init__(self, lock: Any = None) -> None:
        super().__init__()
        self.lock = threading.Lock()


def _train(params: Any = None, **given: Any) -> None:
    tiny.train(tiny.learn_classes(**given), params)


def _functions() -> Iterator[Call]:
    for what, value in JUNK.items():
        expect = "works" if what == "None" else "clear"
        yield Call(f"preprocess={what}", partial(_train, preprocess=value), expect)
        made = partial(_train, preprocess=_taking_nothing(partial(_give, value)))
        yield Call(f"a function that returns {what}", made)
        yield Call(f"a dict of {what} for one input", partial(_train, preprocess={"x": value}))
    for what, act in RAISES.items():
        called = partial(_train, preprocess=_taking_nothing(act))
        yield Call(f"a function that {what}", called)
        yield Call(f"fitting {what}", partial(_train, preprocess=Told(learn=act)))
        transformed = partial(_train, preprocess=Told(partial(_call, act)))
        yield Call(f"transforming {what}", transformed)
    odd: dict[str, Any] = {
        "a class": StandardScaler,
        "a function of all": lambda *args: StandardScaler(),
        "a function of any": lambda **params: StandardScaler(),
        "a type of Python's": dict,
        "a transformer's name": "StandardScaler",
        "what returns nothing when it is fitted": Told(learn=lambda: None),
        "a generator function": _generate,
        "an async function": _wait_for,
        "a function that returns itself": _return_itself,
        "what cannot be copied": Locked(),
        "more components than columns": PCA(99),
        "an encoder that knows no other values": OneHotEncoder(sparse_output=False),
    }
    for what, value in odd.items():
        yield Call(f"preprocess is {what}", partial(_train, preprocess=value))
    again = partial(_train, preprocess=lambda: StandardScaler().fit(tiny.X[:, :2]))
    yield Call("a function that returns a fitted one, of other columns", again, "works")


def _taking_nothing(act: Callable[[], Any]) -> Callable[[], Any]:
    return lambda: act()


def _give(value: Any) -> Any:
    return value


def _call(act: Callable[[], Any], rows: Any) -> Any:
    return act()


def _generate() -> Any:
    yield StandardScaler()


async def _wait_for() -> Any:
    return StandardScaler()


def _return_itself() -> Any:
    return _return_itself


def _transformers() -> Iterator[Call]:
    for what, change in CHANGES.items():
        expect = "works" if what in FINE else "clear"
        call = partial(_train, preprocess=Told(change))
        yield Call(f"a transformer that gives {what}", call, expect)
        call = partial(_train, {"n": 1}, preprocess=partial(_of_point, change))
        yield Call(f"a point's transformer that gives {what}", call, expect)


def _of_point(change: Callable[[Any], Any], n: int) -> Any:
    return Told(change)


def _components(n: int) -> Any:
    return PCA(n)


def _points() -> Iterator[Call]:
    """What a point gives to the function, and what the study's space has."""
    for what, value in {"2": 2, **JUNK}.items():
        # What PCA takes itself: shares of the variance, too.
        expect = "either" if what in ("2", "None", "True", "1e-320") else "clear"
        call = partial(_train, {"n": value}, preprocess=_components)
        yield Call(f"components={what}", call, expect)
    yield Call("no parameter in the point", partial(_train, {}, preprocess=_components))
    taken = partial(_train, {"batch_size": 8}, preprocess=lambda batch_size: StandardScaler())
    yield Call("a parameter of the fit", taken)
    unknown = partial(tiny.train, tiny.learn_classes(preprocess=_components), {"n": 2, "m": 3})
    yield Call("a parameter that nobody takes", partial(unknown, _build_without_parameters))
    few, sometimes = Int(1, 3), Int(1, 3, when={"c": "a"})
    spaces: dict[str, tuple[Space, Callable[..., Any]]] = {
        "has not the parameter": (Space(m=few), _components),
        "has it only sometimes": (Space(c=Choice("a", "b"), n=sometimes), _components),
        "has only values too large": (Space(n=Int(4, 9)), _components),
        "has texts for it": (Space(n=Choice("two", "three")), _components),
        "makes nothing of it": (Space(n=few), lambda n: None),
        "makes a class of it": (Space(n=few), lambda n: PCA),
        "makes what raises": (Space(n=few), lambda n: 1 // 0),
        "makes fewer rows": (Space(n=few), partial(_of_point, CHANGES["one row fewer"])),
        "makes NaN": (Space(n=few), partial(_of_point, CHANGES["NaN"])),
    }
    for what, (space, make) in spaces.items():
        task = tiny.learn_classes(preprocess=make)
        # At each point the message is another one: then all trials fail, and the report says so.
        expect = "either" if what in ("has only values too large", "has texts for it") else "clear"
        yield Call(f"a search whose space {what}", partial(tiny.search, space, task), expect)


def _build_without_parameters(spec: Any) -> Any:
    return tiny.build(spec)


def attack_functions(sample: int | None, seed: int) -> Figures:
    calls = [*_functions(), *_transformers(), *_points()]
    return expected.attack("functions", calls, sample, seed)


ATTACKS = {"functions": attack_functions}
