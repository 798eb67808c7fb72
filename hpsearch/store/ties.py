"""Which trials the data cannot tell apart, by values paired over folds and seeds."""

import math
import statistics
from collections.abc import Sequence
from functools import cache

_LEVEL = 0.05  # two-sided
_SIGNS = 1 + math.ceil(-math.log2(_LEVEL))  # differences of one sign have a chance of 2 / 2**n: 6
_MOST = 100  # trainings; who needs more will not train them

Differences = Sequence[Sequence[float]]
"""Of two models: for each split, one for each seed with which both were trained on it."""


def standard_error(differences: Sequence[float], share: float) -> float:
    """Of the mean difference between two models, over splits.

    The splits share training rows, so that the differences are no independent sample: to 1/n, the
    variance's factor, the share of validation to training rows is added (Nadeau and Bengio, Machine
    Learning 52, 2003, section 3).

    >>> round(standard_error([0.1, 0.2, 0.3], 0.5), 4)
    0.0913
    """
    n = len(differences)
    return math.sqrt(_variance(differences) * (1 / n + share))


def tied(differences: Differences, share: float) -> bool:
    """Whether a t test at 5 % leaves the models untold apart.

    Over several splits it is the corrected one, of the means over seeds: a further seed brings no
    new rows. On a single split it is the ordinary one, over seeds, and speaks of these rows alone.

    >>> tied([[0.1], [0.2], [0.3]], 0.5), tied([[0.19], [0.2], [0.21]], 0.5)
    (True, False)

    Differences that are all the same are judged by their signs.

    >>> tied([[0.1]] * 5, 0.25), tied([[0.1]] * 6, 0.2)
    (True, False)
    >>> tied([[0.1, 0.1], [0.2, 0.2], [0.3, 0.3]], 0.5), tied([[0.19, 0.2, 0.21]], 0.5)
    (True, False)
    """
    values, share = _sample(differences, share)
    if _are_alike(values):
        return not any(values) or len(values) < _SIGNS
    return abs(statistics.fmean(values)) <= _limit(len(values)) * standard_error(values, share)


def _variance(values: Sequence[float]) -> float:
    """Of a sample. `statistics.variance` works in fractions, for a ranking ten times as long."""
    mean = statistics.fmean(values)
    return math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)


def _are_alike(values: Sequence[float]) -> bool:
    """Whether differences are the same but for rounding.

    Their deviation of 0 is no variance of 0: few rows, of which as many went one way in every
    split, show none. A t test on it would be certain of any difference, so that the sign test
    stands in for it, which needs no variance (Demsar, JMLR 7, 2006, section 3.1.4).

    >>> _are_alike([0.96 - 0.95, 0.94 - 0.93]), _are_alike([0.01, 0.02])
    (True, False)
    """
    return max(values) - min(values) <= 1e-9 * max(1.0, *map(abs, values))


def more_repeats(differences: Differences, share: float) -> int | None:
    """How many further trainings of both would tell them apart, if things stay as they are.

    They take the seeds' part out of the variance, over several splits no more than that. How large
    it is, repeats tell; before there are any, it is taken to be all, so that the number is the
    least. None: no number of them would.

    >>> more_repeats([[0.1], [0.2], [0.3]], 0.1), more_repeats([[0.1, 0.1], [0.3, 0.3]], 0.1)
    (2, None)
    >>> more_repeats([[0.1, 0.2, 0.0]], 0.1)
    4
    """
    values, share = _sample(differences, share)
    if _are_alike(values):  # of what they vary by, nothing is known; on one split, signs may do
        signs = _SIGNS - len(values) if len(differences) == 1 and any(values) else 0
        return signs if signs > 0 else None
    mean, repeats = abs(statistics.fmean(values)), len(differences[0])
    total = _variance(values)
    lasting, passing, splits = 0.0, total, len(differences)
    if splits > 1 and repeats > 1:
        passing = statistics.fmean(_variance(seeds) for seeds in differences)
        lasting = max(0.0, total - passing / repeats)
    if splits > 1:
        room = (mean / _limit(splits)) ** 2 / (1 / splits + share) - lasting  # for the seeds' part
        trainings = math.floor(passing / room) + 1 if room > passing / _MOST else _MOST
        return trainings - repeats if trainings < _MOST else None
    for trainings in range(repeats + 1, _MOST):
        if mean > _limit(trainings) * math.sqrt(passing / trainings):
            return trainings - repeats
    return None


def _sample(differences: Differences, share: float) -> tuple[Sequence[float], float]:
    """The sample that is tested, and the share that corrects for it."""
    if len(differences) == 1:
        return differences[0], 0.0
    return [statistics.fmean(seeds) for seeds in differences], share


@cache
def _limit(pairs: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(pairs - 1, 1 - _LEVEL / 2))
