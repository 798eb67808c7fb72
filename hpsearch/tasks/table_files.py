"""Read tables, whatever file they lie in, as frames whose cells are text."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from hpsearch.core.errors import DataError
from hpsearch.tasks import csv_tables, parquet_tables

if TYPE_CHECKING:
    import pandas as pd

_MOST_COLUMNS = 100_000
_BLOCK = 1000  # neighbouring rows that a sample has together
_PARQUET = {".parquet", ".pq"}


def is_parquet(path: Path) -> bool:
    """Whether a file is named as a Parquet file."""
    return path.suffix.lower() in _PARQUET


def read_cells(path: Path, texts: csv_tables.KnownTexts = csv_tables.NO_TEXTS) -> "pd.DataFrame":
    """Read a table, .csv, .csv.gz or .parquet. Each cell is text, or missing.

    See `csv_tables.read_table`. Raises DataError where the file cannot be read, or has no rows.

    Args:
        texts: columns whose cells are kept as they are written, as `csv_tables.iterate_blocks` has
            it; in a Parquet file none of them is missing but those that are null.
    """
    return _join(path, _read_blocks(path, texts))


def sample_cells(path: Path, most: int) -> tuple["pd.DataFrame", int]:
    """Read about `most` cells of a table, in blocks of rows from all of it, and count all its rows.

    A file with fewer cells is read whole. At no time is much more than twice as many in memory.
    """
    kept: list[pd.DataFrame] = []
    step, number, total = 1, 0, 0
    for frame in _read_blocks(path):
        rows = max(_BLOCK, most // max(1, frame.shape[1]))
        for start in range(0, len(frame), _BLOCK):
            if number % step == 0:
                kept.append(frame.iloc[start : start + _BLOCK])
            number += 1
            if len(kept) * _BLOCK > 2 * rows:
                kept, step = kept[::2], 2 * step
        total += len(frame)
    return _join(path, kept), total


def _read_blocks(
    path: Path, texts: csv_tables.KnownTexts = csv_tables.NO_TEXTS
) -> Iterable["pd.DataFrame"]:
    if not is_parquet(path):
        return csv_tables.iterate_blocks(path, _MOST_COLUMNS, texts)
    if (columns := len(parquet_tables.list_columns(path))) > _MOST_COLUMNS:
        raise DataError(f"{path} has {columns:,} columns; a table has at most {_MOST_COLUMNS:,}")
    return parquet_tables.iterate_blocks(path, texts)


def _join(path: Path, blocks: Iterable["pd.DataFrame"]) -> "pd.DataFrame":
    import pandas as pd

    found = list(blocks)
    if not sum(map(len, found)):
        raise DataError(f"{path} has no rows; a table has a header and a row a sample")
    return found[0] if len(found) == 1 else pd.concat(found, ignore_index=True)
