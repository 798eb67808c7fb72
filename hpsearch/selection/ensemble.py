"""An ensemble of the best few, chosen greedily on validation rows."""

from collections import Counter
from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np

from hpsearch.core.data import Array


def greedy(
    predictions: Sequence[Array], loss: Callable[[Array], float], *, picks: int = 50
) -> dict[int, Fraction]:
    """The weights of those of `predictions` whose mean is best, by their places; they add up to 1.

    Starts with the best one and adds, with replacement, whichever makes the mean best; of all the
    means on the way the best is taken, of equals the first (Caruana et al., Ensemble Selection from
    Libraries of Models, ICML 2004, section 2). loss: of predictions, lower is better.

    >>> a, b, c = (np.array([v]) for v in (0.0, 3.0, 9.0))
    >>> greedy([a, b, c], lambda mean: abs(float(mean[0]) - 1))
    {0: Fraction(2, 3), 1: Fraction(1, 3)}
    """
    chosen: list[int] = []
    total = np.zeros_like(predictions[0], dtype=np.float64)
    best, best_loss = 0, np.inf
    for size in range(1, picks + 1):
        losses = [loss((total + each) / size) for each in predictions]
        place = int(np.argmin(losses))
        chosen.append(place)
        total += predictions[place]
        if losses[place] < best_loss or not best:
            best, best_loss = size, losses[place]
    counts = Counter(chosen[:best])
    return {place: Fraction(count, best) for place, count in sorted(counts.items())}
