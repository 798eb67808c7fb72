"""Rows of texts in memory."""

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from hpsearch.core.array_types import Array
from hpsearch.core.errors import DataError
from hpsearch.core.reading.source import ArraySource
from hpsearch.core.rules import brief


class TextRows(ArraySource):
    """Texts in memory, one a row. `Task(preprocess=)` turns them into numbers.

    Args:
        texts: of shape (rows,), dtype object, each a str.
    """

    @property
    def arrays(self) -> Sequence[Array]:
        """The bytes of all texts, and how many each has: by these a change is noticed."""
        encoded = [text.encode("utf-8", "surrogatepass") for text in self.array]
        sizes = np.array([len(each) for each in encoded], np.int64)
        return sizes, np.frombuffer(b"".join(encoded), np.uint8)


def as_texts(value: Any, name: str) -> TextRows | None:
    """Rows of texts where the value holds any: a list, a tuple, an array or a pandas Series of str.

    Args:
        value: what the user gives.
        name: what messages call it.

    Raises DataError where some rows are texts and others are not.
    """
    array = _as_objects(value)
    if array is None or not any(isinstance(each, str) for each in array):
        return None
    for row, each in enumerate(array):
        if not isinstance(each, str):
            raise DataError(
                f"{name} holds texts, and {_describe(each)} in row {row}; give each row a text, '' "
                "where there is none"
            )
    # Subclasses of str, as NumPy's, would make equal texts differ in type.
    return TextRows(np.array([str(each) for each in array], object))


def _as_objects(value: Any) -> Array | None:
    """The values of something flat as Python objects; None where it cannot be texts."""
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(value, pandas.Series):
        value = value.to_numpy(dtype=object)
    if isinstance(value, np.ndarray):
        is_flat = value.ndim == 1 and value.dtype.kind in "OUT"
        if not is_flat:
            return None
        found = np.asarray(value).astype(object)
        found[np.ma.getmaskarray(value)] = None  # there is none
        return found
    if not isinstance(value, list | tuple) or not any(isinstance(each, str) for each in value):
        return None
    flat = np.empty(len(value), object)
    for row, each in enumerate(value):
        flat[row] = each
    return flat


def _describe(value: Any) -> str:
    is_none = value is None or type(value).__name__ in ("NAType", "NaTType")
    return "none" if is_none or value != value else f"{brief(value)} of type {type(value).__name__}"
