"""Read the cells of a CSV file as the columns of the frame that a model was trained on."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hpsearch.core.errors import HpsearchError, first_line
from hpsearch.core.frames.types import ColumnType, FrameTypes
from hpsearch.core.rules import brief

if TYPE_CHECKING:
    import pandas as pd

_TRUTHS = {"true": True, "1": True, "false": False, "0": False}


def parse_table(cells: "pd.DataFrame", path: Path, types: FrameTypes) -> "pd.DataFrame":
    """Cells of text as a frame of the model's columns, found by name; missing cells stay missing.

    Args:
        cells: as `csv_tables.read_table` reads them.
        path: the file, for messages.
        types: of the columns.

    Raises HpsearchError where a column is missing, or a cell is not of the column's type.
    """
    import pandas as pd

    if missing := [name for name in types if name not in cells.columns]:
        what = f"column{'s' if len(missing) > 1 else ''} {', '.join(missing)}"
        raise HpsearchError(
            f"{path} lacks the {what}; it has {', '.join(map(str, cells.columns))}, and the model "
            f"wants {', '.join(types)}"
        )
    return pd.DataFrame(
        {
            name: _parse_column(cells[name], f"{path}, column {brief(name)}", held)
            for name, held in types.items()
        }
    )


def _parse_column(cells: Any, called: str, held: ColumnType) -> Any:
    """The cells of one column in the type of Python or pandas that they stand for."""
    import pandas as pd

    cells = cells.astype(object)
    if held.kind == "text":
        return cells.where(cells.notna(), None if held.has_none else np.nan)
    if held.kind == "number":
        return _parse_cells(
            cells, called, held, lambda texts: pd.to_numeric(texts, errors="coerce")
        )
    if held.kind == "bool":
        truths = _parse_cells(cells, called, held, lambda texts: texts.str.lower().map(_TRUTHS))
        return truths.astype("boolean")
    if held.kind == "time":
        return _parse_times(cells, called, held)
    if any(isinstance(each, str) for each in held.categories):
        return cells
    known = {str(each): each for each in held.categories}
    if all(isinstance(each, bool) for each in held.categories):
        return _parse_cells(cells, called, held, lambda texts: texts.map(known))
    return _parse_cells(cells, called, held, lambda texts: pd.to_numeric(texts, errors="coerce"))


def _parse_times(cells: Any, called: str, held: ColumnType) -> Any:
    import pandas as pd

    if held.dtype.startswith("timedelta"):
        return _parse_cells(
            cells, called, held, lambda texts: pd.to_timedelta(texts, errors="coerce")
        )
    has_zone = "," in held.dtype
    try:
        found = _parse_cells(
            cells,
            called,
            held,
            lambda texts: pd.to_datetime(texts, errors="coerce", format="ISO8601", utc=has_zone),
        )
        return found.astype(held.dtype)
    except (TypeError, ValueError) as error:  # a zone that the model's times have not
        raise HpsearchError(f"{called}: {first_line(error)}") from error


def _parse_cells(cells: Any, called: str, held: ColumnType, parse: Callable[[Any], Any]) -> Any:
    """Cells parsed. Raises HpsearchError with the first that `parse` leaves missing."""
    import pandas as pd

    if not cells.notna().any():
        return pd.Series(np.full(len(cells), np.nan))
    found = parse(cells)
    wrong = np.flatnonzero(found.isna() & cells.notna())
    if len(wrong):
        row = int(wrong[0])
        raise HpsearchError(
            f"{called} has {brief(cells.iloc[row])} in row {row + 1}, which cannot be "
            f"{held.dtype}, as the column was in training"
        )
    return found
