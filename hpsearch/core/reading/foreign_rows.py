"""Rows that other libraries hold, as sources. No such library is imported before its user has."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from hpsearch.core.array_types import is_sparse
from hpsearch.core.errors import DataError
from hpsearch.core.reading.array_files import Hdf5Rows, MappedRows, ZarrRows
from hpsearch.core.reading.arrow_rows import ArrowRows
from hpsearch.core.reading.item_rows import ItemRows
from hpsearch.core.reading.source import Source
from hpsearch.core.reading.sparse_rows import SparseRows
from hpsearch.core.reading.text_rows import as_texts

LARGE = 2**25
"""Bytes of an array from which it is worth not to copy it: a smaller one of a file is read."""


def as_source(value: Any, name: str = "x") -> Source | None:
    """The rows of a value as a source; None where it is an array, or becomes one in memory.

    Args:
        value: what the user gives.
        name: what messages call it.

    Raises DataError for streams, which have no row numbers.
    """
    if isinstance(value, Source):
        return value
    if value is None or isinstance(value, Mapping):
        return None
    if (texts := as_texts(value, name)) is not None:
        return texts
    for module, type_name, adapter in _ARRAYS_OF_FILES:
        if _is_instance(value, module, type_name):
            if module == "numpy" and getattr(value, "_mmap", None) is None:
                return None  # made of a map, as by astype(): it maps no file
            source = adapter(value)
            return source if value.ndim and value.nbytes >= LARGE else None
    if any(_is_instance(value, "pyarrow", type_name) for type_name in _ARROW):
        return ArrowRows(value, name)
    if is_sparse(value):
        return SparseRows(value, name)
    if _is_array_or_sequence(value):
        return None
    if _is_instance(value, "keras.utils", "PyDataset") or not _has(value, "__getitem__"):
        _refuse_stream(name, value)
        return None
    return ItemRows(value, locked=not _is_instance(value, "grain", "MapDataset"))


_ARRAYS_OF_FILES = (
    ("numpy", "memmap", MappedRows),
    ("h5py", "Dataset", Hdf5Rows),
    ("zarr", "Array", ZarrRows),
)
_ARROW = ("Table", "RecordBatch", "ChunkedArray", "Array")


def _is_instance(value: Any, module: str, name: str) -> bool:
    """Whether a value is of a class of a module; it is not where nobody has imported the module."""
    found = getattr(sys.modules.get(module), name, None)
    return isinstance(found, type) and isinstance(value, found)


def _has(value: Any, method: str) -> bool:
    return callable(getattr(type(value), method, None))


def _is_array_or_sequence(value: Any) -> bool:
    """Whether NumPy makes an array of it as of a list."""
    if isinstance(value, Sequence | set | frozenset | np.generic | np.ndarray):
        return True
    return any(_has(value, name) for name in ("__array__", "__dlpack__", "__buffer__"))


def _refuse_stream(name: str, value: Any) -> None:
    """Raise DataError for what gives batches one after the other."""
    if isinstance(value, Iterable) or _is_instance(value, "keras.utils", "PyDataset"):
        raise DataError(
            f"{name} is a stream of batches, {type(value).__name__}, and Data takes rows by number; "
            "give streams by Data.streams(train=..., validation=...)"
        )
