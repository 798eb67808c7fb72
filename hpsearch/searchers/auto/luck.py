"""Whether what is left to find is more than what the folds can tell apart."""

import math
from dataclasses import dataclass

import numpy as np

from hpsearch.searchers.auto.evidence import Evidence

FEWEST_TRAININGS = 6  # in full, before scores can be turned into losses


@dataclass(frozen=True, slots=True)
class Remainder:
    """What is left to find.

    Args:
        gain: by how much the most promising point may be better than the best, in units of the
            loss: its predicted mean and one standard deviation.
        se: the standard error of the best's loss.
    """

    gain: float
    se: float

    @property
    def is_luck(self) -> bool:
        """Whether a better loss would tell nothing of which point is better."""
        return self.gain < self.se


def measure_remainder(gain: float, known: Evidence, full: int) -> Remainder | None:
    """What is left to find, where as many as needed were trained in full, and the error is known.

    Normal scores become losses by a straight line through the best full training and the middle
    one.

    Args:
        gain: in normal scores.
        full: the epochs of a full training.
    """
    rows = np.flatnonzero(known.fine & (known.epochs == full))
    if len(rows) < FEWEST_TRAININGS:
        return None
    rows = rows[np.argsort(known.losses[rows], kind="stable")]
    best, middle = rows[0], rows[len(rows) // 2]
    se, apart = float(known.errors[best]), known.scores[best] - known.scores[middle]
    if not math.isfinite(se) or apart <= 0:
        return None
    slope = (known.losses[middle] - known.losses[best]) / apart
    return Remainder(max(0.0, gain) * float(slope), se)
