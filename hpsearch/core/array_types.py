"""What arrays are called in annotations, and which kinds of rows there are."""

import sys
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
Indices = np.ndarray[Any, np.dtype[np.int64]]
"""Row numbers, shape (n,)."""


def to_native_order(array: Array) -> Array:
    """Numbers in the processor's order of bytes: frameworks take no other."""
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def is_sparse(value: Any) -> bool:
    """Whether a value is a sparse matrix or array of SciPy's."""
    scipy = sys.modules.get("scipy.sparse")  # whoever has such a value has imported it
    return scipy is not None and bool(scipy.issparse(value))


def to_dense(rows: Any) -> Array:
    """Rows as an array, where they may be sparse."""
    return np.asarray(rows.toarray() if is_sparse(rows) else rows)


def are_texts(array: Any) -> bool:
    """Whether an array holds a text in each place."""
    return array.dtype.kind == "O" and all(isinstance(each, str) for each in array.flat)
