"""Rows of datasets that give an item at a time, as those of PyTorch and Grain."""

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import partial
from typing import Any

import numpy as np

from hpsearch.core.array_types import Array, Indices
from hpsearch.core.errors import DataError
from hpsearch.core.rules import MOST_COUNTED, brief
from hpsearch.core.sources import Source

_THREADS = 4
_ITEMS = 256  # that a thread reads at a time for their targets


class ItemRows(Source):
    """Rows of whatever has `__len__` and `__getitem__` of a number.

    An item is an array, a dict of arrays by input, or a pair of either with the item's target.

    Args:
        items: the dataset.
        locked: whether one thread at a time reads. PyTorch's datasets are read by processes of
            their own, so that many of them, as those with an open file, are not safe in threads.
    """

    def __init__(self, items: Any, *, locked: bool = True) -> None:
        self.items, self.locked = items, locked
        self._lock: Any = threading.Lock() if locked else nullcontext()

    def __reduce__(self) -> Any:
        return partial(ItemRows, locked=self.locked), (self.items,)

    def __len__(self) -> int:
        rows = len(self.items)
        if rows > MOST_COUNTED:
            raise DataError(f"{rows} items are no finite dataset; leave out its repeat()")
        return rows

    def rows(self, indices: Indices) -> Any:
        return _stack([_split(item)[0] for item in self._read(indices)], indices)

    @property
    def targets(self) -> Any:
        """The second of each pair, read item by item; None where items are no pairs."""
        if not len(self) or not _is_pair(self._read(np.zeros(1, np.int64))[0]):
            return None
        starts = range(0, len(self), _ITEMS)
        with ThreadPoolExecutor(_THREADS, "read-targets") as pool:
            parts = [part for parts in pool.map(self._read_targets, starts) for part in parts]
        return _stack(parts, np.arange(len(self)))

    def _read_targets(self, start: int) -> list[Any]:
        indices = np.arange(start, min(start + _ITEMS, len(self)))
        return [_split(item)[1] for item in self._read(indices)]

    def _read(self, indices: Indices) -> list[Any]:
        numbers = [int(number) for number in indices]
        several = getattr(self.items, "__getitems__", None)  # as PyTorch's loaders ask for
        with self._lock:
            if several is not None:
                return list(several(numbers))
            return [self.items[number] for number in numbers]


def _is_pair(item: Any) -> bool:
    return isinstance(item, tuple) and len(item) == 2


def _split(item: Any) -> tuple[Any, Any]:
    """The inputs of an item, and its target or None."""
    if isinstance(item, tuple) and len(item) not in (1, 2):
        raise DataError(
            f"an item must be an array, a dict of arrays, or a pair (x, y), got a tuple of "
            f"{len(item)}; give weights by Data(sample_weight=)"
        )
    if not isinstance(item, tuple):
        return item, None
    return item if len(item) == 2 else (item[0], None)


def _stack(parts: Sequence[Any], indices: Indices) -> Any:
    """Arrays of items as one array, or dicts of such as one dict."""
    if parts and isinstance(parts[0], Mapping):
        for number, part in zip(indices, parts, strict=True):
            if not isinstance(part, Mapping) or part.keys() != parts[0].keys():
                raise DataError(
                    f"item {number} is {brief(part)}, and item {indices[0]} is a dict with the "
                    f"keys {', '.join(map(str, parts[0]))}"
                )
        return {key: _stack([part[key] for part in parts], indices) for key in parts[0]}
    return _stack_arrays(parts, indices)


def _stack_arrays(parts: Sequence[Any], indices: Indices) -> Array:
    if all(isinstance(part, str) for part in parts):
        return np.array(parts, object)
    if any(part is None for part in parts):
        place = next(place for place, part in enumerate(parts) if part is None)
        raise DataError(
            f"item {indices[place]} is None; a dataset needs an item for each number, so filter "
            "its rows before"
        )
    arrays = [np.asarray(part) for part in parts]
    for number, array in zip(indices, arrays, strict=True):
        if (array.dtype, array.shape) != (arrays[0].dtype, arrays[0].shape):
            raise DataError(
                f"item {number} is {array.dtype} of shape {array.shape}, and item {indices[0]} is "
                f"{arrays[0].dtype} of shape {arrays[0].shape}; every item needs the same"
            )
    return np.stack(arrays)
