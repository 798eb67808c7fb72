"""What each column of a table holds, guessed from its cells."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

from hpsearch.core.arrays import Array
from hpsearch.starter.date_columns import DateColumn, describe_dates
from hpsearch.tasks import cells as table_cells

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["number", "category", "many", "text", "date"]
"""many: a category with so many values that they are hashed."""

IDENTIFIER = re.compile(
    r"(?i:^(id|index|unnamed: 0|.*[ _-]id|row[ _]?(number|no|id)?)$)|[a-z](ID|Id)$"
)
SOMEBODY = re.compile(
    r"^(patient|subject|participant|person|user|customer|client|student|member|household|session"
    r"|driver|speaker|donor|player|owner|animal|mouse)s?[ _-]?(id|no|nr|number|code|key|name)?[#.]?$",
    re.IGNORECASE,
)
"""Columns that say whose a row is."""

MOST_VALUES = 30  # of a category that gets an input for each
_MOST_MARKERS = 20  # texts that stand for a missing number or time
_CELLS_AT_ONCE = 2_000_000
_MOSTLY = 0.9
_FEWEST_WORDS, _SHORTEST_TEXT = 3, 15  # of a cell of a text, in the mean


@dataclass(frozen=True, eq=False)
class Column:
    """One column of a table.

    Args:
        name: as the table has it.
        cells: all cells, texts; what is missing is not a text. Shape (rows,).
        values: the same as numbers; NaN where a cell is no number. Shape (rows,).
        present: which cells are not missing. Shape (rows,).
        counts_rows: whether it numbers the rows of the whole table, of which these may be some.
    """

    name: str
    cells: Array
    values: Array
    present: Array
    counts_rows: bool = False

    @cached_property
    def texts(self) -> Array:
        """The cells that are not missing."""
        return self.cells[self.present]

    @cached_property
    def distinct(self) -> frozenset[str]:
        """The values that occur."""
        return frozenset(self.texts)

    @property
    def rows_per_value(self) -> float:
        """How many rows have the same value, in the mean."""
        return len(self.texts) / max(1, len(self.distinct))

    @cached_property
    def is_numeric(self) -> bool:
        """Whether nine of ten cells are numbers; a few texts may mark missing ones."""
        found = np.isfinite(self.values[self.present])
        return len(found) > 0 and float(found.mean()) >= 0.9 and self._has_few(self.markers)

    @cached_property
    def markers(self) -> tuple[str, ...]:
        """The cells of a column of numbers that are no numbers."""
        return tuple(sorted(set(self.cells[self.present & ~np.isfinite(self.values)])))

    def _has_few(self, markers: Sequence[str]) -> bool:
        return len(markers) <= _MOST_MARKERS

    @cached_property
    def dates(self) -> DateColumn | None:
        """What its times are; None where it holds none."""
        found = describe_dates(self.cells, self.present, self.values if self.is_numeric else None)
        return found if found is not None and self._has_few(found.markers) else None


@dataclass(frozen=True, slots=True)
class Role:
    """What is made of a column: a kind of input, or nothing.

    Args:
        kind: of input.
        left_out: why it is none; empty where it is one.
    """

    kind: Kind
    left_out: str = ""


def read_columns(frame: "pd.DataFrame", names: Sequence[str]) -> Iterator[Column]:
    """Yield the columns. Many are read at once: pandas takes a millisecond for each step."""
    width = max(1, _CELLS_AT_ONCE // len(frame))
    for first in range(0, len(names), width):
        block = frame[list(names[first : first + width])]
        values, present = table_cells.parse_number_table(block), block.notna().to_numpy()
        cells = block.to_numpy(dtype=object)
        for place, name in enumerate(block):
            yield Column(str(name), cells[:, place], values[:, place], present[:, place])


def is_counter(column: Column, *, sampled: bool = False) -> bool:
    """Whether whole numbers are as those of the rows: one follows the other.

    Args:
        sampled: the rows are neighbours of the table mostly, but not all of it.
    """
    numbers = column.values[np.isfinite(column.values)]
    if len(numbers) < 2 or len(np.unique(numbers)) < len(numbers):
        return False
    if sampled:
        return float(np.mean(np.diff(numbers) == 1)) > _MOSTLY
    return bool(np.ptp(numbers) == len(numbers) - 1 and (numbers == numbers.round()).all())


def choose_role(column: Column, *, keep: bool = False, as_text: bool = False) -> Role:
    """Guess what a column is.

    Args:
        keep: it is an input, whatever it looks like.
        as_text: it is a text, to be vectorised.
    """
    distinct, filled = len(column.distinct), len(column.texts)
    if not distinct:
        return Role("number", "empty")
    if as_text:
        return Role("text")
    if distinct == 1 and filled == len(column.cells) and not keep:
        return Role("number", "the same value in all rows")
    is_identifier = bool(IDENTIFIER.search(column.name) or SOMEBODY.match(column.name))
    if column.dates is not None:
        return Role("date")
    if column.is_numeric:
        numbers = column.values[np.isfinite(column.values)]
        if not (numbers == numbers.round()).all():
            return Role("number")
        counted = column.counts_rows or is_counter(column)
        if (counted or (is_identifier and distinct > filled / 2)) and not keep:
            return Role("number", "a row number")
        return Role(_choose_category(distinct) if is_identifier and not keep else "number")
    if _is_prose(column):
        return Role("text")
    if distinct > max(filled / 2, 2):
        # Names and codes that hardly ever come again, unless somebody knows better.
        return Role("text") if keep else Role("text", "a different text in nearly every row")
    return Role(_choose_category(distinct))


def _choose_category(distinct: int) -> Kind:
    return "many" if distinct > MOST_VALUES else "category"


def _is_prose(column: Column) -> bool:
    """Whether cells are sentences, or the like: many, and of several words."""
    few = column.texts[:: max(1, len(column.texts) // 1000)]
    words = np.mean([len(str(cell).split()) for cell in few])
    length = np.mean([len(str(cell)) for cell in few])
    several = words >= _FEWEST_WORDS and length >= _SHORTEST_TEXT
    return bool(several and len(column.distinct) > max(20, len(column.texts) / 5))
