"""Grid search: every combination."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

from hpsearch.errors import SpaceError
from hpsearch.options import at_least_one, describe
from hpsearch.searchers.base import Search
from hpsearch.space import Params, Space
from hpsearch.trial import Observation, Pause, Suggestion

_LIMIT = 100_000


@dataclass(frozen=True, slots=True)
class Grid:
    """Every combination of the parameters' values, each trained for `epochs` epochs.

    points: how many values of each numeric range, evenly spread on its scale; needed where a
    range is continuous. trials: stop after so many combinations.
    """

    epochs: int = 20
    points: int | None = None
    trials: int | None = None

    def __post_init__(self) -> None:
        at_least_one(self, epochs=self.epochs, points=self.points, trials=self.trials)

    @property
    def label(self) -> str:
        return describe(self, without=("trials",))

    @property
    def continues(self) -> bool:
        return False

    def resized(self, *, trials: int | None = None, epochs: int | None = None) -> Self:
        return replace(self, trials=trials or self.trials, epochs=epochs or self.epochs)

    def start(self, space: Space, *, seed: int) -> Search:
        combinations = list(itertools.islice(space.grid(self.points), _LIMIT + 1))
        if len(combinations) > _LIMIT:
            raise SpaceError(
                f"this grid has more than {_LIMIT:,} combinations; use fewer points, or Random"
            )
        return _Search(combinations[: self.trials], self.epochs)


@dataclass(frozen=True, slots=True)
class _Search:
    combinations: Sequence[Params]
    epochs: int

    def ask(self, trial: int) -> Suggestion | Pause:
        if trial >= len(self.combinations):
            return Pause.DONE
        return Suggestion(self.combinations[trial], self.epochs)

    def tell(self, trial: int, seen: Observation) -> None:
        pass  # the grid is fixed beforehand
