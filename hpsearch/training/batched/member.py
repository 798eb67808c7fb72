"""A fit that trains in a gang: its model's structure, its numbers, its first weights."""

import functools
import math
import time
from dataclasses import dataclass
from typing import Any

from hpsearch.core.task import Metric
from hpsearch.core.trial import Curve
from hpsearch.training import checkpoint
from hpsearch.training.base import Fit, ModelSpec, batch_size
from hpsearch.training.batched.padding import Chain, parse
from hpsearch.training.batched.placing import Narrow, Parts, Same
from hpsearch.training.batched.scalars import Numbers
from hpsearch.training.building import build_model, parts
from hpsearch.training.deferred import deferred_initialization, first_value
from hpsearch.training.history import History


@dataclass(eq=False)
class Member:
    """One fit of a gang. index: its place among the fits asked for. seconds: its share so far.
    placing: how it lies in the program that trains it; a template tells, where that is a wider one.
    """

    index: int
    history: History
    model: Any
    numbers: Numbers
    placing: Same | Narrow
    seconds: float = 0.0

    @classmethod
    def build(cls, index: int, fit: Fit, spec: ModelSpec, metric: Metric) -> "Member":
        """Raises what `build` does."""
        start = time.perf_counter()
        with deferred_initialization():
            model = build_model(fit.build, spec, fit.params, fit.seed)
            if not model.optimizer.built:
                model.optimizer.build(model.trainable_variables)
        history = History(fit, metric)
        checkpoint.restore(history, model)
        numbers = Numbers(model)
        return cls(index, history, model, numbers, Same(numbers), time.perf_counter() - start)

    @functools.cached_property
    def chain(self) -> Chain | None:
        """The chain of dense layers that its model is, if it is one."""
        return parse(self.model)

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

    def state(self) -> Parts:
        """What its program begins with."""
        weights, others, slots = (
            [first_value(variable) for variable in part] for part in parts(self.model)
        )
        return self.placing.widened((weights, others, slots))

    def save(self, state: Parts) -> None:
        """Leave a checkpoint of its program's state, from which any trainer can continue."""
        values = {
            id(variable): value
            for variables, arrays in zip(
                parts(self.model), self.placing.narrowed(state), strict=True
            )
            for variable, value in zip(variables, arrays, strict=True)
        }
        wanted = [values[id(variable)] for variable in checkpoint.variables(self.model)]
        checkpoint.save(self.history, wanted)

    def curve(self) -> Curve:
        return self.history.curve(n_weights=int(self.model.count_params()), seconds=self.seconds)


def next_size(members: int) -> int:
    """The next of 2, 4, ..., 16, 20, ..., 32, 40, ..., 64, 80...: so few sizes that programs are met
    again, and so many that few places stay empty.
    """
    step = max(2, (1 << max(members - 1, 1).bit_length()) // 8)
    return -(-members // step) * step
