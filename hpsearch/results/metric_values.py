"""Values of the metrics recorded beside the task's, with their standard errors."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from hpsearch import evaluators
from hpsearch.core.errors import HpsearchError
from hpsearch.core.metric import Direction, Metric
from hpsearch.core.option_text import option_classes, option_text, parse_options
from hpsearch.evaluators import Evaluator
from hpsearch.store import TrialMetrics

METRICS = "metrics_"  # prefix of the columns of metrics


@dataclass(frozen=True, slots=True)
class MetricValue:
    """A metric of one trial at the trial's best epoch.

    Args:
        value: the mean over folds and trainings; None where it is not defined.
        se: its standard error, where the evaluator gives one.
        folds: each fold's value in the first training; None where it is not defined.
    """

    name: str
    direction: Direction
    value: float | None
    se: float | None
    folds: Sequence[float | None]


def standard_error(
    evaluator: str, metric: Metric, trainings: Sequence[Sequence[float]], rows: int
) -> float | None:
    """The standard error of the mean over trainings and folds, by the evaluator's own rule.

    Args:
        evaluator: its label.
        trainings: for each training, the value of each fold.
        rows: of the first fold's validation.

    None where the evaluator gives none, for an evaluator that is not one of hpsearch's, and where
    the values are not as many as it has folds.
    """
    made = make_evaluator(evaluator)
    if made is None or any(len(values) != made.fits for values in trainings):
        return None
    return made.combined_error(trainings, metric, rows)


@cache
def make_evaluator(label: str) -> Evaluator | None:
    """The evaluator with this label; None where it is not one of hpsearch's."""
    classes = option_classes(evaluators)
    text = option_text(label, classes)
    try:
        made = None if text is None else parse_options(text, "evaluator", classes)
    except HpsearchError:  # the label of a later version
        return None
    return made if isinstance(made, Evaluator) else None


def summarize_metrics(evaluator: str, trial: TrialMetrics) -> dict[str, MetricValue]:
    """The values of all metrics that a trial recorded beside the task's, by name.

    Args:
        evaluator: the label of the trial's.
    """
    found = {}
    for name, metric in trial.at_best.items():
        trainings = metric.trainings
        is_defined = math.isfinite(metric.value)
        rule = Metric(name, metric.direction)
        found[name] = MetricValue(
            name,
            metric.direction,
            metric.value if is_defined else None,
            standard_error(evaluator, rule, trainings, trial.rows) if is_defined else None,
            [value if math.isfinite(value) else None for value in trainings[0]],
        )
    return found


def curve_column(part: str, metric: str) -> str:
    """The column of `StoreFrames.curves` with a metric's curve; part: "train" or "validation".

    >>> curve_column("validation", "f1_macro")
    'validation_metrics_f1_macro'
    """
    return f"{part}_{METRICS}{metric}"


def metric_names(recorded: Mapping[int, TrialMetrics]) -> list[str]:
    """The names of all metrics that any of these trials recorded beside the task's."""
    return list(dict.fromkeys(name for each in recorded.values() for name in each.directions))
