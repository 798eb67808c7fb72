"""Learning curves of the best trials of a report: means, bands, best epochs, overfitting."""

from collections.abc import Sequence
from dataclasses import dataclass

from hpsearch.core.curves import mean_curve
from hpsearch.core.trial import Curve, Observation
from hpsearch.results.report_data import Comparison
from hpsearch.results.scales import add_margin, curve_range
from hpsearch.searchers.grow import explain_overfitting
from hpsearch.store import RankedTrial

_MOST_POINTS = 200  # of a drawn curve


@dataclass(frozen=True)
class Band:
    """The curves of several fits, as they are drawn: at every n-th epoch.

    Args:
        epochs: from 1.
        mean, low, high: over fits, a value for each of these epochs.
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
