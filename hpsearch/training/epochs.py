"""What happens at each epoch of a fit: its order of rows, its curves, when it ends."""

import math
import time
from typing import Any

import keras
import numpy as np

from hpsearch import interrupt
from hpsearch.seeds import derive
from hpsearch.task import Inputs, Metric
from hpsearch.training import checkpoint, metrics
from hpsearch.training.base import Fit, Rows
from hpsearch.trial import Failure


class Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """Batches in an order that depends on (seed, epoch) alone, so that it can be continued."""

    def __init__(self, x: Inputs, y: Any, size: int, seed: int) -> None:
        super().__init__()
        self.x, self.y, self.size, self.seed = x, y, size, seed
        self.order = np.arange(len(y))

    def shuffle(self, epoch: int) -> None:
        self.order = np.random.default_rng(derive(self.seed, "order", epoch)).permutation(
            len(self.y)
        )

    def __len__(self) -> int:
        return math.ceil(len(self.y) / self.size)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        rows = self.order[index * self.size : (index + 1) * self.size]
        if isinstance(self.x, np.ndarray):
            return self.x[rows], self.y[rows]
        return {name: array[rows] for name, array in self.x.items()}, self.y[rows]


class Shuffle(keras.callbacks.Callback):  # type: ignore[misc]
    def __init__(self, batches: Batches) -> None:
        super().__init__()
        self.batches = batches

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.batches.shuffle(epoch)
        if keras.backend.backend() == "torch":
            # There, dropout without a seed draws from a global generator no checkpoint holds.
            seed_backend(derive(self.batches.seed, "dropout", epoch))


class Recorder(keras.callbacks.Callback):  # type: ignore[misc]
    """Collects the curves; stops the fit when it diverges or its patience ends."""

    def __init__(self, metric: Metric, patience: int | None, rows: Rows) -> None:
        super().__init__()
        self.metric, self.patience, self.rows = metric, patience, rows
        self.failure: Failure | None = None
        self.curves: dict[str, list[float]] = {
            name: [] for name in ("train", "validation", "train_loss", "validation_loss")
        }

    @property
    def epochs(self) -> int:
        return len(self.curves["validation"])

    @property
    def stopped(self) -> bool:
        """Derived from the curve alone, so that a continued fit stops where it would have."""
        values = self.curves["validation"]
        if self.patience is None or not values:
            return False
        return len(values) - 1 - self.metric.best(values) >= self.patience

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        train, validation = self._values(logs := logs or {})
        now = {
            "train": train,
            "validation": validation,
            "train_loss": float(logs["loss"]),
            "validation_loss": float(logs["val_loss"]),
        }
        bad = [name for name, value in now.items() if not math.isfinite(value)]
        if bad:
            self.failure = Failure("nan", f"{bad[0]} became {now[bad[0]]} in epoch {epoch + 1}")
            self.model.stop_training = True
            return
        for name, value in now.items():
            self.curves[name].append(value)
        if self.stopped:
            self.model.stop_training = True

    def _values(self, logs: dict[str, Any]) -> tuple[float, float]:
        if self.metric.name == "roc_auc":
            rows = self.rows
            return (
                metrics.roc_auc(self.model, rows.x, rows.y),
                metrics.roc_auc(self.model, rows.x_validation, rows.y_validation),
            )
        return metrics.read(logs, self.metric.name), metrics.read(logs, self.metric.name, "val_")


class Checkpoints(keras.callbacks.Callback):  # type: ignore[misc]
    """Leaves a checkpoint now and then, and stops where that was requested."""

    def __init__(self, fit: Fit, recorder: Recorder) -> None:
        super().__init__()
        self.fit, self.recorder = fit, recorder
        self.saved = time.monotonic()
        self.saved_epoch = recorder.epochs

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self.model.stop_training or epoch + 1 == self.fit.epochs:
            return  # it ends anyway, and saves what it has
        stop = interrupt.requested()
        if self.fit.checkpoint_out is not None and (stop or self._due(epoch + 1)):
            checkpoint.save(self.fit.checkpoint_out, self.model, self.recorder.curves)
            self.saved, self.saved_epoch = time.monotonic(), epoch + 1
        if stop:
            raise interrupt.Interrupted(f"stopped after epoch {epoch + 1}")

    def _due(self, epochs: int) -> bool:
        every = self.fit.every
        if every.epochs is not None and epochs - self.saved_epoch >= every.epochs:
            return True
        return every.seconds is not None and time.monotonic() - self.saved >= every.seconds


def seed_backend(seed: int) -> None:
    """Seed the backend's global generator, where it has one."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow

        tensorflow.random.set_seed(seed)
    elif keras.backend.backend() == "torch":
        import torch

        torch.manual_seed(seed)
