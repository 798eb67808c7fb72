"""The rows of some splits, once on the device, in the type in which they came."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from hpsearch.core.data import Data, inputs_by_name
from hpsearch.core.task import Task
from hpsearch.training.base import Indices, Split
from hpsearch.training.rows import Rows, prepare


@dataclass(frozen=True, eq=False)
class Table:
    """x and y on the device.

    x: array of shape (rows, ...), or a dict of such. A row that splits share lies there once,
    unless they preprocess it each in its own way; starts tells then where a split's rows begin.
    """

    x: Any
    y: Any
    starts: dict[Split, int] | None = None

    def train(self, split: Split) -> Indices:
        """The row numbers of a split's training rows."""
        if self.starts is None:
            return split.train
        return self.starts[split] + np.arange(len(split.train))

    def validation(self, split: Split) -> Indices:
        if self.starts is None:
            return split.validation
        return self.starts[split] + len(split.train) + np.arange(len(split.validation))

    @property
    def shape(self) -> tuple[Any, ...]:
        """What a program compiled for it depends on."""
        return tuple(
            (name, array.shape, str(array.dtype))
            for name, array in [*inputs_by_name(self.x).items(), ("y", self.y)]
        )


def make(task: Task, data: Data, splits: Sequence[Split], sharding: Any) -> Table:
    """Raises DataError as `prepare` does."""
    if task.preprocess is None:
        whole = np.arange(data.rows)
        rows = prepare(task, data, Split(whole, whole))
        return Table(*jax.device_put((rows.x, rows.y), sharding))
    prepared = [prepare(task, data, split) for split in splits]
    sizes = [len(rows.y) + len(rows.y_validation) for rows in prepared]
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    x: Any = {
        name: np.concatenate([part for rows in prepared for part in _both(rows, name)])
        for name in inputs_by_name(prepared[0].x)
    }
    y = np.concatenate([part for rows in prepared for part in (rows.y, rows.y_validation)])
    x = x if isinstance(prepared[0].x, dict) else x["x"]
    x, y = jax.device_put((x, y), sharding)
    return Table(x, y, dict(zip(splits, starts, strict=True)))


def _both(rows: Rows, name: str) -> tuple[Any, Any]:
    return inputs_by_name(rows.x)[name], inputs_by_name(rows.x_validation)[name]
