"""The rows of some splits on the device: once, and in the type in which they came."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np

from hpsearch.core.arrays import count_rows, inputs_by_name, read_rows, targets_by_name
from hpsearch.core.data import Data
from hpsearch.core.task import Task
from hpsearch.training.base import Indices, Split
from hpsearch.training.rows import SplitRows, prepare_rows


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
    """

    x: Any
    y: Any
    weights: Any = None
    starts: dict[Split, int] | None = None

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
        x, y, weights = jax.device_put(self.arrays, sharding)
        return replace(self, x=x, y=y, weights=weights)

    @property
    def arrays(self) -> tuple[Any, Any, Any]:
        """x, y and weights: what a program gets."""
        return self.x, self.y, self.weights


def make_table(task: Task, data: Data, splits: Sequence[Split]) -> DeviceTable:
    """The rows of these splits, not on the device yet; raises DataError as `prepare_rows` does."""
    # Without preprocessing, all rows once, whatever the splits.
    if task.preprocess is None:
        whole = np.arange(data.rows)
        rows = prepare_rows(task, data, Split(whole, whole))
        return DeviceTable(read_rows(rows.x), rows.y, rows.weights)
    # With it, each split's rows, one split after the other.
    prepared = [prepare_rows(task, data, split) for split in splits]
    sizes = [count_rows(rows.y) + count_rows(rows.y_validation) for rows in prepared]
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    x: Any = {
        name: np.concatenate([part for rows in prepared for part in _both_parts(rows, name)])
        for name in inputs_by_name(prepared[0].x)
    }
    both = [part for rows in prepared for part in (rows.y, rows.y_validation)]
    y = jax.tree.map(lambda *parts: np.concatenate(parts), *both)
    x = x if isinstance(prepared[0].x, dict) else x["x"]
    weights = None
    if prepared[0].weights is not None:
        both = [part for rows in prepared for part in (rows.weights, rows.weights_validation)]
        weights = np.concatenate(both)
    return DeviceTable(x, y, weights, dict(zip(splits, starts, strict=True)))


def _both_parts(rows: SplitRows, name: str) -> tuple[Any, Any]:
    return inputs_by_name(rows.x)[name], inputs_by_name(rows.x_validation)[name]
