"""The shape that transformers of windows take."""

from typing import Any

import numpy as np

from hpsearch.core.array_types import Array
from hpsearch.core.errors import DataError


def check_windows(name: str, x: Any) -> Array:
    """Windows of numbers as an array of shape (rows, instants, channels).

    Args:
        name: the transformer, for messages.

    Raises DataError for any other shape.
    """
    windows = np.asarray(x)
    if windows.ndim != 3 or windows.dtype.kind not in "biuf":
        raise DataError(
            f"{name} takes windows of numbers, of shape (rows, instants, channels) as Windows gives "
            f"them, got {windows.dtype} of shape {windows.shape}"
        )
    return windows
