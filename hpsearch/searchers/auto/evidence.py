"""What a round of `Auto` knows when it decides."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hpsearch.searchers.auto.encoding import Array
from hpsearch.searchers.auto.failures import Bools
from hpsearch.searchers.auto.process import Ints, normal_scores

FAILED = -1.5  # the score of a failed trial: that of the worst loss but one in fifteen


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that a round knows. Its n points are numbered in the order in which they were begun.

    Args:
        units: the unit points, shape (n, d).
        features: their features, shape (n, f).
        trials: the numbers of the m trials that ended, counted from the round's first, shape (m,).
            Rows are in their order, whichever ended first.
        chains: of each of these trials, the number of its point, shape (m,).
        epochs: their total epochs, shape (m,).
        losses: their losses, shape (m,); infinite for a trial that failed.
        errors: the losses' standard errors over folds, shape (m,); NaN where unknown.
        waiting: the points that may be continued.
        running: the points in training, each with the epochs that it trains to.
        spent: epochs of all trials, in full trainings.
    """

    units: Array
    features: Array
    trials: Ints
    chains: Ints
    epochs: Array
    losses: Array
    errors: Array
    waiting: Sequence[int]
    running: Sequence[tuple[int, int]]
    spent: float

    @property
    def has_differing_losses(self) -> bool:
        """Whether there is anything to learn from: where all losses are equal, there is not."""
        finite = self.losses[np.isfinite(self.losses)]
        return len(finite) > 1 and bool(finite.min() < finite.max())

    @property
    def failed(self) -> Bools:
        """Whether each point failed, shape (n,)."""
        found = np.zeros(len(self.units), dtype=bool)
        found[self.chains[~np.isfinite(self.losses)]] = True
        return found

    @property
    def fine(self) -> Bools:
        """Whether each trial that ended did not fail, shape (m,)."""
        return np.isfinite(self.losses)

    @property
    def scores(self) -> Array:
        """Normal scores of the losses, shape (m,).

        Failures have no rank among them, whose scores they would shift. They have that of a bad
        loss: without any, the process would go on to hope for much where nothing ever succeeds.
        """
        scores = np.full(len(self.losses), FAILED)
        scores[self.fine] = normal_scores(self.losses[self.fine])
        return scores
