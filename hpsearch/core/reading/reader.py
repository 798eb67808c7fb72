"""Reads a source, and checks what it gives."""

import hashlib
import json
import threading
from collections.abc import Mapping
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
from hpsearch.core.reading.source import Source
from hpsearch.core.reading.source_answers import describe_arrays, describe_files, tell_errors
from hpsearch.core.rules import brief, why_no_name

_FEWEST, _MOST = 64, 1024  # rows that are read to know a source again
_READ_TWICE = 8  # of these
_SAMPLED = 2**24  # bytes of these, where rows are large
_TEXT = 2**12  # bytes that a text is taken to have: nobody knows before it is read


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
        row_bytes = sum(map(count_row_bytes, self.first.values()))
        most = max(_FEWEST, min(_MOST, _SAMPLED // max(1, row_bytes)))
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


def sample_numbers(rows: int, most: int) -> Indices:
    """The numbers of some rows, from all parts, by which they are known again; sorted.

    One from each of as many equal parts, but not at equal distances: rows may have a rhythm.
    """
    most = min(rows, most)
    within = np.random.default_rng(0).random(most)
    return ((np.arange(most) + within) * rows / most).astype(np.int64)


def count_row_bytes(rows: Any) -> int:
    """The bytes of a row in memory, where it is dense."""
    if rows.dtype.kind == "O":
        return _TEXT
    return int(np.prod(rows.shape[1:], dtype=np.int64)) * int(rows.dtype.itemsize)


def _as_bytes(rows: Array) -> bytes:
    """The bytes of rows; those of texts, not of the pointers to them."""
    if rows.dtype.kind == "O":
        return json.dumps(rows.tolist()).encode()
    return np.ascontiguousarray(rows).tobytes()
