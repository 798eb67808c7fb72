"""Describe the columns of a CSV file: numbers, categories, the target, the order of rows."""

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from hpsearch.core.arrays import Array
from hpsearch.core.errors import DataError
from hpsearch.tasks import csv_tables
from hpsearch.tasks.table import Ordered, symmetric_log

if TYPE_CHECKING:
    import pandas as pd

TargetKind = Literal["classification", "regression"]

_FEWEST_ROWS = 10
_MOST_CLASSES = 30
_MOST_NUMERIC_CLASSES = 10  # a target with more different whole numbers is no classification
_MOST_VALUES = 30  # of a category; rarer values count as missing
_ID = re.compile(r"^(id|index|unnamed: 0|.*[ _-]id|row ?(number|no)?)$", re.IGNORECASE)
_SKEWED = 1.5  # a more skewed target is learned by its logarithm; an exponential one's is 2
_CELLS_AT_ONCE = 2_000_000
_TIME = re.compile(r"^(date|time|datetime|timestamp|year)$", re.IGNORECASE)
_DATE = re.compile(r"^(\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([T ].*)?|\d{1,2}:\d{2}(:\d{2})?)$")


@dataclass(frozen=True, slots=True)
class TableDescription:
    """What the columns of a table are.

    Args:
        rows: how many have a target.
        target: the column to predict.
        classes: of the target; empty where it is a number.
        rarest: how many rows the rarest class has.
        numbers: the columns of numbers.
        categories: the columns of categories, with their values.
        is_skewed: whether the target is a number that is better learned by its logarithm.
        ordered: how rows are ordered by time, where a column says so.
        notes: what a user should know, a line each.
    """

    rows: int
    target: str
    classes: tuple[str, ...]
    rarest: int
    numbers: tuple[str, ...]
    categories: dict[str, tuple[str, ...]]
    is_skewed: bool
    ordered: Ordered | None
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Column:
    """One column.

    Args:
        cells: those that are not missing, as text.
        values: the same cells as numbers; NaN where a cell is no number.
        rows: how many rows the table has, those with a missing cell too.
    """

    name: str
    cells: Array
    values: Array
    rows: int

    @property
    def is_numeric(self) -> bool:
        """Whether nine of ten cells are numbers; the others may mark missing values."""
        return len(self.cells) > 0 and float(np.isfinite(self.values).mean()) >= 0.9


def read_table(path: Path) -> "pd.DataFrame":
    """Read the file's cells as text. Raises DataError where a target has no other columns."""
    frame = csv_tables.read_table(path)
    if frame.shape[1] < 2:
        raise DataError(
            f"{path} has only the column {frame.columns[0]!r}; a target needs other columns to be "
            "predicted from"
        )
    return frame


def describe_table(
    frame: "pd.DataFrame", target: str, kind: TargetKind | None = None
) -> TableDescription:
    """Describe each column.

    Args:
        frame: all cells as text.
        target: the column to predict.
        kind: what the target is; None: guess it.

    Raises DataError where there is no such target, or no column to predict it from.
    """
    if target not in frame:
        names = ", ".join(repr(str(name)) for name in frame)
        raise DataError(f"there is no column {target!r}; name one by --target: {names}")
    notes = [
        f"{name!r} is the second column of that name in the file"
        for name in frame
        if re.search(r"\.\d+$", str(name)) and str(name).rpartition(".")[0] in frame
    ]
    # The target, and the rows that have one.
    known = frame.loc[frame[target].notna()]
    if len(known) < _FEWEST_ROWS:
        raise DataError(
            f"{len(known)} rows have a {target!r}; a search needs at least {_FEWEST_ROWS}"
        )
    classes = _find_classes(known[target], kind)
    if not classes:
        known = known.loc[csv_tables.to_numbers(known[target]).notna()]
    if missing := len(frame) - len(known):
        notes.append(f"{missing} of {len(frame)} rows are left out: they have no {target!r}")
    # The other columns: left out, numbers or categories.
    numbers: list[str] = []
    categories: dict[str, tuple[str, ...]] = {}
    ordered: Ordered | None = None
    for column in _read_columns(known, [str(name) for name in frame if name != target]):
        if ordered is None and (ordered := _find_order(column)):
            notes.append(
                f"rows are ordered by {column.name!r}, {ordered}: the latest fifth of the rows is "
                "the test, and the latest fifth of the others is for validation"
            )
        if reason := _why_left_out(column):
            notes.append(f"{column.name!r} is left out: {reason}")
        elif column.is_numeric:
            numbers.append(column.name)
            if strange := int(np.isnan(column.values).sum()):
                notes.append(
                    f"{strange} cells of {column.name!r} are not numbers and count as missing"
                )
        else:
            counts = Counter(column.cells)
            categories[column.name] = _sort_values(v for v, _ in counts.most_common(_MOST_VALUES))
            if (rest := len(counts) - _MOST_VALUES) > 0:
                notes.append(f"the {rest} rarest values of {column.name!r} count as missing")
    if not numbers and not categories:
        raise DataError(f"no column is left to predict {target!r} from: {'; '.join(notes)}")
    # What decides the metric, the folds and the transform.
    rarest = min(Counter(known[target]).values()) if classes else 0
    if classes and rarest < 10:
        notes.append(f"the rarest class of {target!r} has {rarest} rows")
    skewed = not classes and _is_skewed(csv_tables.to_numbers(known[target]).to_numpy())
    if skewed:
        notes.append(f"{target!r} is skewed, so its logarithm is learned")
    return TableDescription(
        len(known),
        target,
        classes,
        rarest,
        tuple(numbers),
        categories,
        skewed,
        ordered,
        tuple(notes),
    )


def _read_columns(frame: "pd.DataFrame", names: Sequence[str]) -> Iterator[_Column]:
    """Yield the columns. Many are read at once: pandas takes a millisecond for each step."""
    width = max(1, _CELLS_AT_ONCE // len(frame))
    for first in range(0, len(names), width):
        block = frame[list(names[first : first + width])]
        values, present = csv_tables.to_number_table(block), block.notna().to_numpy()
        cells = block.to_numpy(dtype=object)
        for place, name in enumerate(block):
            here = present[:, place]
            yield _Column(str(name), cells[here, place], values[here, place], len(frame))


def _is_skewed(values: Array) -> bool:
    """Whether values are skewed, and their logarithms at most half as much."""
    before, after = _skewness(values), _skewness(symmetric_log(values, np.median(np.abs(values))))
    return abs(before) > _SKEWED and abs(after) < abs(before) / 2


def _skewness(values: Array) -> float:
    centred = values - values.mean()
    spread = float(np.sqrt((centred**2).mean()))
    return float((centred**3).mean()) / spread**3 if spread > 0 else 0.0


def _find_order(column: _Column) -> Ordered | None:
    """How rows are ordered by a column of times; None where it holds no times, or they are not."""
    if len(column.cells) < column.rows or column.rows < 2:
        return None
    if column.is_numeric:
        if not _TIME.match(column.name) or not np.isfinite(column.values).all():
            return None
        moments: list[list[tuple[float, ...]]] = [[(value,) for value in column.values]]
    elif all(map(_DATE.match, column.cells)):
        parts = [tuple(map(float, re.findall(r"\d+", cell))) for cell in column.cells]
        # The year may come first, or last behind day and month in either order: try which fits.
        moments = [
            [tuple(each[place] for place in places) + each[3:] for each in parts]
            for places in ((0, 1, 2), (2, 1, 0), (2, 0, 1))
            if all(len(each) >= 3 for each in parts)
        ]
    else:
        return None
    for found in moments:
        if found[0] != found[-1]:
            if all(a <= b for a, b in itertools.pairwise(found)):
                return "oldest first"
            if all(a >= b for a, b in itertools.pairwise(found)):
                return "newest first"
    return None


def _find_classes(column: "pd.Series", kind: TargetKind | None) -> tuple[str, ...]:
    """The target's classes; empty where it is a number. Raises DataError where it is neither."""
    values = csv_tables.to_numbers(column)
    distinct = column.nunique()
    if distinct < 2:
        raise DataError(
            f"{column.name!r} is {column.iloc[0]!r} in all rows; there is nothing to predict"
        )
    if kind is None:
        whole = values.notna().all() and (values == values.round()).all()
        few = distinct <= min(_MOST_NUMERIC_CLASSES, len(column) // 2)
        text = values.notna().mean() < 0.9
        kind = "classification" if text or (whole and few) else "regression"
    if kind == "regression":
        if not values.notna().any():
            raise DataError(
                f"{column.name!r} holds no numbers; a regression needs a target of numbers"
            )
        return ()
    if distinct > min(_MOST_CLASSES, len(column) // 2):
        raise DataError(
            f"{column.name!r} has {distinct} values in {len(column)} rows, too many for classes; "
            "name another --target, or add --kind regression where the values are numbers"
        )
    return _sort_values(column.unique())


def _why_left_out(column: _Column) -> str | None:
    """Why a column is of no use; None where it is of use."""
    cells, values = column.cells, column.values
    distinct = len(set(cells))
    if not distinct:
        return "it is empty"
    if distinct == 1 and len(cells) == column.rows:
        return f"it is {cells[0]!r} in all rows"
    if column.is_numeric:
        if np.isnan(values).any() or (values != values.round()).any():
            return None
        counted = distinct == len(cells) and values.max() - values.min() == len(cells) - 1
        named = distinct > len(cells) / 2 and _ID.match(column.name)
        return "it numbers the rows" if counted or named else None
    if np.mean([_DATE.match(cell) is not None for cell in cells]) > 0.9:
        return "it is a date or a time; to use it, make numbers of it, such as an age or a weekday"
    if distinct > max(len(cells) / 2, 2):
        return "nearly every row has a different text"
    return None


def _sort_values(values: Iterable[str]) -> tuple[str, ...]:
    """Sort numbers by size, and text after them."""
    return tuple(sorted(values, key=_sort_key))


def _sort_key(value: str) -> tuple[bool, float, str]:
    try:
        return False, float(value), value
    except ValueError:
        return True, 0.0, value
