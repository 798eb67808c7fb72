"""Metrics and losses of a task from predictions, without a framework."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from hpsearch.core import scores, task_kinds
from hpsearch.core.arrays import Array
from hpsearch.core.metric import Metric
from hpsearch.core.task import Task

ABSOLUTE = ("mae", "mean_absolute_error")
SQUARED = ("mse", "mean_squared_error")
ROOT = ("rmse", "root_mean_squared_error")
_ACCURACY = ("accuracy", "categorical_accuracy", "sparse_categorical_accuracy")
_EPSILON = 1e-7  # Keras's: probabilities are kept so far from 0 and 1


Measure = Callable[[Any, Any, Array | None], float]
"""A metric of predictions, targets, and the rows' weights (None: all weigh 1)."""


def make_score_measure(task: Task, metric: Metric) -> Measure:
    """The function that computes a metric which needs the predictions for all rows.

    Args:
        task: with one output.
    """
    link = task.link if task.from_logits else "linear"
    if metric.own_name == "roc_auc" and link == "sigmoid":
        link = "linear"  # it keeps their order, and logits far from 0 stay apart

    def measure(predicted: Array, y: Array, weights: Array | None = None) -> float:
        if weights is not None and not weights.any():
            return math.nan
        predicted, y = scores.apply_link(np.asarray(predicted), link), np.asarray(y)
        if task.is_sequence(y):
            predicted, y, weights = scores.flatten_steps(predicted, y, weights)
        return scores.compute_score(metric, task.kind_of(y), y, predicted, weights)

    return measure


def measure_plainly(
    task: Task, metric: Metric, predicted: Array, y: Array, weights: Array | None
) -> float | None:
    """A metric of one output over these rows; None where only Keras knows it.

    Args:
        task: with one output.
        weights: of the rows, shape (rows,); None: all weigh 1.
    """
    if metric.needs_predictions:
        return make_score_measure(task, metric)(predicted, y, weights)
    name = metric.own_name
    if name == "loss":
        by_row = lose_rows(task.loss, predicted, y)
    else:
        by_row = score_rows(task, "mse" if name in ROOT else name, predicted, y)
    if by_row is None:
        return None
    if weights is not None and not weights.any():
        return math.nan
    mean = float(np.average(by_row, weights=weights))
    return math.sqrt(mean) if name in ROOT else mean


def score_rows(task: Task, metric: str, predicted: Array, y: Array) -> Array | None:
    """The metric of each row, of shape (rows,); None where it is not a mean over rows.

    Of a sequence, it is the mean over the row's steps.

    Args:
        task: with one output.
        metric: its name; for "loss" see `lose_rows`.
        predicted: of shape (rows, units), or (rows, steps, classes) of sequences.
        y: targets in the shape that models need.
    """
    if metric in _ACCURACY:
        right = pick_classes(predicted) == true_classes(task, y)
        return np.asarray(right.reshape(len(y), -1).mean(axis=1))
    if metric == "binary_accuracy":
        alike = (predicted > 0.5) == (y.reshape(predicted.shape) > 0.5)
        return np.asarray(alike.reshape(len(y), -1).mean(axis=1))
    if metric in ABSOLUTE + SQUARED:
        differences = subtract_targets(predicted, y)
        by_output = np.abs(differences) if metric in ABSOLUTE else differences**2
        return np.asarray(by_output.mean(axis=1))
    return None


def lose_rows(loss: Any, predicted: Array, y: Array) -> Array | None:
    """The loss of each row, as Keras has it; None for losses that only Keras knows.

    Args:
        loss: as a task has it.
        predicted: of shape (rows, units).
        y: targets in the shape that models need.
    """
    if not isinstance(loss, str):
        return None
    if loss in ABSOLUTE + SQUARED:
        differences = subtract_targets(predicted, y)
        return np.asarray((np.abs(differences) if loss in ABSOLUTE else differences**2).mean(1))
    likely = predicted.astype(np.float64)
    if loss == "binary_crossentropy":
        likely, true = np.clip(likely, _EPSILON, 1 - _EPSILON), y.reshape(predicted.shape)
        return np.asarray(-(true * np.log(likely) + (1 - true) * np.log(1 - likely)).mean(axis=1))
    likely = np.clip(likely / likely.sum(axis=1, keepdims=True), _EPSILON, 1 - _EPSILON)
    if loss == "categorical_crossentropy":
        return np.asarray(-(y * np.log(likely)).sum(axis=1))
    if loss == "sparse_categorical_crossentropy":
        return np.asarray(-np.log(likely[np.arange(len(y)), y.reshape(-1).astype(np.int64)]))
    return None


def pick_classes(predicted: Array) -> Array:
    """The predicted class of each row, or step; a single unit is the probability of class 1."""
    if predicted.shape[-1] > 1:
        return np.asarray(predicted.argmax(axis=-1))
    return (predicted.reshape(-1) > 0.5).astype(np.int64)


def true_classes(task: Task, y: Array) -> Array:
    """The class of each row, shape (rows,), or of each step, shape (rows, steps)."""
    if task_kinds.is_column(y):
        return y.reshape(-1).astype(np.int64)
    if y.ndim == 2 and task.is_sequence(y):
        return y.astype(np.int64)
    return np.asarray(y.argmax(axis=-1))


def subtract_targets(predicted: Array, y: Array) -> Array:
    """What is predicted minus what is true, of shape (rows, outputs)."""
    return np.asarray(predicted.reshape(len(y), -1).astype(np.float64) - y.reshape(len(y), -1))
