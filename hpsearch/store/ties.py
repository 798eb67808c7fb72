"""Which trials the data cannot tell apart, by values paired over folds and seeds."""

import math
import statistics
from collections.abc import Sequence
from functools import cache

_LEVEL = 0.05  # two-sided
_MOST = 1000  # pairs; who needs more will not train them


def standard_error(differences: Sequence[float], share: float) -> float:
    """Of the mean difference between two models, over the splits and seeds on which both were trained.

    The splits share training rows, so that the differences are no independent sample: to 1/n, the
    variance's factor, the share of validation to training rows is added (Nadeau and Bengio, Machine
    Learning 52, 2003, section 3).

    >>> round(standard_error([0.1, 0.2, 0.3], 0.5), 4)
    0.0913
    """
    n = len(differences)
    return statistics.stdev(differences) * math.sqrt(1 / n + share)


def tied(differences: Sequence[float], share: float) -> bool:
    """Whether a corrected t test at 5 % leaves the models untold apart.

    >>> tied([0.1, 0.2, 0.3], 0.5), tied([0.19, 0.2, 0.21], 0.5)
    (True, False)
    """
    mean = statistics.fmean(differences)
    return abs(mean) <= _limit(len(differences)) * standard_error(differences, share)


def more_repeats(differences: Sequence[float], share: float, folds: int) -> int | None:
    """How many further trainings of both would tell them apart, if differences stay as they are.

    folds: pairs that each brings. None: no number of them would, only more rows; or more than
    anyone trains.

    >>> more_repeats([0.1, 0.2, 0.3], 0.1, folds=1), more_repeats([0.1, -0.2, 0.3], 0.5, folds=1)
    (1, None)
    """
    mean, deviation = abs(statistics.fmean(differences)), statistics.stdev(differences)
    for pairs in range(len(differences), _MOST, folds):
        if mean > _limit(pairs) * deviation * math.sqrt(1 / pairs + share):
            return (pairs - len(differences)) // folds
    return None


@cache
def _limit(pairs: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(pairs - 1, 1 - _LEVEL / 2))
