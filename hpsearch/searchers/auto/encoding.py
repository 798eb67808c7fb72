"""Points of a space as the Gaussian process takes them: rows of features."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hpsearch.core.parameters import Choice, Float, Int
from hpsearch.core.space import Params, Space

Array = np.ndarray[Any, np.dtype[np.float64]]
INACTIVE = 0.5  # the unit value of a parameter that does not exist, as in `Space.to_unit`


@dataclass(slots=True)
class Encoding:
    """Encode many points of a space at a time.

    A unit point is a row of shape (d,), a number in [0, 1] for each of the d parameters, in the
    order of the space. Its features are a row of shape (f,): a column for a number, a column for
    each option of a Choice, and, where a parameter has a condition, a column that says whether it
    exists.

    Args:
        groups: the parameter of each feature, shape (f,).
        counts: how many values each parameter has, shape (d,); infinite where it is continuous.
        choices: whether each parameter is a Choice, shape (d,).
    """

    space: Space
    groups: "np.ndarray[Any, np.dtype[np.int64]]" = field(init=False)
    counts: Array = field(init=False)
    choices: "np.ndarray[Any, np.dtype[np.bool_]]" = field(init=False)

    def __post_init__(self) -> None:
        ranges = list(self.space.values())
        self.counts = np.array([_count_values(parameter) for parameter in ranges])
        self.choices = np.array([isinstance(parameter, Choice) for parameter in ranges])
        widths = [(len(p.options) if isinstance(p, Choice) else 1) + bool(p.when) for p in ranges]
        self.groups = np.repeat(np.arange(len(ranges)), widths)

    def to_unit(self, params: Params) -> Array:
        """The unit point of params, shape (d,)."""
        return self.space.to_unit(params)

    def snap(self, units: Array) -> Array:
        """Unit points, shape (m, d), moved to the middle of what decodes to the same values."""
        snapped = np.clip(units, 0.0, 1.0)
        order = {name: place for place, name in enumerate(self.space)}
        exists: dict[str, Any] = {}
        for name in self.space.parents_first:
            parameter, column = self.space[name], order[name]
            snapped[:, column] = _snap(parameter, snapped[:, column])
            there = np.ones(len(units), dtype=bool)
            for parent, allowed in self.space.conditions(name).items():
                values = [self.space[parent].encode(value) for value in allowed]
                near = np.abs(snapped[:, [order[parent]]] - np.array(values)) < 1e-9
                there &= exists[parent] & near.any(axis=1)
            snapped[~there, column] = INACTIVE
            exists[name] = there
        return snapped

    def to_features(self, units: Array) -> Array:
        """The features, shape (m, f), of snapped unit points, shape (m, d)."""
        columns = []
        for place, (name, parameter) in enumerate(self.space.items()):
            values = units[:, place]
            exists = self._exists(name, units)
            if isinstance(parameter, Choice):
                options = len(parameter.options)
                hot = np.minimum((values * options).astype(int), options - 1)
                # Two options are at distance 1, as are the two ends of a range.
                columns.append(np.eye(options)[hot] * math.sqrt(0.5) * exists[:, None])
            else:
                columns.append(values[:, None])
            if parameter.when:
                columns.append(0.5 * exists[:, None])
        return np.concatenate(columns, axis=1)

    def _exists(self, name: str, units: Array) -> Array:
        """1.0 for each unit point in which the parameter exists, else 0.0; shape (m,)."""
        there = np.ones(len(units))
        order = {name: place for place, name in enumerate(self.space)}
        for parent, allowed in self.space.conditions(name).items():
            values = [self.space[parent].encode(value) for value in allowed]
            near = np.abs(units[:, [order[parent]]] - np.array(values)) < 1e-9
            there *= near.any(axis=1) * self._exists(parent, units)
        return there


def _count_values(parameter: Float | Int | Choice) -> float:
    """How many values a range has; infinite for a continuous one."""
    if isinstance(parameter, Choice):
        return len(parameter.options)
    if isinstance(parameter, Int):
        return len(range(parameter.low, parameter.high + 1, parameter.step or 1))
    if parameter.low == parameter.high:
        return 1
    return math.inf if parameter.step is None else len(parameter.grid(None))


def _snap(parameter: Float | Int | Choice, units: Array) -> Array:
    count = _count_values(parameter)
    if isinstance(parameter, Int) and parameter.log:
        a, b = math.log(parameter.low - 0.5), math.log(parameter.high + 0.5)
        value = np.clip(np.rint(np.exp(a + units * (b - a))), parameter.low, parameter.high)
        return np.asarray((np.log(value) - a) / (b - a))
    if math.isinf(count):
        return units
    return np.asarray((np.minimum(np.floor(units * count), count - 1) + 0.5) / count)
