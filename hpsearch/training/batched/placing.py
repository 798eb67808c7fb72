"""How a member's variables and numbers lie in the program that trains it."""

from typing import Any

import numpy as np

from hpsearch.training.batched import padding
from hpsearch.training.batched.padding import Chain
from hpsearch.training.batched.scalars import Numbers
from hpsearch.training.building import parts

Arrays = list[np.ndarray[Any, Any]]
Parts = tuple[Arrays, Arrays, Arrays]
"""Weights, other variables, and the optimizer's."""


class Same:
    """The program is of the member's very structure."""

    def __init__(self, numbers: Numbers) -> None:
        self.numbers = numbers.values
        self.extents: list[int] = []

    def widened(self, state: Parts) -> Parts:
        return state

    def narrowed(self, state: Parts) -> Parts:
        return state


class Narrow:
    """The program is of a wider, deeper network.

    numbers: in its order; 0 where the member has no such layer. extents: along each axis of each
    of its weights, how many are the member's.
    """

    def __init__(
        self, model: Any, own: Chain, numbers: Numbers, wide: Any, its: Chain, wide_numbers: Numbers
    ) -> None:
        self._shapes = [[tuple(v.shape) for v in part] for part in parts(model)]
        self._wide_shapes = [[tuple(v.shape) for v in part] for part in parts(wide)]
        labels, wide_labels = (
            padding.variable_labels(model, own),
            padding.variable_labels(wide, its),
        )
        self._from = [
            [mine.index(label) if label in mine else None for label in wanted]
            for mine, wanted in zip(labels, wide_labels, strict=True)
        ]
        self._dtypes = [[str(v.dtype) for v in part] for part in parts(wide)]
        values = dict(zip(_keys(numbers, own), numbers.values, strict=True))
        self.numbers = [values.get(key, 0.0) for key in _keys(wide_numbers, its)]
        self.extents = [
            0 if index is None else self._shapes[0][index][axis]
            for index, shape in zip(self._from[0], self._wide_shapes[0], strict=True)
            for axis in range(len(shape))
        ]

    def widened(self, state: Parts) -> Parts:
        """What the member has not got is zero, and a layer that it has not got passes on."""
        weights, others, slots = (
            [
                self._widen(part, None if index is None else arrays[index], place)
                for place, index in enumerate(self._from[part])
            ]
            for part, arrays in enumerate(state)
        )
        return weights, others, slots

    def narrowed(self, state: Parts) -> Parts:
        weights, others, slots = (self._narrow(part, arrays) for part, arrays in enumerate(state))
        return weights, others, slots

    def _widen(self, part: int, array: Any, place: int) -> Any:
        shape, dtype = self._wide_shapes[part][place], self._dtypes[part][place]
        if array is None:
            passing_on = part == 0 and len(shape) == 2
            return np.eye(*shape).astype(dtype) if passing_on else np.zeros(shape, dtype)
        if array.shape == shape:
            return array
        return np.pad(array, [(0, n - m) for n, m in zip(shape, array.shape, strict=True)])

    def _narrow(self, part: int, arrays: Arrays) -> Arrays:
        own: Arrays = [np.empty(0)] * len(self._shapes[part])
        for array, index in zip(arrays, self._from[part], strict=True):
            if index is not None:
                own[index] = array[tuple(slice(n) for n in self._shapes[part][index])]
        return own


def _keys(numbers: Numbers, of: Chain) -> list[Any]:
    labels = of.labels()
    return [
        (labels[id(place.layer)] if place.layer is not None else None, place.name)
        for place in numbers.places
    ]
