"""Tests whether two trials differ significantly, by values paired over folds and seeds."""

import math
import statistics
from collections.abc import Mapping, Sequence
from functools import cache

_LEVEL = 0.05  # two-sided
# The sign test needs 6 differences: n of one sign have a probability of 2 / 2**n.
_SIGNS = 1 + math.ceil(-math.log2(_LEVEL))
_MOST = 100  # trainings; nobody would train more

Differences = Sequence[Sequence[float]]
"""Differences of two models' values: for each split, one for each seed; see `pair_trainings`."""

Trainings = Mapping[tuple[int, int], float]
"""A model's value by training (0, and its repeats with other seeds) and split."""


def pair_trainings(first: Trainings, second: Trainings) -> list[list[float]]:
    """The differences of two models' values on the same splits, by split: the first's less the second's.

    Where both were trained with the same seeds, there is one for each seed. Where they were not, as
    where only one was repeated, there is one of the means over all seeds of each: these are what the
    values of both are made of. On a single split only seeds of both count, because means over
    several seeds would leave nothing to test.

    >>> pair_trainings({(0, 0): 3.0, (0, 1): 5.0}, {(0, 0): 1.0, (0, 1): 1.0})
    [[2.0], [4.0]]
    >>> pair_trainings({(0, 0): 3.0, (0, 1): 5.0, (1, 0): 4.0, (1, 1): 6.0}, {(0, 0): 1.0, (0, 1): 1.0})
    [[2.5], [4.5]]
    """
    splits = sorted({split for _, split in first} & {split for _, split in second})
    if len(splits) > 1 and first.keys() != second.keys():
        return [[_mean_of_split(first, split) - _mean_of_split(second, split)] for split in splits]
    found: dict[int, list[float]] = {}
    for training, split in sorted(first.keys() & second.keys()):
        found.setdefault(split, []).append(first[training, split] - second[training, split])
    return list(found.values())


def _mean_of_split(trainings: Trainings, split: int) -> float:
    return statistics.fmean(value for (_, at), value in sorted(trainings.items()) if at == split)


def standard_error(differences: Sequence[float], share: float) -> float:
    """The standard error of the mean difference between two models, over splits.

    The splits share training rows, so the differences are not independent. Therefore the variance
    is multiplied not by 1/n but by 1/n + share (Nadeau and Bengio, Machine Learning 52, 2003,
    section 3).

    Args:
        share: the ratio of validation rows to training rows.

    >>> round(standard_error([0.1, 0.2, 0.3], 0.5), 4)
    0.0913
    """
    n = len(differences)
    return math.sqrt(_variance(differences) * (1 / n + share))


def are_indistinguishable(differences: Differences, share: float) -> bool:
    """Whether a t test at 5 % shows no difference between the models.

    Over several splits it is the corrected test, on the means over seeds: a further seed brings no
    new rows. On a single split it is the ordinary test over seeds, which speaks of these rows only.

    >>> are_indistinguishable([[0.1], [0.2], [0.3]], 0.5)
    True
    >>> are_indistinguishable([[0.19], [0.2], [0.21]], 0.5)
    False
    >>> are_indistinguishable([[0.1, 0.1], [0.2, 0.2], [0.3, 0.3]], 0.5)
    True
    >>> are_indistinguishable([[0.19, 0.2, 0.21]], 0.5)
    False

    Differences that are all equal are judged by the sign test.

    >>> are_indistinguishable([[0.1]] * 5, 0.25), are_indistinguishable([[0.1]] * 6, 0.2)
    (True, False)
    """
    values, share = _sample(differences, share)
    if _are_alike(values):
        return not any(values) or len(values) < _SIGNS
    return abs(statistics.fmean(values)) <= _limit(len(values)) * standard_error(values, share)


def _variance(values: Sequence[float]) -> float:
    """The variance of a sample."""
    # Not `statistics.variance`: it computes with fractions, and a ranking takes ten times as long.
    mean = statistics.fmean(values)
    return math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)


def _are_alike(values: Sequence[float]) -> bool:
    """Whether differences are equal except for rounding.

    With few rows, all splits may show the same difference by chance: that is no variance of 0. A t
    test would take any such difference for significant. The sign test takes its place, which needs
    no variance (Demsar, JMLR 7, 2006, section 3.1.4).

    >>> _are_alike([0.96 - 0.95, 0.94 - 0.93]), _are_alike([0.01, 0.02])
    (True, False)
    """
    return max(values) - min(values) <= 1e-9 * max(1.0, *map(abs, values))


def count_repeats_needed(differences: Differences, share: float) -> int | None:
    """How many further repeats of both models would show a difference; None: no number would.

    It is assumed that mean and variances stay as they are. Repeats reduce the part of the variance
    that comes from the seeds; over several splits, the rest stays. Before there are any repeats,
    all of it is taken to come from the seeds, so that the number is a lower bound.

    >>> count_repeats_needed([[0.1], [0.2], [0.3]], 0.1)
    2
    >>> print(count_repeats_needed([[0.1, 0.1], [0.3, 0.3]], 0.1))
    None
    >>> count_repeats_needed([[0.1, 0.2, 0.0]], 0.1)
    4
    """
    values, share = _sample(differences, share)
    # Equal differences: the variance is unknown, so only more signs on a single split can help.
    if _are_alike(values):
        signs = _SIGNS - len(values) if len(differences) == 1 and any(values) else 0
        return signs if signs > 0 else None
    # Split the variance into the seeds' part, which repeats reduce, and the splits' part.
    mean, repeats = abs(statistics.fmean(values)), len(differences[0])
    total = _variance(values)
    of_splits, of_seeds, splits = 0.0, total, len(differences)
    if splits > 1 and repeats > 1:
        of_seeds = statistics.fmean(_variance(seeds) for seeds in differences)
        of_splits = max(0.0, total - of_seeds / repeats)
    # Several splits: how small must the seeds' part be for the mean to be significant?
    if splits > 1:
        room = (mean / _limit(splits)) ** 2 / (1 / splits + share) - of_splits
        trainings = math.floor(of_seeds / room) + 1 if room > of_seeds / _MOST else _MOST
        return trainings - repeats if trainings < _MOST else None
    # A single split: try each number of trainings.
    for trainings in range(repeats + 1, _MOST):
        if mean > _limit(trainings) * math.sqrt(of_seeds / trainings):
            return trainings - repeats
    return None


def _sample(differences: Differences, share: float) -> tuple[Sequence[float], float]:
    """The sample to be tested, and the share of rows that corrects its standard error."""
    if len(differences) == 1:
        return differences[0], 0.0
    return [statistics.fmean(seeds) for seeds in differences], share


@cache
def _limit(pairs: int) -> float:
    """The value of t above which a mean of so many differences is significant."""
    from scipy.special import stdtrit

    return float(stdtrit(pairs - 1, 1 - _LEVEL / 2))
