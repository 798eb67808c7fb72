"""How the cells of a table became numbers."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from hpsearch.core.array_types import Array


@dataclass(frozen=True, slots=True)
class Coding:
    """How the cells of a table became numbers. `predict` reads and writes cells by it.

    Args:
        categories: for each column of categories, the values that 0, 1, 2... stand for in x; -1
            stands for any other value.
        classes: the names that 0, 1, 2... stand for in y.
        offset, scale: y * scale + offset is in the table's own unit.
        target: the column that became y.
        logarithm: where it is not 0, y * scale + offset is the symmetric logarithm of the table's
            values, divided by this (`tasks.table.symmetric_log`).
        missing: texts that stand for a missing cell, in any column.
        missing_in: likewise, in these columns.
        dates: for each column of times, how a file writes them, as `tasks.cells.parse_dates` has it.
        texts: the columns of texts, of which a missing one is empty.
        whole_names: whether categories that are whole numbers are named without a ".0".
    """

    categories: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    offset: float = 0.0
    scale: float = 1.0
    target: str = ""
    logarithm: float = 0.0
    missing: tuple[str, ...] = ()
    dates: Mapping[str, str] = field(default_factory=dict)
    texts: tuple[str, ...] = ()
    missing_in: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    whole_names: bool = False

    def list_missing(self, column: str) -> tuple[str, ...]:
        """The texts that stand for a missing cell of a column."""
        return (*self.missing, *self.missing_in.get(column, ()))

    @property
    def unit(self) -> str:
        """The unit of y, in words; empty where it is the table's own unit."""
        if self.is_own_unit:
            return ""
        what = repr(self.target)
        if self.logarithm:
            what = f"log(1 + |{what}| / {self.logarithm:.4g})"
        return f"in standard deviations of {what} (1 = {self.scale:.4g})"

    @property
    def is_own_unit(self) -> bool:
        """Whether y is in the table's own unit."""
        return (self.scale, self.offset, self.logarithm) == (1.0, 0.0, 0.0)

    def in_own_unit(self, y: Array) -> Array:
        """Targets or predictions in the table's own unit."""
        scaled = np.asarray(y * self.scale + self.offset)
        if not self.logarithm:
            return scaled
        with np.errstate(over="ignore"):
            return np.asarray(np.sign(scaled) * np.expm1(np.abs(scaled)) * self.logarithm)

    def to_json(self) -> dict[str, Any]:
        """The coding as plain JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> "Coding":
        """The inverse of `to_json`. Fields that earlier versions lack get their defaults."""
        categories = found.get("categories", {})
        return cls(
            {str(column): tuple(map(str, values)) for column, values in categories.items()},
            tuple(map(str, found.get("classes", ()))),
            float(found.get("offset", 0)),
            float(found.get("scale", 1)),
            str(found.get("target", "")),
            float(found.get("logarithm", 0)),
            tuple(map(str, found.get("missing", ()))),
            {str(column): str(form) for column, form in found.get("dates", {}).items()},
            tuple(map(str, found.get("texts", ()))),
            {str(c): tuple(map(str, each)) for c, each in found.get("missing_in", {}).items()},
            bool(found.get("whole_names", False)),
        )
