"""Metrics: their names, which way is better, and who computes them."""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from hpsearch.core.errors import DataError
from hpsearch.core.option_text import did_you_mean
from hpsearch.core.rules import brief, why_no_name

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

CLASS_SCORERS = (
    *("average_precision", "balanced_accuracy", "matthews_corrcoef", "top_k_accuracy"),
    *("neg_brier_score", "neg_log_loss", "roc_auc_ovo", "roc_auc_ovo_weighted", "roc_auc_ovr"),
    "roc_auc_ovr_weighted",
    *("f1", "f1_macro", "f1_micro", "f1_samples", "f1_weighted"),
    *("jaccard", "jaccard_macro", "jaccard_micro", "jaccard_samples", "jaccard_weighted"),
    *("precision_macro", "precision_micro", "precision_samples", "precision_weighted"),
    *("recall_macro", "recall_micro", "recall_samples", "recall_weighted"),
)
"""scikit-learn's scorers of classes that Keras has no metric of the same name for."""

NUMBER_SCORERS = (
    *("d2_absolute_error_score", "explained_variance", "r2", "neg_max_error"),
    *("neg_mean_absolute_error", "neg_mean_absolute_percentage_error", "neg_mean_gamma_deviance"),
    *("neg_mean_poisson_deviance", "neg_mean_squared_error", "neg_mean_squared_log_error"),
    *("neg_median_absolute_error", "neg_root_mean_squared_error"),
    "neg_root_mean_squared_log_error",
)
"""scikit-learn's scorers of numbers. Of all scorers, higher is better."""

ERROR_FUNCTIONS = ("max_error", "mean_pinball_loss", "median_absolute_error")
"""Functions of `sklearn.metrics` on numbers, of which lower is better."""

_FROM_PREDICTIONS = ("roc_auc", *CLASS_SCORERS, *NUMBER_SCORERS, *ERROR_FUNCTIONS)


def higher_is_better(direction: str) -> bool:
    """Whether a metric of this direction is better where it is higher."""
    return direction == "max"


def plain_metric_name(measure: str) -> str:
    """The name of a task's metric as the task names it, from that in rankings (`Task.measure`).

    >>> plain_metric_name("loss (mse), weighted"), plain_metric_name("mae")
    ('loss', 'mae')
    """
    return measure.removesuffix(", weighted").partition(" (")[0]


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric. Which values are better, and what NaN is, is known only here.

    Args:
        name: in rankings, curves and messages.
        direction: "min" or "max".
        function: a function of the user's own, `(y_true, y_pred) -> number`.
        output: of a task with several outputs, the one that it is of; "" for the only one, or all.
            Then `name` is as "steering/mae".
    """

    name: str
    direction: Direction
    function: Callable[[Any, Any], float] | None = field(default=None, compare=False)
    output: str = ""

    @property
    def own_name(self) -> str:
        """The name without the output's."""
        return self.name.removeprefix(f"{self.output}/") if self.output else self.name

    @property
    def higher_is_better(self) -> bool:
        return higher_is_better(self.direction)

    @property
    def needs_predictions(self) -> bool:
        """Whether it is computed from the predictions for all rows, after each epoch.

        Others are counted by Keras, minibatch after minibatch.
        """
        return self.function is not None or self.own_name in _FROM_PREDICTIONS

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


def parse_metric(given: Any, direction: Any = None, outputs: Collection[str] = ()) -> Metric:
    """The metric that a task names.

    Args:
        given: a name, or a function of the user's own; with several outputs "loss", a name as
            "steering/mae", or a dict of one output's: {"steering": function}.
        direction: "min" or "max"; needed for a function, and for a name that is not known here.
        outputs: the names of several outputs.

    Raises DataError.
    """
    if outputs and not (isinstance(given, str) and given == "loss"):
        output, own = _split_off_output(given, outputs)
        metric = parse_metric(own, direction)
        return replace(metric, name=f"{output}/{metric.name}", output=output)
    if direction is not None and (
        not isinstance(direction, str) or direction not in ("min", "max")
    ):
        raise DataError(f"direction is 'min' or 'max', got {brief(direction)}")
    if isinstance(given, type) or not (isinstance(given, str) or callable(given)):
        raise DataError(
            f"Task needs metric= a name, or a function (y_true, y_pred) -> number, got "
            f"{brief(given)}"
        )
    function = None if isinstance(given, str) else given
    name = given if isinstance(given, str) else _name_function(given)
    known: Any = direction
    if known is None and function is None:
        known = _known_directions().get(name)
    if known is None:
        what = f"unknown metric {brief(given)}{did_you_mean(name, _known_directions())}; for any other Keras metric"
        if function is not None:
            what = f"metric {name} is a function of your own;"
        raise DataError(
            f"{what} say which way is better: Task(..., direction='min' or 'max'), and in metrics= "
            f"as a pair: ({'name' if function is None else name}, 'max')"
        )
    return Metric(name, known, function)


def parse_metrics(given: Any, ranked: Metric, outputs: Collection[str] = ()) -> tuple[Metric, ...]:
    """The metrics that are recorded beside the one that trials are ranked by.

    Args:
        given: a list of names, functions, and pairs (name or function, direction); with several
            outputs also a dict of such lists by output.
        ranked: the metric that trials are ranked by; it may be among these.
        outputs: the names of several outputs.

    Raises DataError where something in it is no metric, or two have one name.
    """
    if outputs and isinstance(given, Mapping):
        given = [({output: own}, way) for output in given for own, way in _as_pairs(given[output])]
    found: list[Metric] = []
    for own, direction in _as_pairs(given):
        metric = parse_metric(own, direction, outputs)
        if metric == ranked and metric.function is ranked.function:
            continue
        if metric.name in {ranked.name, *(other.name for other in found)}:
            raise DataError(f"metrics= names {metric.name!r} twice; give each metric once")
        found.append(metric)
    return tuple(found)


def _as_pairs(given: Any) -> list[tuple[Any, Any]]:
    if isinstance(given, str | Mapping) or not isinstance(given, Sequence):
        raise DataError(f"Task needs metrics= a list of metrics, got {brief(given)}")
    return [each if isinstance(each, tuple) and len(each) == 2 else (each, None) for each in given]


def _split_off_output(given: Any, outputs: Collection[str]) -> tuple[str, Any]:
    """The output of a metric, and what is named of it."""
    if isinstance(given, Mapping) and len(given) == 1:
        [(output, own)] = given.items()
    elif isinstance(given, str) and "/" in given:
        output, _, own = given.rpartition("/")
    else:
        raise DataError(
            f"a metric of a task with several outputs names one, as '{min(outputs)}/mae' or "
            f"{{'{min(outputs)}': function}}, or is 'loss'; got {brief(given)}"
        )
    if output not in outputs:
        raise DataError(
            f"metric {brief(given)} is of an output {brief(output)} that the task has not; its "
            f"loss names {', '.join(outputs)}"
        )
    return output, own


def _known_directions() -> dict[str, Direction]:
    higher = (*_HIGHER_IS_BETTER, *CLASS_SCORERS, *NUMBER_SCORERS)
    lower = (*_LOWER_IS_BETTER, *ERROR_FUNCTIONS)
    return {**dict.fromkeys(higher, "max"), **dict.fromkeys(lower, "min")}


def _name_function(function: Any) -> str:
    name = getattr(function, "__name__", "")
    if not isinstance(name, str) or not name.isidentifier() or why_no_name(name):
        raise DataError(
            f"a metric of your own is a function with a name, got {brief(function)}; write it with "
            "def"
        )
    if name in _known_directions():
        raise DataError(
            f"a metric of your own is called {name}, as a known metric is; give it another name"
        )
    return name
