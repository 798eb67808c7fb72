"""Learning curves, smoothed."""

import math
from collections.abc import Sequence


def smooth_curve(values: Sequence[float], weight: float) -> list[float]:
    """The exponential average: weight of what came before, the rest of the new value.

    As in Chollet, Deep Learning with Python, section 3.6: it begins with the first value itself.
    What is not finite is passed over.

    >>> smooth_curve([1.0, 2.0, 2.0], 0.5), smooth_curve([1.0, math.nan, 2.0], 0.5)
    ([1.0, 1.5, 1.75], [1.0, 1.0, 1.5])
    """
    found: list[float] = []
    for value in values:
        before = found[-1] if found and math.isfinite(found[-1]) else value
        found.append(before * weight + value * (1 - weight) if math.isfinite(value) else before)
    return found
