"""A fit that trains in a gang: its model's structure, its numbers, its first weights."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hpsearch.task import Metric
from hpsearch.training import checkpoint
from hpsearch.training.base import Fit, ModelSpec, batch_size
from hpsearch.training.building import build_model, first_value, valueless
from hpsearch.training.history import History
from hpsearch.training.numbers import Numbers
from hpsearch.trial import Curve

Arrays = list[np.ndarray[Any, Any]]


@dataclass(eq=False)
class Member:
    """One fit of a gang. index: its place among the fits asked for. seconds: its share so far."""

    index: int
    history: History
    model: Any
    numbers: Numbers
    seconds: float = 0.0

    @classmethod
    def build(cls, index: int, fit: Fit, spec: ModelSpec, metric: Metric) -> "Member":
        """Raises what `build` does, and CheckpointError."""
        start = time.perf_counter()
        with valueless():
            model = build_model(fit.build, spec, fit.params, fit.seed)
            if not model.optimizer.built:
                model.optimizer.build(model.trainable_variables)
        history = History(fit, metric)
        checkpoint.restore(history, model)
        return cls(index, history, model, Numbers(model), time.perf_counter() - start)

    @property
    def fit(self) -> Fit:
        return self.history.fit

    @property
    def rows(self) -> int:
        return len(self.fit.split.train)

    @property
    def batch(self) -> int:
        return min(batch_size(self.fit.params), self.rows)

    @property
    def steps(self) -> int:
        return math.ceil(self.rows / self.batch)

    def state(self) -> tuple[Arrays, Arrays, Arrays]:
        """Its weights, other variables and the optimizer's, as it begins."""
        model = self.model
        weights, others, slots = (
            [first_value(variable) for variable in variables]
            for variables in (
                model.trainable_variables,
                model.non_trainable_variables,
                model.optimizer.variables,
            )
        )
        return weights, others, slots

    def save(self, state: tuple[Arrays, Arrays, Arrays]) -> None:
        """Leave a checkpoint that any trainer can continue from."""
        model, path = self.model, self.fit.checkpoint_out
        assert path is not None
        parts = model.trainable_variables, model.non_trainable_variables, model.optimizer.variables
        values = {
            id(variable): value
            for variables, arrays in zip(parts, state, strict=True)
            for variable, value in zip(variables, arrays, strict=True)
        }
        wanted = [values[id(variable)] for variable in checkpoint.variables(model)]
        checkpoint.save(path, wanted, self.history.curves)
        self.history.saved()

    def curve(self) -> Curve:
        return self.history.curve(parameters=int(self.model.count_params()), seconds=self.seconds)


def next_size(members: int) -> int:
    """The next of 1, 2, 3, 4, 6, 8, 12, 16, 24...: few sizes, so that few programs are compiled."""
    power = 1 << max(members - 1, 0).bit_length()
    return power * 3 // 4 if power >= 4 and members <= power * 3 // 4 else power


def padded(members: Sequence[Member]) -> list[Member]:
    """As many as the next size, the first standing in for those who are missing."""
    return [*members, *[members[0]] * (next_size(len(members)) - len(members))]
