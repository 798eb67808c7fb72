"""CSV files as pandas frames, read alike wherever the product reads one."""

import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from hpsearch.errors import DataError, first_line

if TYPE_CHECKING:
    import pandas as pd

_SEPARATORS = ",;\t|"
_DECIMAL_COMMA = re.compile(r"^\s*([-+]?\d+),(\d+)\s*$")


def separator(line: str) -> str:
    """What separates the cells of a file with this first line."""
    return max(_SEPARATORS, key=line.count)


def read(path: Path) -> "pd.DataFrame":
    """A CSV file with a header; every cell is text, without spaces around it, or missing.

    Missing is what is empty, NA, null and the like, or a question mark. Columns of one name get
    numbers, as pandas does it. Where a comma separates no cells, it may stand for a decimal point.
    Raises DataError where the file cannot be read, or has no rows.
    """
    import pandas as pd

    try:
        with open(path, encoding="utf-8-sig") as file:
            between = separator(file.readline())
        # Cells beyond the header would be lost with no more than a warning.
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
    except UnicodeError as error:
        raise DataError(f"{path} is not in UTF-8; save it as CSV UTF-8") from error
    except pd.errors.ParserWarning as error:
        raise DataError(
            f"{path} has rows with more cells than the header; name every column, and put cells that "
            "hold a separator in quotes"
        ) from error
    except (OSError, ValueError) as error:  # pandas raises kinds of ValueError
        raise DataError(f"{path} cannot be read as CSV: {first_line(error)}") from error
    if frame.empty:
        raise DataError(f"{path} has no rows; a table has a header and a row a sample")
    frame.columns = frame.columns.astype(str).str.strip()
    frame = frame.apply(lambda column: column.str.strip())
    if between != ",":
        frame = frame.replace(_DECIMAL_COMMA, r"\1.\2", regex=True)
    return frame


def numbers(column: "pd.Series") -> "pd.Series":
    """Cells as numbers; NaN where they are none, or not finite."""
    import pandas as pd

    found = pd.to_numeric(column, errors="coerce").astype("float64")
    return found.where(found.abs() != float("inf"))


def codes(column: "pd.Series", values: tuple[str, ...]) -> "pd.Series":
    """The place of each cell among the values; -1 where it is none of them, or missing."""
    places = {value: place for place, value in enumerate(values)}
    return column.map(places).astype("float64").fillna(-1)
