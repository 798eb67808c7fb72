"""Grid search."""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hpsearch.core.errors import SpaceError
from hpsearch.core.option_text import check_counts
from hpsearch.core.parameters import GRID_LIMIT
from hpsearch.core.space import Params, Space
from hpsearch.core.trial import Observation, Pause, Suggestion
from hpsearch.searchers.base import FullTrainingOptions, NonContinuingSearch, Search


@dataclass(frozen=True, slots=True)
class Grid(FullTrainingOptions):
    """Every combination of the parameters' values, each trained for `epochs` epochs.

    Args:
        points: how many values of each numeric range, evenly spread on its scale; needed where a
            range is continuous.
        trials: stop after so many combinations.
    """

    epochs: int = 20
    points: int | None = None
    trials: int | None = None

    def __post_init__(self) -> None:
        check_counts(self, epochs=self.epochs, points=self.points, trials=self.trials)

    @property
    def takes_default_point(self) -> bool:
        """Whether the default point of `build` is tried first: a grid keeps to its values."""
        return False

    def start(self, space: Space, *, seed: int, first: Sequence[Params] = ()) -> Search:
        grid = space.grid(self.points)
        combinations: list[Params] = list(itertools.islice(grid, GRID_LIMIT + 1))
        if len(combinations) > GRID_LIMIT:
            raise SpaceError(
                f"this grid has more than {GRID_LIMIT:,} combinations; use fewer points, or Random"
            )
        own = [dict(params) for params in first]
        others = [combinations[place] for place in _spread_order(len(combinations))]
        ordered = [*own, *(params for params in others if params not in own)]
        return _GridSearch(ordered[: self.trials], self.epochs)


def _spread_order(count: int) -> Iterator[int]:
    """The numbers 0..count - 1, in an order of which any first part covers the whole.

    They go in steps of the golden section. In their natural order the first parameters would keep
    their first value for most of the search.

    >>> list(_spread_order(9))
    [0, 5, 1, 6, 2, 7, 3, 8, 4]
    """
    step = max(1, round(count * (math.sqrt(5) - 1) / 2))
    while math.gcd(step, count) != 1:
        step -= 1
    return (place * step % count for place in range(count))


@dataclass(frozen=True, slots=True)
class _GridSearch(NonContinuingSearch):
    combinations: Sequence[Params]
    epochs: int

    def ask(self, trial: int) -> Suggestion | Pause:
        if trial >= len(self.combinations):
            return Pause.DONE
        return Suggestion(self.combinations[trial], self.epochs)

    def tell(self, trial: int, observation: Observation) -> None:
        pass  # it learns nothing
