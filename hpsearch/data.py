"""The rows to learn from, and those to test on."""

import contextlib
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from hpsearch.errors import DataError

Array = np.ndarray[Any, np.dtype[Any]]
Inputs = Array | Mapping[str, Array]


@dataclass(frozen=True, slots=True)
class Coding:
    """How the cells of a table became numbers; `predict` reads and writes cells by it.

    categories: by a column's name the values that 0, 1, 2... stand for in x; -1 is any other.
    classes: the names that 0, 1, 2... stand for in y. y * scale + offset: in the table's own unit.
    target: the column that became y.
    """

    categories: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    offset: float = 0.0
    scale: float = 1.0
    target: str = ""

    @property
    def unit(self) -> str:
        """What a number is told in, where that is not the table's own unit."""
        if (self.scale, self.offset) == (1.0, 0.0):
            return ""
        return f"in standard deviations of {self.target!r} (1 = {self.scale:.4g})"


@dataclass(frozen=True, eq=False)
class Data:
    """The rows to search on, and the test rows that no search reads.

    x: array of shape (rows, ...), or a dict of such arrays for a model with several inputs.
    y: array of shape (rows,) or (rows, outputs).
    groups: numbers or names, shape (rows,); rows of one group are never split apart by
        `KFold(groups=True)`.
    columns: names of the columns of x, where it is a table; `predict` finds them in a file by these.
    coding: how cells of a CSV file became x and y, if they did; `predict` reads files so.
    Raises DataError where lengths differ or an array holds Python objects.
    """

    x: Inputs
    y: Array
    x_test: Inputs | None = None
    y_test: Array | None = None
    groups: Array | None = None
    columns: tuple[str, ...] = ()
    coding: Coding | None = None

    def __post_init__(self) -> None:
        for name in ("x", "y", "x_test", "y_test", "groups"):
            value = getattr(self, name)
            if value is not None:
                made = _numbered(value) if name == "groups" else _arrays(name, value)
                object.__setattr__(self, name, made)
        _same_rows({"x": self.x, "y": self.y, "groups": self.groups})
        _same_rows({"x_test": self.x_test, "y_test": self.y_test})
        if self.rows == 0:
            raise DataError("the data has no rows")
        object.__setattr__(self, "columns", tuple(self.columns))
        shape = self.x.shape if isinstance(self.x, np.ndarray) else ()
        if self.columns and (len(self.columns),) != shape[1:]:
            raise DataError(
                f"columns needs a name for each column of x, got {len(self.columns)} names and x of "
                f"shape {shape}"
            )

    @property
    def rows(self) -> int:
        return len(self.y)

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes' names, where they have any."""
        return self.coding.classes if self.coding else ()

    def take(self, rows: Sequence[int] | Array) -> "Data":
        """The rows at these indices, with their groups and without any test rows."""
        at = np.asarray(rows)
        x = self.x[at] if isinstance(self.x, np.ndarray) else {k: v[at] for k, v in self.x.items()}
        groups = None if self.groups is None else self.groups[at]
        return Data(x, self.y[at], groups=groups, columns=self.columns, coding=self.coding)

    @cached_property
    def fingerprint(self) -> str:
        """16 hexadecimal digits of the searched rows' names, types, shapes and bytes.

        The test rows are left out: a search neither reads nor depends on them.
        """
        parts = {"y": self.y, **{f"x {name}": array for name, array in named(self.x).items()}}
        if self.groups is not None:
            parts["groups"] = self.groups
        return _digest(parts)

    @cached_property
    def test_fingerprint(self) -> str:
        """The same of the test's targets; DataError where there are none.

        By them alone, whatever their type, and be they classes or one-hot: rows that are given to
        models in two shapes are one test.
        """
        if self.x_test is None or self.y_test is None:
            raise DataError("the task has no test rows; give it Data(..., x_test=, y_test=)")
        y = self.y_test
        one_hot = y.ndim == 2 and y.shape[1] > 1 and bool(((y == 0) | (y == 1)).all())
        return _digest({"y": (y.argmax(axis=1) if one_hot else y.reshape(-1)).astype(np.float64)})


def named(x: Inputs) -> dict[str, Array]:
    """The inputs by name; a single array is called "x"."""
    return dict(x) if isinstance(x, Mapping) else {"x": x}


def _digest(parts: Mapping[str, Array]) -> str:
    digest = hashlib.sha256()
    for name, array in sorted(parts.items()):
        digest.update(f"{name} {array.dtype.str} {array.shape};".encode())
        digest.update(np.ascontiguousarray(array).view(np.uint8).data)
    return digest.hexdigest()[:16]


def _numbered(groups: Any) -> Array:
    return np.unique(np.asarray(groups), return_inverse=True)[1].reshape(-1)


def _arrays(name: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _arrays(f"{name}[{key!r}]", part) for key, part in value.items()}
    array = np.asarray(value)
    if array.dtype == object:  # a frame with columns of several kinds
        with contextlib.suppress(TypeError, ValueError):
            array = array.astype(np.float64)
    if array.ndim == 0 or array.dtype.kind not in "biufc":
        raise DataError(
            f"{name} must be an array of numbers with a row a sample, got dtype {array.dtype} and "
            f"shape {array.shape}; encode text and categories as numbers"
        )
    return array


def _same_rows(arrays: Mapping[str, Inputs | None]) -> None:
    lengths = {
        name if part == "x" else f"{name}[{part!r}]": len(array)
        for name, value in arrays.items()
        if value is not None
        for part, array in named(value).items()
    }
    if len(set(lengths.values())) > 1:
        raise DataError(
            f"every array needs the same number of rows, got "
            f"{', '.join(f'{name}: {rows}' for name, rows in lengths.items())}"
        )
