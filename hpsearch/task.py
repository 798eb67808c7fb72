"""What is learned: the data, the loss, the metric and its direction, and how rows are prepared."""

import inspect
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from hpsearch.data import Array, Data
from hpsearch.errors import DataError
from hpsearch.options import did_you_mean, identify

Direction = Literal["min", "max"]

_HIGHER_IS_BETTER = (
    "accuracy",
    "auc",
    "binary_accuracy",
    "categorical_accuracy",
    "precision",
    "r2_score",
    "recall",
    "roc_auc",
    "sparse_categorical_accuracy",
)
_LOWER_IS_BETTER = (
    "loss",
    "mae",
    "mape",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mse",
    "msle",
    "rmse",
    "root_mean_squared_error",
)
_CLASSIFICATION = {
    "sparse_categorical_crossentropy",
    "categorical_crossentropy",
    "binary_crossentropy",
}


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric's name and direction: the one place that knows what is better, and what NaN is."""

    name: str
    direction: Direction

    def loss(self, value: float | None) -> float | None:
        """The value turned so that lower is better; None where it is not finite."""
        if value is None or not math.isfinite(value):
            return None
        return -value if self.direction == "max" else value

    def best(self, values: Sequence[float]) -> int:
        """The index of the first best finite value; ValueError where there is none.

        >>> Metric("accuracy", "max").best([0.5, float("nan"), 0.9, 0.9])
        2
        """
        losses = [self.loss(value) for value in values]
        finite = [(loss, index) for index, loss in enumerate(losses) if loss is not None]
        if not finite:
            raise ValueError("no finite value to choose the best from")
        return min(finite)[1]


@dataclass(frozen=True, eq=False)
class Task:
    """What is learned.

    name: how rankings call it.
    data: the Data, or a function without arguments that loads it when it is first needed.
    loss: a Keras loss by name or object.
    metric: what trials are ranked by: accuracy, mae, mse, rmse, roc_auc, loss, or the name of any
        other Keras metric together with its `direction`, "min" or "max".
    preprocess: a scikit-learn transformer (or a dict of them, one an input), fitted on the
        training rows of each split alone.
    outputs: units of the model's last layer; found from y where it is not given.
    """

    name: str
    data: Data | Callable[[], Data]
    loss: Any
    metric: str = "loss"
    direction: Direction | None = None
    preprocess: Any = None
    outputs: int | None = None

    def __post_init__(self) -> None:
        if self.direction not in (None, "min", "max"):
            raise DataError(f"direction is 'min' or 'max', got {self.direction!r}")
        known = _HIGHER_IS_BETTER + _LOWER_IS_BETTER
        if self.direction is None and self.metric not in known:
            raise DataError(
                f"unknown metric {self.metric!r}{did_you_mean(self.metric, known)}; for any other "
                "Keras metric say which way is better: Task(..., direction='min' or 'max')"
            )

    def load(self) -> Data:
        data = self.data if isinstance(self.data, Data) else self.data()
        if not isinstance(data, Data):
            raise DataError(f"the data function of task {self.name} must return Data, got {data!r}")
        self._check_targets(data.y)
        return data

    @property
    def objective(self) -> Metric:
        natural: Direction = "max" if self.metric in _HIGHER_IS_BETTER else "min"
        return Metric(self.metric, self.direction or natural)

    @property
    def measure(self) -> str:
        """The metric as rankings compare it; a bare loss only compares with the same loss."""
        if self.metric != "loss":
            return self.metric
        settings = self.loss if isinstance(self.loss, str) else identify(self.loss)
        return f"loss ({settings})"

    def classes(self, data: Data) -> Array | None:
        """The class of each row, shape (rows,), or None where the task is no classification."""
        if loss_name(self.loss) not in _CLASSIFICATION:
            return None
        y = data.y
        if y.ndim == 2 and y.shape[1] > 1:
            return np.asarray(y.argmax(axis=1))
        return y.reshape(-1)

    @property
    def classifies(self) -> bool:
        """Whether classes are what is predicted, by the loss or by the metric."""
        by_metric = self.metric in _HIGHER_IS_BETTER and self.metric != "r2_score"
        return loss_name(self.loss) in _CLASSIFICATION or by_metric

    def output_units(self, y: Array) -> int:
        """Units of the last layer that suit y and the loss."""
        if self.outputs is not None:
            return self.outputs
        if loss_name(self.loss) == "sparse_categorical_crossentropy":
            return int(y.max()) + 1
        return int(y.shape[1]) if y.ndim > 1 else 1

    @property
    def activation(self) -> str:
        """The activation of the last layer that suits the loss: none where it takes logits."""
        name = loss_name(self.loss)
        if self.from_logits:
            return "linear"
        if name == "binary_crossentropy":
            return "sigmoid"
        return "softmax" if name in _CLASSIFICATION else "linear"

    @property
    def from_logits(self) -> bool:
        """Whether the loss takes logits, which are no probabilities."""
        settings = {} if inspect.isroutine(self.loss) else getattr(self.loss, "__dict__", {})
        return bool(
            settings.get("from_logits") or settings.get("_fn_kwargs", {}).get("from_logits")
        )

    def _check_targets(self, y: Array) -> None:
        name, rule = loss_name(self.loss), ""
        known = y[np.isfinite(y)]  # NaN is refused later, unless preprocessing fills it
        if name == "sparse_categorical_crossentropy":
            if (known < 0).any() or (known != np.floor(known)).any():
                rule = "classes numbered 0, 1, 2, ..."
        elif name in _CLASSIFICATION and ((known < 0) | (known > 1)).any():
            rule = "targets from 0 to 1"
        if rule:
            raise DataError(
                f"{name} needs {rule}, got y from {known.min()} to {known.max()}; number the classes anew, "
                "as sklearn.preprocessing.LabelEncoder does"
            )


def loss_name(loss: Any) -> str:
    """The snake-case name of a loss given by name, function or object."""
    if isinstance(loss, str):
        name = loss
    else:
        name = str(getattr(loss, "__name__", type(loss).__name__))
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
