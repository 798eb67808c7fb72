"""Data that comes in batches, each part made by a function: what `Data.streams` takes."""

import contextlib
import math
import sys
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from hpsearch.core.array_types import Array
from hpsearch.core.arrays import (
    check_inputs,
    check_same_rows,
    check_targets,
    inputs_by_name,
    is_lazy,
)
from hpsearch.core.errors import DataError, HpsearchError, first_line
from hpsearch.core.rules import brief

Stream = Callable[[int, int], Any]
"""`stream(seed, batch_size) -> batches`, new ones in each call; see `Data.streams`."""

HELD_OUT_SEED = 0
HELD_OUT_BATCH = 128
"""What `validation` and `test` get: all trials are judged by the very same batches."""

_TRAIN_BATCH = 32  # of the batch that is looked at
_MOST_BATCHES = 10**6  # of an epoch that nobody said the length of
_LENGTH_UNKNOWN = -2  # as TensorFlow has it; -1 is endless


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """One batch of a stream.

    Args:
        x: inputs, an array or a dict by input.
        y: targets, an array or a dict by output.
        weights: whatever came third, an array or a dict; None where nothing did.
    """

    x: Any
    y: Any
    weights: Any = None

    @property
    def rows(self) -> int:
        first: Any = next(iter(self.y.values())) if isinstance(self.y, Mapping) else self.y
        return len(first)

    def describe_rows(self, *, weights: bool) -> dict[str, Any]:
        """The shape of a row of each array, by its name. weights: whether to say if there are any."""
        shapes: dict[str, Any] = {}
        for part, value in (("x", self.x), ("y", self.y)):
            arrays = value if isinstance(value, Mapping) else {"": value}
            for name, array in arrays.items():
                shapes[f"{part}[{name!r}]" if name else part] = tuple(array.shape[1:])
        return shapes | ({"weights": self.weights is not None} if weights else {})


@dataclass(frozen=True, eq=False)
class Streams:
    """The functions that make the parts of streamed data.

    Args:
        train, validation, test: as `Data.streams` has them; so are the others.
    """

    train: Stream
    validation: Stream
    test: Stream | None = None
    steps: int | None = None
    validation_steps: int | None = None

    def __post_init__(self) -> None:
        for part in ("train", "validation", "test"):
            function = getattr(self, part)
            if not callable(function) and not (part == "test" and function is None):
                raise DataError(
                    f"Data.streams needs {part}= a function (seed, batch_size) that returns batches, "
                    f"got {brief(function)}"
                )
        for name in ("steps", "validation_steps"):
            steps = getattr(self, name)
            if steps is None:
                continue
            if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
                raise DataError(
                    f"Data.streams needs {name}= a whole number of batches from 1 on, got "
                    f"{brief(steps)}"
                )

    def limit(self, part: str) -> int | None:
        """After how many batches an epoch of a part ends; None: where the stream ends."""
        return {"train": self.steps, "validation": self.validation_steps}.get(part)

    def open(self, part: str, seed: int, batch_size: int) -> Any:
        """Make the stream of a part. Raises DataError where that fails, or it cannot be read."""
        try:
            stream = getattr(self, part)(seed, batch_size)
        except (HpsearchError, MemoryError):
            raise
        except Exception as error:
            raise DataError(
                f"{part}(seed={seed}, batch_size={batch_size}) fails: {first_line(error)}"
            ) from error
        if isinstance(stream, np.ndarray | Mapping | tuple | str) or not _is_iterable(stream):
            raise DataError(
                f"{part} must return batches (x, y), as a tf.data.Dataset, a PyDataset, a loader or "
                f"a generator gives them, got {brief(stream)}"
            )
        if self.limit(part) is None and count_batches(stream) == math.inf:
            named = {"train": "steps", "validation": "validation_steps"}.get(part)
            raise DataError(
                f"{part} never ends; "
                + (f"say Data.streams({named}=) after how many batches" if named else "let it end")
            )
        return stream

    @cached_property
    def first(self) -> Batch:
        """The first batch of `train`: all others are like it, but for the number of rows."""
        return self._read_first("train")

    def read(self, part: str, stream: Any) -> Generator[Batch]:
        """The batches of an epoch of a part, as arrays; DataError where there is something amiss.

        Args:
            stream: as `open` made it, or what Keras reads it by.
        """
        for batch in self._read_any(part, stream):
            self._check_like_first(part, batch)
            yield batch

    def check(self) -> None:
        """Read the first batches of `train` and `validation`.

        The test's is not: no search reads it. Raises DataError where the parts do not go together,
        or where `steps` cuts off batches that would never be trained on.
        """
        held_out, again = self._read_first("validation"), self._read_first("validation")
        self._check_like_first("validation", held_out)
        if not _are_equal((held_out.x, held_out.y), (again.x, again.y)):
            raise DataError(
                "validation gives other rows when it is called again with the same seed, and trials "
                "must be judged by the same; draw nothing at random, or by the seed alone"
            )
        if self.steps is not None:
            self._refuse_lost_batches(self.steps)

    def _read_any(self, part: str, stream: Any) -> Generator[Batch]:
        limit, number = self.limit(part), 0
        for number, batch in enumerate(_iterate(part, stream), 1):
            yield to_batch(part, batch)
            if number == limit:
                return
            if number >= _MOST_BATCHES and limit is None:
                raise DataError(
                    f"{part} did not end after {number:,} batches; say after how many an epoch ends: "
                    "Data.streams(steps=, validation_steps=)"
                )
        if number == 0:
            raise DataError(f"{part} gave no batches; it must give at least one in each epoch")
        if limit is not None:
            raise DataError(
                f"{part} ended after {number:,} batches, and Data.streams says {limit:,}; give more, "
                "or leave the number out"
            )

    def _read_first(self, part: str, seed: int = HELD_OUT_SEED) -> Batch:
        size = _TRAIN_BATCH if part == "train" else HELD_OUT_BATCH
        with contextlib.closing(self._read_any(part, self.open(part, seed, size))) as batches:
            return next(batches)

    def _check_like_first(self, part: str, batch: Batch) -> None:
        """Refuse rows of other shapes, and training without the weights of the first batch."""
        with_weights = part == "train"
        here, there = (each.describe_rows(weights=with_weights) for each in (batch, self.first))
        if here != there:
            raise DataError(
                f"{part} gave a batch of {brief(here)} a row, and train began with {brief(there)}; "
                "all batches must be alike"
            )

    def _refuse_lost_batches(self, steps: int) -> None:
        """Each epoch begins a stream anew: what `steps` cuts off is only reached by other seeds."""
        known = count_batches(self.open("train", HELD_OUT_SEED, _TRAIN_BATCH))
        if known is not None and known <= steps:
            return
        first, other = self.first, self._read_first("train", HELD_OUT_SEED + 1)
        if _are_equal((first.x, first.y), (other.x, other.y)):
            raise DataError(
                f"train begins with the same batch for every seed, and steps={steps} ends each epoch "
                "there, so that later batches would never be trained on; let the seed shuffle, or "
                "leave steps= out where the stream ends by itself"
            )

    def describe(self) -> Iterator[bytes]:
        """What tells these streams from others, as far as it is known without reading them."""
        names = [
            getattr(function, "__qualname__", type(function).__name__)
            for function in (self.train, self.validation)
        ]
        yield repr((names, self.steps, self.validation_steps)).encode()


def count_batches(stream: Any) -> float | None:
    """How many batches a stream has: infinity where it never ends, None where it does not say."""
    if callable(cardinality := getattr(stream, "cardinality", None)):  # a tf.data.Dataset
        found = int(cardinality())
        return math.inf if found == -1 else None if found <= _LENGTH_UNKNOWN else found
    sampler = getattr(stream, "_sampler", None)  # of a grain.DataLoader, whose length is not said
    if sampler is not None and getattr(sampler, "_num_epochs", 1) is None:
        return math.inf
    try:
        found = len(stream)
    except (TypeError, NotImplementedError):
        try:
            endless = getattr(stream, "num_batches", 0) is None  # a PyDataset
        except NotImplementedError:
            endless = False
        return math.inf if endless else None
    return math.inf if found >= sys.maxsize else found


@lru_cache(maxsize=32)
def count_steps(streams: Streams, batch_size: int) -> int | None:
    """Batches of an epoch of training; None where the stream does not say."""
    if streams.steps is not None:
        return streams.steps
    known = count_batches(streams.open("train", HELD_OUT_SEED, batch_size))
    return None if known is None else int(known)


@lru_cache(maxsize=32)
def count_validation_rows(streams: Streams) -> int:
    """The rows of the validation stream, which is read for that; DataError where one is amiss."""
    stream = streams.open("validation", HELD_OUT_SEED, HELD_OUT_BATCH)
    return sum(batch.rows for batch in streams.read("validation", stream))


@lru_cache(maxsize=4)
def read_targets(streams: Streams, part: str) -> Any:
    """The targets of all rows of "validation" or "test", in the stream's order."""
    stream = streams.open(part, HELD_OUT_SEED, HELD_OUT_BATCH)
    return join([batch.y for batch in streams.read(part, stream)])


def check_same_targets(part: str, y: Any, known: Any) -> None:
    """Raise DataError where a part gave other targets than when it was read before."""
    if not _are_equal(y, known):
        raise DataError(
            f"{part} gives other rows each time it is read; draw nothing at random, or by the seed "
            "alone"
        )


def join(parts: list[Any]) -> Any:
    """Arrays, or dicts or lists of arrays, one after the other."""
    if isinstance(parts[0], Mapping):
        return {name: join([part[name] for part in parts]) for name in parts[0]}
    if isinstance(parts[0], list | tuple):
        return [join(list(each)) for each in zip(*parts, strict=True)]
    return np.concatenate(parts)


def to_batch(part: str, given: Any) -> Batch:
    """A batch as arrays. Raises DataError where it is no (x, y), or (x, y, weights)."""
    if not isinstance(given, tuple | list) or len(given) not in (2, 3):
        raise DataError(
            f"{part} must give batches (x, y) or (x, y, weights), as tuples, got "
            + (f"{len(given)} parts" if isinstance(given, tuple | list) else brief(given))
        )
    x, y = (
        _to_arrays(f"{name} of {part}", value) for name, value in zip("xy", given, strict=False)
    )
    weights = None
    if len(given) == 3 and given[2] is not None:
        weights = _to_arrays(f"weights of {part}", given[2])
    batch = Batch(check_inputs(f"x of {part}", x), check_targets(f"y of {part}", y), weights)
    if any(rows.dtype == object for rows in inputs_by_name(batch.x).values()):
        raise DataError(
            f"x of {part} must be an array of numbers, got texts; encode them in the stream, or give "
            "Data(x=) the texts"
        )
    if is_lazy(batch.x):
        raise DataError(f"{part} must give arrays, got rows of a source; give Data(x=) the source")
    check_same_rows({f"x of {part}": batch.x, f"y of {part}": batch.y})
    return batch


def _are_equal(one: Any, other: Any) -> bool:
    """Whether arrays, or tuples or dicts of them, have the same values; NaN equals NaN."""
    if isinstance(one, Mapping):
        return one.keys() == other.keys() and all(_are_equal(one[k], other[k]) for k in one)
    if isinstance(one, tuple):
        return all(map(_are_equal, one, other))
    return np.array_equal(one, other, equal_nan=one.dtype.kind == "f")


def _to_arrays(name: str, value: Any) -> Any:
    """Tensors of any library as NumPy arrays."""
    if isinstance(value, Mapping):
        return {key: _to_arrays(f"{name}[{key!r}]", part) for key, part in value.items()}
    if isinstance(value, tuple | list):
        raise DataError(
            f"{name} must be an array, or a dict of arrays by name, got a {type(value).__name__} of "
            f"{len(value)}"
        )
    try:
        array: Array = np.asarray(value)
    except Exception as error:  # tensors on other devices, ragged ones
        raise DataError(f"{name} is no array: {first_line(error)}") from error
    return array


def _iterate(part: str, stream: Any) -> Iterator[Any]:
    """The batches, with errors of the user's code as DataError."""
    try:
        yield from stream
    except (HpsearchError, MemoryError):
        raise
    except Exception as error:
        raise DataError(f"{part} fails while it is read: {first_line(error)}") from error


def _is_iterable(value: Any) -> bool:
    """Whether it can be iterated; `iter` is not called, which may start a loader's processes."""
    return any(callable(getattr(type(value), name, None)) for name in ("__iter__", "__getitem__"))
