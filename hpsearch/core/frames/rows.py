"""Frames and arrays with text or categories, as arrays of numbers and back, without any loss.

The rows of a task are arrays of numbers. So the cells of a frame travel as numbers through folds
and workers, and become the frame again before a transformer of the user's is fitted or asked: on
the training rows of a split alone. Which number a cell travels as tells a model nothing.
"""

import hashlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hpsearch.core.array_types import Array

MOST_EXACT = 2**53  # float64 holds all whole numbers up to here


@dataclass(frozen=True, slots=True, eq=False)
class ColumnCode:
    """How the cells of one column travel as numbers.

    Args:
        dtype: the column's type.
        values: those that 0, 1, 2... stand for, of the column's own type; None: cells are numbers,
            and NaN stands for the missing ones.
    """

    dtype: Any
    values: Any = None

    def decode(self, codes: Array) -> Any:
        """The cells of shape (rows,), as a Series."""
        import pandas as pd

        if self.values is not None:
            return pd.Series(self.values.take(codes.astype(np.int64)), dtype=self.dtype)
        if isinstance(self.dtype, np.dtype):
            return pd.Series(codes.astype(self.dtype))
        return pd.Series(codes).astype(self.dtype)

    def is_of(self, dtype: Any) -> bool:
        """Whether the cells are the numbers of an array of this type, as they are."""
        return self.values is None and isinstance(self.dtype, np.dtype) and self.dtype == dtype

    def describe(self) -> str:
        """A text that is equal for equal codes, in every process and with every pandas."""
        dtype = str(self.dtype)
        values = () if self.values is None else tuple(self.values)
        if dtype == "category":
            categories = [str(self.dtype.categories.dtype), *self.dtype.categories]
            dtype = repr(("category", self.dtype.ordered, _plain_texts(categories)))
        return repr((_plain_text(dtype), values))


@dataclass(frozen=True, slots=True, eq=False)
class FrameCode:
    """How the rows of a frame, or of an array of objects, travel as an array of numbers.

    Args:
        columns: of the frame, in order; None where it was an array.
        codes: of each column.
    """

    columns: Any
    codes: tuple[ColumnCode, ...]

    @property
    def holds_only_numbers(self) -> bool:
        """Whether each cell travels as the number that it is."""
        return all(code.values is None for code in self.codes)

    def decode(self, array: Array) -> Any:
        """The rows as the user gave them: a frame, or an array of objects, shape (rows, columns)."""
        import pandas as pd

        if self.columns is not None and all(code.is_of(array.dtype) for code in self.codes):
            # A copy, because a transformer may change its frame in place.
            return pd.DataFrame(array, columns=self.columns, copy=True)
        columns = [code.decode(array[:, place]) for place, code in enumerate(self.codes)]
        frame = pd.concat(columns, axis=1)
        if self.columns is None:
            return frame.to_numpy(dtype=object)
        return frame.set_axis(self.columns, axis=1)

    def __repr__(self) -> str:
        """A text that is equal for equal codes, in every process."""
        digest = hashlib.sha256(repr(None if self.columns is None else list(self.columns)).encode())
        for code in self.codes:
            digest.update(code.describe().encode(errors="surrogatepass"))
        return f"FrameCode({digest.hexdigest()[:16]})"


def is_frame(value: Any) -> bool:
    """Whether it is a pandas frame. pandas is not imported for it."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(value, pandas.DataFrame)


def decode_inputs(x: Any, codes: Mapping[str, FrameCode]) -> Any:
    """The inputs with frames instead of those arrays that have a code.

    Args:
        x: an array, or a dict of arrays by input.
        codes: by input; "x" where there is one.
    """
    if isinstance(x, Mapping):
        return {
            name: codes[name].decode(array) if name in codes else array for name, array in x.items()
        }
    return codes["x"].decode(x) if "x" in codes else x


def encode_frame(rows: Any) -> tuple[Array, FrameCode]:
    """The rows of a frame, or of an array of shape (rows, columns), as float64, and their code."""
    import pandas as pd

    frame = rows if is_frame(rows) else pd.DataFrame(rows, dtype=object)
    array, codes = np.empty(frame.shape), []
    for place in range(frame.shape[1]):
        array[:, place], code = _encode_column(frame.iloc[:, place])
        codes.append(code)
    return array, FrameCode(frame.columns if is_frame(rows) else None, tuple(codes))


def _encode_column(column: Any) -> tuple[Array, ColumnCode]:
    import pandas as pd

    dtype = column.dtype
    if isinstance(dtype, np.dtype) and (
        dtype.kind == "b" or (dtype.kind in "iuf" and dtype.itemsize <= 8)
    ):
        cells = column.to_numpy()
        if dtype.kind in "bf" or is_exact(cells):
            return cells, ColumnCode(dtype)
    if isinstance(dtype, np.dtype) and dtype.kind == "O":
        return _encode_objects(column.to_numpy(), dtype)
    # With NaN among the values, so that it comes back as whatever stood for it.
    numbers, values = pd.factorize(column, use_na_sentinel=False)
    return numbers, ColumnCode(dtype, values)


def is_exact(cells: Array) -> bool:
    """Whether float64 holds each of these whole numbers."""
    if not len(cells):
        return True
    return -MOST_EXACT <= int(cells.min()) and int(cells.max()) <= MOST_EXACT


def _encode_objects(cells: Array, dtype: Any) -> tuple[Array, ColumnCode]:
    """As `_encode_column`, of any objects: 1, 1.0 and True are three values here."""
    import pandas as pd

    if pd.api.types.infer_dtype(cells, skipna=True) != "string":
        numbers, firsts = _number_objects(cells)
        return numbers, ColumnCode(dtype, cells[firsts])
    numbers, texts = pd.factorize(cells)  # much faster, but all missing cells are one to it
    missing = np.flatnonzero(numbers < 0)
    places, firsts = _number_objects(cells[missing])
    numbers[missing] = len(texts) + places
    return numbers, ColumnCode(dtype, np.concatenate([texts, cells[missing][firsts]]))


def _number_objects(cells: Array) -> tuple[Array, list[int]]:
    """Numbers of equal objects, and the row in which each stands first."""
    places: dict[Any, int] = {}
    firsts: list[int] = []
    numbers = np.empty(len(cells), np.int64)
    for row, cell in enumerate(cells):
        key: Any = (type(cell), "nan" if isinstance(cell, float) and cell != cell else cell)
        try:
            place = places.setdefault(key, len(firsts))
        except TypeError:  # a list, or another object without a hash
            place = len(firsts)
            places[row, "a value of its own"] = place
        if place == len(firsts):
            firsts.append(row)
        numbers[row] = place
    return numbers, firsts


def _plain_text(dtype: str) -> str:
    """A type's name; pandas 2 keeps text as objects where pandas 3 has a type for it."""
    return "object" if dtype == "str" else dtype


def _plain_texts(parts: list[Any]) -> list[Any]:
    return [_plain_text(parts[0]), *parts[1:]]
