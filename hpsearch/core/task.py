"""A task: data, loss, metrics, weights, and preprocessing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

from hpsearch.core import scores, task_kinds
from hpsearch.core.data import Array, Data
from hpsearch.core.errors import DataError
from hpsearch.core.metric import Direction, Metric, parse_metric, parse_metrics
from hpsearch.core.option_text import check_counts, check_switches, settings_text
from hpsearch.core.row_weights import (
    check_class_weight,
    compute_row_weights,
    compute_test_weights,
)
from hpsearch.core.rules import brief, why_no_name
from hpsearch.core.task_kinds import Kind


@dataclass(frozen=True, eq=False)
class Task:
    """What is learned.

    Args:
        name: its name in rankings.
        data: the Data, or a function without arguments that loads it when it is first needed.
        loss: a Keras loss by name or object, or a function of your own.
        metric: trials are ranked by it: accuracy, mae, mse, rmse, roc_auc, loss; the name of any
            other Keras metric; the name of a scikit-learn scorer, as f1_macro or r2; or a function
            of your own, `(y_true, y_pred) -> number`, which gets arrays of shape (rows,) where the
            model has one output, else (rows, outputs), and probabilities where it predicts classes.
        direction: "min" or "max"; needed for a function, and for a Keras metric not named here.
        preprocess: a scikit-learn transformer, or a dict with one for each input. It is fitted on
            the training rows of each split only.
        outputs: units of the model's last layer; by default as y needs them.
        kind: "binary", "multiclass", "multilabel" or "regression". It decides outputs, activation,
            whether folds are stratified, and which metrics are possible; see the table in
            `hpsearch.core.task_kinds`. None where the loss decides it, as cross-entropies (focal
            ones too) and errors do. It is needed with a loss of your own, a hinge or KL divergence,
            and for classes that are learned by mse.
        metrics: more metrics to record for each epoch and fold: names, functions, or pairs of
            either with "min" or "max".
        class_weight: how much the rows of each class weigh in the training loss: a dict, or
            "balanced" for weights that make all classes weigh the same.
        weighted_metrics: weigh rows in the metrics too, by class_weight and `Data.sample_weight`.

    Raises DataError where these contradict each other; `load` does so for targets.
    """

    name: str
    data: Data | Callable[[], Data]
    loss: Any
    metric: str | Callable[[Any, Any], float] = "loss"
    direction: Direction | None = None
    preprocess: Any = None
    outputs: int | None = None
    kind: Kind | None = None
    metrics: Sequence[Any] = ()
    class_weight: Any = None
    weighted_metrics: bool = False

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
        check_switches(self, weighted_metrics=self.weighted_metrics)
        check_class_weight(self.class_weight)
        self._check_preprocess()
        for metric in self.recorded:
            task_kinds.possible_kinds(self.loss, metric.name, self.kind)

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
        """The data. Raises DataError where its targets or weights do not fit the task."""
        data = self.data if isinstance(self.data, Data) else self.data()
        if not isinstance(data, Data):
            raise DataError(f"the data function of task {self.name} must return Data, got {data!r}")
        self.check_targets(data.y)
        weights = self.row_weights(data)
        if self.weighted_metrics:
            missing = "Task(class_weight=) or Data(sample_weight=)" if weights is None else ""
            if data.x_test is not None and data.sample_weight is not None:
                missing = missing or "Data(sample_weight_test=)" * (data.sample_weight_test is None)
            if missing:
                raise DataError(f"weighted_metrics=True needs weights: {missing}")
        return data

    def check_targets(self, y: Array) -> None:
        """Raise DataError where targets are not of the task's kind, or a metric is not for them."""
        kind, weighted = self.kind_of(y), self.weighted_metrics
        for metric in self.recorded:
            task_kinds.check_targets(kind, self.loss, metric, y, self.outputs)
            if metric.needs_predictions and y.ndim <= 2:
                scores.check_computable(metric, kind, y, self.output_units(y), weighted)

    def row_weights(self, data: Data) -> Array | None:
        """The weight of each row in the training loss, shape (rows,); None where all weigh 1.

        Raises DataError where a class has no weight.
        """
        if self.class_weight is None and data.sample_weight is None:
            return None
        return compute_row_weights(self.class_weight, self.kind_of(data.y), data)

    def metric_weights(self, data: Data) -> Array | None:
        """The weight of each searched row in the metrics, shape (rows,); None where all weigh 1."""
        return self.row_weights(data) if self.weighted_metrics else None

    def test_weights(self, data: Data) -> Array | None:
        """The weight of each test row in the metrics, shape (rows,); None where all weigh 1."""
        if not self.weighted_metrics:
            return None
        return compute_test_weights(self.class_weight, self.kind_of(data.y), data)

    @property
    def objective(self) -> Metric:
        """The metric that trials are ranked by."""
        return self.recorded[0]

    @cached_property
    def recorded(self) -> tuple[Metric, ...]:
        """All metrics that are recorded; the first is the one that trials are ranked by."""
        ranked = parse_metric(self.metric, self.direction)
        return ranked, *parse_metrics(self.metrics, ranked)

    @property
    def measure(self) -> str:
        """The metric's name in rankings. For "loss" it names the loss: only equal ones compare."""
        name = self.objective.name
        if name == "loss":
            settings = self.loss if isinstance(self.loss, str) else settings_text(self.loss)
            name = f"loss ({settings})"
        return f"{name}, weighted" if self.weighted_metrics else name

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
        return task_kinds.possible_kinds(self.loss, self.objective.name, self.kind)
