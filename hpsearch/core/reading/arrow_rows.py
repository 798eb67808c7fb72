"""Rows of PyArrow's tables and arrays. PyArrow is imported only where a user has one of these."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from hpsearch.core.array_types import Array, Indices
from hpsearch.core.errors import DataError
from hpsearch.core.reading.source import Source

_EXACT = 2**53  # the last whole number up to which float64 holds all


class ArrowRows(Source):
    """Rows of an Arrow table, record batch, array or chunked array, without copying it.

    Columns of numbers become x of shape (rows, columns); a column of lists of numbers, all of one
    length, stands alone and becomes x of shape (rows, length).

    Args:
        value: the table, batch or array.
        name: what messages call it.

    Raises DataError for nulls, and for other columns.
    """

    def __init__(self, value: Any, name: str = "x") -> None:
        import pyarrow as pa

        is_frame = isinstance(value, pa.Table | pa.RecordBatch)
        table = value if is_frame else pa.table({name: value})
        columns = table.column_names
        if not columns or len(set(columns)) < len(columns):
            raise DataError(f"{name} needs columns with names that differ, got {columns}")
        self._names = [f"column {each!r} of {name}" if is_frame else name for each in columns]
        batches = table.to_batches() if isinstance(table, pa.Table) else [table]
        batches = [batch for batch in batches if batch.num_rows]
        self._ends = np.cumsum([batch.num_rows for batch in batches], dtype=np.int64)
        self._views: list[list[Array]] = []
        for batch, end in zip(batches, self._ends, strict=True):
            start = int(end) - batch.num_rows
            named = zip(self._names, batch.columns, strict=True)
            self._views.append([_view(each, array, start) for each, array in named])
        first = self._views[0] if self._views else [np.empty(0)]
        self._dtype = np.result_type(*(view.dtype for view in first))
        self._has_lists = any(view.ndim > 1 for view in first)
        if self._has_lists and len(columns) > 1:
            raise DataError(
                f"{name} has a column of lists beside others, and x takes such a column alone: "
                f"table.select([{columns[[view.ndim > 1 for view in first].index(True)]!r}])"
            )
        self._stands_alone = self._has_lists or not is_frame
        self._row_shape = first[0].shape[1:] if self._stands_alone else (len(columns),)

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def rows(self, indices: Indices) -> Array:
        which = np.searchsorted(self._ends, indices, side="right")
        found = np.empty((len(indices), *self._row_shape), self._dtype)
        for number in np.unique(which):
            views, places = self._views[number], np.flatnonzero(which == number)
            local = indices[places] - (self._ends[number] - len(views[0]))
            for column, view in enumerate(views):
                values = view[local]
                if values.shape[1:] != self._row_shape and self._stands_alone:
                    raise DataError(
                        f"lists of {self._names[0]} have the shape {values.shape[1:]} in row "
                        f"{indices[places[0]]}, and {self._row_shape} in row 0"
                    )
                self._check_exact(values, self._names[column])
                found[places if self._stands_alone else (places, column)] = values
        return found

    def _check_exact(self, values: Array, name: str) -> None:
        """Raise DataError where float64 holds other numbers than the integers of a column."""
        if self._dtype.kind != "f" or values.dtype.kind not in "iu" or values.dtype.itemsize < 8:
            return
        if wrong := [each for each in (values.min(), values.max()) if abs(int(each)) > _EXACT]:
            raise DataError(
                f"{name} holds {wrong[0]}, which is no float64, as the columns together are; "
                "leave it out, or give it as an input of its own: x={...}"
            )

    @property
    def arrays(self) -> Sequence[Array]:
        return [view for views in self._views for view in views]


def _view(name: str, column: Any, start: int) -> Array:
    """The numbers of a column as an array of shape (rows, ...), without a copy where possible.

    Args:
        name: what messages call it.
        column: an array of PyArrow's.
        start: the number of its first row.
    """
    import pyarrow as pa

    _check_no_nulls(name, column, start, 1)
    if isinstance(column, pa.FixedShapeTensorArray):
        _check_no_nulls(name, column.storage.flatten(), start, int(np.prod(column.type.shape)))
        return np.asarray(column.to_numpy_ndarray())
    shape = [len(column)]
    while (size := _list_size(name, column, start)) is not None:
        shape.append(size)
        column = column.flatten()
        _check_no_nulls(name, column, start, int(np.prod(shape[1:])))
    if not (
        pa.types.is_integer(column.type)
        or pa.types.is_floating(column.type)
        or pa.types.is_boolean(column.type)
    ):
        raise DataError(
            f"{name} is of the type {column.type}, and x takes numbers; encode it as numbers, or "
            "leave it out by choosing columns"
        )
    return np.asarray(column.to_numpy(zero_copy_only=False)).reshape(shape)


def _list_size(name: str, column: Any, start: int) -> int | None:
    """The numbers in each list of a column; None where it has no lists."""
    import pyarrow as pa

    if pa.types.is_fixed_size_list(column.type):
        return int(column.type.list_size)
    if not (pa.types.is_list(column.type) or pa.types.is_large_list(column.type)):
        return None
    import pyarrow.compute as pc

    lengths = pc.list_value_length(column).to_numpy()
    if (other := np.flatnonzero(lengths != lengths[0])).size:
        raise DataError(
            f"lists of {name} need one length, got {lengths[0]} in row {start} and "
            f"{lengths[other[0]]} in row {start + other[0]}"
        )
    return int(lengths[0])


def _check_no_nulls(name: str, column: Any, start: int, size: int) -> None:
    """Raise DataError for nulls. size: the values of a row."""
    if column.null_count:
        place = int(np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))[0])
        raise DataError(
            f"{name} has a null in row {start + place // size}; fill nulls, as by fill_null(), or "
            "leave these rows out"
        )
