"""Cells of text as numbers and times: the same for `init`, for studies, and for `predict`."""

import re
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from hpsearch.core.arrays import Array
from hpsearch.core.errors import DataError
from hpsearch.core.rules import brief
from hpsearch.tasks import csv_tables

if TYPE_CHECKING:
    import pandas as pd

ISO = "ISO8601"
"""The format of times as 2024-02-28 or 2024-02-28T14:05:00+01:00, in pandas's words."""

_BEGINS_AS_NUMBER = r"^[-+]?[$€£]?\s*[-+]?[\d.]"
_THOUSANDS = (  # with "," between thousands, or with "." there and a decimal comma
    (r"^([-+]?\d{1,3})(?:,\d{3})+(?:\.\d+)?$", ",", ""),
    (r"^[-+]?\d{1,3}(?:\.\d{3})+,\d+$", ".", ","),
)
_DAYS = ("%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%d.%m.%y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y",
         "%d/%m/%y", "%m/%d/%y", "%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%d %B %Y", "%b %d, %Y",
         "%B %d, %Y", "%b %d %Y", "%Y%m%d", "%a, %d %b %Y")  # fmt: skip
_CLOCKS = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p", ", %H:%M",
           "T%H:%M:%S", " %H:%M:%S %z", " %H:%M %z")  # fmt: skip
_FORMATS = (*(day + clock for day in _DAYS for clock in _CLOCKS), "%H:%M", "%H:%M:%S")
_ISO = re.compile(
    r"^\d{4}-\d{2}(-\d{2}([T ]\d{2}(:?\d{2}(:?\d{2}([.,]\d+)?)?)? ?(Z|[-+]\d{2}.*)?)?)?$"
)
_WHOLE_NUMBER = re.compile(r"^(-?\d+)\.0+$")
_FEW = 20  # cells that formats are tried on first


def parse_numbers(cells: "pd.Series") -> "pd.Series":
    """Cells as float64; NaN for any that is no finite number.

    Besides what Python reads: 1,234.5 and 1.234,5; and 12% or $12, of which the sign is left out.

    >>> import pandas as pd
    >>> parse_numbers(pd.Series(["1", "1,234.5", "1.234,5", "12%", "-$3", "1,5", "x"])).tolist()
    [1.0, 1234.5, 1234.5, 12.0, -3.0, nan, nan]
    """
    found = csv_tables.to_numbers(cells)
    rest = cells[found.isna() & cells.notna()].astype(str)
    rest = rest[rest.str.match(_BEGINS_AS_NUMBER)]
    if rest.empty:
        return found
    rest = rest.str.replace(r"[$€£]\s*|\s*[%$€£]$", "", regex=True)
    for pattern, thousands, point in _THOUSANDS:
        fits = rest.str.match(pattern)
        plain = rest[fits].str.replace(thousands, "", regex=False)
        rest[fits] = plain.str.replace(point, ".", regex=False) if point else plain
    found[rest.index] = csv_tables.to_numbers(rest)
    return found


def parse_number_table(frame: "pd.DataFrame") -> Array:
    """All cells as numbers, shape (rows, columns); see `parse_numbers`."""
    import pandas as pd

    cells = pd.Series(frame.to_numpy(dtype=object).reshape(-1), dtype=object)
    return parse_numbers(cells).to_numpy().reshape(frame.shape)


def parse_dates(cells: "pd.Series", form: str) -> "pd.Series":
    """Cells as times without a zone; NaT for any that is none. Those with a zone are in UTC.

    Args:
        form: as in `datetime.strptime`, or "ISO8601".
    """
    import pandas as pd

    found = pd.to_datetime(cells.astype(object), format=form, errors="coerce", utc=True)
    return found.dt.tz_localize(None).astype("datetime64[us]")


def read_number_column(cells: "pd.Series", called: str) -> "pd.Series":
    """Cells as float64; NaN where one is missing. called: the column, for messages.

    Raises DataError for a cell that is no number, with its row by the index.
    """
    return _refuse_others(parse_numbers(cells), cells, called, "no number")


def read_date_column(cells: "pd.Series", form: str, called: str) -> "pd.Series":
    """Cells as times, see `parse_dates`; NaT where one is missing. called: as above.

    Where all of them are written by ISO 8601 they are read so: a table may have been saved as CSV
    once, and as Parquet, which holds times, another time.

    Raises DataError for a cell that is no time in this format.
    """
    if _is_iso_instead(cells, form):
        form = ISO
    try:
        found = parse_dates(cells, form)
    except ValueError as error:
        raise DataError(f"{called}: {brief(form)} is no format of times: {error}") from error
    return _refuse_others(found, cells, called, f"no time as {form}")


def _is_iso_instead(cells: "pd.Series", form: str) -> bool:
    """Whether all cells are in ISO 8601, as a Parquet file's times are read, and not as a CSV file has them.

    A form that begins with the year could be taken for it, and is taken as it stands.
    """
    known = cells.dropna()
    iso = form != ISO and not form.startswith("%Y") and len(known) > 0
    return iso and bool(known.astype(str).str.match(_ISO).all())


def name_whole_numbers(cells: "pd.Series") -> "pd.Series":
    """Texts of which "7.0" is "7": as a name, as of a shop, it is the same."""
    return cells.str.replace(_WHOLE_NUMBER, r"\1", regex=True)


def set_missing(cells: "pd.Series", missing: Iterable[str]) -> "pd.Series":
    """The cells, without texts that stand for a missing one."""
    return cells.mask(cells.isin(list(missing))) if missing else cells


def _refuse_others(found: "pd.Series", cells: "pd.Series", called: str, what: str) -> "pd.Series":
    """What cells were parsed as. Raises DataError with the first that is left missing."""
    wrong = np.flatnonzero((found.isna() & cells.notna()).to_numpy())
    if len(wrong):
        first = cells.iloc[wrong[:1]]
        raise DataError(
            f"{called} has {brief(str(first.iloc[0]))} in row {first.index[0] + 1}, which is {what}; mend it, "
            "or, where it stands for a missing cell, add it to missing= in the study"
        )
    return found


def find_date_formats(cells: Array) -> list[str]:
    """The formats in which nine of ten cells are times: several where day and month look alike.

    Args:
        cells: texts, none of them missing.
    """
    import pandas as pd

    step = max(1, len(cells) // _FEW)
    few = [str(cell) for cell in cells[::step][:_FEW]]
    if not few or not _may_be_dates(few):
        return []
    if sum(_ISO.match(cell) is not None for cell in few) > len(few) / 2:
        tried: Iterable[str] = (ISO,)
    else:
        tried = [form for form in _FORMATS if sum(_fits(c, form) for c in few) > 0.7 * len(few)]
    distinct, counts = np.unique(cells.astype(str), return_counts=True)
    return [
        form
        for form in tried
        if counts[parse_dates(pd.Series(distinct), form).notna()].sum() >= 0.9 * len(cells)
    ]


def _may_be_dates(few: list[str]) -> bool:
    """Whether it is worth the time to try formats."""
    like = [4 < len(cell) < 40 and sum(map(str.isdigit, cell)) >= 3 for cell in few]
    return sum(like) > len(few) / 2


def _fits(cell: str, form: str) -> bool:
    try:
        datetime.strptime(cell, form)
    except ValueError:
        return False
    return True
