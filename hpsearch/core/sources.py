"""Rows that are read when they are needed: what `Data(x=)` takes beside arrays in memory."""

import json
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hpsearch.core.array_types import (
    Array,
    Indices,
    are_texts,
    is_sparse,
    to_dense,
    to_native_order,
)
from hpsearch.core.errors import DataError, HpsearchError, TrialFailed, first_line
from hpsearch.core.rules import brief, why_no_name
from hpsearch.core.source_answers import describe_arrays, describe_files, tell_errors

_SAMPLE = 64  # rows that are read to know a source again
_CHUNK = 2**24  # bytes that are read at a time where many rows are wanted, one after the other
_TEXT = 2**12  # bytes that a text is taken to have: nobody knows before it is read


class Source(ABC):
    """Rows that need not fit into memory: derive from it for rows of your own.

        class Pictures(Source):
            def __len__(self):
                return len(self.paths)

            def rows(self, indices):
                return np.stack([read(self.paths[i]) for i in indices])

    A row has the same values whenever it is read, whatever is read with it, and in whichever thread
    or process: several threads read at once. So draw nothing at random; augment in the model.
    """

    @abstractmethod
    def __len__(self) -> int:
        """The number of rows, which never changes."""

    @abstractmethod
    def rows(self, indices: Indices) -> Array | Mapping[str, Array]:
        """The rows with these numbers, in this order.

        Args:
            indices: numbers from 0 on, shape (n,), in any order; one may come twice.

        Returns an array of shape (n, ...), or a dict of such arrays for a model with several
        inputs; always of the same types and shapes. Arrays hold numbers, or texts (dtype object),
        which `Task(preprocess=)` must turn into numbers. SciPy's sparse matrices of shape
        (n, columns) are taken too: preprocessing gets them as they are, a model gets them dense.
        """

    @property
    def targets(self) -> Any:
        """y where the source knows it, shape (rows, ...); None where `Data(y=)` says it."""
        return None

    @property
    def classes(self) -> Sequence[str]:
        """The names that 0, 1, 2... in `targets` stand for; empty where they have none."""
        return ()

    @property
    def files(self) -> Sequence[Path]:
        """The files that rows are read from: by their sizes and times a change is noticed."""
        return ()

    @property
    def arrays(self) -> Sequence[Array]:
        """The arrays in memory that rows are made of: by their bytes a change is noticed."""
        return ()


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
        if self.dtype.kind == "O":
            return _TEXT
        return int(np.prod(self.shape[1:], dtype=np.int64)) * self.dtype.itemsize

    def __getitem__(self, rows: Any) -> Array:
        """Read the rows at these indices, of this slice or mask. DataError where that fails."""
        return to_dense(self.fetch(rows))

    def fetch(self, rows: Any) -> Any:
        """Read rows as `rows[...]` does, but leave those of a sparse source sparse."""
        found = self.reader.read(self._number(rows))[self.name]
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
        size = max(1, _CHUNK // max(1, self.row_bytes))
        for start in range(0, len(self), size):
            yield self[start : start + size]

    def read(self) -> Array:
        """All rows as an array in memory."""
        found = np.empty(self.shape, self.dtype)
        start = 0
        for chunk in self.chunks():
            found[start : start + len(chunk)] = chunk
            start += len(chunk)
        return found

    def describe(self) -> Iterator[bytes | memoryview]:
        """What tells these rows from others, as `Reader.describe` says it."""
        yield from self.reader.describe(self.name)
        if self.indices is not None:
            yield np.ascontiguousarray(self.indices).tobytes()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        found = self.read()
        return found if dtype is None else found.astype(dtype)

    def __repr__(self) -> str:
        return f"LazyRows(shape={self.shape}, dtype={self.dtype})"

    def _number(self, rows: Any) -> Indices:
        """The numbers in the source of these rows."""
        if isinstance(rows, slice):
            rows = np.arange(*rows.indices(len(self)))
        rows = np.atleast_1d(rows)
        if rows.dtype == bool:
            rows = np.flatnonzero(rows)
        rows = rows.astype(np.int64)
        if self.indices is not None:
            return np.asarray(self.indices[rows])
        if len(rows) and not -len(self) <= rows.min() <= rows.max() < len(self):
            raise IndexError(f"rows from {rows.min()} to {rows.max()} of {len(self)}")
        return np.asarray(np.where(rows < 0, rows + len(self), rows))


class Reader:
    """Reads a source, and checks what it gives.

    Args:
        name: what users call it, as "x".
        source: the source.

    Raises DataError where the first row cannot be read, or is neither numbers nor text.
    """

    def __init__(self, name: str, source: Source) -> None:
        self.name, self.source = name, source
        self._last = threading.local()  # what a thread read last, where there are several inputs
        self.rows = self._count()
        if self.rows == 0:
            raise DataError(f"{name} has no rows")
        self.first: dict[str, Array] = {}
        self.first = self.read(np.zeros(1, np.int64))

    def __len__(self) -> int:
        return self.rows

    def read(self, indices: Indices) -> dict[str, Array]:
        """The rows with these numbers, by input; "" where there is one."""
        if not len(indices):  # no source need know what the shape of no rows is
            return {key: array[:0] for key, array in self.first.items()}
        # The inputs of one source are asked for one after the other, and read once.
        last: tuple[Indices, dict[str, Array]] | None = getattr(self._last, "read", None)
        if last is not None and np.array_equal(last[0], indices):
            return last[1]
        if self._count() != self.rows:
            raise DataError(
                f"{self.name} had {self.rows} rows when it was opened, and has {self._count()} now; "
                "a source must not grow or shrink while a search reads it"
            )
        try:
            found = self._as_arrays(self.source.rows(indices))
        except (HpsearchError, TrialFailed, KeyboardInterrupt):
            raise
        except BaseException as error:  # also SystemExit: rows may not end the command
            raise self._name_failing_row(indices, error) from error
        self._check(found, indices)
        if len(found) > 1:
            self._last.read = indices, found
        return found

    def describe(self, name: str) -> Iterator[bytes | memoryview]:
        """What tells an input from others, without reading all: sizes and times, and some rows.

        Raises DataError where rows differ between calls.
        """
        yield from describe_files(self.name, self.source)
        yield from describe_arrays(self.name, self.source)
        numbers = np.unique(np.linspace(0, self.rows - 1, _SAMPLE).astype(np.int64))
        rows = to_dense(self.read(numbers)[name])
        with tell_errors(f"{self.name} cannot be read"):  # such as rows larger than the memory
            found = _as_bytes(rows)
        yield found
        for place in {0, len(numbers) // 2, len(numbers) - 1}:
            again = to_dense(self.read(numbers[place : place + 1])[name])
            if _as_bytes(again) != _as_bytes(rows[place : place + 1]):
                raise DataError(
                    f"row {numbers[place]} of {self.name} differs between two readings; a source "
                    "must give a row the same values each time: augment in the model instead"
                )

    def _count(self) -> int:
        with tell_errors(f"{self.name} does not know its length"):
            return len(self.source)

    def _as_arrays(self, found: Any) -> dict[str, Any]:
        if not isinstance(found, Mapping):
            return {"": self._as_rows(found)}
        for key in found:
            if why := why_no_name(key):
                raise DataError(f"inputs of {self.name} need {why}, got {brief(key)}")
        return {key: self._as_rows(part) for key, part in found.items()}

    def _as_rows(self, found: Any) -> Any:
        """Rows as an array, or as a sparse matrix that can be indexed by row."""
        if is_sparse(found):
            return found.tocsr()
        if isinstance(found, np.ma.MaskedArray) and np.ma.is_masked(found):
            raise DataError(
                f"{self.name} gave masked values, which would be used as data; return "
                "rows.filled(np.nan)"
            )
        array = np.asarray(found)
        return array.astype(object) if array.dtype.kind in "UT" else to_native_order(array)

    def _check(self, found: dict[str, Array], indices: Indices) -> None:
        """Raise DataError where rows are not as those before."""
        first = self.first or found
        if found.keys() != first.keys():
            raise DataError(
                f"{self.name} gave {_name_inputs(first)} at first, and now {_name_inputs(found)}"
            )
        for key, array in found.items():
            what = f"{self.name}[{key!r}]" if key else self.name
            is_number = array.dtype.kind in "biuf" and array.dtype.itemsize <= 8
            if not (is_number or are_texts(array)) or array.ndim == 0 or 0 in array.shape[1:]:
                raise DataError(
                    f"{what} must give arrays of numbers or texts with a row a sample, got dtype "
                    f"{array.dtype} and shape {array.shape}"
                )
            wanted = (len(indices), *first[key].shape[1:])
            if array.shape != wanted or array.dtype != first[key].dtype:
                raise DataError(
                    f"{what} gave {array.dtype} of shape {array.shape} for {len(indices)} rows from "
                    f"row {indices[0]} on, and {first[key].dtype} of shape "
                    f"{wanted} is wanted; every row needs the type and shape of the first"
                )

    def _name_failing_row(self, indices: Indices, error: BaseException) -> DataError:
        """The error, with the row that raises it."""
        what = f"rows {brief(indices.tolist())} of {self.name} cannot be read together"
        for each in indices:
            try:
                self._as_arrays(self.source.rows(np.array([each])))
            except KeyboardInterrupt:
                raise
            except BaseException as alone:
                what, error = f"row {each} of {self.name} cannot be read", alone
                break
        return DataError(f"{what}: {first_line(error)}")


def _name_inputs(found: Mapping[str, Any]) -> str:
    return "one array" if "" in found else f"the inputs {', '.join(found)}"


def _as_bytes(rows: Array) -> bytes:
    """The bytes of rows; those of texts, not of the pointers to them."""
    if rows.dtype.kind == "O":
        return json.dumps(rows.tolist()).encode()
    return np.ascontiguousarray(rows).tobytes()


def open_source(name: str, source: Source) -> LazyRows | dict[str, LazyRows]:
    """The rows of a source, or a dict of them by input. Raises DataError as `Reader` does."""
    reader = Reader(name, source)
    parts = {key: LazyRows(reader, key) for key in reader.first}
    return parts[""] if "" in parts else parts


class JoinedSource(Source):
    """The rows of several arrays or rows of sources, one after the other.

    Args:
        parts: of equal types and shapes of a row.
    """

    def __init__(self, parts: Sequence[Any]) -> None:
        self.parts = parts
        self.ends = np.cumsum([len(part) for part in parts])

    def __len__(self) -> int:
        return sum(len(part) for part in self.parts)

    def rows(self, indices: Indices) -> Any:
        which = np.searchsorted(self.ends, indices, side="right")
        found, places = [], []
        for number, part in enumerate(self.parts):
            here = np.flatnonzero(which == number)
            if len(here):
                local = indices[here] - (self.ends[number] - len(part))
                found.append(part.fetch(local) if isinstance(part, LazyRows) else part[local])
                places.append(here)
        return _join(found)[np.argsort(np.concatenate(places))]


def _join(parts: Sequence[Any]) -> Any:
    """Rows of several arrays, one after the other; sparse where these are."""
    if not is_sparse(parts[0]):
        return np.concatenate(parts)
    from scipy.sparse import vstack

    return vstack(parts, format="csr")
