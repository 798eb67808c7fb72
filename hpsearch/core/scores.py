"""Metrics that are computed exactly from the predictions for all rows, mostly by scikit-learn."""

import functools
import math
import warnings
from typing import Any

import numpy as np

from hpsearch.core.arrays import Array
from hpsearch.core.errors import DataError, first_line
from hpsearch.core.metric import ERROR_FUNCTIONS, Metric
from hpsearch.core.rules import brief
from hpsearch.core.task_kinds import Kind, is_column

# Defined also where rows lack a class: scikit-learn's function, and whether more is better.
_BY_LABELS = {
    "neg_log_loss": ("log_loss", False),
    "neg_brier_score": ("brier_score_loss", False),
    "top_k_accuracy": ("top_k_accuracy_score", True),
}
_ROWS_TO_TRY = 20_000  # of the targets, where it is tried whether a metric can be computed


def compute_score(
    metric: Metric, kind: Kind, y: Array, predicted: Array, weights: Array | None = None
) -> float:
    """The metric over these rows; NaN where it is not defined, as where y has one class only.

    Args:
        metric: one that needs predictions.
        kind: of the task.
        y: targets of shape (rows,), (rows, 1) or (rows, outputs).
        predicted: of shape (rows, outputs): probabilities, or numbers.
        weights: of the rows, shape (rows,).

    A function of the user's own gets targets and predictions of shape (rows,) where there is one
    output; it may raise anything. Raises DataError where it returns no number.
    """
    y, predicted = np.asarray(y), np.asarray(predicted)
    if is_column(y):
        y = y.reshape(-1)
    if metric.function is not None:
        return _call_function(metric, y, _squeeze(predicted), weights)
    if not np.isfinite(predicted).all():
        return math.nan
    if metric.own_name == "roc_auc":
        return compute_roc_auc(predicted, y, weights)
    with warnings.catch_warnings(action="ignore"):
        try:
            return _score_by_sklearn(metric.own_name, kind, y, predicted, weights)
        except ValueError:
            return math.nan


def check_computable(metric: Metric, kind: Kind, y: Array, units: int, weighted: bool) -> None:
    """Raise DataError where a metric cannot be computed for these targets.

    It is tried on predictions that know nothing.

    Args:
        metric: one that needs predictions.
        units: of the model's last layer.
        weighted: whether rows are weighed in it.
    """
    if y.ndim == 2 and kind == "multiclass" and not (y.sum(axis=1) == 1).all():
        y = y.reshape(-1)  # a class a step
    elif y.ndim == 3 and kind == "multiclass":
        y = y.reshape(-1, y.shape[2])
    y = y[choose_rows_to_try(y, _ROWS_TO_TRY)]
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        return  # training will name the rows
    if kind == "regression":
        predicted = np.full((len(y), units), max(float(np.mean(y)), 1e-3), np.float32)
    else:
        predicted = np.full((len(y), units), 1 / max(2, units), np.float32)
    weights = np.ones(len(y), np.float32) if weighted else None
    if is_column(y):
        y = y.reshape(-1)
    try:
        with warnings.catch_warnings(action="ignore"):
            if metric.function is not None:
                _call_function(metric, y, _squeeze(predicted), weights)
            elif metric.own_name != "roc_auc":
                value = _score_by_sklearn(metric.own_name, kind, y, predicted, weights)
                if not math.isfinite(value) and kind != "regression":
                    raise ValueError(f"it is {value}")
    except DataError:
        raise
    except Exception as error:
        raise DataError(
            f"metric {metric.name!r} cannot be computed for these targets, a {kind} task with y of "
            f"shape {y.shape}: {first_line(error)}"
        ) from error


def choose_rows_to_try(y: Array, most: int) -> Array:
    """About so many of the rows, and the first one of each class: some metrics need them all."""
    some = np.arange(0, len(y), max(1, len(y) // most))
    if y.dtype.kind == "f" and not (y == y.round()).all():  # no classes
        return some
    classes = y.argmax(axis=1) if y.ndim == 2 and y.shape[1] > 1 else y.reshape(len(y), -1)[:, 0]
    return np.union1d(some, np.unique(classes, return_index=True)[1])


def compute_roc_auc(predicted: Array, y: Array, weights: Array | None = None) -> float:
    """The area under the ROC curve of predictions, exact, over all rows.

    With more than two classes, it is the mean over each class against the rest. NaN where y has
    one class only. Keras's AUC sorts predictions into bins, and ranks models wrongly whose
    predictions crowd at 0 or 1.
    """
    from sklearn.metrics import roc_auc_score

    targets = y.reshape(-1) if y.ndim == 2 and y.shape[1] == 1 else y
    if predicted.ndim == 2 and predicted.shape[1] == 1:
        predicted = predicted.reshape(-1)
    elif targets.ndim == 1 and predicted.shape[1] == 2:
        predicted = predicted[:, 1]
    elif targets.ndim == 1:
        targets = np.eye(predicted.shape[1])[targets.astype(int)]
    with warnings.catch_warnings(action="ignore"):
        try:
            return float(roc_auc_score(targets, predicted, sample_weight=weights))
        except ValueError:
            return math.nan


def flatten_steps(
    predicted: Array, y: Array, weights: Array | None
) -> tuple[Array, Array, Array | None]:
    """Sequences as rows of single steps, without steps that weigh nothing.

    Args:
        predicted: of shape (rows, steps, classes).
        y: of shape (rows, steps), or (rows, steps, classes).
        weights: of shape (rows,) or (rows, steps), or None.
    """
    rows, steps = predicted.shape[:2]
    predicted = predicted.reshape(rows * steps, -1)
    y = y.reshape(rows * steps, *y.shape[2:])
    if weights is None:
        return predicted, y, None
    weights = np.broadcast_to(weights.reshape(rows, -1), (rows, steps)).reshape(-1)
    counts = weights > 0
    return predicted[counts], y[counts], weights[counts]


def apply_link(predicted: Array, link: str) -> Array:
    """Turn logits into probabilities of the same shape; link: "sigmoid", "softmax" or "linear"."""
    if link == "linear":
        return predicted
    from scipy.special import expit, softmax

    return np.asarray(expit(predicted) if link == "sigmoid" else softmax(predicted, axis=-1))


def _call_function(metric: Metric, y: Array, predicted: Array, weights: Array | None) -> float:
    assert metric.function is not None
    # Copies: a function may change what it gets, and these are the arrays that are trained on.
    y, predicted = y.copy(), predicted.copy()
    weights = None if weights is None else weights.copy()
    if weights is None:
        value = metric.function(y, predicted)
    else:
        value = metric.function(y, predicted, sample_weight=weights)  # type: ignore[call-arg]
    try:
        return float(value)
    except (TypeError, ValueError):
        raise DataError(
            f"metric {metric.name} must return one number, got {brief(value)}"
        ) from None


def _squeeze(predicted: Array) -> Array:
    return predicted.reshape(-1) if predicted.ndim == 2 and predicted.shape[1] == 1 else predicted


def _score_by_sklearn(
    name: str, kind: Kind, y: Array, predicted: Array, weights: Array | None
) -> float:
    from sklearn import metrics

    options = {} if weights is None else {"sample_weight": weights}
    if name in ERROR_FUNCTIONS:
        return float(getattr(metrics, name)(y, _squeeze(predicted), **options))
    if kind == "multiclass" and y.ndim == 2:
        y = y.argmax(axis=1)
    known = _predictions_class(kind != "regression")(kind, predicted)
    # Through the scorer itself: it says whether it wants classes or probabilities, and the sign.
    scorer = metrics.get_scorer(name)
    if name in _BY_LABELS and kind == "multiclass":  # rows may lack a class, and it still counts
        function, is_score = _BY_LABELS[name]
        scorer = metrics.make_scorer(
            getattr(metrics, function),
            greater_is_better=is_score,
            response_method="predict_proba",
            labels=known.classes_,
        )
    return float(scorer(known, predicted, y, **options))


@functools.cache
def _predictions_class(classifies: bool) -> Any:
    """A scikit-learn estimator that has predicted already, for scorers to ask."""
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

    class Predictions(ClassifierMixin if classifies else RegressorMixin, BaseEstimator):  # type: ignore[misc]
        def __init__(self, kind: Kind, predicted: Array) -> None:
            self.kind, self.predicted = kind, predicted
            if classifies:
                units = max(2, predicted.shape[1])
                # A matrix of zeros and ones tells scikit-learn that a row may have several labels.
                self.classes_ = np.eye(units) if kind == "multilabel" else np.arange(units)

        def predict(self, rows: Any) -> Array:
            if not classifies:
                return _squeeze(self.predicted)
            if self.kind == "multilabel":
                return (self.predicted > 0.5).astype(np.int64)
            return np.asarray(self.predict_proba(rows).argmax(axis=1))

        if classifies:

            def predict_proba(self, rows: Any) -> Array:
                probabilities = self.predicted.astype(np.float64)
                if self.kind == "multilabel":
                    return probabilities
                if probabilities.shape[1] == 1:
                    return np.hstack([1 - probabilities, probabilities])
                # Rounded in float32, rows do not quite add up to 1, as some metrics demand.
                return np.asarray(probabilities / probabilities.sum(axis=1, keepdims=True))

    return Predictions
