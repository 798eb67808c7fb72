"""Which Parquet files there are, and what their footers say of them."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpsearch.core.errors import DataError, one_line
from hpsearch.core.files import check_regular_file
from hpsearch.core.option_text import did_you_mean
from hpsearch.core.rules import brief, show_path


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


def read_footers(
    files: Sequence[Path], columns: Sequence[str] | None, target: str | None
) -> tuple[dict[str, Any], list[RowGroup]]:
    """The types of x's columns by name, and the row groups of all files.

    Args:
        files: in the order of the rows.
        columns: the names asked for; None: all but the target and pandas's index.
        target: the column that is y, if any.

    Raises DataError where files cannot be read or differ, columns are missing, or have nulls.
    """
    import pyarrow.parquet as pq

    names: tuple[str, ...] = ()
    groups: list[RowGroup] = []
    types: dict[str, Any] = {}
    start = 0
    for path in files:
        try:
            check_regular_file(path)
            with pq.ParquetFile(path) as file:
                schema, footer = file.schema_arrow, file.metadata
        except Exception as error:
            raise DataError(f"{show_path(path)} is no Parquet file: {one_line(error)}") from error
        if not names:
            names = _choose_columns(path, columns, target, schema.names, _list_index(schema))
            used = [*names, *([] if target is None else [target])]
            types = {name: schema.field(name).type for name in used}
        here = {name: schema.field(name).type for name in types if name in schema.names}
        if other := [name for name in types if here.get(name) != types[name]]:
            raise DataError(
                f"column {other[0]!r} is {here.get(other[0], 'missing')} in {show_path(path)}, and "
                f"{types[other[0]]} in {show_path(files[0])}; every file needs the same"
            )
        known = frozenset(schema.names)
        for number in range(footer.num_row_groups):
            part = footer.row_group(number)
            _check_statistics(path, part, types, known)
            if part.num_rows:
                groups.append(RowGroup(path, number, start, part.num_rows))
            start += part.num_rows
    return {name: types[name] for name in names}, groups


def _list_index(schema: Any) -> set[str]:
    """The columns that pandas wrote for the index of a frame, as the numbers of its rows."""
    described = schema.pandas_metadata or {}
    return {name for name in described.get("index_columns", ()) if isinstance(name, str)}


def _choose_columns(
    file: Path,
    columns: Sequence[str] | None,
    target: str | None,
    known: list[str],
    index: set[str],
) -> tuple[str, ...]:
    """The names of x's columns.

    Args:
        known: those of the file.
        index: those of them that are a pandas index: x, only where they are named.
    """
    if target is not None and not isinstance(target, str):
        raise DataError(f"ParquetRows needs target= the name of a column, got {brief(target)}")
    is_list = isinstance(columns, Iterable | None) and getattr(columns, "ndim", 1) != 0
    if isinstance(columns, str) or not is_list:
        raise DataError(f"ParquetRows needs columns= a list of names, got {brief(columns)}")
    others = (name for name in known if name != target and name not in index)
    wanted = tuple(others if columns is None else columns)
    for name in wanted if target is None else (*wanted, target):
        if name not in known:
            raise DataError(
                f"{show_path(file)} has no column {brief(name)}{did_you_mean(name, known)}; it has "
                f"{brief(known)}"
            )
    if not wanted or len(set(wanted)) < len(wanted) or target in wanted:
        raise DataError(
            "ParquetRows needs columns that differ, and the target is none of them, got "
            f"{brief(wanted)}"
        )
    return wanted


def _check_statistics(path: Path, part: Any, names: Iterable[str], known: Collection[str]) -> None:
    """Raise DataError where a row group's statistics count nulls in one of these columns.

    Args:
        known: all columns of the file.
    """
    for number in range(part.num_columns):
        column = part.column(number)
        path_in_file = column.path_in_schema  # of a nested field it begins with the column's name
        name = path_in_file if path_in_file in known else path_in_file.split(".")[0]
        counts = column.statistics if name in names else None
        if counts is not None and counts.has_null_count and counts.null_count:
            raise DataError(
                f"column {name!r} of {show_path(path)} has nulls; fill them, or leave these rows out, when the "
                "file is written"
            )


def list_parquet_files(path: Any) -> tuple[Path, ...]:
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
        try:
            found += _list_folder(each) if each.is_dir() else [each]
        except OSError as error:
            raise DataError(f"Parquet files cannot be listed: {one_line(error)}") from error
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
            raise DataError(
                f"{show_path(path)} is no .parquet file; move it elsewhere, or name the files"
            )
    return found
