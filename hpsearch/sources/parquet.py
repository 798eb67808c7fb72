"""Columns of Parquet files, read a row group at a time."""

import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from hpsearch.core.array_types import Array, Indices
from hpsearch.core.errors import DataError, one_line
from hpsearch.core.files import check_regular_file
from hpsearch.core.reading.arrow_rows import ArrowRows
from hpsearch.core.reading.source import Source
from hpsearch.core.rules import brief, show_path
from hpsearch.sources.parquet_files import RowGroup, list_parquet_files, read_footers

_CACHE = 2**28
_TEXT_OBJECT = 57  # bytes that Python takes for a text beside its characters


class ParquetRows(Source):
    """Rows of a Parquet file, of several, or of all in a folder, in the order of their names.

        Data(x=ParquetRows("measured/", columns=["height", "weight"], target="sick"))

    Columns of numbers become x of shape (rows, columns), in the type that holds them all; a column
    of lists of one length stands alone, and becomes x of shape (rows, length); so does a column of
    texts, of shape (rows,), which `Task(preprocess=)` must turn into numbers. Row groups are
    decoded when a row of theirs is asked for, and those used last stay in memory. Shuffled
    minibatches ask for rows of all row groups: where `cache` does not hold all, they are decoded
    again and again, so that one row group takes long to train on; a memory map does not.

    Args:
        path: a file, a list of files, or a folder, in which other files are refused but for those
            whose names begin with "." or "_".
        columns: their names; None: all but the target, and the index that pandas wrote.
        target: the column that is y: numbers, or texts, whose sorted values become the classes.
        cache: bytes of decoded row groups to hold in memory; the last one is held in any case.

    Raises DataError where files cannot be read or have other columns than the first, and for
    columns of other types and nulls: those that the files' statistics count, else when read.
    """

    def __init__(
        self,
        path: str | Path | Iterable[str | Path],
        columns: Sequence[str] | None = None,
        *,
        target: str | None = None,
        cache: int = _CACHE,
    ) -> None:
        if isinstance(cache, bool) or not isinstance(cache, int) or cache < 0:
            raise DataError(f"ParquetRows needs cache= bytes from 0 on, got {brief(cache)}")
        if find_spec("pyarrow") is None:
            raise DataError("ParquetRows needs PyArrow: pip install 'hpsearch[parquet]'")
        self.target, self.cache = target, cache
        self._files = list_parquet_files(path)
        types, self._groups = read_footers(self._files, columns, target)
        self.columns = tuple(types)
        self._gives_texts = len(types) == 1 and _are_texts(types[self.columns[0]])
        self._ends = np.array([group.start + group.rows for group in self._groups], np.int64)
        # By row group, the last used last: its rows, and the bytes that they take.
        self._decoded: OrderedDict[int, tuple[Array, int]] = OrderedDict()
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_decoded": OrderedDict(), "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= state
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def rows(self, indices: Indices) -> Array:
        which = np.searchsorted(self._ends, indices, side="right")
        found: Array | None = None
        for number in np.unique(which):
            group, places = self._decode(int(number)), np.flatnonzero(which == number)
            if found is None:
                found = np.empty((len(indices), *group.shape[1:]), group.dtype)
            if (group.dtype, group.shape[1:]) != (found.dtype, found.shape[1:]):
                raise DataError(
                    f"{show_path(self._groups[number].file)} holds rows of {group.dtype} and shape "
                    f"{group.shape[1:]}, and other files {found.dtype} and {found.shape[1:]}"
                )
            found[places] = group[indices[places] - self._groups[number].start]
        assert found is not None
        return found

    @property
    def targets(self) -> Any:
        return None if self.target is None else self._labels[0]

    @property
    def classes(self) -> Sequence[str]:
        return () if self.target is None else self._labels[1]

    @property
    def files(self) -> Sequence[Path]:
        return self._files

    def __repr__(self) -> str:
        return (
            f"ParquetRows({len(self)} rows of {len(self.columns)} columns in "
            f"{len(self._groups)} row groups of {len(self._files)} files)"
        )

    def _decode(self, number: int) -> Array:
        """The rows of a row group, in the columns of x."""
        # One thread decodes at a time, by PyArrow's own threads, so that none does so twice.
        with self._lock:
            if number not in self._decoded:
                self._decoded[number] = self._decode_anew(self._groups[number])
                while len(self._decoded) > 1 and self._held_bytes() > self.cache:
                    self._decoded.popitem(last=False)
            self._decoded.move_to_end(number)
            return self._decoded[number][0]

    def _decode_anew(self, group: RowGroup) -> tuple[Array, int]:
        """The rows of a row group, and the bytes that they take."""
        table = self._read(group, self.columns)
        name = f"{show_path(group.file)}, row group {group.number},"
        if self._gives_texts:
            if table.column(0).null_count:
                raise DataError(f"column {self.columns[0]!r} of {name} has nulls; fill them by ''")
            texts = table.column(0).to_numpy()
            return texts, table.nbytes + _TEXT_OBJECT * len(texts)
        rows = ArrowRows(table, name).rows(np.arange(group.rows))
        return rows, rows.nbytes

    def _held_bytes(self) -> int:
        return sum(size for _, size in self._decoded.values())

    def _read(self, group: RowGroup, columns: Sequence[str]) -> Any:
        import pyarrow.parquet as pq

        try:
            check_regular_file(group.file)
            with pq.ParquetFile(group.file) as file:
                return file.read_row_group(group.number, list(columns))
        except Exception as error:  # of a damaged file PyArrow raises several
            raise DataError(f"{show_path(group.file)} cannot be read: {one_line(error)}") from error

    @cached_property
    def _labels(self) -> tuple[Array, tuple[str, ...]]:
        """The column that is y, and its classes where it holds texts."""
        import pyarrow as pa

        assert self.target is not None
        parts = [self._read(group, [self.target]).column(0) for group in self._groups]
        column = pa.chunked_array([chunk for part in parts for chunk in part.chunks])
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if not _are_texts(column.type):
            values = ArrowRows(column, f"target {self.target!r}")
            return values.rows(np.arange(len(values))), ()
        if column.null_count:
            raise DataError(f"target {self.target!r} has nulls; leave these rows out of the files")
        classes, numbers = np.unique(column.to_numpy().astype(str), return_inverse=True)
        return numbers.astype(np.int64), tuple(map(str, classes))


def _are_texts(of_type: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(of_type) or pa.types.is_large_string(of_type))
