"""ASHA, asynchronous successive halving (Li et al., MLSys 2020, Alg. 2), whose survivors continue."""

import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from hpsearch.core.option_text import at_least_one
from hpsearch.core.seeds import derive
from hpsearch.core.space import Params, Space
from hpsearch.core.trial import Observation, Pause, Suggestion
from hpsearch.searchers.base import Halves, Search
from hpsearch.searchers.brackets import check_halving, rungs
from hpsearch.searchers.points import points


@dataclass(frozen=True, slots=True)
class Asha(Halves):
    """A trial is promoted as soon as it is among the best of its rung so far; nobody waits.

    trials: how many at most; a promotion counts as one. max_epochs, eta, min_epochs: as Hyperband.
    """

    trials: int = 100
    max_epochs: int = 27
    eta: int = 3
    min_epochs: int = 1

    def __post_init__(self) -> None:
        check_halving("Asha", self.max_epochs, self.eta, self.min_epochs)
        at_least_one(self, trials=self.trials)

    @property
    def in_flight(self) -> int:
        return 16  # a promotion waits for all that train beside what it waits for

    def start(self, space: Space, *, seed: int, first: Sequence[Params] = ()) -> Search:
        levels = rungs(self.max_epochs, self.eta, self.min_epochs)
        new = points(space, seed=derive(seed, "points"), first=first)
        return _Search(self, levels, new, [[] for _ in levels])


@dataclass(slots=True)
class _Search:
    options: Asha
    epochs: list[int]
    new: Iterator[Params]
    done: list[list[tuple[float, int]]]  # of each rung, (loss, trial) of those that did not fail
    asked: dict[int, tuple[int, Params]] = field(default_factory=dict)
    promoted: set[int] = field(default_factory=set)
    losses: dict[int, float] = field(default_factory=dict)

    def ask(self, trial: int) -> Suggestion | Pause:
        if trial >= self.options.trials:
            return Pause.DONE
        parent = self._promotable()
        if parent is None:
            level, params = 0, next(self.new)
        else:
            level, params = self.asked[parent][0] + 1, self.asked[parent][1]
            self.promoted.add(parent)
        self.asked[trial] = level, params
        return Suggestion(params, self.epochs[level], parent)

    def tell(self, trial: int, seen: Observation) -> None:
        if seen.loss is not None:
            self.losses[trial] = seen.loss
            bisect.insort(self.done[self.asked[trial][0]], (seen.loss, trial))

    def continuable(self, trial: int) -> bool:
        """Whether it is in the better half of its rung: few of the others will ever be promoted."""
        level, rung = self.asked[trial][0], self.done[self.asked[trial][0]]
        if level + 1 == len(self.epochs) or trial in self.promoted or trial not in self.losses:
            return False
        place = bisect.bisect_left(rung, (self.losses[trial], trial))
        return place < max(len(rung) // 2, self.options.eta)

    def _promotable(self) -> int | None:
        """The best trial not promoted yet among the first 1/eta of its rung; highest rung first."""
        for rung in reversed(self.done[:-1]):
            for _, trial in rung[: len(rung) // self.options.eta]:
                if trial not in self.promoted:
                    return trial
        return None
