"""The task's metric, as Keras computes it or, for the ROC AUC, as it must be computed."""

import warnings
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from hpsearch.core.data import Array
from hpsearch.core.errors import BuildError, HpsearchError
from hpsearch.core.task import Task


def to_compile(task: Task) -> list[Any]:
    """Fresh Keras metrics for `spec.metrics`. Raises HpsearchError where Keras knows none."""
    if task.metric == "loss":
        # Keras's own "loss" adds the weights' penalties: a trial would win by a smaller L2 factor.
        loss = keras.losses.get(task.loss)
        pointwise = loss.call if isinstance(loss, keras.losses.Loss) else loss
        return [keras.metrics.MeanMetricWrapper(_same_rank(pointwise), name="task_loss")]
    if task.metric == "rmse":
        return [keras.metrics.RootMeanSquaredError(name="rmse")]
    if task.metric == "roc_auc":
        return []
    try:
        keras.metrics.get(task.metric)
    except ValueError as error:
        raise HpsearchError(f"Keras knows no metric {task.metric!r}; see keras.metrics") from error
    return [task.metric]


def read(logs: Mapping[str, Any], name: str, prefix: str = "") -> Any:
    """The metric among an epoch's logs; BuildError where the model was compiled without it."""
    key = f"{prefix}task_loss" if name == "loss" and f"{prefix}task_loss" in logs else prefix + name
    if key not in logs:
        raise BuildError(
            f"the model reports {', '.join(logs)} but not the task's metric {name!r}; compile it "
            "with metrics=spec.metrics"
        )
    return logs[key]


def check(logs: Mapping[str, Any], name: str, model: Any) -> None:
    """Raise BuildError where a model's logs will not tell the metric."""
    if name == "roc_auc":
        return
    read(logs, name)
    if name == "loss" and "task_loss" not in logs and model.losses:
        raise BuildError(
            "the model's loss includes penalties of its weights, which must not decide the "
            "ranking; compile it with metrics=spec.metrics"
        )


def roc_auc(predicted: Any, y: Array) -> float:
    """The area under the ROC curve of predictions, exact, over all rows.

    NaN where y has one class only. Keras's AUC sorts predictions into bins, and misranks models whose predictions crowd at 0 or 1.
    More than two classes: the mean of each against the rest.
    """
    from sklearn.metrics import roc_auc_score

    predicted = np.asarray(predicted)
    targets = y.reshape(-1) if y.ndim == 2 and y.shape[1] == 1 else y
    if predicted.ndim == 2 and predicted.shape[1] == 1:
        predicted = predicted.reshape(-1)
    elif targets.ndim == 1 and predicted.shape[1] == 2:
        predicted = predicted[:, 1]
    elif targets.ndim == 1:
        targets = np.eye(predicted.shape[1])[targets.astype(int)]
    with warnings.catch_warnings(action="ignore"):
        try:
            return float(roc_auc_score(targets, predicted))
        except ValueError:
            return float("nan")


def _same_rank(pointwise: Any) -> Any:
    """Compare row by row where a target of shape (n,) meets a prediction of (n, 1), or reversed."""

    def compare(true: Any, predicted: Any) -> Any:
        if len(true.shape) + 1 == len(predicted.shape) and predicted.shape[-1] == 1:
            true = keras.ops.expand_dims(true, -1)
        elif len(true.shape) == len(predicted.shape) + 1 and true.shape[-1] == 1:
            true = keras.ops.squeeze(true, -1)
        return pointwise(true, predicted)

    return compare
