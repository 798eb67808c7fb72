"""Read the texts that a model is to predict from a file."""

from pathlib import Path
from typing import Any

from hpsearch.core.arrays import check_inputs
from hpsearch.core.errors import HpsearchError, first_line
from hpsearch.tasks import csv_tables

_COLUMN = "text"


def read_texts(path: Path) -> Any:
    """The texts of a file, shape (rows,): a line each, or of a `.csv` or `.csv.gz` its column of texts.

    That is the column called text, or the only one; the first line names the columns. An empty cell
    is an empty text. Raises HpsearchError where the file cannot be read, or has no such column.
    """
    is_table = path.name.lower().endswith((".csv", ".csv.gz"))
    texts = _read_column(path) if is_table else _read_lines(path)
    if not texts:
        raise HpsearchError(f"{path} holds no text to predict")
    return check_inputs("x", texts)


def _read_column(path: Path) -> list[str]:
    import pandas as pd

    try:
        with csv_tables.open_text(path) as file:
            frame = pd.read_csv(file, dtype=str, keep_default_na=False)
    except csv_tables.READING_ERRORS as error:
        raise HpsearchError(f"{path} cannot be read as CSV: {first_line(error)}") from error
    if _COLUMN not in frame.columns and frame.shape[1] != 1:
        raise HpsearchError(
            f"{path} needs a column {_COLUMN!r}, or a single one, and has "
            f"{', '.join(map(str, frame.columns))}"
        )
    column = frame[_COLUMN if _COLUMN in frame.columns else frame.columns[0]]
    return list(map(str, column))


def _read_lines(path: Path) -> list[str]:
    try:
        # Not `splitlines`, which also cuts a text at characters as U+2028.
        with open(path, encoding="utf-8-sig") as file:
            return [line.rstrip("\n") for line in file]
    except (OSError, UnicodeError) as error:
        raise HpsearchError(f"{path} cannot be read as text: {first_line(error)}") from error
