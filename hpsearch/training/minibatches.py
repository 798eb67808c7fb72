"""The minibatches of a fit, and the rows to validate on or to predict, as Keras takes them.

What a source gives is read by threads, some minibatches ahead of the one that is trained on.
"""

import functools
import math
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import keras
import numpy as np

from hpsearch.core.arrays import count_rows, is_lazy, take_rows
from hpsearch.training.base import Fit, batch_size
from hpsearch.training.building import output_shapes
from hpsearch.training.rows import SplitRows, draw_row_order, spread_weights
from hpsearch.training.streams import HeldOutRows

_THREADS = 4
_AHEAD = 8  # minibatches that are read before they are asked for


class ReadAhead:
    """Calls `read` for the next numbers in threads while the result of one is used.

    Args:
        read: a number of a minibatch -> the minibatch.
    """

    def __init__(self, read: Callable[[int], Any]) -> None:
        self._read = read
        self._pending: dict[int, Future[Any]] = {}

    def get(self, number: int, end: int) -> Any:
        """The result for a number; those up to `end` are asked for one after the other."""
        for ahead in range(number, min(number + 1 + _AHEAD, end)):
            if ahead not in self._pending:
                self._pending[ahead] = _readers().submit(self._read, ahead)
        return self._pending.pop(number).result()

    def forget(self) -> None:
        """Forget what was read ahead: it will not be asked for."""
        for future in self._pending.values():
            future.cancel()
        self._pending.clear()


@functools.cache
def _readers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_THREADS, "read-ahead")


class RowBatches(keras.utils.PyDataset):  # type: ignore[misc]
    """Rows in their order, some at a time.

    Args:
        x: the inputs.
        y: the targets; None: rows to predict.
        size: rows at a time.
    """

    def __init__(self, x: Any, y: Any, size: int) -> None:
        super().__init__()
        self.x, self.y, self.size, self.rows = x, y, size, count_rows(x)
        self._ahead = ReadAhead(self._read) if is_lazy(x) else None

    def __len__(self) -> int:
        return math.ceil(self.rows / self.size)

    def __getitem__(self, number: int) -> Any:
        return self._read(number) if self._ahead is None else self._ahead.get(number, len(self))

    def on_epoch_end(self) -> None:
        if self._ahead is not None:
            self._ahead.forget()

    def _read(self, number: int) -> Any:
        return self._take(slice(number * self.size, (number + 1) * self.size))

    def _take(self, rows: Any) -> Any:
        x = take_rows(self.x, rows)
        return (x,) if self.y is None else (x, take_rows(self.y, rows))


class Minibatches(RowBatches):
    """The minibatches of a fit, in the row order of the epoch.

    Args:
        rows: the rows of its split.
        fit: the fit.
        model: the model that they are for.
    """

    def __init__(self, rows: SplitRows, fit: Fit, model: Any) -> None:
        super().__init__(rows.x, rows.y, batch_size(fit.params))
        self.weights, self.fit = rows.weights, fit
        self.order = np.arange(self.rows)
        self.shapes = output_shapes(model)

    def shuffle(self, epoch: int) -> None:
        """Draw the row order of this epoch."""
        self.order = draw_row_order(self.fit, epoch)
        self.on_epoch_end()

    def _read(self, number: int) -> Any:
        rows = self.order[number * self.size : (number + 1) * self.size]
        if self.weights is None:
            return self._take(rows)
        return *self._take(rows), spread_weights(self.weights[rows], self.shapes)


def predict_rows(model: Any, x: Any, size: int) -> Any:
    """What `model.predict` gives for these rows, `size` of them at a time."""
    if isinstance(x, HeldOutRows):
        return x.predict(model)
    if is_lazy(x):
        return model.predict(RowBatches(x, None, size), verbose=0)
    return model.predict(x, batch_size=size, verbose=0)
