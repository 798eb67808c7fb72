"""The minibatches of a fit, and the rows to validate on or to predict, as Keras takes them.

What a source gives is read by threads, some minibatches ahead of the one that is trained on.
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from hpsearch.core.arrays import count_rows, inputs_by_name, is_lazy, take_rows
from hpsearch.core.reading.lazy_rows import LazyRows
from hpsearch.training.base import Fit
from hpsearch.training.building import output_shapes
from hpsearch.training.point_parameters import batch_size
from hpsearch.training.read_ahead import ReadAhead
from hpsearch.training.rows import SplitRows, draw_row_order, spread_weights
from hpsearch.training.streams import HeldOutRows


class RowBatches(keras.utils.PyDataset):  # type: ignore[misc]
    """Rows in their order, some at a time. Use it inside `reading`.

    Args:
        x: the inputs.
        y: the targets; None: rows to predict.
        size: rows at a time.

    Attributes:
        error: what reading raised first. Keras raises it too, but wrapped on TensorFlow.
    """

    def __init__(self, x: Any, y: Any, size: int) -> None:
        super().__init__()
        self.x, self.y, self.size, self.rows = x, y, size, count_rows(x)
        self.error: Exception | None = None
        lazy = [each for each in inputs_by_name(x).values() if isinstance(each, LazyRows)]
        self._ahead: ReadAhead | None = None
        if not all(each.is_in_memory for each in lazy):
            bytes_ = size * sum(each.bytes_to_read for each in lazy)
            self._ahead = ReadAhead(self._read, len(self), bytes_)

    def __len__(self) -> int:
        return math.ceil(self.rows / self.size)

    def __getitem__(self, number: int) -> Any:
        try:
            if self._ahead is not None:
                return self._ahead.get(number)
            return self._read(number, number + 1)[0]
        except Exception as error:
            self.error = self.error or error
            raise

    def forget(self) -> None:
        """Forget what was read ahead."""
        if self._ahead is not None:
            self._ahead.forget()

    def close(self) -> None:
        """Wait until nothing is read any more."""
        if self._ahead is not None:
            self._ahead.close()

    def _read(self, start: int, stop: int) -> list[Any]:
        """The minibatches with these numbers."""
        return self._take(slice(start * self.size, min(stop * self.size, self.rows)))

    def _take(self, rows: Any) -> list[Any]:
        """These rows, in minibatches."""
        arrays = (self.x,) if self.y is None else (self.x, self.y)
        parts = [_as_tensors(take_rows(each, rows)) for each in arrays]
        starts = range(0, count_rows(parts[0]), self.size)
        return [
            tuple(take_rows(part, slice(start, start + self.size)) for part in parts)
            for start in starts
        ]


def _as_tensors(rows: Any) -> Any:
    """Rows as Keras takes them: texts as tensors of TensorFlow's, whose models look them up."""
    if isinstance(rows, Mapping):
        return {name: _as_tensors(each) for name, each in rows.items()}
    if not isinstance(rows, np.ndarray) or rows.dtype.kind != "O":
        return rows
    import tensorflow

    return tensorflow.constant(rows.tolist(), tensorflow.string)


class Minibatches(RowBatches):
    """The minibatches of a fit, in the row order of the epoch.

    Args:
        rows: the rows of its split.
        fit: the fit.
        model: the model that they are for.
        epoch: the one that is trained first, counted from 0.
    """

    def __init__(self, rows: SplitRows, fit: Fit, model: Any, epoch: int = 0) -> None:
        super().__init__(rows.x, rows.y, batch_size(fit.params))
        self.weights, self.fit = rows.weights, fit
        self.epoch, self.order = epoch, draw_row_order(fit, epoch)
        self.shapes = output_shapes(model)

    def shuffle(self, epoch: int) -> None:
        """Draw the row order of this epoch."""
        if epoch != self.epoch:  # Keras may have asked for the first minibatches already
            self.epoch, self.order = epoch, draw_row_order(self.fit, epoch)
            self.forget()

    def _read(self, start: int, stop: int) -> list[Any]:
        rows = self.order[start * self.size : stop * self.size]
        found = self._take(rows)
        if self.weights is None:
            return found
        starts = range(0, len(rows), self.size)
        weights = (self.weights[rows[start : start + self.size]] for start in starts)
        return [
            (*each, spread_weights(weight, self.shapes))
            for each, weight in zip(found, weights, strict=True)
        ]


@contextmanager
def reading(*batches: Any) -> Iterator[None]:
    """Read from these batches in the block; at its end nothing is read any more.

    Raises what reading raised as it is, whatever Keras makes of it. Those that are no RowBatches,
    as arrays, are left alone.
    """
    own = [each for each in batches if isinstance(each, RowBatches)]
    try:
        yield
    except Exception as error:
        first = next((each.error for each in own if each.error is not None), error)
        if first is error:
            raise
        raise first from None
    finally:
        for each in own:
            each.close()


def predict_rows(model: Any, x: Any, size: int) -> Any:
    """What `model.predict` gives for these rows, `size` of them at a time."""
    if isinstance(x, HeldOutRows):
        return x.predict(model)
    if not is_lazy(x):
        return model.predict(x, batch_size=size, verbose=0)
    batches = RowBatches(x, None, size)
    with reading(batches):
        return model.predict(batches, verbose=0)
