"""Rows that are read when they are needed: what `Data(x=)` takes beside arrays in memory."""

import hashlib
import json
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
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
from hpsearch.core.errors import (
    DataError,
    HpsearchError,
    SourceChangedError,
    TrialFailed,
    first_line,
)
from hpsearch.core.memory import most_bytes_of_rows
from hpsearch.core.rules import brief, why_no_name
from hpsearch.core.source_answers import describe_arrays, describe_files, tell_errors

_FEWEST, _MOST = 64, 1024  # rows that are read to know a source again
_READ_TWICE = 8  # of these
_CHUNK = 2**24  # bytes that are read at a time where many rows are wanted, one after the other
_THREADS = 4
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
        return _count_row_bytes(self)

    @property
    def bytes_to_read(self) -> int:
        """The bytes that reading a row takes, in its source's type and in its own."""
        first = self.reader.first[self.name]
        return self.row_bytes + (0 if self.change is None else _count_row_bytes(first))

    @property
    def is_in_memory(self) -> bool:
        """Whether reading only copies."""
        return isinstance(self.reader.source, ArraySource)

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
        self._described: dict[str, bytes] | None = None
        self.rows = self._count()
        if self.rows == 0:
            raise DataError(f"{name} has no rows")
        self.first: dict[str, Array] = {}
        self.first = self.read(np.zeros(1, np.int64))

    def __len__(self) -> int:
        return self.rows

    def __getstate__(self) -> dict[str, Any]:
        """What goes to a worker: the source, but nothing that was read of it."""
        return {**vars(self), "_last": None, "_described": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _last=threading.local())

    def read(self, indices: Indices) -> dict[str, Array]:
        """The rows with these numbers, by input; "" where there is one."""
        if not len(indices):  # no source need know what the shape of no rows is
            return {key: array[:0] for key, array in self.first.items()}
        # The inputs of one source are asked for one after the other, and read once.
        last: tuple[Indices, dict[str, Array]] | None = getattr(self._last, "read", None)
        if last is not None and np.array_equal(last[0], indices):
            return last[1]
        if self._count() != self.rows:
            raise SourceChangedError(
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

    def describe(self, name: str) -> bytes:
        """What tells an input from others, without reading all: sizes and times, and some rows.

        Raises DataError where rows differ between calls.
        """
        if self._described is None:
            before = hashlib.sha256()
            for part in describe_files(self.name, self.source):
                before.update(part)
            for array in describe_arrays(self.name, self.source):
                before.update(array)
            stamps = before.digest()
            with tell_errors(f"{self.name} cannot be read"):  # as rows larger than the memory
                self._described = {
                    key: hashlib.sha256(stamps + _as_bytes(rows)).digest()
                    for key, rows in self._read_sample().items()
                }
        return self._described[name]

    def _read_sample(self) -> dict[str, Array]:
        """Some rows from all parts of the source, the same in each process, by input."""
        row_bytes = sum(map(_count_row_bytes, self.first.values()))
        most = max(_FEWEST, min(_MOST, _CHUNK // max(1, row_bytes)))
        numbers = sample_numbers(self.rows, most)
        found = {key: to_dense(rows) for key, rows in self.read(numbers).items()}
        # Some of them again, in another order and with others beside them.
        places = np.unique(np.linspace(len(numbers) - 1, 0, _READ_TWICE).astype(np.int64))[::-1]
        for name, rows in self.read(numbers[places]).items():
            again = to_dense(rows)
            for place in range(len(places)):
                here = places[place]
                if _as_bytes(again[place : place + 1]) != _as_bytes(found[name][here : here + 1]):
                    raise DataError(
                        f"row {numbers[here]} of {self.name} differs between two readings; a "
                        "source must give a row the same values each time: augment in the model "
                        "instead"
                    )
        return found

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


def _count_row_bytes(rows: Any) -> int:
    """The bytes of a row in memory, where it is dense."""
    if rows.dtype.kind == "O":
        return _TEXT
    return int(np.prod(rows.shape[1:], dtype=np.int64)) * int(rows.dtype.itemsize)


def _as_bytes(rows: Array) -> bytes:
    """The bytes of rows; those of texts, not of the pointers to them."""
    if rows.dtype.kind == "O":
        return json.dumps(rows.tolist()).encode()
    return np.ascontiguousarray(rows).tobytes()


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


def sample_numbers(rows: int, most: int) -> Indices:
    """The numbers of some rows, from all parts, by which they are known again; sorted.

    One from each of as many equal parts, but not at equal distances: rows may have a rhythm.
    """
    most = min(rows, most)
    within = np.random.default_rng(0).random(most)
    return ((np.arange(most) + within) * rows / most).astype(np.int64)


def open_source(name: str, source: Source) -> LazyRows | dict[str, LazyRows]:
    """The rows of a source, or a dict of them by input. Raises DataError as `Reader` does."""
    reader = Reader(name, source)
    parts = {key: LazyRows(reader, key) for key in reader.first}
    return parts[""] if "" in parts else parts


class ArraySource(Source):
    """Rows of an array in memory: views of them copy nothing.

    Args:
        array: of shape (rows, ...).
    """

    def __init__(self, array: Array) -> None:
        self.array = array

    def __len__(self) -> int:
        return len(self.array)

    def rows(self, indices: Indices) -> Array:
        return np.asarray(self.array[indices])


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

    @property
    def files(self) -> Sequence[Path]:
        sources = [part.reader.source for part in self.parts if isinstance(part, LazyRows)]
        return [file for source in sources for file in source.files]

    @property
    def arrays(self) -> Sequence[Array]:
        sources = [part.reader.source for part in self.parts if isinstance(part, LazyRows)]
        return [array for source in sources for array in source.arrays]

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
