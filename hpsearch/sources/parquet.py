"""Columns of Parquet files, read a row group at a time."""

import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from hpsearch.core.array_types import Array, Indices
from hpsearch.core.arrow_rows import ArrowRows
from hpsearch.core.errors import DataError, one_line
from hpsearch.core.option_text import did_you_mean
from hpsearch.core.rules import brief
from hpsearch.core.sources import Source

_CACHE = 2**28


@dataclass(frozen=True, slots=True)
class RowGroup:
    """A row group of a file: the rows that Parquet stores, and decodes, together.

    Args:
        file: the file.
        number: of the row group in its file.
        start: the number of its first row among those of all files.
        rows: how many it has.
    """

    file: Path
    number: int
    start: int
    rows: int


class ParquetRows(Source):
    """Rows of a Parquet file, of several, or of all in a folder, in the order of their names.

        Data(x=ParquetRows("measured/", columns=["height", "weight"], target="sick"))

    Columns of numbers become x of shape (rows, columns), in the type that holds them all; a column
    of lists of one length stands alone, and becomes x of shape (rows, length). Row groups are
    decoded when a row of theirs is asked for, and those used last stay in memory. Shuffled
    minibatches ask for rows of all row groups: where `cache` does not hold all, they are decoded
    again and again, so that one row group takes long to train on; a memory map does not.

    Args:
        path: a file, a list of files, or a folder, in which other files are refused but for those
            whose names begin with "." or "_".
        columns: their names; None: all but the target.
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
        self.target, self.cache = target, cache
        self._files = _list_files(path)
        self.columns, self._groups = self._read_footers(columns)
        self._ends = np.array([group.start + group.rows for group in self._groups], np.int64)
        self._decoded: OrderedDict[int, Array] = OrderedDict()  # by row group, the last used last
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
                    f"{self._groups[number].file} holds rows of {group.dtype} and shape "
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
                group = self._groups[number]
                table = ArrowRows(self._read(group, self.columns), str(group.file))
                self._decoded[number] = table.rows(np.arange(group.rows))
                while len(self._decoded) > 1 and self._held_bytes() > self.cache:
                    self._decoded.popitem(last=False)
            self._decoded.move_to_end(number)
            return self._decoded[number]

    def _held_bytes(self) -> int:
        return sum(array.nbytes for array in self._decoded.values())

    def _read(self, group: RowGroup, columns: Sequence[str]) -> Any:
        import pyarrow.parquet as pq

        try:
            with pq.ParquetFile(group.file) as file:
                return file.read_row_group(group.number, list(columns))
        except Exception as error:  # of a damaged file PyArrow raises several
            raise DataError(f"{group.file} cannot be read: {one_line(error)}") from error

    def _read_footers(
        self, columns: Sequence[str] | None
    ) -> tuple[tuple[str, ...], list[RowGroup]]:
        """The names of x's columns, and the row groups of all files."""
        import pyarrow.parquet as pq

        names: tuple[str, ...] = ()
        groups: list[RowGroup] = []
        types: dict[str, Any] = {}
        start = 0
        for path in self._files:
            try:
                with pq.ParquetFile(path) as file:
                    schema, footer = file.schema_arrow, file.metadata
            except Exception as error:
                raise DataError(f"{path} is no Parquet file: {one_line(error)}") from error
            if not names:
                names = self._choose_columns(columns, schema.names)
                used = [*names, *([] if self.target is None else [self.target])]
                types = {name: schema.field(name).type for name in used}
            here = {name: schema.field(name).type for name in types if name in schema.names}
            if other := [name for name in types if here.get(name) != types[name]]:
                raise DataError(
                    f"column {other[0]!r} is {here.get(other[0], 'missing')} in {path}, and "
                    f"{types[other[0]]} in {self._files[0]}; every file needs the same"
                )
            for number in range(footer.num_row_groups):
                part = footer.row_group(number)
                _check_statistics(path, part, types)
                if part.num_rows:
                    groups.append(RowGroup(path, number, start, part.num_rows))
                start += part.num_rows
        return names, groups

    def _choose_columns(self, columns: Sequence[str] | None, known: list[str]) -> tuple[str, ...]:
        if isinstance(columns, str) or not isinstance(columns, Iterable | None):
            raise DataError(f"ParquetRows needs columns= a list of names, got {brief(columns)}")
        asked = [name for name in known if name != self.target] if columns is None else columns
        wanted = tuple(asked)
        for name in wanted if self.target is None else (*wanted, self.target):
            if name not in known:
                raise DataError(
                    f"{self._files[0]} has no column {brief(name)}{did_you_mean(name, known)}; it "
                    f"has {brief(known)}"
                )
        if not wanted or len(set(wanted)) < len(wanted) or self.target in wanted:
            raise DataError(
                "ParquetRows needs columns that differ, and the target is none of them, got "
                f"{brief(wanted)}"
            )
        return wanted

    @cached_property
    def _labels(self) -> tuple[Array, tuple[str, ...]]:
        """The column that is y, and its classes where it holds texts."""
        import pyarrow as pa

        assert self.target is not None
        parts = [self._read(group, [self.target]).column(0) for group in self._groups]
        column = pa.chunked_array([chunk for part in parts for chunk in part.chunks])
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
            values = ArrowRows(column, f"target {self.target!r}")
            return values.rows(np.arange(len(values))), ()
        if column.null_count:
            raise DataError(f"target {self.target!r} has nulls; leave these rows out of the files")
        classes, numbers = np.unique(column.to_numpy().astype(str), return_inverse=True)
        return numbers.astype(np.int64), tuple(map(str, classes))


def _check_statistics(path: Path, part: Any, names: Iterable[str]) -> None:
    """Raise DataError where a row group's statistics count nulls in one of these columns."""
    for number in range(part.num_columns):
        column = part.column(number)
        name = column.path_in_schema.split(".")[0]
        counts = column.statistics if name in names else None
        if counts is not None and counts.has_null_count and counts.null_count:
            raise DataError(
                f"column {name!r} of {path} has nulls; fill them, or leave these rows out, when the "
                "file is written"
            )


def _list_files(path: Any) -> tuple[Path, ...]:
    """The Parquet files that a path, or a list of paths, names."""
    try:
        given = [path] if isinstance(path, str | Path) else list(path)
        paths = [Path(each).expanduser().absolute() for each in given]
    except TypeError as error:
        raise DataError(
            f"ParquetRows needs a path or a list of paths, got {brief(path)}"
        ) from error
    found: list[Path] = []
    for each in paths:
        found += _list_folder(each) if each.is_dir() else [each]
    if not found:
        raise DataError(f"there is no Parquet file in {brief(path)}")
    return tuple(found)


def _list_folder(folder: Path) -> list[Path]:
    found: list[Path] = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith((".", "_")):
            continue
        if path.is_dir():
            found += _list_folder(path)
        elif path.suffix == ".parquet":
            found.append(path)
        else:
            raise DataError(f"{path} is no .parquet file; move it elsewhere, or name the files")
    return found
