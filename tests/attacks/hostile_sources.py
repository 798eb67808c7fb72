"""Sources that do what no source may: give junk, change, raise, lie about their size, read what is no file."""

import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from hpsearch import Data, Holdout, Source, Task
from hpsearch.training import backend
from tests.attacks import things, uses
from tests.attacks.calls import JUNK
from tests.attacks.figures import Figures, draw, show_progress
from tests.attacks.guard import judge_call

ROWS = 40
GOOD = np.random.default_rng(0).normal(size=(ROWS, 3)).astype(np.float32)
Y = np.arange(ROWS) % 2
Answer = Callable[[int, np.ndarray[Any, Any]], Any]


class Made(Source):
    """A source whose members do what they are told.

    rows, length: functions of how often they were called before, from 0 on; and of the indices.
    others: `targets`, `classes`, `files`, as functions.
    """

    def __init__(
        self,
        rows: Answer = lambda call, indices: GOOD[indices],
        length: Callable[[int], Any] = lambda call: ROWS,
        **others: Callable[[], Any],
    ) -> None:
        self._rows, self._length, self._others = rows, length, others
        self._reads = self._counts = 0

    def __len__(self) -> int:
        self._counts += 1
        found: int = self._length(self._counts - 1)
        return found

    def rows(self, indices: Any) -> Any:
        self._reads += 1
        return self._rows(self._reads - 1, indices)

    @property
    def targets(self) -> Any:
        return self._others.get("targets", lambda: Y)()

    @property
    def classes(self) -> Any:
        return self._others.get("classes", lambda: ())()

    @property
    def files(self) -> Any:
        return self._others.get("files", lambda: ())()


class Odd(BaseException):
    """No Exception."""


class Untold(Exception):
    """Its message cannot be told."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


def _raise(error: BaseException) -> Any:
    raise error


def _recurse() -> Any:
    return _recurse()


RAISES: dict[str, Callable[[], Any]] = {
    "raises": lambda: _raise(ValueError("no")),
    "raises lines": lambda: _raise(OSError("a\nb\x1b[31m")),
    "raises 10 MB": lambda: _raise(ValueError("x" * 10_000_000)),
    "raises what cannot be told": lambda: _raise(Untold()),
    "raises escape codes": lambda: _raise(ValueError("\x1b[2J\x1b[31m")),
    "raises StopIteration": lambda: _raise(StopIteration()),
    "raises MemoryError": lambda: _raise(MemoryError()),
    "raises BaseException": lambda: _raise(Odd("no")),
    "raises GeneratorExit": lambda: _raise(GeneratorExit()),
    "exits": lambda: sys.exit(0),
    "recurses": _recurse,
}
# Rows as functions of the indices, in place of good ones.
SHAPES: dict[str, Callable[[Any], Any]] = {
    "one row fewer": lambda i: GOOD[i][:-1],
    "one row more": lambda i: np.concatenate([GOOD[i], GOOD[:1]]),
    "no row": lambda i: GOOD[:0],
    "one column more": lambda i: np.concatenate([GOOD[i], GOOD[i][:, :1]], 1),
    "columns of none": lambda i: GOOD[i][:, :0],
    "rows turned": lambda i: GOOD[i].T,
    "a flat array": lambda i: GOOD[i].reshape(-1),
    "float64": lambda i: GOOD[i].astype(np.float64),
    "int8": lambda i: GOOD[i].astype(np.int8),
    "the other order of bytes": lambda i: GOOD[i].astype(">f4"),
    "complex numbers": lambda i: GOOD[i] * 1j,
    "texts": lambda i: GOOD[i].astype(str),
    "objects": lambda i: GOOD[i].astype(object),
    "masked rows": lambda i: np.ma.masked_less(GOOD[i], 0.0),
    "lists": lambda i: GOOD[i].tolist(),
    "ragged lists": lambda i: [[0.0] * (k % 3) for k in range(len(i))],
    "NaN": lambda i: np.full_like(GOOD[i], np.nan),
    "10**13 columns": lambda i: np.broadcast_to(np.float32(0), (len(i), 10**13)),
    "inputs of a dict": lambda i: {"a": GOOD[i], "b": GOOD[i]},
    "an empty dict": lambda i: {},
    "a dict of unequal rows": lambda i: {"a": GOOD[i], "b": GOOD[:1]},
    "a dict of numbers": lambda i: {1: GOOD[i]},
    "a dict in a dict": lambda i: {"a": {"b": GOOD[i]}},
    "a tuple": lambda i: (GOOD[i], Y[i]),
    "a generator": lambda i: (GOOD[k] for k in i),
}
LENGTHS: dict[str, Callable[[int], Any]] = {
    "grows": lambda call: ROWS + (call > 2),
    "shrinks": lambda call: ROWS - (call > 2),
    "grows by each call": lambda call: ROWS + call,
    "is 2**62": lambda call: 2**62,
    "is 2**70": lambda call: 2**70,
    "becomes None": lambda call: ROWS if call < 3 else None,
}


def _build(spec: Any) -> Any:
    import keras

    several = isinstance(spec.input_shape, dict)
    shapes = spec.input_shape if several else {"x": spec.input_shape}
    inputs = {name: keras.Input(shape, name=name) for name, shape in shapes.items()}
    joined = sum(keras.layers.Flatten()(each) for each in inputs.values())
    outputs = keras.layers.Dense(spec.outputs, spec.activation)(joined)
    model = keras.Model(inputs if several else inputs["x"], outputs)
    model.compile("sgd", spec.loss, metrics=spec.metrics)
    return model


def _train(made: Source) -> None:
    """A model learns from the source's rows, fold by fold, and so does one side by side."""
    data = Data(made)
    uses.all_of_data(data)
    task = Task("made", data, "binary_crossentropy", "accuracy")
    for engine in ("fit", "auto"):
        Holdout().evaluate(_build, {}, task, epochs=2, engine=engine)


def _sources() -> Iterator[tuple[str, Callable[[], Source]]]:
    for name, value in JUNK.items():
        yield f"rows are {name}", partial(Made, lambda call, i, value=value: value)
        yield f"a length of {name}", partial(Made, length=lambda call, value=value: value)
        for member in ("targets", "classes", "files"):
            yield f"{member}={name}", partial(Made, **{member: lambda value=value: value})
    for what, act in RAISES.items():
        for place in (0, 1, 3, 7):  # from the how many-th call on
            yield (
                f"rows {what} from call {place} on",
                partial(Made, lambda c, i, act=act, place=place: GOOD[i] if c < place else act()),
            )
        for place in (0, 3):
            yield (
                f"the length {what} from call {place} on",
                partial(Made, length=lambda c, act=act, place=place: ROWS if c < place else act()),
            )
        for member in ("targets", "classes", "files"):
            yield f"{member} {what}", partial(Made, **{member: act})
        yield f"row 17 {what}", partial(Made, lambda c, i, act=act: act() if 17 in i else GOOD[i])
    for what, give in SHAPES.items():
        for place in (0, 1, 3, 7):
            yield (
                f"{what} from call {place} on",
                partial(
                    Made, lambda c, i, give=give, place=place: GOOD[i] if c < place else give(i)
                ),
            )
    for what, length in LENGTHS.items():
        yield f"a length that {what}", partial(Made, length=length)
    yield "rows that differ", partial(Made, lambda c, i: GOOD[i] + c)
    yield "rows that change what they are asked", partial(Made, _overwrite)
    yield "rows that are views of one array", partial(Made, lambda c, i: GOOD[: len(i)])
    yield "files without an end", partial(Made, files=_endless)
    yield "targets without an end", partial(Made, targets=_endless)
    yield "a class for each row", partial(Made, classes=lambda: [str(k) for k in range(ROWS)])
    yield "classes of one name", partial(Made, classes=lambda: ["a", "a"])
    yield "classes of odd names", partial(Made, classes=lambda: ["a\nb", "\ud800"])


def _overwrite(call: int, indices: Any) -> Any:
    found = GOOD[indices]
    indices[:] = 10**6
    return found


def _endless() -> Iterator[Path]:
    while True:
        yield Path("x")


def _with_files(folder: Path) -> Iterator[tuple[str, Callable[[], Source]]]:
    """Sources that say they read what is no file."""
    (folder / "store.db").write_bytes(bytes(8192))
    for number, (what, make) in enumerate(things.ODD.items()):
        path = folder / str(number)
        make(path)
        yield f"files with {what}", partial(Made, files=lambda path=path: [path])
    for what, name in {
        "one not there": "nowhere",
        "a newline": "a\nb",
        "a NUL": "a\0b",
        "a name too long": "x" * 300,
        "an undecodable name": os.fsdecode(b"\xff"),
    }.items():
        yield f"files with {what}", partial(Made, files=lambda name=name: [folder / name])


def attack_sources(sample: int | None, seed: int) -> Figures:
    """Data of hostile sources is made, used, and trained on."""
    backend.choose()
    import keras  # noqa: F401  before there are limits of memory

    figures = Figures("sources")
    with tempfile.TemporaryDirectory(prefix="attack-") as folder:
        chosen = draw([*_sources(), *_with_files(Path(folder))], sample, seed)
        for name, make in show_progress("sources", chosen):
            with warnings.catch_warnings(action="ignore"):
                verdict, detail = judge_call(make, _train, seconds=60.0)
            figures.add(verdict, name, detail)
    return figures


ATTACKS = {"sources": attack_sources}
