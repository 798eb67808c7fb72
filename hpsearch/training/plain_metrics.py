"""The task's metrics and loss from predictions, without a framework where that is possible."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from hpsearch.core import row_scores
from hpsearch.core.arrays import Array
from hpsearch.core.errors import BuildError
from hpsearch.core.metric import Metric
from hpsearch.core.rules import brief
from hpsearch.core.task import Task

LOSS = Metric("loss", "min")
_ROOT = ("rmse", "root_mean_squared_error")


def measure_predictions(
    task: Task, predicted: Any, y: Any, weights: Array | None
) -> dict[str, float]:
    """The loss and every recorded metric of the task, by name.

    Args:
        task: its kind must be known (`Task.with_kind_of`).
        predicted: as Keras models predict, checked by `shape_predictions`.
        y: targets in the shape that models need.
        weights: of the rows in the metrics; None: all weigh 1.
    """
    found = {}
    for metric in dict.fromkeys((LOSS, *task.recorded)):
        value = None
        is_plain = not task.has_several_outputs and (weights is None or weights.ndim == 1)
        if is_plain and not task.is_sequence(y):
            value = _measure_plainly(task, metric, np.asarray(predicted), y, weights)
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


def _measure_plainly(
    task: Task, metric: Metric, predicted: Array, y: Array, weights: Array | None
) -> float | None:
    """A metric of one output; None where only Keras knows it."""
    if metric.needs_predictions:
        return row_scores.make_score_measure(task, metric)(predicted, y, weights)
    if metric.name == "loss":
        by_row = row_scores.lose_rows(task.loss, predicted, y)
    elif metric.name in _ROOT:
        by_row = row_scores.score_rows(task, "mse", predicted, y)
    else:
        by_row = row_scores.score_rows(task, metric.name, predicted, y)
    if by_row is None:
        return None
    if weights is not None and not weights.any():
        return math.nan
    mean = float(np.average(by_row, weights=weights))
    return math.sqrt(mean) if metric.name in _ROOT else mean
