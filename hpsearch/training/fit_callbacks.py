"""hpsearch's callbacks of `model.fit`: shuffling, averaged weights, curves, checkpoints."""

import itertools
import logging
import math
from collections.abc import Iterator, Sequence
from typing import Any

import keras

from hpsearch.core import interrupt
from hpsearch.core.errors import BuildError
from hpsearch.core.seeds import derive_seed
from hpsearch.core.task import Task
from hpsearch.training import checkpoint, metrics
from hpsearch.training.building import seed_backend, unwrap_optimizer
from hpsearch.training.callback_state import CallbackStates
from hpsearch.training.history import History
from hpsearch.training.minibatches import Minibatches, predict_rows
from hpsearch.training.phases import PhasedModel
from hpsearch.training.rows import SplitRows
from hpsearch.training.stream_batches import StreamBatches
from hpsearch.training.streams import predict_part

log = logging.getLogger(__name__)


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
    """Collects the curves; stops the fit when it diverges or its patience ends it.

    Args:
        history: where the curves go.
        task: its kind must be known.
        rows: that the fit is trained and validated on.
        own: the study's callbacks, which run before.
    """

    def __init__(self, history: History, task: Task, rows: SplitRows, own: Sequence[Any]) -> None:
        super().__init__()
        self.history, self.task, self.rows, self.own = history, task, rows, own
        self.measures = metrics.make_measures(task)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        logs = logs or {}
        for name in ("loss", "val_loss"):
            if name not in logs:
                raise BuildError(
                    f"the model reports {', '.join(logs) or 'nothing'} but no {name!r}; let its "
                    "train_step and test_step return the loss"
                )
        self._check_watched(logs)
        wants_stop = bool(self.model.stop_training)
        losses = float(logs["loss"]), float(logs["val_loss"])
        first, *others = self._metric_values(logs)
        self.history.add_epoch([*first, *losses, *itertools.chain(*others)])
        self.history.stopped |= wants_stop
        self.model.stop_training = self.history.has_ended

    def _check_watched(self, logs: dict[str, Any]) -> None:
        """Raise BuildError where a callback watches what is computed after Keras's own epoch.

        Keras would only warn, and an EarlyStopping would never stop.
        """
        for callback in self.own:
            watched = getattr(callback, "monitor", None)
            if not isinstance(watched, str) or watched in logs:
                continue
            if watched.removeprefix("val_") in self.measures:
                raise BuildError(
                    f"the callback {type(callback).__name__} watches {watched!r}, which this task "
                    f"computes from all predictions, after callbacks were called; watch one of "
                    f"{', '.join(logs)}, or say Study(patience=)"
                )

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
        if self.measures and rows.streams is not None:
            batches = StreamBatches(rows.streams, "validation", task)
            raw, y = predict_part(self.model, batches)
            predicted = name_outputs(self.model, raw, task)
            for name, measure in self.measures.items():  # training is not read a second time
                counted[name] = math.nan, measure(predicted, y, None)
        elif self.measures:
            parts = [
                (
                    *rows.in_own_unit(predict_by_output(self.model, x, task), train=train),
                    weights if task.weighted_metrics else None,
                )
                for train, x, weights in (
                    (True, rows.x, rows.weights),
                    (False, rows.x_validation, rows.weights_validation),
                )
            ]
            for name, measure in self.measures.items():
                on_train, on_validation = (measure(*part) for part in parts)
                counted[name] = on_train, on_validation
        return [counted[metric.name] for metric in task.recorded]


class AverageCallback(keras.callbacks.Callback):  # type: ignore[misc]
    """Puts averaged weights (`use_ema=True`) in the model's place from validation to the epoch's end.

    So the curves, and the callbacks at the end of an epoch, see the weights that `fit` leaves in
    the model at its end. As `keras.callbacks.SwapEMAWeights(swap_on_epoch=True)`, but without its
    rounding on TensorFlow, where it swaps by additions, and with the last epoch like any other.
    """

    def __init__(self) -> None:
        super().__init__()
        self._is_swapped = False

    def on_test_begin(self, logs: Any = None) -> None:
        if not self._is_swapped:
            self._swap()

    def swap_back(self) -> None:
        """Put the weights that are trained in their place again."""
        if self._is_swapped:
            self._swap()

    def _swap(self) -> None:
        for weight, average in list_averages(self.model.optimizer):
            trained = keras.ops.convert_to_numpy(weight)
            weight.assign(average)
            average.assign(trained)
        self._is_swapped = not self._is_swapped


def list_averages(optimizer: Any) -> Iterator[tuple[Any, Any]]:
    """A built optimizer's weights with their averages, where it has averages."""
    for each in unwrap_optimizer(optimizer):
        if each.use_ema:
            yield from zip(
                each._trainable_variables, each._model_variables_moving_average, strict=True
            )


def averages_weights(optimizer: Any) -> bool:
    """Whether an optimizer, or one inside it, averages weights."""
    return any(each.use_ema for each in unwrap_optimizer(optimizer))


class CheckpointCallback(keras.callbacks.Callback):  # type: ignore[misc]
    """Writes checkpoints, and stops the fit where that was requested. The last of all callbacks.

    Also the one of the last epoch: after it, Keras and callbacks may set weights from which
    training cannot go on, averaged ones or the best ones.

    Args:
        history: the fit's curves.
        phased: the model.
        own: the study's own callbacks.
        average: swaps averaged weights; None where there are none.
    """

    def __init__(
        self,
        history: History,
        phased: PhasedModel,
        own: list[Any],
        average: AverageCallback | None,
    ) -> None:
        super().__init__()
        self.history, self.phased = history, phased
        self.states, self.average = CallbackStates(own), average
        self._at_phase_end: list[Any] | None = None

    def on_train_begin(self, logs: Any = None) -> None:
        if not self.states.begin(self.history.callbacks):
            log.warning(
                "the study's callbacks are others than those of the checkpoint that a fit continues "
                "from; they begin anew"
            )

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self.average is not None:
            self.average.swap_back()
        history, fit = self.history, self.history.fit
        must_stop = interrupt.is_requested() and not history.has_ended
        is_due = must_stop or history.has_ended or history.is_checkpoint_due
        if fit.checkpoint_out and is_due and not history.failure and not fit.keeps_final_model:
            history.callbacks = self.states.collect()
            checkpoint.save(history, self.phased.read_values())
        if history.has_phase_left:
            history.callbacks = self.states.collect()
            self._at_phase_end = self.phased.read_values()
        if must_stop:
            raise interrupt.Interrupted(f"stopped after epoch {epoch + 1}")

    def restore_phase_end(self) -> None:
        """Put back the state with which a phase ended, from which a continued fit goes on too.

        Keras and callbacks may set averaged or best weights when `fit` ends.
        """
        if self._at_phase_end is not None:
            self.phased.assign_values(self._at_phase_end)


def predict_by_output(model: Any, x: Any, task: Task) -> Any:
    """Predictions as an array, or as a dict by output where the task has several."""
    return name_outputs(model, predict_rows(model, x, 1024), task)


def name_outputs(model: Any, predicted: Any, task: Task) -> Any:
    """What a model returns, as a dict by output where the task has several."""
    if task.has_several_outputs and not isinstance(predicted, dict):
        return dict(zip(model.output_names, predicted, strict=True))
    return predicted
