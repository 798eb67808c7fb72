"""Callbacks of `model.fit`: the order of rows, the curves, checkpoints."""

import itertools
import math
from typing import Any

import keras
import numpy as np

from hpsearch.core import interrupt
from hpsearch.core.arrays import count_rows, take_rows
from hpsearch.core.errors import BuildError
from hpsearch.core.seeds import derive_seed
from hpsearch.core.task import Task
from hpsearch.training import checkpoint, metrics
from hpsearch.training.base import Fit, batch_size
from hpsearch.training.building import output_shapes, seed_backend
from hpsearch.training.history import History
from hpsearch.training.phases import PhasedModel
from hpsearch.training.rows import SplitRows, draw_row_order, spread_weights


class Minibatches(keras.utils.PyDataset):  # type: ignore[misc]
    """The minibatches of a fit, in the row order of the epoch.

    Args:
        rows: the rows of its split.
        fit: the fit.
        model: the model that they are for.
    """

    def __init__(self, rows: SplitRows, fit: Fit, model: Any) -> None:
        super().__init__()
        self.x, self.y, self.weights, self.fit = rows.x, rows.y, rows.weights, fit
        self.size = batch_size(fit.params)
        self.rows = count_rows(rows.y)
        self.order = np.arange(self.rows)
        self.shapes = output_shapes(model)

    def shuffle(self, epoch: int) -> None:
        """Draw the row order of this epoch."""
        self.order = draw_row_order(self.fit, epoch)

    def __len__(self) -> int:
        return math.ceil(self.rows / self.size)

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        rows = self.order[index * self.size : (index + 1) * self.size]
        x, y = take_rows(self.x, rows), take_rows(self.y, rows)
        if self.weights is None:
            return x, y
        return x, y, spread_weights(self.weights[rows], self.shapes)


class ShuffleCallback(keras.callbacks.Callback):  # type: ignore[misc]
    """Shuffles the rows before each epoch."""

    def __init__(self, batches: Minibatches) -> None:
        super().__init__()
        self.batches = batches

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.batches.shuffle(epoch)
        if keras.backend.backend() == "torch":
            # On torch, dropout without a seed draws from a global generator, which no checkpoint
            # holds.
            seed_backend(derive_seed(self.batches.fit.seed, "dropout", epoch))


class HistoryCallback(keras.callbacks.Callback):  # type: ignore[misc]
    """Collects the curves; stops the fit when it diverges or its patience ends it."""

    def __init__(self, history: History, task: Task, rows: SplitRows) -> None:
        super().__init__()
        self.history, self.task, self.rows = history, task, rows
        self.measures = metrics.make_measures(task)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        logs = logs or {}
        for name in ("loss", "val_loss"):
            if name not in logs:
                raise BuildError(
                    f"the model reports {', '.join(logs) or 'nothing'} but no {name!r}; let its "
                    "train_step and test_step return the loss"
                )
        losses = float(logs["loss"]), float(logs["val_loss"])
        first, *others = self._metric_values(logs)
        self.history.add_epoch([*first, *losses, *itertools.chain(*others)])
        self.model.stop_training = self.history.has_ended

    def _metric_values(self, logs: dict[str, Any]) -> list[tuple[float, float]]:
        """Each recorded metric on the training and on the validation rows."""
        task, rows = self.task, self.rows
        counted = {
            metric.name: (
                metrics.read(logs, task, metric),
                metrics.read(logs, task, metric, "val_"),
            )
            for metric in metrics.counted_metrics(task)
        }
        if self.measures:
            parts = [
                (
                    predict_by_output(self.model, x, task),
                    y,
                    weights if task.weighted_metrics else None,
                )
                for x, y, weights in (
                    (rows.x, rows.y, rows.weights),
                    (rows.x_validation, rows.y_validation, rows.weights_validation),
                )
            ]
            for name, measure in self.measures.items():
                train, validation = (measure(*part) for part in parts)
                counted[name] = train, validation
        return [counted[metric.name] for metric in task.recorded]


class CheckpointCallback(keras.callbacks.Callback):  # type: ignore[misc]
    """Writes checkpoints while the fit trains, and stops it where that was requested."""

    def __init__(self, history: History, phased: PhasedModel) -> None:
        super().__init__()
        self.history, self.phased = history, phased

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        history, out = self.history, self.history.fit.checkpoint_out
        if history.has_ended:
            return  # the trainer writes the last checkpoint
        stop = interrupt.is_requested()
        if out is not None and (stop or history.is_checkpoint_due):
            checkpoint.save(history, self.phased.read_values())
        if stop:
            raise interrupt.Interrupted(f"stopped after epoch {epoch + 1}")


def predict_by_output(model: Any, x: Any, task: Task) -> Any:
    """Predictions as an array, or as a dict by output where the task has several."""
    predicted = model.predict(x, batch_size=1024, verbose=0)
    if task.has_several_outputs and not isinstance(predicted, dict):
        return dict(zip(model.output_names, predicted, strict=True))
    return predicted
