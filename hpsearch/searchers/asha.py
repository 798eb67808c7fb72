"""ASHA: asynchronous successive halving (Li et al., MLSys 2020, Alg. 2)."""

import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from hpsearch.core.option_text import check_counts
from hpsearch.core.seeds import derive_seed
from hpsearch.core.space import Params, Space
from hpsearch.core.trial import Observation, Pause, Suggestion
from hpsearch.searchers.base import HalvingOptions, Search, generate_points
from hpsearch.searchers.brackets import check_halving, rungs


@dataclass(frozen=True, slots=True)
class Asha(HalvingOptions):
    """Promote a trial as soon as it is among the best of its rung so far; no worker ever waits.

    Args:
        trials: how many at most; a promotion counts as one.
        max_epochs, eta, min_epochs: as for `Hyperband`.
    """

    trials: int = 100
    max_epochs: int = 27
    eta: int = 3
    min_epochs: int = 1

    def __post_init__(self) -> None:
        check_halving("Asha", self.max_epochs, self.eta, self.min_epochs)
        check_counts(self, trials=self.trials)

    @property
    def in_flight(self) -> int:
        return 16  # with more, new trials take the workers before any can be promoted

    def start(self, space: Space, *, seed: int, first: Sequence[Params] = ()) -> Search:
        levels = rungs(self.max_epochs, self.eta, self.min_epochs)
        new_points = generate_points(space, seed=derive_seed(seed, "points"), first=first)
        return _AshaSearch(self, levels, new_points, [[] for _ in levels])


@dataclass(slots=True)
class _AshaSearch:
    """A running search.

    Args:
        epochs: of each rung.
        new_points: for the lowest rung.
        ended: of each rung, (loss, trial) of the trials that did not fail, best first.
        asked: of each trial, its rung and its point.
    """

    options: Asha
    epochs: list[int]
    new_points: Iterator[Params]
    ended: list[list[tuple[float, int]]]
    asked: dict[int, tuple[int, Params]] = field(default_factory=dict)
    promoted: set[int] = field(default_factory=set)
    losses: dict[int, float] = field(default_factory=dict)

    def ask(self, trial: int) -> Suggestion | Pause:
        if trial >= self.options.trials:
            return Pause.DONE
        parent = self._find_promotable()
        if parent is None:
            level, params = 0, next(self.new_points)
        else:
            level, params = self.asked[parent][0] + 1, self.asked[parent][1]
            self.promoted.add(parent)
        self.asked[trial] = level, params
        return Suggestion(params, self.epochs[level], parent)

    def tell(self, trial: int, observation: Observation) -> None:
        if observation.loss is not None:
            self.losses[trial] = observation.loss
            bisect.insort(self.ended[self.asked[trial][0]], (observation.loss, trial))

    def continuable(self, trial: int) -> bool:
        """Whether it is in the better half of its rung; few others are ever promoted."""
        level, rung = self.asked[trial][0], self.ended[self.asked[trial][0]]
        if level + 1 == len(self.epochs) or trial in self.promoted or trial not in self.losses:
            return False
        place = bisect.bisect_left(rung, (self.losses[trial], trial))
        return place < max(len(rung) // 2, self.options.eta)

    def _find_promotable(self) -> int | None:
        """A trial among the best 1/eta of its rung that is not promoted yet; highest rung first."""
        for rung in reversed(self.ended[:-1]):
            for _, trial in rung[: len(rung) // self.options.eta]:
                if trial not in self.promoted:
                    return trial
        return None
