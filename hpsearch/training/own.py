"""What a training function of the study's own gets: `train(run, **params)`."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hpsearch.core.array_types import Indices
from hpsearch.core.arrays import Array, count_rows, is_lazy, take_rows
from hpsearch.core.reading.lazy_rows import LazyRows
from hpsearch.core.space import Params
from hpsearch.core.task import Task
from hpsearch.training.base import ModelSpec
from hpsearch.training.own_progress import FitProgress
from hpsearch.training.plain_metrics import measure_predictions, shape_predictions
from hpsearch.training.rows import SplitRows, make_model_spec

_ROWS_AT_A_TIME = 1024  # of a source, that are predicted in one call

Predict = Callable[[Any], Any]
"""Preprocessed rows -> predictions, of the shape that Keras models give them."""


class TrainingRun:
    """One fit: its rows, what it continues, and where it reports. `Study(train=...)` gets one.

    Its life: restore -> epochs -> (report, save) in each epoch -> return predict.

        def train(run, learning_rate, units):
            state = run.restore() or start(units)      # None where nothing was saved
            for epoch in run.epochs():                 # counted from 0; those that are left
                ...                                    # one epoch on run.train
                run.report(accuracy=..., loss=...)     # on run.validation
                run.save(state)
            return lambda rows: ...                    # for refit and ensembles

    At the start, and at the start of each epoch, the global generators of Python, NumPy, Keras and
    its backend are seeded by `seed` and the epoch. So a function that draws from them, and saves
    whatever else an epoch changes, continues as if it had never stopped.
    """

    __slots__ = ("_progress", "_rows")

    def __init__(self, progress: FitProgress, rows: SplitRows) -> None:
        self._progress, self._rows = progress, rows

    @property
    def train(self) -> tuple[Any, Any]:
        """x and y of the training rows, preprocessed; they cannot be changed in place.

        y has the shape (rows, 1) where the model has one output, and is as the task's `preprocess_y`
        changes it. Several inputs or outputs are
        dicts of arrays. Rows of a source are LazyRows: `x[numbers]` reads some, and
        `np.asarray(x)` all, which is refused where they are more than an eighth of the memory.
        """
        return _freeze(self._rows.x), _freeze(self._rows.y)

    @property
    def validation(self) -> tuple[Any, Any]:
        """x and y of the validation rows, likewise. Where `is_refit`, it is one of the others."""
        return _freeze(self._rows.x_validation), _freeze(self._rows.y_validation)

    @property
    def train_weights(self) -> Array | None:
        """How much each training row weighs in the loss, shape (rows,), or (rows, steps).

        None where all weigh 1. A function that never reads it is refused where the task has
        weights.
        """
        self._progress.reads_weights = True
        return _freeze(self._rows.weights)  # type: ignore[no-any-return]

    @property
    def validation_weights(self) -> Array | None:
        """Likewise, of the validation rows; for metrics where the task has weighted_metrics."""
        return _freeze(self._rows.weights_validation)  # type: ignore[no-any-return]

    @property
    def params(self) -> Params:
        """The point, as a dict by name."""
        return dict(self._progress.fit.params)

    @property
    def task(self) -> Task:
        """What is learned; its kind and outputs are known."""
        return self._progress.task

    @property
    def spec(self) -> ModelSpec:
        """What `build` of a Keras model would get: shapes, outputs, loss, metrics."""
        from hpsearch.training.metrics import make_metrics  # which imports Keras

        task, rows = self.task, self._rows
        return make_model_spec(task, rows, rows.y, make_metrics(task), self._progress.fit)

    @property
    def seed(self) -> int:
        """Of this fit, from 0 to 2**31 - 1: the same whenever and wherever it is trained."""
        return self._progress.fit.seed

    @property
    def fold(self) -> int:
        """The number of the fold, from 0."""
        return self._progress.fit.fold

    @property
    def most_epochs(self) -> int:
        """The most epochs that the trial can get, as a schedule of learning rates needs it."""
        fit = self._progress.fit
        return fit.most_epochs or fit.epochs

    @property
    def is_refit(self) -> bool:
        """Whether it trains on all rows, with none to validate on: then it need not report."""
        return self._progress.is_refit

    @property
    def only_predicts(self) -> bool:
        """Whether it is to return `predict` alone, from what it saved: then it has no rows."""
        return self._progress.only_predicts

    @property
    def keeps_state(self) -> bool:
        """Whether what `save` gets is written at all: else a state that takes time need not be made."""
        return self._progress.fit.checkpoint_out is not None

    @property
    def folder(self) -> Path:
        """A folder of this fit's own. `save` keeps its files, and `restore` puts them back."""
        return self._progress.folder

    def restore(self, state: Any = None) -> Any:
        """The state that was saved last; `state` where nothing was saved, by default None.

        Arrays are NumPy's. Keras objects are not made anew, but filled: give a state with them
        where `save` gets one, and call it also to start, as in
        `state = run.restore({"model": model, "optimizer": optimizer})`. Where only files were
        saved, it returns `folder`. Epochs then go on after the saved one.
        """
        return self._progress.restore(state)

    def epochs(self) -> Iterator[int]:
        """The epochs that are left, counted from 0.

        The loop ends where the fit is complete, patience has ended it, or a value that was
        reported is not finite; it raises Interrupted where the search stops.
        """
        return self._progress.loop()

    def report(self, **values: Any) -> None:
        """Report an epoch: `loss` and the task's metrics on the validation rows, by their names.

        The metric that ranks is needed. With `train_` before their names, they are of the training
        rows. Names that are no identifiers go into a dict: `run.report(**{"kind/accuracy": 0.9})`.
        """
        self._progress.report(values)

    def save(self, state: Any = None) -> None:
        """Say what the next epoch needs; it is written only where a checkpoint is due.

        Args:
            state: a Keras model, or a dict of arrays, numbers, texts and Keras objects, also in
                lists and dicts; or a function without arguments that returns one of these, for a
                state that takes time to make. None where all of it lies in files of `folder`.
        """
        self._progress.save(state)

    def end(self) -> None:
        """Say that more epochs would change nothing: the loop ends after this one.

        The fit is then complete, as where patience ends it.
        """
        self._progress.end()

    def measure(self, predict: Predict, *, train: bool = False) -> dict[str, float]:
        """The loss and all metrics of the task for predictions: `run.report(**run.measure(f))`.

        Args:
            predict: rows -> predictions, as train returns it: probabilities of classes, or numbers,
                of shape (rows, outputs); logits where the task's loss takes them. Of a source, it
                gets some rows at a time, as arrays.
            train: measure on the training rows too.
        """
        task, rows = self.task, self._rows
        parts = {"": rows.x_validation} | ({"train_": rows.x} if train else {})
        return {
            prefix + name: value
            for prefix, x in parts.items()
            for name, value in measure_predictions(
                task, call_predict(task, predict, _freeze(x)), rows, train=prefix != ""
            ).items()
        }

    @property
    def validation_rows(self) -> Indices:
        """The numbers, in the task's data, of the rows to validate on, in the order of `validation`."""
        return self._progress.fit.split.validation

    def measure_own_unit(self, predicted: Any) -> dict[str, float]:
        """As `measure`, of predictions for all validation rows that are in the targets' own unit.

        Where the task has `preprocess_y`, the loss is left out: it is in the unit of changed
        targets.

        Args:
            predicted: of shape (rows, outputs).
        """
        task, own = self.task, self._rows.own_targets
        if own is None:
            return measure_predictions(task, predicted, self._rows)
        rows = replace(self._rows, own_targets=None, y_validation=own.y_validation)
        found = measure_predictions(task, predicted, rows)
        return {name: value for name, value in found.items() if name != "loss"}

    def to_own_unit(self, y: Any, *, train: bool = False) -> Any:
        """Predictions, or targets, in the targets' own unit, where the task has `preprocess_y`.

        Targets that a function gets, and what its `predict` returns, are as `preprocess_y` changed
        them; metrics that it reports are not. `measure` computes them so.

        Args:
            y: for all validation rows, in their order.
            train: for all training rows instead.
        """
        return self._rows.in_own_unit(y, train=train)[0]


def call_predict(task: Task, predict: Predict, x: Any) -> Any:
    """What `predict` gives for rows x, as Keras models give it; for a source's, part by part.

    Raises BuildError where predictions are of another shape.
    """
    if not is_lazy(x):
        return shape_predictions(task, predict(x), count_rows(x))
    parts = []
    for start in range(0, count_rows(x), _ROWS_AT_A_TIME):
        some = take_rows(x, slice(start, start + _ROWS_AT_A_TIME))
        parts.append(shape_predictions(task, predict(some), count_rows(some)))
    if isinstance(parts[0], Mapping):
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return np.concatenate(parts)


def _freeze(arrays: Any) -> Any:
    """The same arrays, which cannot be changed in place: other trials train on them too.

    Those of a source are read anew each time.
    """
    if arrays is None or isinstance(arrays, LazyRows):
        return arrays
    if isinstance(arrays, Mapping):
        return {name: _freeze(array) for name, array in arrays.items()}
    view = arrays.view()
    view.flags.writeable = False
    return view
