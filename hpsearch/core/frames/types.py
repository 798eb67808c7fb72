"""What the columns of a frame hold, in plain words that a file can keep; and frames of these types."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hpsearch.core.errors import DataError
from hpsearch.core.frames.rows import ColumnCode, FrameCode
from hpsearch.core.rules import brief

_KINDS = {
    "number": r"u?int(8|16|32|64)|float(16|32|64)|U?Int(8|16|32|64)|Float(32|64)",
    "bool": r"bool|boolean",
    "text": r"object|str|string",
    "category": r"category",
    "time": r"(datetime|timedelta)64\[(s|ms|us|ns)\]|datetime64\[(s|ms|us|ns), [\w/+:-]{1,40}\]",
}
"""The types of columns, by kind: no other is ever made because a file names it."""


MISSING_TEXTS = frozenset(
    # What pandas takes for missing, and a question mark.
    "|?|#N/A|#N/A N/A|#NA|-1.#IND|-1.#QNAN|-NaN|-nan|1.#IND|1.#QNAN|<NA>|N/A|NA|NULL|NaN|None|n/a"
    "|nan|null".split("|")
)
"""What stands for a missing cell in a CSV file, unless it was a text of the training."""


def kind_of_type(dtype: str) -> str | None:
    """The kind of a type of pandas by name, one of `_KINDS`; None for any other type."""
    return next((kind for kind, names in _KINDS.items() if re.fullmatch(names, dtype)), None)


@dataclass(frozen=True, slots=True)
class ColumnType:
    """What a column holds.

    Args:
        dtype: pandas's name of its type.
        categories: those of a column of categories, in their order.
        ordered: whether that order means something.
        has_none: whether None stands for missing text, where cells are Python objects; else NaN.
        known_texts: those of MISSING_TEXTS that were texts of a column of text.
        has_spaces: whether some of its texts began or ended with a space.
    """

    dtype: str
    categories: tuple[Any, ...] = ()
    ordered: bool = False
    has_none: bool = False
    known_texts: tuple[str, ...] = ()
    has_spaces: bool = False

    def __post_init__(self) -> None:
        if kind_of_type(self.dtype) is None:
            raise ValueError(f"no column can be of the type {brief(self.dtype)}")
        if not all(isinstance(each, str | int | float) for each in self.categories):
            raise ValueError("categories must be texts or numbers")

    @property
    def kind(self) -> str:
        """One of "number", "bool", "text", "category", "time"."""
        found = kind_of_type(self.dtype)
        assert found is not None
        return found

    def to_json(self) -> dict[str, Any]:
        """As plain JSON, without what is as usual."""
        found: dict[str, Any] = {"dtype": self.dtype}
        if self.kind == "category":
            found |= {"categories": list(self.categories), "ordered": self.ordered}
        if self.known_texts:
            found["known_texts"] = list(self.known_texts)
        if self.has_spaces:
            found["has_spaces"] = True
        return found | ({"has_none": True} if self.has_none else {})

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> "ColumnType":
        """The inverse of `to_json`. Raises ValueError, KeyError or TypeError."""
        return cls(
            str(found["dtype"]),
            tuple(found.get("categories", ())),
            bool(found.get("ordered", False)),
            bool(found.get("has_none", False)),
            tuple(map(str, found.get("known_texts", ()))),
            bool(found.get("has_spaces", False)),
        )


FrameTypes = Mapping[str, ColumnType]
"""The types of a frame's columns by name, in their order."""


def describe_types(code: FrameCode) -> str:
    """The names and types of a frame's columns as a text, without what they hold."""
    return repr([
        (name, str(each.dtype)) for name, each in zip(code.columns, code.codes, strict=True)
    ])  # fmt: skip


def describe_column(code: ColumnCode) -> ColumnType:
    """What a column holds that was coded so."""
    dtype = str(code.dtype)
    if dtype == "category":
        values = code.dtype.categories.tolist()
        categories, ordered = tuple(values), bool(code.dtype.ordered)
    else:
        values = [] if code.values is None else list(code.values)
        categories, ordered = (), False
    texts = {value for value in values if isinstance(value, str)}
    known = texts & MISSING_TEXTS
    # Where cells are missing too, files write these as they do an empty text.
    if len(texts) < len(values):
        known -= {""}
    return ColumnType(
        dtype,
        categories,
        ordered,
        has_none=dtype == "object" and any(value is None for value in values),
        known_texts=tuple(sorted(known)),
        has_spaces=any(text != text.strip() for text in texts),
    )


def describe_frame(code: FrameCode) -> dict[str, ColumnType]:
    """What the columns of a frame hold, by name."""
    return dict(zip(code.columns, map(describe_column, code.codes), strict=True))


def align_frame(called: str, frame: Any, types: FrameTypes) -> Any:
    """These columns of a frame, found by name, as the types have them.

    Values are never changed: a category that is not among those of the type stays one, after
    these; and whole numbers with missing cells are floats. Other columns are left out.

    Args:
        called: what users call the frame.

    Raises DataError where a column is missing, or its cells are not of the type.
    """
    import pandas as pd

    if missing := [name for name in types if name not in frame.columns]:
        raise DataError(
            f"{called} lacks the column{'s' if len(missing) > 1 else ''} {', '.join(missing)}; it "
            f"needs {', '.join(types)}"
        )
    columns = {}
    for name, wanted in types.items():
        column = frame[name]
        if column.ndim != 1:
            raise DataError(f"two columns of {called} are called {brief(name)}; rename or drop one")
        columns[name] = _align_column(
            f"column {brief(name)} of {called}", column.reset_index(drop=True), wanted
        )
    return pd.DataFrame(columns, index=pd.RangeIndex(len(frame)))


def _align_column(called: str, column: Any, wanted: ColumnType) -> Any:
    """The cells as the type has them, as a Series. called: the column, for messages."""
    if str(column.dtype) == wanted.dtype and wanted.dtype not in ("category", "object"):
        return column
    align = {"text": _to_text, "category": _to_categories, "time": _to_times}
    try:
        return align.get(wanted.kind, _to_numbers)(column, wanted)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(
            f"{called} is of the type {column.dtype}, and cannot be {wanted.dtype}, as it was in "
            f"training: {str(error).splitlines()[0] if str(error) else type(error).__name__}"
        ) from error


def _to_numbers(column: Any, wanted: ColumnType) -> Any:
    import pandas as pd

    if str(column.dtype) == "category":
        column = column.astype(column.cat.categories.dtype)
    if _is_text(column) or kind_of_type(str(column.dtype)) == "time":
        raise ValueError("these are no numbers")
    dtype = pd.api.types.pandas_dtype(wanted.dtype)
    if not isinstance(dtype, np.dtype):
        return column.astype(dtype)  # which refuses to change values
    floats = column.to_numpy(np.float64, na_value=np.nan)
    if dtype.kind == "f":
        return pd.Series(floats.astype(dtype))
    if dtype.kind == "b" and not np.isin(floats, (0, 1)).all():
        raise ValueError("cells must be True or False, and none missing")
    if not (floats == np.floor(floats)).all():
        return pd.Series(floats)  # with NaN, which an imputer may fill
    found = column.astype(dtype)
    if not (found.to_numpy(np.float64) == floats).all():
        raise ValueError("a cell is too large")
    return found


def _is_text(column: Any) -> bool:
    import pandas as pd

    return pd.api.types.infer_dtype(column, skipna=True) == "string"


def _to_text(column: Any, wanted: ColumnType) -> Any:
    import pandas as pd

    cells = column.astype(object)
    if not _is_text(cells) and cells.notna().any():
        raise ValueError("these are no texts")
    if wanted.dtype != "str":
        return cells.astype(wanted.dtype)
    # pandas 2 knows no such type, and keeps text as objects.
    return pd.Series(cells.where(cells.notna(), np.nan), dtype=pd.Series(["text"]).dtype)


def _to_times(column: Any, wanted: ColumnType) -> Any:
    if kind_of_type(str(column.dtype)) != "time":
        raise ValueError("these are no times; use pd.to_datetime or pd.to_timedelta")
    return column.astype(wanted.dtype)


def _to_categories(column: Any, wanted: ColumnType) -> Any:
    """By value: what is not among the categories comes after them."""
    import pandas as pd

    cells, known = column.astype(object), set(wanted.categories)
    new = [value for value in pd.unique(cells.dropna()) if value not in known]
    are_texts = all(isinstance(value, str) for value in wanted.categories)
    if odd := [value for value in new if known and isinstance(value, str) != are_texts]:
        raise ValueError(f"{brief(odd[0])} is none of its categories, {brief(wanted.categories)}")
    if wanted.ordered and new:
        raise ValueError(
            f"{brief(new[0])} has no place in the order of its categories, "
            f"{brief(wanted.categories)}"
        )
    return cells.astype(pd.CategoricalDtype([*wanted.categories, *new], wanted.ordered))
