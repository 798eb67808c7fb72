"""Train models anew to a given epoch, and predict by them."""

import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from hpsearch.core.arrays import Inputs, inputs_by_name, is_lazy
from hpsearch.core.data import Data
from hpsearch.core.errors import HpsearchError
from hpsearch.core.frames.rows import FrameCode
from hpsearch.core.task import Task
from hpsearch.core.trial import Curve
from hpsearch.models.output_types import (
    OutputType,
    OutputTypes,
    describe_outputs,
    shape_predictions,
)
from hpsearch.models.own_models import restore_own_model
from hpsearch.training import engines, metrics
from hpsearch.training.base import SPLIT_OF_STREAMS, Fit, Split
from hpsearch.training.fitted_targets import FittedTargets
from hpsearch.training.fold_preprocessing import choose_splits
from hpsearch.training.history import History
from hpsearch.training.minibatches import RowBatches, reading
from hpsearch.training.own_trainer import OwnTrainer
from hpsearch.training.phases import PhasedModel
from hpsearch.training.rows import SplitRows, make_model_spec, prepare_rows
from hpsearch.training.streams import HeldOutRows

_MOST_ROWS, _MOST_BYTES = 1024, 2**25  # that are predicted at a time


@dataclass(frozen=True, slots=True, eq=False)
class TrainedModel:
    """A trained model with the rows it was trained on.

    Args:
        model: compiled as `build` compiled it; an OwnModel of a training function.
        rows: its split's rows, and their fitted preprocessing.
        outputs: what each of its outputs predicts.
        curve: how its training went.
        frames: the codes of the inputs that its preprocessing takes as frames, by input.
    """

    model: Any
    rows: SplitRows
    outputs: OutputTypes
    curve: Curve = field(default_factory=Curve)
    frames: Mapping[str, FrameCode] = field(default_factory=dict)

    @property
    def transformer(self) -> Any:
        """The fitted preprocessing; None where the task has none."""
        return self.rows.transformer

    @property
    def targets(self) -> FittedTargets | None:
        """What changes its predictions back; None where the task has no `preprocess_y`."""
        own = self.rows.own_targets
        return None if own is None else own.fitted

    def predict_validation(self) -> Any:
        """Predictions for the validation rows of its split, in the targets' own unit."""
        streams = self.rows.streams
        x = self.rows.x_validation if streams is None else HeldOutRows(streams, "validation")
        return self.rows.in_own_unit(predict(self.model, x, self.outputs))[0]


def all_rows(data: Data) -> Split:
    """A split that trains on all rows; training needs a validation row, and gets the first.

    Of streams, it trains on `train` alone: their parts are as the user has split them.
    """
    if data.given_streams is not None:
        return SPLIT_OF_STREAMS
    return Split(np.arange(data.rows), np.arange(1))


def train(
    task: Task,
    data: Data,
    fits: Sequence[Fit],
    *,
    engine: str,
    backend: str,
    trains_itself: bool = False,
) -> Iterator[TrainedModel]:
    """Train to the last epoch, side by side if the engine can; yield models in the order of `fits`.

    Args:
        trains_itself: whether the fits are by a training function of the study's own.

    Raises HpsearchError where one of them diverges, or cannot predict.
    """
    if trains_itself:
        OwnTrainer(task).check_refit(fits[0], data)  # before hours of training
    has_callbacks = any(fit.callbacks for fit in fits)
    watched = task if trains_itself else _watch_loss(task, with_counted=has_callbacks)
    trainer = engines.make_trainer(
        watched,
        engine,
        backend,
        has_callbacks=has_callbacks,
        trains_itself=trains_itself,
        streams=data.given_streams is not None,
    )
    with tempfile.TemporaryDirectory(prefix="hpsearch-") as folder:
        saved = [
            replace(
                fit,
                checkpoint_out=Path(folder) / f"{i}.npz",
                patience=None,
                keeps_final_model=True,
            )
            for i, fit in enumerate(choose_splits(task, fits))
        ]
        curves: dict[int, Curve] = {}
        for place, curve in trainer.train(saved, data):
            curves[place] = curve
            if curve.failure is not None:
                raise HpsearchError(
                    f"training anew failed: {curve.failure.message}; choose another trial, or "
                    "another --seed"
                )
        outputs = describe_outputs(task, data.y)
        known = task.with_kind_of(data.y)
        prepared: dict[int, SplitRows] = {}
        for place, fit in enumerate(saved):
            if id(fit.split) not in prepared:
                prepared = {
                    id(fit.split): prepare_rows(task, data, fit.split)
                }  # one at a time, to save memory
            rows = prepared[id(fit.split)]
            if trains_itself:
                model: Any = restore_own_model(known, fit, rows)
            else:
                model = _restore_model(task, data, fit, rows, History(fit, watched.recorded))
            chosen = task.with_preprocessing(fit.split.preprocessing)
            yield TrainedModel(model, rows, outputs, curves[place], chosen.frames_to_prepare(data))


_ONE_OUTPUT: OutputTypes = {"": OutputType()}


def predict(model: Any, x: Inputs, outputs: OutputTypes = _ONE_OUTPUT) -> Any:
    """Predictions of shape (rows, units), or (rows, steps, classes) of sequences.

    Where the model has several outputs, it is a dict of such arrays. Raises HpsearchError where its
    outputs are not these.
    """
    (found,) = predict_by_each([model], x, outputs)
    return found


def predict_by_each(
    models: Sequence[Any], x: Inputs, outputs: OutputTypes = _ONE_OUTPUT
) -> Iterator[Any]:
    """Each model's predictions, as `predict` returns them. Rows of a source are read once for all."""
    if isinstance(x, HeldOutRows):
        for model in models:
            yield shape_predictions(model, x.predict(model), outputs)
        return
    size = _choose_batch_size(x)
    if not is_lazy(x):
        for model in models:
            raw = model.predict(x, batch_size=size, verbose=0)
            yield shape_predictions(model, raw, outputs)
        return
    batches = RowBatches(x, None, size)
    raw_parts: list[list[Any]] = [[] for _ in models]
    with reading(batches):
        for number in range(len(batches)):
            (rows,) = batches[number]
            for model, parts in zip(models, raw_parts, strict=True):
                parts.append(model.predict_on_batch(rows))
    for model, parts in zip(models, raw_parts, strict=True):
        raw = keras.tree.map_structure(lambda *each: np.concatenate(each), *parts)
        yield shape_predictions(model, raw, outputs)


def _choose_batch_size(x: Inputs) -> int:
    """The rows to predict at a time. It decides last bits: the same for an array and a source."""
    arrays = inputs_by_name(x).values()
    row_bytes: int = sum(math.prod(array.shape[1:]) * array.dtype.itemsize for array in arrays)
    return max(1, min(_MOST_ROWS, _MOST_BYTES // max(1, row_bytes)))


def _watch_loss(task: Task, *, with_counted: bool) -> Task:
    """The task ranked by the loss: one validation row has a loss, but may have no other metric.

    Nothing depends on it, unless a callback does.

    Args:
        with_counted: keep the metrics that Keras counts: callbacks see the same as in the search.
    """
    counted = metrics.counted_metrics(task) if with_counted else []
    pairs = [(metric.name, metric.direction) for metric in counted if metric.name != "loss"]
    return replace(task, metric="loss", direction=None, metrics=pairs, weighted_metrics=False)


def _restore_model(task: Task, data: Data, fit: Fit, rows: SplitRows, history: History) -> Any:
    spec = make_model_spec(task, rows, data.y, metrics.make_metrics(task, to_save=True), fit)
    phased = PhasedModel(fit.build, spec, fit.params, fit.seed)
    phased.restore(history)
    if not history.epochs:
        raise HpsearchError(
            f"the checkpoint {fit.checkpoint_out} could not be written or read; see the log"
        )
    return phased.model
