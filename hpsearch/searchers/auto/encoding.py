"""A space as a Gaussian process sees it: numbers in [0, 1], options at equal distances."""

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
    """The space, many points at a time.

    Unit points are rows of shape (d,) for the d parameters, in the order of the space. Features
    are rows of shape (f,): a column a number, a column an option, and a column that tells whether
    a parameter exists, if that depends on others. groups: the parameter of each feature.
    """

    space: Space
    groups: "np.ndarray[Any, np.dtype[np.int64]]" = field(init=False)
    counts: Array = field(init=False)  # of each parameter, its values if they are few, else inf
    choices: "np.ndarray[Any, np.dtype[np.bool_]]" = field(init=False)

    def __post_init__(self) -> None:
        ranges = list(self.space.values())
        self.counts = np.array([_count(parameter) for parameter in ranges])
        self.choices = np.array([isinstance(parameter, Choice) for parameter in ranges])
        widths = [(len(p.options) if isinstance(p, Choice) else 1) + bool(p.when) for p in ranges]
        self.groups = np.repeat(np.arange(len(ranges)), widths)

    def unit(self, params: Params) -> Array:
        """The unit point of params, shape (d,)."""
        return self.space.to_unit(params)

    def snap(self, units: Array) -> Array:
        """The unit points, shape (m, d), of the values that decode from `units`, likewise."""
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

    def features(self, units: Array) -> Array:
        """Features, shape (m, f), of snapped unit points, shape (m, d)."""
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
        there = np.ones(len(units))
        order = {name: place for place, name in enumerate(self.space)}
        for parent, allowed in self.space.conditions(name).items():
            values = [self.space[parent].encode(value) for value in allowed]
            near = np.abs(units[:, [order[parent]]] - np.array(values)) < 1e-9
            there *= near.any(axis=1) * self._exists(parent, units)
        return there


def _count(parameter: Float | Int | Choice) -> float:
    if isinstance(parameter, Choice):
        return len(parameter.options)
    if isinstance(parameter, Int):
        return len(range(parameter.low, parameter.high + 1, parameter.step or 1))
    if parameter.low == parameter.high:
        return 1
    return math.inf if parameter.step is None else len(parameter.grid(None))


def _snap(parameter: Float | Int | Choice, units: Array) -> Array:
    count = _count(parameter)
    if isinstance(parameter, Int) and parameter.log:
        a, b = math.log(parameter.low - 0.5), math.log(parameter.high + 0.5)
        value = np.clip(np.rint(np.exp(a + units * (b - a))), parameter.low, parameter.high)
        return np.asarray((np.log(value) - a) / (b - a))
    if math.isinf(count):
        return units
    return np.asarray((np.minimum(np.floor(units * count), count - 1) + 0.5) / count)
