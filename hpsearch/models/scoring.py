"""Score predictions: the task's metric with its standard error over rows, and details."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from hpsearch.core.data import Array
from hpsearch.core.scores import apply_link
from hpsearch.core.task import Task
from hpsearch.training import metrics
from hpsearch.training.rows import shape_targets

_RESAMPLES = 100
_QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
_ACCURACY = ("accuracy", "categorical_accuracy", "sparse_categorical_accuracy")
_ABSOLUTE = ("mae", "mean_absolute_error")
_SQUARED = ("mse", "mean_squared_error")
_ROOT = ("rmse", "root_mean_squared_error")


def score(
    task: Task, predicted: Array, y: Array, weights: Array | None = None, *, error: bool = True
) -> tuple[float, float | None]:
    """The task's metric over these rows, and its standard error over them.

    Args:
        task: says which metric.
        predicted: of shape (rows, outputs).
        y: targets as the task has them.
        weights: of the rows in the metric, shape (rows,); None: all weigh 1.
        error: False: leave out a standard error that takes time.

    Where the metric is a mean over rows, the error is that of the mean; for its root, by the delta
    method; else by a bootstrap (Efron 1979).
    """
    objective = task.objective
    if weights is None:
        if (rows := score_rows(task, objective.name, predicted, y)) is not None:
            return float(rows.mean()), _error_of_mean(rows)
        if objective.name in _ROOT:
            squares = score_rows(task, "mse", predicted, y)
            assert squares is not None
            root = math.sqrt(float(squares.mean()))
            of_squares = _error_of_mean(squares)
            return root, None if of_squares is None else of_squares / (2 * root) if root else 0.0

    y = shape_targets(task, y)
    measure = metrics.make_measure(task, objective)
    value = measure(predicted, y, weights)
    if not error:
        return value, None
    rng = np.random.default_rng(0)
    values = []
    for _ in range(_RESAMPLES):
        rows = rng.integers(len(y), size=len(y))
        values.append(measure(predicted[rows], y[rows], None if weights is None else weights[rows]))
    finite = [value for value in values if math.isfinite(value)]
    return value, float(np.std(finite, ddof=1)) if len(finite) > 1 else None


def score_rows(task: Task, metric: str, predicted: Array, y: Array) -> Any:
    """The metric of each row, of shape (rows,); None where it is not a mean over rows."""
    y = shape_targets(task, y)
    if metric in _ACCURACY:
        return (pick_classes(predicted) == _true_classes(y)).astype(np.float64)
    if metric == "binary_accuracy":
        return ((predicted > 0.5) == (y.reshape(len(y), -1) > 0.5)).mean(axis=1)
    if metric == "loss":
        loss = keras.losses.get(task.loss)
        pointwise = loss.call if isinstance(loss, keras.losses.Loss) else loss
        values = pointwise(keras.ops.convert_to_tensor(y), keras.ops.convert_to_tensor(predicted))
        return keras.ops.convert_to_numpy(values).astype(np.float64).reshape(len(y), -1).mean(1)
    if metric in _ABSOLUTE + _SQUARED:
        differences = _differences(predicted, y)
        return (np.abs(differences) if metric in _ABSOLUTE else differences**2).mean(axis=1)
    return None


def unit_power(metric: str) -> int | None:
    """The power of the target's unit that a metric is in; None where that is not known."""
    if metric in _ABSOLUTE + _ROOT:
        return 1
    return 2 if metric in _SQUARED else None


def report(task: Task, predicted: Array, y: Array, known: Sequence[str] = ()) -> dict[str, Any]:
    """Details beside the metric, as plain JSON.

    For a classification: the accuracy; precision, recall, F1 and the number of rows by class; the
    confusion matrix (row: true, column: predicted). Where a row may have several labels, the
    accuracy is over all labels, and there is no confusion matrix. For a regression: mean absolute
    and root mean squared error; quantiles of the residuals (predicted minus true); the means of
    predicted and true values for each tenth of the rows, by the true value.

    Args:
        task: says which of these.
        predicted: of shape (rows, outputs).
        y: targets as the task has them.
        known: names of the classes, if they have any.
    """
    if not task.classifies:
        true = shape_targets(task, y).reshape(len(y), -1).mean(axis=1)
        residuals = _differences(predicted, shape_targets(task, y))
        tenths = [rows for rows in np.array_split(np.argsort(true, kind="stable"), 10) if len(rows)]
        quantiles = np.quantile(residuals, _QUANTILES)
        return {
            "mae": float(np.abs(residuals).mean()),
            "rmse": math.sqrt(float((residuals**2).mean())),
            "residuals": {
                f"{share:.0%}": float(value)
                for share, value in zip(_QUANTILES, quantiles, strict=True)
            },
            "against_true": [
                {"true": float(true[rows].mean()), "predicted": float(predicted[rows].mean())}
                for rows in tenths
            ],
        }
    if task.from_logits:
        predicted = apply_link(predicted, task.link)
    if task.kind_of(y) == "multilabel":
        true, found = y > 0.5, predicted > 0.5
        names = np.arange(y.shape[1])
        return _report_classes(true, found, names, known)
    from sklearn.metrics import confusion_matrix

    true, found = _true_classes(y), pick_classes(predicted)
    names = np.unique(np.concatenate([true, found]))
    confusion = confusion_matrix(true, found, labels=names).tolist()
    return {**_report_classes(true, found, names, known), "confusion": confusion}


def _report_classes(
    true: Array, found: Array, names: Array, known: Sequence[str]
) -> dict[str, Any]:
    from sklearn.metrics import precision_recall_fscore_support

    columns = precision_recall_fscore_support(true, found, labels=names, zero_division=0)
    return {
        "accuracy": float((true == found).mean()),
        "classes": [
            {
                "class": known[name] if known else int(name),
                "precision": float(precision),
                "recall": float(recall),
                "f1": float(f1),
                "rows": int(rows),
            }
            for name, precision, recall, f1, rows in zip(names, *columns, strict=True)
        ],
    }


def pick_classes(predicted: Array) -> Array:
    """The predicted class of each row; a single output is the probability of class 1."""
    if predicted.shape[1] > 1:
        return np.asarray(predicted.argmax(axis=1))
    return (predicted.reshape(-1) > 0.5).astype(np.int64)


def _true_classes(y: Array) -> Array:
    if y.ndim == 2 and y.shape[1] > 1:
        return np.asarray(y.argmax(axis=1))
    return y.reshape(-1).astype(np.int64)


def _differences(predicted: Array, y: Array) -> Array:
    return predicted.reshape(len(y), -1).astype(np.float64) - y.reshape(len(y), -1)


def _error_of_mean(values: Sequence[float] | Array) -> float | None:
    return float(np.std(values, ddof=1) / math.sqrt(len(values))) if len(values) > 1 else None
