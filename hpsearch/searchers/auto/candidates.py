"""Sample new points: anywhere, spread over the space, or around good ones."""

from dataclasses import dataclass

import numpy as np

from hpsearch.searchers.auto.encoding import Array, Encoding

TRIES = 2000  # random points, all near known ones, after which a space counts as exhausted
WIDEST, DECADES = 0.3, 1.5  # of steps: the largest scale, and how many powers of ten they span
STOPPED = 0.5  # the share of points whose steps stop at the end of a range; others turn back


@dataclass(frozen=True, slots=True)
class CandidateSampler:
    """Samples unit points, each snapped to values of the space.

    Args:
        near: two points are the same if they differ by less than this along every axis.
    """

    encoding: Encoding
    near: float

    def sample_anywhere(self, count: int, rng: np.random.Generator) -> Array:
        """Random points, shape (count, d)."""
        return self.encoding.snap(rng.random((count, len(self.encoding.space))))

    def sample_around(
        self, centers: Array, count: int, rng: np.random.Generator, scale: float = 1.0
    ) -> Array:
        """Points a step away from some of `centers`, shape (count, d).

        A step goes along a few axes, or along all of them. Its scale is 0.3 to 0.01 of a range,
        times `scale`; an option becomes any option.
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
        # The best value is often the end of a range. Steps that turn back there never arrive at it.
        numbers = np.where(rng.random((count, 1)) < STOPPED, there, turned)
        new = np.where(self.encoding.choices, any_option, numbers)
        return self.encoding.snap(np.where(moved, new, base))

    def drop_near_known(self, points: Array, known: Array) -> Array:
        """Leave out those of `points`, shape (m, d), that are near one of `known`, shape (n, d)."""
        # Axis by axis, of the pairs that all axes before left near: soon there are few.
        found = np.abs(points[:, None, 0] - known[None, :, 0]) < self.near
        these, those = np.nonzero(found)
        for column in range(1, points.shape[1]):
            near = np.abs(points[these, column] - known[those, column]) < self.near
            these, those = these[near], those[near]
        kept = np.ones(len(points), dtype=bool)
        kept[these] = False
        return points[kept]

    def spread_evenly(self, count: int, seed: int) -> Array:
        """Points that cover the space evenly, shape (count, d): the middle, then Sobol's sequence.

        The sequence is scrambled by `seed` (Owen, Journal of Complexity 14, 1998).
        """
        from scipy.stats import qmc

        d = len(self.encoding.space)
        sequence = qmc.Sobol(d, seed=seed).random_base2(max(count - 1, 1).bit_length())
        return self.encoding.snap(np.concatenate([np.full((1, d), 0.5), sequence])[:count])

    def sample_new_point(self, known: Array, rng: np.random.Generator) -> Array | None:
        """A random point, shape (d,), that is near no known one; None where none is found."""
        for count in (1, TRIES):
            found = self.drop_near_known(self.sample_anywhere(count, rng), known)
            if len(found):
                return np.asarray(found[0])
        return None
