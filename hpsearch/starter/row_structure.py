"""How the rows of a table belong together: in time, and in groups."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hpsearch.core.arrays import Array
from hpsearch.core.errors import DataError
from hpsearch.starter.columns import IDENTIFIER, SOMEBODY, Column
from hpsearch.starter.date_columns import count_instants, find_order

FEWEST_INSTANTS = 10
NONE = "none"
"""What a user writes for no column at all."""

_BORN = re.compile(r"birth|born|\bdob\b", re.IGNORECASE)
_TIME = re.compile(r"^(date|time|datetime|timestamp|year)$", re.IGNORECASE)
_FEWEST_GROUPS, _FEWEST_OF_SOMEBODY = 20, 10
_LARGEST_GROUP = 50  # rows in the mean; larger ones, as of shops, are known when predicting
_SMALLEST_GROUP = 1.5


@dataclass(frozen=True, slots=True)
class RowStructure:
    """By which column rows belong together; at most one of both.

    Args:
        time: the column that orders them.
        group: the column of those that belong together.
        notes: what to say of it.
    """

    time: str | None
    group: str | None
    notes: tuple[str, ...]


def find_structure(columns: Sequence[Column], time: str | None, group: str | None) -> RowStructure:
    """Find the columns of the time and of the groups.

    Args:
        time, group: the columns, where the user names them; "none": there is none; None: guess it.

    Raises DataError where the user names both, or a column that cannot be it.
    """
    by_name = {column.name: column for column in columns}
    named_time, named_group = _get(by_name, "--time", time), _get(by_name, "--group", group)
    if named_time and named_group:
        raise DataError(
            "rows are split by time or by group, not by both; leave --time or --group out"
        )
    if named_time and times_of(named_time) is None:
        raise DataError(f"--time {named_time.name!r} needs times or numbers in nine of ten rows")
    if named_group and not 2 < len(named_group.distinct) < len(named_group.texts):
        found = len(named_group.distinct)
        raise DataError(
            f"--group {named_group.name!r} has {found} value{'s' * (found != 1)} in "
            f"{len(named_group.texts)} rows; groups are three or more, some of several rows"
        )
    ordering = named_time or (_guess_time(columns) if time is None and not named_group else None)
    together = named_group or (_guess_group(columns) if group is None and not named_time else None)
    notes = []
    if ordering and together:
        wins = _order_of(ordering) or SOMEBODY.match(together.name) is None
        other = together if wins else ordering
        option = "--group" if wins else "--time"
        notes.append(f"for a split by {other.name!r} instead: {option} {other.name!r}")
        ordering, together = (ordering, None) if wins else (None, together)
    if ordering:
        notes.insert(0, _describe_time(ordering))
    if together:
        notes.insert(
            0,
            f"{together.name!r} repeats ({len(together.distinct)} values): rows of one value stay "
            "together in folds and test, and it is no input",
        )
    return RowStructure(
        ordering.name if ordering else None, together.name if together else None, tuple(notes)
    )


def _describe_time(column: Column) -> str:
    how = _order_of(column)
    return (
        f"rows are {f'in the order of {column.name!r}, {how}' if how else f'sorted by {column.name!r}'}"
        ": each fold learns from the past alone, and the test is the latest fifth"
    )


def _get(columns: dict[str, Column], option: str, name: str | None) -> Column | None:
    if name is None or (name == NONE and name not in columns):
        return None
    if name not in columns:
        raise DataError(f"there is no column {name!r} for {option}; name one, or {NONE!r}")
    return columns[name]


def times_of(column: Column) -> Array | None:
    """The times, or numbers, of a column in nine of ten rows; else None."""
    if column.dates is not None:
        times = column.dates.times.to_numpy() if column.dates.has_days else None
    else:
        times = column.values if column.is_numeric else None
    if times is None or np.mean(times == times) < 0.9:
        return None
    return times


def _order_of(column: Column) -> str:
    times = times_of(column)
    return "" if times is None else find_order(times)


def _guess_time(columns: Sequence[Column]) -> Column | None:
    """The column of the times of the rows: that which they are ordered by, or the likeliest."""
    found = []
    for column in columns:
        times = None if _BORN.search(column.name) else times_of(column)
        if times is None or count_instants(times) < FEWEST_INSTANTS:
            continue
        named = _TIME.match(column.name) is not None
        how = find_order(times) if named or column.dates else ""
        # A number is a time only where it is called so and rows are in its order.
        if (column.dates and not column.is_numeric) or how or (column.dates and named):
            found.append((bool(how), named, count_instants(times), column))
    return max(found, key=lambda each: each[:3])[3] if found else None


def _guess_group(columns: Sequence[Column]) -> Column | None:
    """The column of those whose rows belong together: somebody's, or an identifier that repeats."""
    found = []
    for column in columns:
        if column.rows_per_value < _SMALLEST_GROUP or column.dates is not None:
            continue
        values, somebody = len(column.distinct), SOMEBODY.match(column.name) is not None
        few = column.rows_per_value <= _LARGEST_GROUP and values >= _FEWEST_GROUPS
        identifies = IDENTIFIER.search(column.name) is not None and few
        if (somebody and values >= _FEWEST_OF_SOMEBODY) or identifies:
            found.append((somebody, values, column))
    return max(found, key=lambda each: each[:2])[2] if found else None
