"""Rows that other libraries hold, as sources. None of these libraries is imported here."""

from typing import Any

import numpy as np

from hpsearch.core.sources import ArraySource, Source

_LARGE = 2**25  # bytes; a smaller memory map is read into memory as any array


def as_source(value: Any) -> Source | None:
    """The rows of a value as a source; None where it is an array, or becomes one in memory."""
    if isinstance(value, Source):
        return value
    if isinstance(value, np.memmap) and value.nbytes >= _LARGE:
        return ArraySource(value)
    return None
