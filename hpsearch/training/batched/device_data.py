"""The rows of some splits on the device: once, and in the type in which they came."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np

from hpsearch.core.arrays import (
    Array,
    count_rows,
    inputs_by_name,
    is_lazy,
    read_rows,
    targets_by_name,
)
from hpsearch.core.data import Data
from hpsearch.core.memory import most_bytes_of_rows
from hpsearch.core.task import Task
from hpsearch.training.base import Indices, Split
from hpsearch.training.batched.hardware import device_bytes
from hpsearch.training.fitted_targets import OwnTargets
from hpsearch.training.frozen import FrozenPart
from hpsearch.training.rows import prepare_rows

_ALIGNMENT = 64  # bytes: XLA takes memory of others that begins at a multiple


@dataclass(frozen=True, eq=False)
class DeviceTable:
    """x and y, on the device. A row that splits share lies there once, unless it is preprocessed.

    Args:
        x: array of shape (rows, ...), or a dict of such.
        y: array of shape (rows, ...), or a dict of such.
        weights: of the rows in the training loss, shape (rows,), or (rows, steps) of sequences;
            None where all weigh 1.
        starts: where each split's rows begin, if each split has rows of its own because
            preprocessing is fitted on its training rows; else None.
        own_targets: of each split, where the task has `preprocess_y`; they stay on the host.
    """

    x: Any
    y: Any
    weights: Any = None
    starts: dict[Split, int] | None = None
    own_targets: dict[Split, OwnTargets] | None = None

    def train_rows(self, split: Split) -> Indices:
        """The row numbers of a split's training rows."""
        if self.starts is None:
            return split.train
        return self.starts[split] + np.arange(len(split.train))

    def validation_rows(self, split: Split) -> Indices:
        """The row numbers of a split's validation rows."""
        if self.starts is None:
            return split.validation
        return self.starts[split] + len(split.train) + np.arange(len(split.validation))

    @property
    def signature(self) -> tuple[Any, ...]:
        """Names, shapes and types of the arrays: all of a table that a program depends on."""
        targets = targets_by_name(self.y).items()
        arrays = [*inputs_by_name(self.x).items(), *((f"y {name}", y) for name, y in targets)]
        if self.weights is not None:
            arrays.append(("weights", self.weights))
        return tuple((name, array.shape, str(array.dtype)) for name, array in arrays)

    def put_on(self, sharding: Any) -> "DeviceTable":
        """The table with its arrays on these devices."""
        arrays = self.arrays
        if jax.default_backend() == "cpu":
            arrays = jax.tree.map(_align, arrays)
        x, y, weights = jax.device_put(arrays, sharding)
        return replace(self, x=x, y=y, weights=weights)

    @property
    def arrays(self) -> tuple[Any, Any, Any]:
        """x, y and weights: what a program gets."""
        return self.x, self.y, self.weights


def _align(array: Any) -> Array:
    """The array where all of the processor's devices take it as it lies in memory.

    Each would make a copy of its own of one that begins anywhere else: as many as there are cores.
    """
    rows: Array = np.asarray(array)
    dtype = jax.dtypes.canonicalize_dtype(rows.dtype)
    if isinstance(array, jax.Array) and not rows.ctypes.data % _ALIGNMENT:
        return rows  # of another program's table
    memory = np.empty(rows.size * dtype.itemsize + _ALIGNMENT, np.uint8)
    begin = -memory.ctypes.data % _ALIGNMENT
    aligned: Array = (
        memory[begin : begin + rows.size * dtype.itemsize].view(dtype).reshape(rows.shape)
    )
    aligned[...] = rows
    return aligned


def why_too_large(task: Task, data: Data, split: Split, frozen: FrozenPart | None) -> str | None:
    """Why the rows of a source are not put on the device; None where they are.

    Args:
        task: the task.
        data: its data.
        split: one of those that are trained side by side.
        frozen: as `TableCache.get_table` has it.
    """
    if not is_lazy(data.x):
        return None
    what, copies, rows = "x", 1, data.x
    if task.prepares_each_split:  # k folds are k copies
        # A refit has a single split: of all rows, with one of them to validate on.
        if len(split.train) < data.rows:
            copies = math.ceil(data.rows / max(1, len(split.validation)))
        rows = prepare_rows(task, data, split).x
    sizes = (math.prod(x.shape[1:]) * x.dtype.itemsize for x in inputs_by_name(rows).values())
    bytes_ = sum(sizes) * data.rows * copies
    if frozen is not None:
        what, bytes_ = "what the frozen layers give for x", frozen.row_bytes * data.rows * copies
    most = most_bytes_of_rows(device_bytes())
    if bytes_ <= most:
        return None
    return (
        f"{what} takes {_show_bytes(bytes_)}, and up to {_show_bytes(most)}, an eighth of the "
        "memory, are put on the device"
    )


def _show_bytes(bytes_: int) -> str:
    return f"{bytes_ / 2**30:.1f} GiB" if bytes_ >= 2**30 else f"{bytes_ / 2**20:.1f} MiB"


def make_table(task: Task, data: Data, splits: Sequence[Split]) -> DeviceTable:
    """The rows of these splits, not on the device yet; raises DataError as `prepare_rows` does.

    Without preprocessing, those of a source are not read yet.
    """
    # Without preprocessing, all rows once, whatever the splits.
    if not task.prepares_each_split:
        whole = np.arange(data.rows)
        rows = prepare_rows(task, data, Split(whole, whole))
        return DeviceTable(rows.x, rows.y, rows.weights)
    # With it, each split's rows, one split after the other.
    prepared = [prepare_rows(task, data, split) for split in splits]
    sizes = [count_rows(rows.y) + count_rows(rows.y_validation) for rows in prepared]
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    parts = [read_rows(part) for rows in prepared for part in (rows.x, rows.x_validation)]
    x: Any = {
        name: np.concatenate([inputs_by_name(part)[name] for part in parts])
        for name in inputs_by_name(prepared[0].x)
    }
    both = [part for rows in prepared for part in (rows.y, rows.y_validation)]
    y = jax.tree.map(lambda *parts: np.concatenate(parts), *both)
    x = x if isinstance(prepared[0].x, dict) else x["x"]
    weights = None
    if prepared[0].weights is not None:
        both = [part for rows in prepared for part in (rows.weights, rows.weights_validation)]
        weights = np.concatenate(both)
    own = {
        split: rows.own_targets
        for split, rows in zip(splits, prepared, strict=True)
        if rows.own_targets is not None
    }
    return DeviceTable(x, y, weights, dict(zip(splits, starts, strict=True)), own or None)
