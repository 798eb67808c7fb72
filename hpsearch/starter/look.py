"""What the columns of a table are, by their cells."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from hpsearch import frames
from hpsearch.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["classification", "regression"]

_FEWEST_ROWS = 10
_MOST_CLASSES = 30
_CLASSES_IN_NUMBERS = 10  # whole numbers of so many kinds are taken for classes
_MOST_VALUES = 30  # of a category; rarer ones count as none of them
_ID = re.compile(r"^(id|index|unnamed: 0|.*[ _-]id|row ?(number|no)?)$", re.IGNORECASE)
_DATE = re.compile(r"^(\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([T ].*)?|\d{1,2}:\d{2}(:\d{2})?)$")


@dataclass(frozen=True, slots=True)
class Look:
    """What was found. classes: of the target, empty where it is a number; rarest: how many rows the
    rarest of them has. notes: what a user should know, a line each.
    """

    rows: int
    target: str
    classes: tuple[str, ...]
    rarest: int
    numbers: tuple[str, ...]
    categories: dict[str, tuple[str, ...]]
    notes: tuple[str, ...]


def table(path: Path) -> "pd.DataFrame":
    """The file's cells as text. Raises DataError where they are no table to learn from."""
    frame = frames.read(path)
    if frame.shape[1] < 2:
        raise DataError(
            f"{path} has the one column {frame.columns[0]!r}; a target needs others to be told by"
        )
    return frame


def look(frame: "pd.DataFrame", target: str, kind: Kind | None = None) -> Look:
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
        known = known.loc[frames.numbers(known[target]).notna()]
    if missing := len(frame) - len(known):
        notes.append(f"left out for want of a {target!r}: {missing} of {len(frame)} rows")
    numbers, categories = [], {}
    for name in (str(column) for column in frame if column != target):
        column = known[name]
        if reason := _left_out(name, column):
            notes.append(f"{name!r} is left out: {reason}")
        elif _numeric(column):
            numbers.append(name)
            if strange := int(column.notna().sum() - frames.numbers(column).notna().sum()):
                notes.append(f"{strange} cells of {name!r} are no numbers and count as missing")
        else:
            counts = Counter(column.dropna())
            categories[name] = _sorted(value for value, _ in counts.most_common(_MOST_VALUES))
            if (rest := len(counts) - _MOST_VALUES) > 0:
                notes.append(f"the {rest} rarest values of {name!r} count as none")
    if not numbers and not categories:
        raise DataError(f"no column is left to tell {target!r} by: {'; '.join(notes)}")
    rarest = min(Counter(known[target]).values()) if classes else 0
    if classes and rarest < 10:
        notes.append(f"the rarest class of {target!r} has {rarest} rows")
    return Look(len(known), target, classes, rarest, tuple(numbers), categories, tuple(notes))


def columns(frame: "pd.DataFrame") -> str:
    """Their names in one line."""
    return ", ".join(repr(str(name)) for name in frame)


def _classes(column: "pd.Series", kind: Kind | None) -> tuple[str, ...]:
    """The target's classes; none where it is a number. Raises DataError where it is neither."""
    values = frames.numbers(column)
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


def _left_out(name: str, column: "pd.Series") -> str | None:
    """Why a column is no good, if so."""
    cells = column.dropna()
    distinct = cells.nunique()
    if not distinct:
        return "it is empty"
    if distinct == 1 and len(cells) == len(column):
        return f"it is {cells.iloc[0]!r} in all rows"
    if _numeric(column):
        values = frames.numbers(cells)
        counted = distinct == len(cells) and values.max() - values.min() == len(cells) - 1
        if (values == values.round()).all() and (
            counted or (distinct > len(cells) / 2 and _ID.match(name))
        ):
            return "it numbers the rows"
        return None
    if cells.str.match(_DATE).mean() > 0.9:
        return "it is a date or a time; make numbers of it, as the age or the weekday, to use it"
    if distinct > max(len(cells) / 2, 2):
        return "nearly every row has a text of its own"
    return None


def _numeric(column: "pd.Series") -> bool:
    """Whether nine of ten cells are numbers; the others may be marks of missing ones."""
    cells = column.dropna()
    return bool(frames.numbers(cells).notna().mean() >= 0.9) if len(cells) else False


def _sorted(values: Iterable[str]) -> tuple[str, ...]:
    """Numbers by their size, before any text."""
    return tuple(sorted(values, key=_place))


def _place(value: str) -> tuple[bool, float, str]:
    try:
        return False, float(value), value
    except ValueError:
        return True, 0.0, value
