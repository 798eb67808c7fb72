"""What the columns of a table are, by their cells."""

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from hpsearch.core.data import Array
from hpsearch.core.errors import DataError
from hpsearch.tasks import csv_tables
from hpsearch.tasks.table import Ordered, symmetric_log

if TYPE_CHECKING:
    import pandas as pd

TargetKind = Literal["classification", "regression"]

_FEWEST_ROWS = 10
_MOST_CLASSES = 30
_CLASSES_IN_NUMBERS = 10  # whole numbers of so many kinds are taken for classes
_MOST_VALUES = 30  # of a category; rarer ones count as none of them
_ID = re.compile(r"^(id|index|unnamed: 0|.*[ _-]id|row ?(number|no)?)$", re.IGNORECASE)
_SKEWED = 1.5  # the skewness from which a target is taken by its logarithm; 2: an exponential one's
_CELLS_AT_ONCE = 2_000_000
_TIME = re.compile(r"^(date|time|datetime|timestamp|year)$", re.IGNORECASE)
_DATE = re.compile(r"^(\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([T ].*)?|\d{1,2}:\d{2}(:\d{2})?)$")


@dataclass(frozen=True, slots=True)
class Look:
    """What was found.

    Args:
        classes: of the target, empty where it is a number.
        rarest: how many rows the rarest of them has.
        skewed: whether the target is a number that is better taken by its logarithm.
        ordered: how rows follow time, where a column says so.
        notes: what a user should know, a line each.
    """

    rows: int
    target: str
    classes: tuple[str, ...]
    rarest: int
    numbers: tuple[str, ...]
    categories: dict[str, tuple[str, ...]]
    skewed: bool
    ordered: Ordered | None
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Column:
    """cells: those that are not missing, as text; values: the same as numbers, or NaN. rows: with
    the missing ones.
    """

    name: str
    cells: Array
    values: Array
    rows: int

    @property
    def is_numeric(self) -> bool:
        """Whether nine of ten cells are numbers; the others may be marks of missing ones."""
        return len(self.cells) > 0 and float(np.isfinite(self.values).mean()) >= 0.9


def table(path: Path) -> "pd.DataFrame":
    """The file's cells as text. Raises DataError where they are no table to learn from."""
    frame = csv_tables.read_table(path)
    if frame.shape[1] < 2:
        raise DataError(
            f"{path} has the one column {frame.columns[0]!r}; a target needs others to be told by"
        )
    return frame


def look(frame: "pd.DataFrame", target: str, kind: TargetKind | None = None) -> Look:
    """Look at each column. kind: what the target is, else guessed.

    Raises DataError where there is no such target, or nothing to learn it from.
    """
    if target not in frame:
        raise DataError(f"there is no column {target!r}; name one by --target: {columns(frame)}")
    notes = [
        f"{name!r} is the second column of that name in the file"
        for name in frame
        if re.search(r"\.\d+$", str(name)) and str(name).rpartition(".")[0] in frame
    ]
    known = frame.loc[frame[target].notna()]
    if len(known) < _FEWEST_ROWS:
        raise DataError(
            f"{len(known)} rows have a {target!r}; a search needs {_FEWEST_ROWS} at least"
        )
    classes = _classes(known[target], kind)
    if not classes:
        known = known.loc[csv_tables.to_numbers(known[target]).notna()]
    if missing := len(frame) - len(known):
        notes.append(f"left out for want of a {target!r}: {missing} of {len(frame)} rows")
    numbers: list[str] = []
    categories: dict[str, tuple[str, ...]] = {}
    ordered: Ordered | None = None
    for column in _columns(known, [str(name) for name in frame if name != target]):
        if ordered is None and (ordered := _order(column)):
            notes.append(
                f"rows are in the order of {column.name!r}, {ordered}: the last fifth by it is the "
                "test, and the last fifth of the others validates"
            )
        if reason := _left_out(column):
            notes.append(f"{column.name!r} is left out: {reason}")
        elif column.is_numeric:
            numbers.append(column.name)
            if strange := int(np.isnan(column.values).sum()):
                notes.append(
                    f"{strange} cells of {column.name!r} are no numbers and count as missing"
                )
        else:
            counts = Counter(column.cells)
            categories[column.name] = _sorted(v for v, _ in counts.most_common(_MOST_VALUES))
            if (rest := len(counts) - _MOST_VALUES) > 0:
                notes.append(f"the {rest} rarest values of {column.name!r} count as none")
    if not numbers and not categories:
        raise DataError(f"no column is left to tell {target!r} by: {'; '.join(notes)}")
    rarest = min(Counter(known[target]).values()) if classes else 0
    if classes and rarest < 10:
        notes.append(f"the rarest class of {target!r} has {rarest} rows")
    skewed = not classes and _is_skewed(csv_tables.to_numbers(known[target]).to_numpy())
    if skewed:
        notes.append(f"{target!r} is skewed, and learned by its logarithm")
    return Look(
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


def _columns(frame: "pd.DataFrame", names: Sequence[str]) -> Iterator[_Column]:
    """The columns, many at a time: one by one, pandas takes a millisecond for each."""
    width = max(1, _CELLS_AT_ONCE // len(frame))
    for first in range(0, len(names), width):
        block = frame[list(names[first : first + width])]
        values, present = csv_tables.to_number_table(block), block.notna().to_numpy()
        cells = block.to_numpy(dtype=object)
        for place, name in enumerate(block):
            here = present[:, place]
            yield _Column(str(name), cells[here, place], values[here, place], len(frame))


def _is_skewed(values: Array) -> bool:
    """Whether the logarithm takes most of the skewness away, and there is much of it."""
    before, after = _skewness(values), _skewness(symmetric_log(values, np.median(np.abs(values))))
    return abs(before) > _SKEWED and abs(after) < abs(before) / 2


def _skewness(values: Array) -> float:
    centred = values - values.mean()
    spread = float(np.sqrt((centred**2).mean()))
    return float((centred**3).mean()) / spread**3 if spread > 0 else 0.0


def _order(column: _Column) -> Ordered | None:
    """How rows follow the time in a column, if it is one and they do."""
    if len(column.cells) < column.rows or column.rows < 2:
        return None
    if column.is_numeric:
        if not _TIME.match(column.name) or not np.isfinite(column.values).all():
            return None
        moments: list[list[tuple[float, ...]]] = [[(value,) for value in column.values]]
    elif all(map(_DATE.match, column.cells)):
        parts = [tuple(map(float, re.findall(r"\d+", cell))) for cell in column.cells]
        # Years first, or last, behind days or months: whichever makes an order.
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


def columns(frame: "pd.DataFrame") -> str:
    """Their names in one line."""
    return ", ".join(repr(str(name)) for name in frame)


def _classes(column: "pd.Series", kind: TargetKind | None) -> tuple[str, ...]:
    """The target's classes; none where it is a number. Raises DataError where it is neither."""
    values = csv_tables.to_numbers(column)
    distinct = column.nunique()
    if distinct < 2:
        raise DataError(
            f"{column.name!r} is {column.iloc[0]!r} in all rows; there is nothing to tell"
        )
    if kind is None:
        whole = values.notna().all() and (values == values.round()).all()
        few = distinct <= min(_CLASSES_IN_NUMBERS, len(column) // 2)
        text = values.notna().mean() < 0.9
        kind = "classification" if text or (whole and few) else "regression"
    if kind == "regression":
        if not values.notna().any():
            raise DataError(f"{column.name!r} holds no numbers; it is no target for a regression")
        return ()
    if distinct > min(_MOST_CLASSES, len(column) // 2):
        raise DataError(
            f"{column.name!r} has {distinct} values in {len(column)} rows, too many for classes; name "
            "another --target, or --kind regression where they are numbers"
        )
    return _sorted(column.unique())


def _left_out(column: _Column) -> str | None:
    """Why a column is no good, if so."""
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
        return "it is a date or a time; make numbers of it, as the age or the weekday, to use it"
    if distinct > max(len(cells) / 2, 2):
        return "nearly every row has a text of its own"
    return None


def _sorted(values: Iterable[str]) -> tuple[str, ...]:
    """Numbers by their size, before any text."""
    return tuple(sorted(values, key=_place))


def _place(value: str) -> tuple[bool, float, str]:
    try:
        return False, float(value), value
    except ValueError:
        return True, 0.0, value
