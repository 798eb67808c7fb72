"""Random search (Bergstra and Bengio, JMLR 13, 2012)."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from hpsearch.options import at_least_one, describe
from hpsearch.searchers.base import Search
from hpsearch.space import Space
from hpsearch.trial import Observation, Pause, Suggestion


@dataclass(frozen=True, slots=True)
class Random:
    """Independent random points, each trained for `epochs` epochs.

    More trials continue the same sequence: the first ten points of twenty are those of ten.
    """

    trials: int = 20
    epochs: int = 20

    def __post_init__(self) -> None:
        at_least_one(self, trials=self.trials, epochs=self.epochs)

    @property
    def label(self) -> str:
        return describe(self, without=("trials",))

    @property
    def continues(self) -> bool:
        return False

    def resized(self, *, trials: int | None = None, epochs: int | None = None) -> Self:
        return replace(self, trials=trials or self.trials, epochs=epochs or self.epochs)

    def start(self, space: Space, *, seed: int) -> Search:
        return _Search(self, space, np.random.default_rng(seed))


@dataclass(slots=True)
class _Search:
    options: Random
    space: Space
    rng: np.random.Generator

    def ask(self, trial: int) -> Suggestion | Pause:
        if trial >= self.options.trials:
            return Pause.DONE
        return Suggestion(self.space.sample(self.rng), self.options.epochs)

    def tell(self, trial: int, seen: Observation) -> None:
        pass  # random search does not learn
