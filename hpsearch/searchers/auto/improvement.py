"""Expected improvement (Jones et al., Journal of Global Optimization 13, 1998), as logarithms."""

import math

import numpy as np

from hpsearch.searchers.auto.encoding import Array


def log_improvement(mean: Array, sd: Array, goal: float) -> Array:
    """log E[max(f - goal, 0)] for f ~ N(mean, sd**2), element by element.

    Logarithms, because far below the goal the expectation itself is 0 in floats, and nothing
    could be compared any more (Ament et al., NeurIPS 2023).

    >>> log_improvement(np.array([0.0, -40.0]), np.ones(2), 0.0).round(3).tolist()
    [-0.919, -808.297]
    """
    from scipy.special import ndtr

    z = (mean - goal) / sd
    density = -0.5 * z * z - 0.5 * math.log(2.0 * math.pi)
    inner = np.exp(density) + z * ndtr(z)
    far = density - 2.0 * np.log(np.maximum(np.abs(z), 1.0))  # its limit, where inner cancels out
    return np.asarray(np.log(sd) + np.where(z > -6.0, np.log(np.maximum(inner, 1e-300)), far))
