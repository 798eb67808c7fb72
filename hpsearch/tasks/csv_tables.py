"""Read CSV files as pandas frames, in the same way everywhere."""

import csv
import re
import sys
import warnings
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hpsearch.core.errors import DataError, first_line

if TYPE_CHECKING:
    import pandas as pd

_SEPARATORS = ",;\t|"
_MANY_COLUMNS = 2000  # pandas takes a millisecond for each
_MISSING = {
    "",
    "?",
    "#N/A",
    "#N/A N/A",
    "#NA",
    "-1.#IND",
    "-1.#QNAN",
    "-NaN",
    "-nan",
    "1.#IND",
    "1.#QNAN",
    "<NA>",
    "N/A",
    "NA",
    "NULL",
    "NaN",
    "None",
    "n/a",
    "nan",
    "null",
}  # fmt: skip -- what pandas takes for missing, and a question mark
_QUOTED = re.compile(r'"[^"]*"')
_DECIMAL_COMMA = re.compile(r"^\s*([-+]?\d+),(\d+)\s*$")


def guess_separator(line: str) -> str:
    """The character that separates the cells of a file with this first line, outside quotes.

    >>> guess_separator('"price; in $",size')
    ','
    """
    return max(_SEPARATORS, key=_QUOTED.sub("", line).count)


def read_table(path: Path) -> "pd.DataFrame":
    """Read a CSV file with a header. Each cell is text, without spaces around it, or missing.

    Missing cells are empty, NA, null and the like, or a question mark. Columns with the same name
    get numbers, as in pandas. Where commas do not separate cells, they may be decimal points.
    Raises DataError where the file cannot be read, or has no rows.
    """
    import pandas as pd

    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            between = guess_separator(first)
        if first.count(between) >= _MANY_COLUMNS:
            frame = _read_wide(path, between)
        else:
            frame = _read_long(path, between)
    except UnicodeError as error:
        raise DataError(f"{path} is not in UTF-8; save it as CSV UTF-8") from error
    except pd.errors.ParserWarning as error:
        raise DataError(
            f"{path} has rows with more cells than the header; name every column, and put cells "
            "that hold a separator in quotes"
        ) from error
    except (OSError, ValueError, csv.Error) as error:  # pandas raises kinds of ValueError
        raise DataError(f"{path} cannot be read as CSV: {first_line(error)}") from error
    if frame.empty:
        raise DataError(f"{path} has no rows; a table has a header and a row a sample")
    if between != ",":
        frame = frame.replace(_DECIMAL_COMMA, r"\1.\2", regex=True)
    return frame


def _read_long(path: Path, between: str) -> "pd.DataFrame":
    import pandas as pd

    # Without this, cells beyond the header would be lost with only a warning.
    with warnings.catch_warnings(action="error", category=pd.errors.ParserWarning):
        frame: pd.DataFrame = pd.read_csv(
            path,
            sep=between,
            dtype=str,
            encoding="utf-8-sig",
            na_values=["?"],
            index_col=False,
            skipinitialspace=True,
        )
    frame.columns = frame.columns.astype(str).str.strip()
    stripped: pd.DataFrame = frame.apply(lambda column: column.str.strip())
    return stripped


def _read_wide(path: Path, between: str) -> "pd.DataFrame":
    """Read a file with very many columns, as one block of text."""
    import pandas as pd

    csv.field_size_limit(sys.maxsize)
    with open(path, encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, delimiter=between, skipinitialspace=True)
        names = _number_repeated_names(next(reader))
        rows = [row for row in reader if row]
    if any(len(row) > len(names) for row in rows):
        raise pd.errors.ParserWarning
    cells = np.full((len(rows), len(names)), np.nan, dtype=object)
    for number, row in enumerate(rows):
        # A cell of spaces only is text, not missing, as in pandas.
        cells[number, : len(row)] = [np.nan if c in _MISSING else c.strip() for c in row]
    return pd.DataFrame(cells, columns=[name.strip() for name in names], dtype=object)


def _number_repeated_names(names: list[str]) -> list[str]:
    """Name the columns as pandas does: unnamed ones, and repeated names, get a number."""
    known = set(names)
    seen: Counter[str] = Counter()
    found = []
    for place, given in enumerate(names):
        name = given or f"Unnamed: {place}"
        while seen[name]:
            seen[name] += 1
            if (other := f"{name}.{seen[name] - 1}") not in known:
                name = other
                known.add(other)
        seen[name] += 1
        found.append(name)
    return found


def to_numbers(column: "pd.Series") -> "pd.Series":
    """Cells as numbers; NaN for any that is no finite number."""
    import pandas as pd

    found = pd.to_numeric(column, errors="coerce").astype("float64")
    return found.where(found.abs() != float("inf"))


def to_number_table(frame: "pd.DataFrame") -> "np.ndarray[Any, np.dtype[np.float64]]":
    """All cells as numbers, shape (rows, columns); NaN for any that is no finite number."""
    import pandas as pd

    cells = pd.Series(frame.to_numpy(dtype=object).reshape(-1), dtype=object)
    return to_numbers(cells).to_numpy().reshape(frame.shape)


def to_codes(column: "pd.Series", values: tuple[str, ...]) -> "pd.Series":
    """The index of each cell among the values; -1 for any other value, and for missing cells."""
    places = {value: place for place, value in enumerate(values)}
    return column.map(places).astype("float64").fillna(-1)
