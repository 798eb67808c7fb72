"""Data in one line, as a notebook shows it: what there is, not the values."""

from collections.abc import Mapping
from typing import Any

from hpsearch.core.arrays import Inputs, Targets, count_rows


def summarize_rows(y: Targets, y_test: Targets | None, validation_rows: int) -> str:
    """How many rows there are.

    >>> import numpy as np
    >>> summarize_rows(np.zeros(9), np.zeros(2), 3)
    '9 rows and 2 of the test, the last 3 to validate on'
    """
    test = "" if y_test is None else f" and {count_rows(y_test)} of the test"
    validation = f", the last {validation_rows} to validate on" if validation_rows else ""
    return f"{count_rows(y)} rows{test}{validation}"


def summarize_data(rows: str, x: Inputs, y: Targets, more: list[str]) -> str:
    """The rows, the shape and type of one, and what else each has.

    Args:
        rows: how many there are, as `summarize_rows` says it.
        x, y: those to search on.
        more: names of what else rows have.

    >>> from hpsearch import Data
    >>> Data([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], [0, 1, 0], [[7.0, 8.0]], [1])
    Data(3 rows and 1 of the test, x: (2,) float64, y: () int64)
    """
    parts = [rows, f"x: {_describe_rows(x)}", f"y: {_describe_rows(y)}", *more]
    return f"Data({', '.join(parts)})"


def _describe_rows(part: Any) -> str:
    """The shape and type of a row; of several inputs or outputs, each by its name."""
    if isinstance(part, Mapping):
        return f"{{{', '.join(f'{name}: {_describe_rows(each)}' for name, each in part.items())}}}"
    return f"{tuple(part.shape[1:])} {part.dtype}"
