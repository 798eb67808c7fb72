"""Read the cells of a CSV file as the columns of the frame that a model was trained on."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hpsearch.core.coding import Coding
from hpsearch.core.errors import HpsearchError, first_line
from hpsearch.core.frames.types import ColumnType, FrameTypes
from hpsearch.core.rules import brief
from hpsearch.tasks.cells import (
    name_whole_numbers,
    read_date_column,
    read_number_column,
    set_missing,
)
from hpsearch.tasks.csv_tables import WrittenText

if TYPE_CHECKING:
    import pandas as pd

_TRUTHS = {"true": True, "1": True, "false": False, "0": False}


def name_texts(types: FrameTypes, coding: Coding | None) -> dict[str, WrittenText]:
    """The columns of text of which a file's cells are read otherwise than usual: as in training.

    Those of a table that `table_data` read were read as usual then.
    """
    if coding is not None and coding.target:
        return {}
    return {
        name: WrittenText(held.known_texts, held.has_spaces)
        for name, held in types.items()
        if held.known_texts or held.has_spaces
    }


def parse_table(
    cells: "pd.DataFrame", path: Path, types: FrameTypes, coding: Coding | None = None
) -> "pd.DataFrame":
    """Cells of text as a frame of the model's columns, found by name; missing cells stay missing.

    Args:
        cells: as `table_files.read_cells` reads them with `name_texts`.
        path: the file, for messages.
        types: of the columns.
        coding: how cells of the training's table were read, where it was one of `table_data`.

    Raises HpsearchError where a column is missing, or a cell is not of the column's type.
    """
    import pandas as pd

    if missing := [name for name in types if name not in cells.columns]:
        what = f"column{'s' if len(missing) > 1 else ''} {', '.join(missing)}"
        raise HpsearchError(
            f"{path} lacks the {what}; it has {', '.join(map(str, cells.columns))}, and the model "
            f"wants {', '.join(types)}"
        )
    found = {}
    for name, held in types.items():
        called, column = f"{path}, column {brief(name)}", cells[name]
        if coding is None or not coding.target:
            found[name] = _parse_column(column, called, held)
        else:
            found[name] = _parse_as_read(
                set_missing(column, coding.list_missing(name)), called, held, coding
            )
    return pd.DataFrame(found)


def _parse_as_read(cells: Any, called: str, held: ColumnType, coding: Coding) -> Any:
    """The cells of one column as `table_data` read those of the training."""
    if held.kind == "number":
        return read_number_column(cells, called)
    if held.kind == "time" and cells.name in coding.dates:
        return read_date_column(cells, coding.dates[cells.name], called)
    if coding.whole_names and held.kind == "text" and cells.name not in coding.texts:
        cells = name_whole_numbers(cells)
    return _parse_column(cells, called, held)


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
