"""The Python interface: every argument of every public class and method, replaced by junk.

What is refused is refused by a rule of ours in one line; what is accepted can be used (`uses.py`).
"""

import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from sklearn.preprocessing import StandardScaler

import hpsearch
from hpsearch import (
    Asha,
    Auto,
    Bayes,
    Choice,
    Data,
    Difference,
    Float,
    Forward,
    Genetic,
    Given,
    Grid,
    GrowThenRegularize,
    Holdout,
    Hyperband,
    ImageFolder,
    Int,
    KerasTunerHyperband,
    KFold,
    Lags,
    NestedKFold,
    ParquetRows,
    PerChannel,
    Random,
    Results,
    SeasonalValue,
    Space,
    Study,
    Task,
    TextFolder,
    Windows,
)
from hpsearch.training import backend
from tests.attacks import hostile_folders, uses
from tests.attacks.figures import Figures, draw, show_progress
from tests.attacks.guard import judge_call

_circle: list[Any] = []
_circle.append(_circle)

JUNK: dict[str, Any] = {
    "None": None,
    "True": True,
    "-1": -1,
    "0": 0,
    "1.5": 1.5,
    "2.0": 2.0,
    "NaN": float("nan"),
    "infinity": float("inf"),
    "2**70": 2**70,
    "10**400": 10**400,
    "1e-320": 1e-320,
    "1j": 1j,
    "''": "",
    "'abc'": "abc",
    "a NUL": "a\0b",
    "a newline": "a\nb",
    "a path": "../../x",
    "a lone surrogate": "a\ud800",
    "300 letters": "x" * 300,
    "bytes": b"x",
    "[]": [],
    "[5]": [5],
    "['a', None]": ["a", None],
    "a list in itself": _circle,
    "{}": {},
    "{1: 2}": {1: 2},
    "{'a': 1}": {"a": 1},
    "object()": object(),
    "a function": lambda *_: 1,
    "a class": Random,
    "an exception": ValueError("x"),
    "np.int64(3)": np.int64(3),
    "np.float64(nan)": np.float64("nan"),
    "an array": np.arange(3),
    "an array of objects": np.array([{}, None], dtype=object),
    "a 0-d array": np.array(1),
    "a set": {1, 2},
    "range(3)": range(3),
}


_ELSEWHERE = {"KerasSearchCV", "Source"}  # `estimators`, `hostile_sources`
NAMED = ("Study", "Task")  # what has a name of its own, not as a dictionary's key


@dataclass(frozen=True)
class Call:
    """A call that works, whose arguments are replaced one at a time; and how its result is used."""

    name: str
    function: Callable[..., Any]
    arguments: Mapping[str, Any]
    use: Callable[[Any], object] = repr


def _classes() -> Iterator[Call]:
    """Every class of `hpsearch.__all__` whose construction checks something."""
    space = uses.space()
    yield Call(
        "Float",
        Float,
        {"low": 1.0, "high": 2.0, "log": False, "step": None, "when": None},
        uses.range_,
    )
    yield Call("Float of steps", Float, {"low": 1.0, "high": 2.0, "step": 0.5}, uses.range_)
    yield Call("Float log", Float, {"low": 1.0, "high": 2.0, "log": True}, uses.range_)
    yield Call(
        "Int", Int, {"low": 1, "high": 9, "log": False, "step": None, "when": None}, uses.range_
    )
    yield Call("Int of steps", Int, {"low": 1, "high": 9, "step": 2}, uses.range_)
    yield Call("Int log", Int, {"low": 1, "high": 9, "log": True}, uses.range_)
    yield Call(
        "Choice",
        lambda option, when: Choice(option, "b", when=when),
        {"option": "a", "when": None},
        uses.range_,
    )
    yield Call(
        "Space", lambda piece: Space(piece), {"piece": {"x": Float(0, 1)}}, uses.all_of_space
    )
    yield Call("Space of a parameter", lambda x: Space(x=x), {"x": Float(0, 1)}, uses.all_of_space)
    yield Call(
        "Space of a name", lambda name: Space({name: Float(0, 1)}), {"name": "x"}, uses.all_of_space
    )
    yield Call(
        "Space with a condition", _conditional, {"parent": "b", "value": "u"}, uses.all_of_space
    )
    for searcher in (
        Asha,
        Auto,
        Bayes,
        Genetic,
        Grid,
        GrowThenRegularize,
        Hyperband,
        KerasTunerHyperband,
        Random,
    ):
        yield Call(
            searcher.__name__, searcher, uses.defaults(searcher), partial(uses.searcher, space)
        )
    for evaluator in (Forward, Holdout, KFold):
        yield Call(evaluator.__name__, evaluator, uses.defaults(evaluator), uses.evaluator)
    rows = {"train": [0, 1, 2, 3], "validation": [4, 5, 6, 7]}
    yield Call("Given", Given, {**uses.defaults(Given), **rows}, uses.evaluator)
    yield Call(
        "Given of pairs",
        lambda train, validation: Given([(train, validation), ([0, 1], [2, 3])]),
        rows,
        uses.evaluator,
    )
    yield Call("Given of anything", Given, {"train": KFold(2)}, uses.evaluator)
    yield Call("SeasonalValue", SeasonalValue, {"steps": 3}, uses.seasonal_value)
    yield Call("NestedKFold", NestedKFold, uses.defaults(NestedKFold), uses.nested)
    data = uses.data()
    arrays = {
        "x": data.x,
        "y": data.y,
        "x_test": data.x,
        "y_test": data.y,
        "groups": data.y,
        "columns": (),
        "coding": None,
    }
    yield Call("Data", Data, {**uses.defaults(Data), **arrays}, uses.all_of_data)
    part = {"x_val": data.x[:6], "y_val": data.y[:6], "sample_weight_val": None}
    yield Call(
        "Data of parts", lambda **given: Data(data.x, data.y, **given), part, uses.all_of_data
    )
    streams = {
        **{part: uses.batches for part in ("train", "validation", "test")},
        "steps": 2,
        "validation_steps": 2,
        "version": None,
    }
    yield Call("Data.streams", Data.streams, streams, lambda made: made.fingerprint)
    yield Call(
        "Data.streams of batches",
        lambda batches: Data.streams(lambda seed, size: batches, uses.batches),
        {"batches": [(data.x, data.y)]},
        lambda made: made.fingerprint,
    )
    yield Call("Data of a dict", lambda x: Data({"a": x}, data.y), {"x": data.x}, uses.all_of_data)
    yield Call(
        "Data of a name", lambda name: Data({name: data.x}, data.y), {"name": "a"}, uses.all_of_data
    )
    yield Call("Task", Task, {**uses.defaults(Task), **uses.task_arguments(data)}, uses.all_of_task)
    yield Call(
        "Task of a function",
        lambda found: Task("t", lambda: found, "mse", "mae"),
        {"found": data},
        uses.all_of_task,
    )
    yield Call("Study", Study, {**uses.defaults(Study), **uses.study_arguments()}, uses.study)
    yield Call(
        "Study's start",
        lambda start: Study(**{**uses.study_arguments(), "start": [start]}),
        {"start": {"a": 0.5, "b": "u"}},
        uses.study,
    )
    yield from _sources()
    yield from _of_series()
    results = {"store": "store.db", "study": None, "task": None, "evaluator": None}
    yield Call("Results", Results, results, uses.results)


def _sources() -> Iterator[Call]:
    """Sources of files; what lies in the files is `hostile_folders`' affair."""
    files = hostile_folders.good_files()
    for source, given in {
        ImageFolder: {"folder": files / "ImageFolder/rows", "size": 8},
        TextFolder: {"folder": files / "TextFolder/rows"},
        ParquetRows: {"path": files / "ParquetRows/rows.parquet"},
    }.items():
        yield Call(source.__name__, source, {**uses.defaults(source), **given}, uses.source)


def _of_series() -> Iterator[Call]:
    """Windows over a series, and what prepares them and their targets."""
    series, windows = np.arange(24.0), np.arange(48.0).reshape(4, 6, 2)
    given = {"series": series, "lags": 3, "times": series, "groups": np.zeros(24, int)}
    yield Call("Windows", Windows, {**uses.defaults(Windows), **given}, uses.windows)
    lags = {"lags": 2, "stride": 2, "difference": True}
    yield Call("Lags", Lags, lags, lambda made: made.fit_transform(windows))
    yield Call(
        "PerChannel",
        PerChannel,
        {"transformer": StandardScaler()},
        lambda made: made.fit_transform(windows),
    )
    yield Call(
        "Difference",
        Difference,
        {"channel": 1, "input": "x"},
        lambda made: made.resolve(windows).find_last_values(windows),
    )


def _methods() -> Iterator[Call]:
    """Methods that users call with values of theirs.

    `start` and `splits`, which a study calls, are not among them: the study checked seed and points.
    """
    space, data, point = uses.space(), uses.data(), {"a": 0.5, "b": "u"}
    yield Call("Space.from_unit", space.from_unit, {"u": [0.5, 0.5]}, space.check)
    yield Call("Space.to_unit", space.to_unit, {"params": point})
    yield Call("Space.check", space.check, {"params": point})
    yield Call(
        "Space.check of a value", lambda value: space.check({"a": value, "b": "u"}), {"value": 0.5}
    )
    yield Call("Space.grid", space.grid, {"points": 2}, uses.first_points)
    yield Call("Space.from_json", Space.from_json, {"text": space.to_json()}, uses.all_of_space)
    yield Call(
        "Space.from_json of a range",
        lambda range_: Space.from_json({"a": range_}),
        {"range_": space.to_json()["a"]},
        uses.all_of_space,
    )
    windows = Windows(np.arange(24.0), lags=3)
    yield Call("Windows.data", windows.data, {"test": 0.2}, uses.all_of_data)
    yield Call("Windows.last", windows.last, {"rows": 1})
    yield Call("Data.take", data.take, {"rows": [0, 1]}, uses.all_of_data)
    for one in (Random(3, 2), Hyperband(9), Auto(2), Grid(points=2), Bayes(3, 2)):
        name = type(one).__name__
        yield Call(
            f"{name}.resized",
            one.resized,
            {"trials": 2, "epochs": 9},
            partial(uses.searcher, space),
        )


def _conditional(parent: Any, value: Any) -> Space:
    return Space(b=Choice("u", "v"), a=Float(0, 1, when={parent: value}))


def _hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def cases() -> list[tuple[str, Callable[[], Any], Callable[[Any], object]]]:
    found = []
    for call in (*_classes(), *_methods()):
        for argument in call.arguments:
            for name, value in JUNK.items():
                if (
                    argument in ("name", "parent")
                    and call.name not in NAMED
                    and not _hashable(value)
                ):
                    continue  # no dictionary has such a key
                changed = partial(call.function, **{**call.arguments, argument: value})
                found.append((f"{call.name}({argument}={name})", changed, call.use))
    return found


def attack_calls(sample: int | None, seed: int) -> Figures:
    figures = Figures("calls")
    attacked = {call.name for call in _classes()} | _ELSEWHERE
    left = [
        n for n in hpsearch.__all__ if n not in attacked and not n.endswith(("Error", "Failed"))
    ]
    assert not left, f"public, and not attacked: {left}"
    backend.choose()
    for module in ("keras", "keras_tuner", "optuna", "pandas", "sklearn"):
        importlib.import_module(module)  # now, because under limits they may break half-way
    for name, call, use in show_progress("calls", draw(cases(), sample, seed)):
        verdict, detail = judge_call(call, use)
        figures.add(verdict, name, detail)
    return figures
