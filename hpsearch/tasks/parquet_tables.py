"""Read Parquet files as frames of text cells, as CSV files are read."""

import re
from collections.abc import Collection, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hpsearch.core.errors import DataError, one_line
from hpsearch.core.files import check_regular_file

if TYPE_CHECKING:
    import pandas as pd

_CELLS_AT_ONCE = 2_000_000
_WHOLE = re.compile(r"^(-?\d+)$")


def list_columns(path: Path) -> list[str]:
    """The names of the file's columns. Raises DataError where it is no Parquet file."""
    try:
        with _open(path) as file:
            return list(file.schema_arrow.names)
    except DataError:
        raise
    except Exception as error:  # of a damaged file PyArrow raises several
        raise _no_parquet(path, error) from error


def iterate_blocks(path: Path, texts: Collection[str] = ()) -> Iterator["pd.DataFrame"]:
    """Yield the rows, some thousands at a time: each cell is text, or missing.

    Args:
        texts: columns whose texts stay as they are: with the spaces around them, and none missing.

    Raises DataError where the file cannot be read, or where a column holds lists, bytes and the
    like.
    """
    import pandas as pd

    try:
        with _open(path) as file:
            schema = file.schema_arrow
            for field in schema:
                _check_type(path, field)
            if len(set(schema.names)) < len(schema.names):
                raise DataError(f"{path} has two columns of one name; rename one")
            rows = max(1, _CELLS_AT_ONCE // max(1, len(schema.names)))
            for batch in file.iter_batches(batch_size=rows):
                yield pd.DataFrame({
                    name: _to_text(batch.column(name), as_it_is=name in texts)
                    for name in schema.names
                })  # fmt: skip
    except DataError:
        raise
    except Exception as error:  # of a damaged file PyArrow raises several
        raise _no_parquet(path, error) from error


def _open(path: Path) -> Any:
    if find_spec("pyarrow") is None:
        raise DataError("a Parquet file needs PyArrow: pip install 'hpsearch[parquet]'")
    import pyarrow.parquet as pq

    check_regular_file(path)
    return pq.ParquetFile(path)


def _no_parquet(path: Path, error: Exception) -> DataError:
    return DataError(f"{path} cannot be read as Parquet: {one_line(error)}")


def _check_type(path: Path, field: Any) -> None:
    """Raise DataError where cells are no numbers, truths, texts or times."""
    from pyarrow import types

    held = field.type.value_type if types.is_dictionary(field.type) else field.type
    known = (types.is_integer, types.is_floating, types.is_decimal, types.is_boolean,
             types.is_string, types.is_large_string, types.is_date, types.is_timestamp,
             types.is_time, types.is_null)  # fmt: skip
    if not any(is_known(held) for is_known in known):
        raise DataError(
            f"column {field.name!r} of {path} holds {field.type}, which is no number, text or time; "
            "leave it out of the file"
        )


def _to_text(column: Any, *, as_it_is: bool = False) -> Any:
    """The cells of a column of an Arrow table as texts, without spaces around them.

    Truths and whole floats are written as pandas writes them to CSV files, so that a category or a class
    is the same in either file: "True", and "1.0".
    """
    import pandas as pd
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_timestamp(column.type) and column.type.tz:
        column = column.cast(pa.timestamp(column.type.unit, "UTC"))
    if pa.types.is_float16(column.type):
        column = column.cast(pa.float32())
    is_text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
    cells = pd.Series(column.cast(pa.string()).to_pylist(), dtype=object)
    if as_it_is and is_text:
        return cells.where(cells.notna(), np.nan).astype("str")
    cells = cells.str.strip()
    if pa.types.is_boolean(column.type):
        cells = cells.str.capitalize()
    if pa.types.is_floating(column.type):
        cells = cells.str.replace(_WHOLE, r"\1.0", regex=True)
    return cells.where(cells.notna() & ~cells.isin(["", "nan"]), np.nan).astype("str")
