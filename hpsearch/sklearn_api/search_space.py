"""A space from what scikit-learn's searches take: a dict of lists and distributions."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hpsearch.core.errors import SpaceError
from hpsearch.core.parameters import Choice, Float, Int
from hpsearch.core.rules import brief
from hpsearch.core.space import Space


def make_space(given: Any) -> Space:
    """The space of a `Space`, or of a dict of values by name, as scikit-learn's searches take it.

    A list, a tuple or an array of shape (n,) becomes a Choice. SciPy's `uniform`, `loguniform` and
    `randint` become the Float or Int that draws the same values; ranges stay as they are.

    Raises SpaceError for anything else.

    >>> make_space({"units": [16, 32], "rate": Float(1e-3, 1e-1, log=True)})
    Space(units=Choice(16, 32), rate=Float(0.001, 0.1, log=True))
    """
    if isinstance(given, Space):
        return given
    if not isinstance(given, Mapping):
        raise SpaceError(
            "space is a Space, or one dict of values by name, as {'units': [16, 32]}, got "
            f"{brief(given)}"
        )
    return Space({name: _make_range(name, values) for name, values in given.items()})


def _make_range(name: Any, values: Any) -> Float | Int | Choice:
    if isinstance(values, Float | Int | Choice):
        return values
    if callable(getattr(values, "rvs", None)):  # as scikit-learn tells distributions from lists
        return _range_of_distribution(name, values)
    is_list = isinstance(values, Sequence) and not isinstance(values, str | bytes)
    if not is_list and not (isinstance(values, np.ndarray) and values.ndim == 1):
        raise SpaceError(
            f"{brief(name)}: values to try are a list, a distribution of scipy.stats, or a Float, "
            f"Int or Choice, got {brief(values)}; a constant is [{brief(values)}]"
        )
    try:
        return Choice(*values)
    except SpaceError as error:
        raise SpaceError(f"{brief(name)}: {error}") from error


def _range_of_distribution(name: Any, distribution: Any) -> Float | Int:
    """The range that draws what a frozen distribution of SciPy draws, every value as likely."""
    family = getattr(getattr(distribution, "dist", None), "name", "")
    if family not in ("uniform", "loguniform", "reciprocal", "randint"):
        raise SpaceError(
            f"{brief(name)}: {family or brief(distribution)} is no distribution that a range draws "
            "exactly; those are uniform(...), loguniform(...) and randint(...) of scipy.stats"
        )
    low, high = (float(end) for end in distribution.support())
    try:
        if family == "randint":
            return Int(int(low), int(high))
        if family == "uniform":
            return Float(low, high)
        # Moved by loc=, it is uniform in the logarithm no longer.
        if low > 0 and math.isclose(float(distribution.median()), math.sqrt(low * high)):
            return Float(low, high, log=True)
    except (SpaceError, ValueError, OverflowError) as error:
        raise SpaceError(f"{brief(name)}: {error}") from error
    raise SpaceError(f"{brief(name)}: loguniform with loc= is no range; leave loc= out")
