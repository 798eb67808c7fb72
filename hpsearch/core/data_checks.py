"""Checks of what `Data` gets beside its arrays."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from hpsearch.core.array_types import Array
from hpsearch.core.coding import Coding
from hpsearch.core.errors import DataError
from hpsearch.core.frames.rows import FrameCode
from hpsearch.core.reading.lazy_rows import LazyRows
from hpsearch.core.rules import brief, can_be_written


def check_codes(coding: Any, **frames: Any) -> None:
    """Raise DataError where a coding, or what is noted of frames, is something else."""
    if not isinstance(coding, Coding | None):
        raise DataError(f"coding must be a Coding, got {brief(coding)}")
    for name, codes in frames.items():
        if not isinstance(codes, Mapping) or not all(
            isinstance(code, FrameCode) for code in codes.values()
        ):
            raise DataError(
                f"{name} is what Data itself notes of frames; leave it out, got {brief(codes)}"
            )


def check_column_names(columns: Any) -> tuple[str, ...]:
    """The names of columns. Raises DataError where they are no list of texts that differ."""
    no_list = isinstance(columns, np.ndarray) and columns.ndim != 1
    if no_list or isinstance(columns, str) or not isinstance(columns, Iterable):
        raise DataError(f"columns needs a list of names, got {brief(columns)}")
    names = tuple(columns)
    strange = [name for name in names if not isinstance(name, str)]
    if strange or len(set(names)) < len(names):
        wrong = strange[0] if strange else names
        raise DataError(f"columns needs texts that differ, got {brief(wrong)}")
    for name in names:
        if not can_be_written(name):
            raise DataError(f"columns needs texts without surrogates, got {brief(name)}")
    return names


def check_columns(columns: tuple[str, ...], x: Any) -> None:
    """Raise DataError where there are names, and not one for each column of x."""
    shape = x.shape if isinstance(x, np.ndarray | LazyRows) else ()
    if columns and (len(columns),) != shape[1:]:
        raise DataError(
            f"columns needs a name for each column of x, got {len(columns)} names and x "
            f"of shape {shape}"
        )


def check_validation_rows(given: Any, rows: int, *, groups: Any, times: Any) -> None:
    """Raise DataError where so many of the last rows cannot be those to validate on.

    Args:
        given: how many.
        rows: all that are searched on.
        groups, times: of the rows; None where they have none.
    """
    if isinstance(given, bool) or not isinstance(given, int) or not 0 <= given < rows:
        raise DataError(
            f"validation_rows is how many of the last rows validate, from 0 to below the "
            f"{rows} rows, got {brief(given)}"
        )
    for name, value, instead in (
        ("groups", groups, "KFold(groups=True)"),
        ("times", times, "Forward()"),
    ):
        if given and value is not None:
            raise DataError(
                f"{name} have no effect where the data says which rows validate; drop {name}, "
                f"or put all rows into x and y, and take {instead}"
            )


def check_row_numbers(numbers: Any, rows: int) -> Array:
    """The numbers of some of the rows, shape (n,). Raises DataError for anything else."""
    try:
        at = np.asarray(numbers)
    except (TypeError, ValueError):  # ragged
        at = np.zeros(())
    if at.ndim != 1 or at.dtype.kind not in "iu" or ((at < 0) | (at >= rows)).any():
        raise DataError(
            f"take needs a list of row numbers from 0 to {rows - 1}, got {brief(numbers)}"
        )
    return at
