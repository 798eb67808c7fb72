"""The task's metric: computed by Keras, or for the ROC AUC by scikit-learn."""

import warnings
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from hpsearch.core.data import Array
from hpsearch.core.errors import BuildError, HpsearchError
from hpsearch.core.task import Task


def make_metrics(task: Task) -> list[Any]:
    """New Keras metrics for `spec.metrics`. Raises HpsearchError for an unknown metric."""
    if task.metric == "loss":
        # Keras's own "loss" includes penalties: a smaller L2 factor would win by that alone.
        loss = keras.losses.get(task.loss)
        pointwise = loss.call if isinstance(loss, keras.losses.Loss) else loss
        return [keras.metrics.MeanMetricWrapper(_match_ranks(pointwise), name="task_loss")]
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
    """Raise BuildError where a model's logs do not contain the metric."""
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

    With more than two classes, it is the mean over each class against the rest. NaN where y has
    one class only. Keras's AUC sorts predictions into bins, and ranks models wrongly whose
    predictions crowd at 0 or 1.
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


def _match_ranks(pointwise: Any) -> Any:
    """Let a loss compare row by row also where targets are (n,) and predictions (n, 1)."""

    def compare(true: Any, predicted: Any) -> Any:
        if len(true.shape) + 1 == len(predicted.shape) and predicted.shape[-1] == 1:
            true = keras.ops.expand_dims(true, -1)
        elif len(true.shape) == len(predicted.shape) + 1 and true.shape[-1] == 1:
            true = keras.ops.squeeze(true, -1)
        return pointwise(true, predicted)

    return compare
