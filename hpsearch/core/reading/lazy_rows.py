"""Rows of a source, used like an array, and read when they are asked for."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from hpsearch.core.array_types import Array, Indices, is_sparse, to_dense
from hpsearch.core.errors import DataError
from hpsearch.core.memory import most_bytes_of_rows
from hpsearch.core.reading.reader import Reader, count_row_bytes
from hpsearch.core.reading.source import Source
from hpsearch.core.rules import brief

_CHUNK = 2**24  # bytes that are read at a time where many rows are wanted, one after the other
_THREADS = 4


class LazyRows:
    """Rows of one input of a source, in some order, which are read when they are asked for.

    It is used like an array: `rows[indices]`, `rows[:10]`, `len(rows)`, `rows.shape`, `rows.dtype`.
    Only `view` and `map` read nothing.

    Args:
        reader: reads the source.
        name: of the input, where the source has several; else "".
        indices: which rows of the source these are; None: all.
        change: what becomes of rows when they are read, as by fitted preprocessing: it changes an
            array of any number of rows, each by itself. None: nothing.
    """

    __slots__ = ("change", "dtype", "indices", "is_sparse", "name", "reader", "shape")

    def __init__(
        self,
        reader: "Reader",
        name: str = "",
        indices: Indices | None = None,
        change: Callable[[Array], Array] | None = None,
    ) -> None:
        self.reader, self.name, self.indices, self.change = reader, name, indices, change
        first = reader.first[name]
        if change is not None:
            first = change(first)
        rows = len(reader) if indices is None else len(indices)
        self.shape: tuple[int, ...] = (rows, *first.shape[1:])
        self.dtype: np.dtype[Any] = first.dtype
        self.is_sparse = is_sparse(first)

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """The bytes that all rows would take in memory."""
        return len(self) * self.row_bytes

    @property
    def row_bytes(self) -> int:
        """The bytes of a row in memory, where it is dense."""
        return count_row_bytes(self)

    @property
    def bytes_to_read(self) -> int:
        """The bytes that reading a row takes, in its source's type and in its own."""
        first = self.reader.first[self.name]
        return self.row_bytes + (0 if self.change is None else count_row_bytes(first))

    @property
    def is_in_memory(self) -> bool:
        """Whether reading only copies."""
        return bool(self.reader.source.is_in_memory)

    def __getitem__(self, rows: Any) -> Array:
        """Read the rows at these indices, of this slice or mask; or one row, by its number.

        Raises DataError where that fails, and IndexError where there are no such rows.
        """
        found = to_dense(self.fetch(rows))
        return np.asarray(found[0]) if np.ndim(rows) == 0 and not isinstance(rows, slice) else found

    def fetch(self, rows: Any) -> Any:
        """Read rows as `rows[...]` does, but leave those of a sparse source sparse."""
        numbers = self._number(rows)
        if not len(numbers):
            return np.empty((0, *self.shape[1:]), self.dtype)
        found = self.reader.read(numbers)[self.name]
        return found if self.change is None else self.change(found)

    def view(self, rows: Any) -> "LazyRows":
        """The rows at these indices, or of this slice, not read yet."""
        return LazyRows(self.reader, self.name, self._number(rows), self.change)

    def map(self, change: Callable[[Array], Array]) -> "LazyRows":
        """The same rows, changed so when they are read."""
        before = self.change
        both = change if before is None else lambda rows: change(before(rows))
        return LazyRows(self.reader, self.name, self.indices, both)

    def chunks(self) -> Iterator[Array]:
        """All rows in their order, about 16 MB at a time."""
        for part in _cut_into_chunks(len(self), self.bytes_to_read):
            yield self[part]

    def read(self) -> Array:
        """All rows as an array in memory."""
        return read_together({"": self})[""]

    def describe(self) -> Iterator[bytes | memoryview]:
        """What tells these rows from others, as `Reader.describe` says it."""
        yield self.reader.describe(self.name)
        if self.indices is not None:
            yield np.ascontiguousarray(self.indices).tobytes()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        if self.nbytes > (most := most_bytes_of_rows()):
            raise DataError(
                f"{self.reader.name} takes {self.nbytes / 2**30:.1f} GiB as one array, and "
                f"{most / 2**30:.1f} GiB, an eighth of the memory, is the most; read some rows at a "
                f"time: {self.reader.name}[numbers]"
            )
        found = self.read()
        return found if dtype is None else found.astype(dtype)

    def __repr__(self) -> str:
        return f"LazyRows(shape={self.shape}, dtype={self.dtype})"

    def _number(self, rows: Any) -> Indices:
        """The numbers in the source of these rows."""
        if isinstance(rows, slice):
            rows = np.arange(*rows.indices(len(self)))
        rows = np.atleast_1d(rows)
        if rows.dtype == bool and rows.shape == (len(self),):
            rows = np.flatnonzero(rows)
        if rows.ndim > 1 or (rows.size and rows.dtype.kind not in "iu"):
            raise IndexError(
                f"rows of {self.reader.name} are read by numbers, a slice or a mask of all rows, got "
                f"{brief(rows)}; select columns of what was read: x[rows][:, columns]"
            )
        rows = rows.astype(np.int64)
        if rows.size and not (-len(self) <= rows.min() and rows.max() < len(self)):
            raise IndexError(f"{self.reader.name} has {len(self)} rows, got {brief(rows)}")
        rows = np.where(rows < 0, rows + len(self), rows) if rows.size else rows
        return rows if self.indices is None else np.asarray(self.indices[rows])


def open_source(name: str, source: Source) -> LazyRows | dict[str, LazyRows]:
    """The rows of a source, or a dict of them by input. Raises DataError as `Reader` does."""
    reader = Reader(name, source)
    parts = {key: LazyRows(reader, key) for key in reader.first}
    return parts[""] if "" in parts else parts


def read_together(parts: Mapping[str, LazyRows]) -> dict[str, Array]:
    """All rows of several inputs, of one length, as arrays in memory.

    Threads read some chunks at a time; inputs of one source are read in one go.
    """
    found = {name: np.empty(rows.shape, rows.dtype) for name, rows in parts.items()}

    def fill(chunk: slice) -> None:
        for name, rows in parts.items():
            found[name][chunk] = rows[chunk]

    row_bytes = sum(rows.bytes_to_read for rows in parts.values())
    chunks = _cut_into_chunks(len(next(iter(parts.values()))), row_bytes)
    pool = ThreadPoolExecutor(_THREADS, "read")
    try:
        for done in [pool.submit(fill, chunk) for chunk in chunks]:
            done.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return found


def _cut_into_chunks(rows: int, row_bytes: int) -> list[slice]:
    size = max(1, _CHUNK // max(1, row_bytes))
    return [slice(start, start + size) for start in range(0, rows, size)]
