"""New points: spread over the space, around the best, and none that is nearly a known one."""

from dataclasses import dataclass

import numpy as np

from hpsearch.searchers.auto.encoding import Array, Encoding

TRIES = 2000  # random points after which a space counts as tried throughout
WIDEST, DECADES = 0.3, 1.5  # of steps: their largest scale, and over how many powers of ten
STOPPED = 0.5  # of the points stepped to, those that stop at the end of a range; others turn back


@dataclass(frozen=True, slots=True)
class Candidates:
    """Draws unit points, snapped to values. near: how far two differ, at least, along some axis."""

    encoding: Encoding
    near: float

    def anywhere(self, count: int, rng: np.random.Generator) -> Array:
        """Random points, shape (count, d)."""
        return self.encoding.snap(rng.random((count, len(self.encoding.space))))

    def around(
        self, centers: Array, count: int, rng: np.random.Generator, scale: float = 1.0
    ) -> Array:
        """Points a step from some of `centers`, shape (count, d); from few axes to all of them.

        Steps have scales from 0.3 to 0.01 of a range, times `scale`; an option becomes any other.
        """
        d = centers.shape[1]
        base = centers[rng.integers(len(centers), size=count)]
        width = scale * WIDEST * 10.0 ** (-DECADES * rng.random((count, 1)))
        step = rng.standard_normal((count, d)) * np.maximum(width, 0.5 / self.encoding.counts)
        moved = rng.random((count, d)) < np.maximum(rng.random((count, 1)), 1.0 / d)
        any_option = rng.random((count, d))
        there = base + step
        turned = np.abs(there)
        turned = np.where(turned > 1.0, 2.0 - turned, turned)
        # The best often lies at an end, where turning back alone never arrives.
        numbers = np.where(rng.random((count, 1)) < STOPPED, there, turned)
        new = np.where(self.encoding.choices, any_option, numbers)
        return self.encoding.snap(np.where(moved, new, base))

    def unknown(self, points: Array, known: Array) -> Array:
        """Those of `points`, shape (m, d), that are near none of `known`, shape (n, d)."""
        apart = np.zeros((len(points), len(known)))
        for column in range(points.shape[1]):  # axis by axis: m * n * d numbers would be many
            np.maximum(apart, np.abs(points[:, column, None] - known[None, :, column]), out=apart)
        return points[~(apart < self.near).any(axis=1)]

    def spread(self, count: int, seed: int) -> Array:
        """Points that cover the space evenly, shape (count, d): the middle, then Sobol's sequence.

        Shuffled as Owen (Journal of Complexity 14, 1998) does, by `seed`.
        """
        from scipy.stats import qmc

        d = len(self.encoding.space)
        sequence = qmc.Sobol(d, seed=seed).random_base2(max(count - 1, 1).bit_length())
        return self.encoding.snap(np.concatenate([np.full((1, d), 0.5), sequence])[:count])

    def fresh(self, known: Array, rng: np.random.Generator) -> Array | None:
        """A random point that is near no known one, shape (d,); None where none is found."""
        for count in (1, TRIES):
            found = self.unknown(self.anywhere(count, rng), known)
            if len(found):
                return np.asarray(found[0])
        return None
