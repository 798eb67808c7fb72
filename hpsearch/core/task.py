"""A task: data, loss, metric with its direction, and preprocessing."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

from hpsearch.core import task_kinds
from hpsearch.core.data import Array, Data
from hpsearch.core.errors import DataError
from hpsearch.core.option_text import check_counts, did_you_mean, settings_text
from hpsearch.core.rules import brief, why_no_name
from hpsearch.core.task_kinds import Kind

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


def higher_is_better(direction: str) -> bool:
    """Whether a metric of this direction is better where it is higher."""
    return direction == "max"


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric's name and direction. Which values are better, and what NaN is, is known only here."""

    name: str
    direction: Direction

    @property
    def higher_is_better(self) -> bool:
        return higher_is_better(self.direction)

    def loss(self, value: float | None) -> float | None:
        """The value, negated where higher is better; None where it is not finite."""
        if value is None or not math.isfinite(value):
            return None
        return -value if self.higher_is_better else value

    def best(self, values: Sequence[float]) -> int:
        """The index of the best finite value, the first of equal ones. ValueError if there is none.

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

    Args:
        name: its name in rankings.
        data: the Data, or a function without arguments that loads it when it is first needed.
        loss: a Keras loss by name or object, or a function of your own.
        metric: trials are ranked by it: accuracy, mae, mse, rmse, roc_auc, loss, or the name of any
            other Keras metric.
        direction: "min" or "max"; needed for a metric that is not among these.
        preprocess: a scikit-learn transformer, or a dict with one for each input. It is fitted on
            the training rows of each split only.
        outputs: units of the model's last layer; by default as y needs them.
        kind: "binary", "multiclass", "multilabel" or "regression". It decides outputs, activation,
            whether folds are stratified, and which metrics are possible; see the table in
            `hpsearch.core.task_kinds`. None where the loss decides it, as cross-entropies (focal
            ones too) and errors do. It is needed with a loss of your own, a hinge or KL divergence,
            and for classes that are learned by mse.

    Raises DataError where these contradict each other; `load` does so for targets.
    """

    name: str
    data: Data | Callable[[], Data]
    loss: Any
    metric: str = "loss"
    direction: Direction | None = None
    preprocess: Any = None
    outputs: int | None = None
    kind: Kind | None = None

    def __post_init__(self) -> None:
        if why := why_no_name(self.name):
            raise DataError(f"Task needs name= {why}, got {brief(self.name)}")
        if not isinstance(self.data, Data) and not callable(self.data):
            raise DataError(
                f"Task needs data= a Data, or a function that loads one, got {brief(self.data)}"
            )
        if not isinstance(self.loss, str) and not callable(self.loss):
            raise DataError(
                f"Task needs loss= a Keras loss by name or object, or a function, got "
                f"{brief(self.loss)}"
            )
        check_counts(self, outputs=self.outputs)
        self._check_metric()
        self._check_preprocess()
        task_kinds.possible_kinds(self.loss, self.metric, self.kind)

    def _check_metric(self) -> None:
        if self.direction is not None and (
            not isinstance(self.direction, str) or self.direction not in ("min", "max")
        ):
            raise DataError(f"direction is 'min' or 'max', got {brief(self.direction)}")
        if not isinstance(self.metric, str):
            raise DataError(f"Task needs metric= a name, got {brief(self.metric)}")
        known = _HIGHER_IS_BETTER + _LOWER_IS_BETTER
        if self.direction is None and self.metric not in known:
            raise DataError(
                f"unknown metric {brief(self.metric)}{did_you_mean(self.metric, known)}; for any "
                "other Keras metric say which way is better: Task(..., direction='min' or 'max')"
            )

    def _check_preprocess(self) -> None:
        given = self.preprocess
        for each in given.values() if isinstance(given, Mapping) else [given]:
            if each is not None and (
                isinstance(each, type) or not callable(getattr(each, "transform", None))
            ):
                raise DataError(
                    "Task needs preprocess= a scikit-learn transformer, as StandardScaler(), or a "
                    f"dict of them, got {brief(each)}"
                )

    def load(self) -> Data:
        """The data. Raises DataError where its targets do not fit the task."""
        data = self.data if isinstance(self.data, Data) else self.data()
        if not isinstance(data, Data):
            raise DataError(f"the data function of task {self.name} must return Data, got {data!r}")
        self.check_targets(data.y)
        return data

    def check_targets(self, y: Array) -> None:
        """Raise DataError where targets are not of the task's kind."""
        task_kinds.check_targets(self.kind_of(y), self.loss, self.metric, y, self.outputs)

    @property
    def objective(self) -> Metric:
        natural: Direction = "max" if self.metric in _HIGHER_IS_BETTER else "min"
        return Metric(self.metric, self.direction or natural)

    @property
    def measure(self) -> str:
        """The metric's name in rankings. For "loss" it names the loss: only equal ones compare."""
        if self.metric != "loss":
            return self.metric
        settings = self.loss if isinstance(self.loss, str) else settings_text(self.loss)
        return f"loss ({settings})"

    def kind_of(self, y: Array) -> Kind:
        """The task's kind: by `kind`, by its loss, or else by these targets."""
        return task_kinds.kind_of_targets(self._kinds, y)

    def with_kind_of(self, y: Array) -> Self:
        """The same task, with kind and outputs fixed as these rows have them.

        So a part of the rows does not change them.
        """
        return replace(self, kind=self.kind_of(y), outputs=self.output_units(y))

    def classes(self, data: Data) -> Array | None:
        """The class of each row, shape (rows,); None where the task is no classification."""
        return task_kinds.classes_of_rows(self.kind_of(data.y), data.y)

    @property
    def classifies(self) -> bool:
        """Whether it predicts classes."""
        return self._kinds != ("regression",)

    def output_units(self, y: Array) -> int:
        """Units of the last layer that suit y and the loss."""
        return self.outputs or task_kinds.output_units(self.kind_of(y), y)

    @property
    def activation(self) -> str:
        """The activation of the last layer: "linear" where the loss takes logits, else `link`."""
        return "linear" if self.from_logits else self.link

    @property
    def link(self) -> str:
        """The function from logits to predictions: "sigmoid", "softmax" or "linear" (numbers)."""
        return task_kinds.link_function(self._kinds, self.loss)

    @property
    def from_logits(self) -> bool:
        """Whether the loss takes logits instead of probabilities."""
        return task_kinds.takes_logits(self.loss)

    @property
    def _kinds(self) -> tuple[Kind, ...]:
        return task_kinds.possible_kinds(self.loss, self.metric, self.kind)
