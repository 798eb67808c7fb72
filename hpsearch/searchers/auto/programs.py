"""Which points need a program of their own, and what it costs to compile one."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hpsearch.core.space import Params
from hpsearch.core.trial import Cost
from hpsearch.searchers.auto.encoding import Array


@dataclass(slots=True)
class ProgramCosts:
    """Learns from trials which parameters decide what program a point is trained by.

    Nothing says so beforehand: how wide or deep a network one program holds is the trainer's to
    choose. A parameter that differed between two trials of one program decides nothing; any other
    one is taken to.

    Args:
        names: of the space's parameters.
    """

    names: Sequence[str]
    _points: dict[str, list[Params]] = field(default_factory=dict)  # by program
    _compile_seconds: list[float] = field(default_factory=list)  # of each trial
    _seconds: list[float] = field(default_factory=list)  # of each trial; most wait for no program
    _deciding: set[str] = field(init=False)
    _compiled: set[tuple[Any, ...]] = field(default_factory=set)  # keys that have a program

    def __post_init__(self) -> None:
        self._deciding = set(self.names)

    def record(self, params: Params, cost: Cost | None) -> None:
        """Note what a trial took; nothing, where nobody measured or no program trained it."""
        if cost is None or not cost.program:
            return
        known = self._points.setdefault(cost.program, [])
        known.append(params)
        same = {n for n in self._deciding if params.get(n) == known[0].get(n)}
        if same != self._deciding:
            self._deciding = same
            points = [point for some in self._points.values() for point in some]
            self._compiled = {self._key(point) for point in points}
        self._compiled.add(self._key(params))
        self._compile_seconds.append(cost.compile_seconds)
        self._seconds.append(cost.elapsed / cost.together)

    @property
    def log_cost_of_new_program(self) -> float:
        """How much longer a trial takes whose program must be compiled.

        As the logarithm of the ratio; 0 where nothing is known. The compiling of a new program is
        shared among as many trials as programs had so far. Sums are rounded once, so that the order
        in which trials ended does not change them.
        """
        if not self._seconds:
            return 0.0
        # The mean of a program, among the mean number of its trials: all, among all trials.
        compiling = math.fsum(self._compile_seconds) / len(self._seconds)
        return math.log1p(compiling / max(1e-3, float(np.median(self._seconds))))

    def estimate_log_cost(
        self, points: Sequence[Mapping[str, Any]], running: Sequence[Params] = ()
    ) -> Array:
        """How much longer each point's trial takes than one whose program is compiled.

        Args:
            running: points in training, whose programs will be there.

        As the logarithm of the ratio, shape (len(points),); 0 where the program is there.
        """
        new = self.log_cost_of_new_program
        compiled = self._compiled | {self._key(params) for params in running}
        return np.array([0.0 if self._key(params) in compiled else new for params in points])

    def _key(self, params: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple(params.get(name) for name in sorted(self._deciding))
