"""What the times of a column are: their format, their order, and which parts of them vary."""

import re
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from hpsearch.core.arrays import Array
from hpsearch.tasks.cells import find_date_formats, parse_dates

_COMPACT = "%Y%m%d"
_CLOCK_ALONE = re.compile(r"^%H:%M(:%S)?$")
_SEVERAL_YEARS = pd.Timedelta(days=550)  # in fewer, a month is no season but a trend


@dataclass(frozen=True, slots=True, eq=False)
class DateColumn:
    """The times of a column.

    Args:
        form: how they are written, as `tasks.cells.parse_dates` has it.
        other_form: another way that cells can be read; empty where there is none.
        times: of each row, NaT where there is none. Shape (rows,).
        markers: the cells that are no times.
        parts: the parts that vary, as `DateParts` has them.
    """

    form: str
    other_form: str
    times: "pd.Series"
    markers: tuple[str, ...]
    parts: tuple[str, ...]

    @property
    def has_days(self) -> bool:
        """Whether they are more than times of the day."""
        return _CLOCK_ALONE.match(self.form) is None

    @property
    def order(self) -> str:
        """How rows are ordered by them: "oldest first", "newest first", or "" where they are not."""
        return find_order(self.times.to_numpy())


def describe_dates(cells: Array, present: Array, values: Array | None) -> DateColumn | None:
    """The times that cells hold; None where they hold none.

    Args:
        cells: texts, shape (rows,).
        present: which of them are not missing.
        values: the same as numbers, where they are numbers: then only 20240228 is a time.
    """
    if values is not None:
        whole = values[present]
        if not ((whole > 19000000) & (whole < 21010000)).all():
            return None
    forms = find_date_formats(cells[present])
    if not forms or (values is not None and forms != [_COMPACT]):
        return None
    column = pd.Series(cells, dtype=object).where(present)
    found = [_describe(column, form) for form in forms]
    # Day and month may look alike: the order of the rows tells which is which.
    best = next((each for each in found if each.order), found[0])
    others = [each for each in found if not each.times.equals(best.times)]
    return replace(best, other_form="" if best.order or not others else others[0].form)


def _describe(column: "pd.Series", form: str) -> DateColumn:
    times = parse_dates(column, form)
    markers = column[times.isna() & column.notna()].unique()
    return DateColumn(form, "", times, tuple(sorted(map(str, markers))), _find_parts(times, form))


def _find_parts(times: "pd.Series", form: str) -> tuple[str, ...]:
    """The parts that differ between rows, and come again."""
    times = times.dropna()
    if _CLOCK_ALONE.match(form):
        return ("hour",)
    parts = []
    if times.max() - times.min() > _SEVERAL_YEARS and times.dt.month.nunique() > 1:
        parts.append("month")
    if times.dt.day_of_week.nunique() > 1 and times.dt.day.nunique() > 2:
        parts.append("weekday")
    if times.dt.hour.nunique() > 1:
        parts.append("hour")
    return ("days", *parts)


def find_order(times: Array) -> str:
    """How rows are ordered by values of shape (rows,), of which none may be missing."""
    if len(times) < 2 or pd.isna(times).any() or times[0] == times[-1]:
        return ""
    if (times[1:] >= times[:-1]).all():
        return "oldest first"
    return "newest first" if (times[1:] <= times[:-1]).all() else ""


def count_instants(times: Array) -> int:
    """How many different times there are."""
    return len(np.unique(times[~pd.isna(times)]))
