"""How far a trial's value is off by luck alone."""

import itertools
import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hpsearch.doctor.evidence import SearchEvidence

Array = NDArray[np.float64]

_MEDIAN_TO_DEVIATION = 1.4826  # of absolute values of a normal distribution
_FEWEST_STEPS = 4  # epochs of a curve's second half


@dataclass(frozen=True, slots=True)
class FoldTable:
    """The analysis of variance of trials by folds, each trial with the same folds.

    Args:
        trials, folds: how many.
        between: the mean square of the trials' means, times the folds.
        within: that of what neither trial nor fold explains: luck.
    """

    trials: int
    folds: int
    between: float
    within: float

    @property
    def error(self) -> float:
        """The standard error of a trial's mean, beside trials on the same folds."""
        return math.sqrt(self.within / self.folds)


def analyse_folds(evidence: SearchEvidence, trials: Iterable[int]) -> FoldTable | None:
    """Trials against folds; None for a single fold or fewer than three such trials."""
    values = _fold_values(evidence, trials)
    if values is None:
        return None
    n, k = values.shape
    means = values.mean(axis=1, keepdims=True)
    left = values - means - values.mean(axis=0) + values.mean()
    between = float(k * np.sum((means - values.mean()) ** 2) / (n - 1))
    return FoldTable(n, k, between, float(np.sum(left**2) / ((n - 1) * (k - 1))))


def _fold_values(evidence: SearchEvidence, trials: Iterable[int]) -> Array | None:
    """Trials by folds, shape (trials, folds); None for one fold, or fewer than three trials."""
    rows = [evidence.folds[t] for t in trials if t in evidence.folds]
    if len(rows) < 3 or len(set(map(len, rows))) != 1 or len(rows[0]) < 2:
        return None
    values = np.array(rows, dtype=float)
    return values if np.isfinite(values).all() else None


def _paired_error(values: Array) -> float | None:
    """The standard error of a trial's mean, without what folds do to all trials.

    By medians: among good trials may be a few whose values are all over the place.
    """
    folds = values.shape[1]
    left = values - values.mean(axis=1, keepdims=True)
    left = left - np.median(left, axis=0)
    free = folds - 1
    middle = (1 - 2 / (9 * free)) ** 3  # of a chi-squared over its freedom (Wilson and Hilferty)
    variance = float(np.median(left.var(axis=1, ddof=1))) / middle
    return math.sqrt(variance / folds) if variance > 0 else None


def trial_error(evidence: SearchEvidence) -> float | None:
    """How far luck moves one trial's value beside the others; None where nothing tells.

    Over folds it is the standard error of the mean, without what all trials have in common. On a
    single split no error is known that trials do not share: a binomial error is mostly of the rows,
    which are the same for all. There it is how far values move from epoch to epoch towards the end,
    which is less than all luck: what is within it, is within luck.
    """
    better = [row.trial for row in evidence.ranking[: max(5, len(evidence.ranking) // 2)]]
    values = _fold_values(evidence, better)
    if values is not None:
        return _paired_error(values)
    moves = [
        statistics.median(steps) * _MEDIAN_TO_DEVIATION / math.sqrt(2)
        for trial in better
        if len(folds := evidence.curves.get(trial, ())) == 1
        and len(steps := _late_steps(folds[0].validation)) >= _FEWEST_STEPS
    ]
    found = statistics.median(moves) if len(moves) >= 3 else 0.0
    return found if found > 0 else None


def _late_steps(values: Sequence[float]) -> list[float]:
    """How far values move from epoch to epoch in the second half of a curve."""
    late = [value for value in values[len(values) // 2 :] if math.isfinite(value)]
    return [abs(b - a) for a, b in itertools.pairwise(late)]
