"""Data in one line, as a notebook shows it: what there is, not the values."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hpsearch.core.arrays import count_rows

if TYPE_CHECKING:
    from hpsearch.core.data import Data


def summarize_data(data: "Data") -> str:
    """The number of rows of each part, the shape and type of a row, and what else rows have.

    >>> from hpsearch import Data
    >>> Data([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], [0, 1, 0], [[7.0, 8.0]], [1])
    Data(3 rows and 1 of the test, x: (2,) float64, y: () int64)
    """
    if data.given_streams is not None:
        parts = ["streams"]
    else:
        test = "" if data.y_test is None else f" and {count_rows(data.y_test)} of the test"
        validation = f", the last {data.validation_rows} to validate on"
        parts = [f"{count_rows(data.y)} rows{test}{validation if data.validation_rows else ''}"]
    parts += [f"x: {_describe_rows(data.x)}", f"y: {_describe_rows(data.y)}"]
    more = ("groups", "times", "target_times", "sample_weight")
    parts += [name for name in more if getattr(data, name) is not None]
    return f"Data({', '.join(parts)})"


def _describe_rows(part: Any) -> str:
    """The shape and type of a row; of several inputs or outputs, each by its name."""
    if isinstance(part, Mapping):
        return f"{{{', '.join(f'{name}: {_describe_rows(each)}' for name, each in part.items())}}}"
    return f"{tuple(part.shape[1:])} {part.dtype}"
