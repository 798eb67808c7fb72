"""Where trials fail: the probability that a point's trial succeeds."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from hpsearch.searchers.auto.encoding import Array

Bools = np.ndarray[Any, np.dtype[np.bool_]]
PRIOR_COUNT = 0.1  # of points that succeed as often as all do, imagined wherever one asks
WIDTHS = (1.0, 0.5, 0.25, 0.125, 0.0625)  # of the kernel, in the lengths by which losses change
MOST_POINTS = 200  # by which the width is chosen


@dataclass(frozen=True, slots=True)
class SuccessModel:
    """The share of points near a given one that did not fail, by a Gaussian kernel.

    Args:
        points: that ended, features in lengths of the kernel, shape (n, f).
        failed: whether they did, shape (n,).
        scale: of the features, shape (f,).
    """

    points: Array
    failed: Bools
    scale: Array

    def log_probability(self, features: Array) -> Array:
        """Of success, shape (len(features),)."""
        kernel = gaussian_kernel(features * self.scale, self.points)
        return np.log(estimate_success(kernel, self.failed))


def fit_success_model(features: Array, failed: Bools, scale: Array) -> SuccessModel:
    """The model with the width that predicts each point best by all others.

    Lengths by which losses change need not be those by which failures begin, so they only say
    which parameters matter.

    Args:
        features: of the points that ended, shape (n, f).
        failed: whether they did, shape (n,).
        scale: of the features, one over their lengths, shape (f,).
    """
    some = slice(max(0, len(features) - MOST_POINTS), None)
    likelihoods = []
    for width in WIDTHS:
        points = features[some] * (scale / width)
        kernel = gaussian_kernel(points, points)
        np.fill_diagonal(kernel, 0.0)
        success = estimate_success(kernel, failed[some])
        likelihoods.append(np.log(np.where(failed[some], 1.0 - success, success)).sum())
    scale = scale / WIDTHS[int(np.argmax(likelihoods))]
    return SuccessModel(features * scale, failed, scale)


def estimate_success(kernel: Array, failed: Bools) -> Array:
    """Success of m points, by n that ended and the kernel, shape (m, n)."""
    prior = (np.sum(~failed) + 1.0) / (len(failed) + 2.0)
    return np.asarray((PRIOR_COUNT * prior + kernel @ ~failed) / (PRIOR_COUNT + kernel.sum(axis=1)))


def gaussian_kernel(p: Array, q: Array) -> Array:
    """exp(-|p - q|**2 / 2), shape (len(p), len(q))."""
    square = (p * p).sum(1)[:, None] + (q * q).sum(1)[None] - 2.0 * (p @ q.T)
    return np.asarray(np.exp(-0.5 * np.maximum(square, 0.0)))
