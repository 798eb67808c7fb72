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
    _compile_seconds: dict[str, float] = field(default_factory=dict)
    _seconds: list[float] = field(default_factory=list)  # of a trial, without its compiling
    _deciding: set[str] = field(init=False)

    def __post_init__(self) -> None:
        self._deciding = set(self.names)

    def record(self, params: Params, cost: Cost | None) -> None:
        """Note what a trial took; nothing, where nobody measured or no program trained it."""
        if cost is None or not cost.program:
            return
        known = self._points.setdefault(cost.program, [])
        if known:
            first = known[0]
            self._deciding -= {n for n in self._deciding if params.get(n) != first.get(n)}
        known.append(params)
        waited = self._compile_seconds.get(cost.program, 0.0) + cost.compile_seconds
        self._compile_seconds[cost.program] = waited
        self._seconds.append(cost.elapsed / cost.together)

    def estimate_log_cost(self, points: Sequence[Mapping[str, Any]]) -> Array:
        """How much longer each point's trial takes than one whose program is compiled.

        As the logarithm of the ratio, shape (len(points),); 0 where the program is there. The
        compiling of a new program is shared among as many trials as programs had so far.
        """
        if not self._seconds:
            return np.zeros(len(points))
        compiled = {self._key(params) for some in self._points.values() for params in some}
        uses = len(self._seconds) / len(self._points)
        compiling = float(np.mean(list(self._compile_seconds.values()))) / uses
        new = math.log1p(compiling / max(1e-3, float(np.median(self._seconds))))
        return np.array([0.0 if self._key(params) in compiled else new for params in points])

    def _key(self, params: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple(params.get(name) for name in sorted(self._deciding))
