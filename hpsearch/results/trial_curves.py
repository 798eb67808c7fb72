"""Learning curves of the best trials of a report: means, bands, best epochs, overfitting."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hpsearch.core.curves import mean_curve
from hpsearch.core.metric import Direction, higher_is_better
from hpsearch.core.trial import Curve, Observation
from hpsearch.results.report_data import Comparison
from hpsearch.results.scales import add_margin, curve_range
from hpsearch.searchers.grow import explain_overfitting
from hpsearch.store import RankedTrial

_MOST_POINTS = 200  # of a drawn curve
_MOST_LINES = 6  # trials in a figure of a metric: as many as there are colours


@dataclass(frozen=True)
class Band:
    """The curves of several fits, as they are drawn: at every n-th epoch.

    Args:
        epochs: from 1.
        mean, low, high: over fits, a value for each of these epochs; NaN where it was not reported.
    """

    epochs: Sequence[int]
    mean: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]


@dataclass(frozen=True)
class TrialCurves:
    """The learning curves of one trial, over all its folds and trainings.

    Args:
        fits: how many curves the means are over.
        best_epoch: of the mean validation curve, from 1. epochs: its length.
        overfitting: why the trial overfits; empty where it does not.
    """

    row: RankedTrial
    fits: int
    best_epoch: int
    epochs: int
    overfitting: str
    training: Band
    validation: Band


def best_trial_curves(comparison: Comparison) -> tuple[list[TrialCurves], tuple[float, float]]:
    """The curves of the best trials, best first, and the range of the axis that shows them all.

    Without any curve, the range is (0, 1).
    """
    found, means, best_values = [], [], []
    for row in comparison.ranking:
        trainings = comparison.trainings.get(row.trial, ())
        curves = [fold for each in trainings if each.score for fold in each.score.folds]
        if not curves:
            continue
        mean = mean_curve([curve.validation for curve in curves])
        best = comparison.metric.best(mean)
        found.append(
            TrialCurves(
                row,
                len(curves),
                best + 1,
                len(mean),
                _why_overfitting(curves),
                _make_band([curve.train for curve in curves]),
                _make_band([curve.validation for curve in curves]),
            )
        )
        means += [mean_curve([curve.train for curve in curves]), mean]
        best_values.append(mean[best])
    if not found:
        return [], (0.0, 1.0)
    rising = comparison.metric.higher_is_better
    return found, add_margin(*curve_range(means, best_values, rising=rising))


@dataclass(frozen=True)
class MetricLine:
    """A metric of one trial: the mean over folds and trainings, as it is drawn.

    Args:
        epochs: from 1.
        mean: a value for each of these epochs; NaN where the metric is not defined.
        best_epoch: the best by the task's metric.
        at_best: the mean there.
    """

    row: RankedTrial
    epochs: Sequence[int]
    mean: Sequence[float]
    best_epoch: int
    at_best: float


@dataclass(frozen=True)
class MetricCurvesOfTrials:
    """The curves of one metric that was recorded beside the task's, best trials first.

    Args:
        range: of the axis that shows them.
    """

    name: str
    direction: Direction
    lines: Sequence[MetricLine]
    range: tuple[float, float]


def best_metric_curves(comparison: Comparison) -> list[MetricCurvesOfTrials]:
    """The curves of all metrics recorded beside the task's, of the trials that are drawn."""
    found = []
    for name in comparison.metric_names:
        lines: list[MetricLine] = []
        directions: list[Direction] = []
        for row in comparison.ranking:
            trainings = comparison.trainings.get(row.trial, ())
            curves = [fold for each in trainings if each.score for fold in each.score.folds]
            value = comparison.metric_values.get(row.trial, {}).get(name)
            if curves and value is not None and len(lines) < _MOST_LINES:
                lines.append(_metric_line(comparison, row, curves, name))
                directions.append(value.direction)
        values = [value for line in lines for value in line.mean if math.isfinite(value)]
        # Curves of both directions have no common axis: the study was changed in between.
        if values and len(set(directions)) == 1:
            best = [line.at_best for line in lines if math.isfinite(line.at_best)]
            means = [[v for v in line.mean if math.isfinite(v)] for line in lines]
            rising = higher_is_better(directions[0])
            scale = add_margin(*curve_range(means, best, rising=rising))
            found.append(MetricCurvesOfTrials(name, directions[0], lines, scale))
    return found


def _metric_line(
    comparison: Comparison, row: RankedTrial, curves: Sequence[Curve], name: str
) -> MetricLine:
    mean = mean_curve([curve.metrics[name]["validation"] for curve in curves])
    best = comparison.metric.best(mean_curve([curve.validation for curve in curves]))
    drawn = range(0, len(mean), -(-len(mean) // _MOST_POINTS))
    return MetricLine(row, [e + 1 for e in drawn], [mean[e] for e in drawn], best + 1, mean[best])


def _make_band(curves: Sequence[Sequence[float]]) -> Band:
    together = list(zip(*curves, strict=False))  # as far as all reach
    mean = mean_curve(curves)
    drawn = range(0, len(mean), -(-len(mean) // _MOST_POINTS))
    return Band(
        [epoch + 1 for epoch in drawn],
        [mean[epoch] for epoch in drawn],
        [min(together[epoch]) for epoch in drawn],
        [max(together[epoch]) for epoch in drawn],
    )


def _why_overfitting(curves: Sequence[Curve]) -> str:
    return explain_overfitting(
        Observation(
            0.0,
            validation_loss=tuple(mean_curve([curve.validation_loss for curve in curves])),
            train_loss=tuple(mean_curve([curve.train_loss for curve in curves])),
        )
    )
