"""Frames and arrays with text or categories, as arrays of numbers and back, without any loss.

A task holds arrays of numbers. So the cells of a frame travel as numbers through folds and workers,
and become the frame again before a transformer of the user's is fitted or asked: on the training
rows of a split alone. Which number a cell travels as tells a model nothing.
"""

import hashlib
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin, clone

from hpsearch.core.arrays import Array

_EXACT = 2**53  # float64 holds all whole numbers up to here


@dataclass(frozen=True, slots=True, eq=False)
class ColumnCode:
    """How the cells of one column travel as float64.

    Args:
        dtype: the column's type.
        values: those that 0, 1, 2... stand for, of the column's own type; None: cells are numbers.
    """

    dtype: Any
    values: Any = None

    def decode(self, codes: Array) -> Any:
        """The cells of shape (rows,)."""
        if self.values is None:
            return codes.astype(self.dtype)
        return self.values.take(codes.astype(np.int64))


@dataclass(frozen=True, slots=True, eq=False)
class FrameCode:
    """How the rows of a frame, or of an array of objects, travel as an array of float64.

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

        columns = [
            pd.Series(code.decode(array[:, place]), dtype=code.dtype)
            for place, code in enumerate(self.codes)
        ]
        frame = pd.concat(columns, axis=1)
        if self.columns is None:
            return frame.to_numpy(dtype=object)
        return frame.set_axis(self.columns, axis=1)

    def __repr__(self) -> str:
        """A text that is equal for equal codes, in every process."""
        digest = hashlib.sha256(repr(None if self.columns is None else list(self.columns)).encode())
        for code in self.codes:
            values = () if code.values is None else tuple(code.values)
            digest.update(repr((str(code.dtype), values)).encode(errors="surrogatepass"))
        return f"FrameCode({digest.hexdigest()[:16]})"


def encode_frame(rows: Any) -> tuple[Array, FrameCode]:
    """The rows of a frame, or of an array of shape (rows, columns), as numbers, and their code."""
    import pandas as pd

    is_frame = isinstance(rows, pd.DataFrame)
    frame = rows if is_frame else pd.DataFrame(rows, dtype=object)
    encoded = [_encode_column(frame.iloc[:, place]) for place in range(frame.shape[1])]
    columns = frame.columns if is_frame else None
    array = np.column_stack([numbers for numbers, _ in encoded])
    return array, FrameCode(columns, tuple(code for _, code in encoded))


def _encode_column(column: Any) -> tuple[Array, ColumnCode]:
    import pandas as pd

    dtype = column.dtype
    if isinstance(dtype, np.dtype) and (
        dtype.kind == "b" or (dtype.kind in "iuf" and dtype.itemsize <= 8)
    ):
        cells = column.to_numpy()
        if dtype.kind in "bf" or not len(cells) or int(np.abs(cells, dtype=object).max()) < _EXACT:
            return cells.astype(np.float64), ColumnCode(dtype)
    if isinstance(dtype, np.dtype) and dtype.kind == "O":
        return _encode_objects(column.to_numpy(), dtype)
    # With NaN among the values, so that it comes back as whatever stood for it.
    numbers, values = pd.factorize(column, use_na_sentinel=False)
    return numbers.astype(np.float64), ColumnCode(dtype, values)


def _encode_objects(cells: Array, dtype: Any) -> tuple[Array, ColumnCode]:
    """As `_encode_column`, of any objects: 1, 1.0 and True are three values here."""
    places: dict[Any, int] = {}
    firsts: list[int] = []  # the row in which each value stands first
    numbers = np.empty(len(cells))
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
    return numbers, ColumnCode(dtype, cells[firsts])


class FrameTransformer(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """The user's transformer on frames that travel as numbers.

    Args:
        transformer: the user's own.
        code: how frames travel.
    """

    def __init__(self, transformer: Any, code: FrameCode) -> None:
        self.transformer = transformer
        self.code = code

    def __sklearn_clone__(self) -> Self:
        return type(self)(clone(self.transformer), self.code)

    def fit(self, x: Array, y: Any = None) -> Self:
        """Fit on rows of float64, shape (rows, columns)."""
        self.transformer_ = clone(self.transformer).fit(self.code.decode(x), y)
        return self

    def transform(self, x: Any) -> Any:
        """The prepared rows. x: as in `fit`, or rows in the user's own form."""
        as_numbers = isinstance(x, np.ndarray) and x.dtype == np.float64
        return self.transformer_.transform(self.code.decode(x) if as_numbers else x)
