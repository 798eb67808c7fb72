"""Random search (Bergstra and Bengio, JMLR 13, 2012)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hpsearch.core.option_text import check_counts
from hpsearch.core.space import Params, Space
from hpsearch.core.trial import Observation, Pause, Suggestion
from hpsearch.searchers.base import (
    FixedTrialsOptions,
    NonContinuingSearch,
    Search,
    generate_points,
)


@dataclass(frozen=True, slots=True)
class Random(FixedTrialsOptions):
    """Independent random points, each trained for `epochs` epochs.

    More trials continue the same sequence: the first ten points of twenty are those of ten.
    """

    trials: int = 20
    epochs: int = 20

    def __post_init__(self) -> None:
        check_counts(self, trials=self.trials, epochs=self.epochs)

    def start(self, space: Space, *, seed: int, first: Sequence[Params] = ()) -> Search:
        return _RandomSearch(self, generate_points(space, seed=seed, first=first))


@dataclass(slots=True)
class _RandomSearch(NonContinuingSearch):
    options: Random
    points: Iterator[Params]

    def ask(self, trial: int) -> Suggestion | Pause:
        if trial >= self.options.trials:
            return Pause.DONE
        return Suggestion(next(self.points), self.options.epochs)

    def tell(self, trial: int, observation: Observation) -> None:
        pass  # it learns nothing
