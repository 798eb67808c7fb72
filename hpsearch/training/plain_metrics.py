"""The task's metrics and loss from predictions, without a framework where that is possible."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from hpsearch.core.errors import BuildError
from hpsearch.core.metric import Metric
from hpsearch.core.row_scores import measure_plainly
from hpsearch.core.rules import brief
from hpsearch.core.task import Task
from hpsearch.training.rows import SplitRows

LOSS = Metric("loss", "min")


def measure_predictions(
    task: Task, predicted: Any, rows: SplitRows, *, train: bool = False
) -> dict[str, float]:
    """The loss and every recorded metric of the task, by name.

    Args:
        task: its kind must be known (`Task.with_kind_of`).
        predicted: as Keras models predict, checked by `shape_predictions`.
        rows: those that are predicted: the training rows, or those to validate on.
        train: which of them.

    The loss is that of training; metrics are in the targets' own unit.
    """
    weights = rows.weights if train else rows.weights_validation
    weights = weights if task.weighted_metrics else None
    learned = predicted, rows.y if train else rows.y_validation
    in_own_unit = rows.in_own_unit(predicted, train=train)
    found = {}
    for metric in dict.fromkeys((LOSS, *task.recorded)):
        value = None
        predicted, y = learned if metric.own_name == "loss" else in_own_unit
        is_plain = not task.has_several_outputs and (weights is None or weights.ndim == 1)
        if is_plain and not task.is_sequence(y):
            value = measure_plainly(task, metric, np.asarray(predicted), y, weights)
        if value is None:
            from hpsearch.training.metrics import make_measure  # which imports Keras

            value = make_measure(task, metric)(predicted, y, weights)
        found[metric.name] = value
    return found


def shape_predictions(task: Task, predicted: Any, rows: int) -> Any:
    """Predictions of the study's own function, as Keras models give them; a dict by output.

    Raises BuildError where they are of another shape.
    """
    if task.has_several_outputs:
        if not isinstance(predicted, Mapping) or predicted.keys() != task.parts.keys():
            raise BuildError(
                f"predict must return a dict with the outputs {', '.join(task.parts)}, got "
                f"{brief(predicted)}"
            )
        return {n: shape_predictions(part, predicted[n], rows) for n, part in task.parts.items()}
    array, units = np.asarray(predicted), task.outputs
    if array.ndim == 1:
        array = array.reshape(-1, 1)
    wanted = (rows, units) if array.ndim == 2 else (rows, *array.shape[1:])
    if array.dtype.kind not in "biuf" or array.shape != wanted:
        what = "probabilities of classes" if task.classifies else "numbers"
        raise BuildError(
            f"predict returned {array.dtype} of shape {np.shape(predicted)} for {rows} rows, and "
            f"this task has {what} of shape {(rows, units)}"
        )
    return array
