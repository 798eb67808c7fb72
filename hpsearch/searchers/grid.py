"""Grid search: every combination."""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hpsearch.core.errors import SpaceError
from hpsearch.core.option_text import at_least_one
from hpsearch.core.parameters import GRID_LIMIT
from hpsearch.core.space import Params, Space
from hpsearch.core.trial import Observation, Pause, Suggestion
from hpsearch.searchers.base import InFull, NoSurvivors, Search


@dataclass(frozen=True, slots=True)
class Grid(InFull):
    """Every combination of the parameters' values, each trained for `epochs` epochs.

    points: how many values of each numeric range, evenly spread on its scale; needed where a
    range is continuous. trials: stop after so many combinations.
    """

    epochs: int = 20
    points: int | None = None
    trials: int | None = None

    def __post_init__(self) -> None:
        at_least_one(self, epochs=self.epochs, points=self.points, trials=self.trials)

    def start(self, space: Space, *, seed: int, first: Sequence[Params] = ()) -> Search:
        most = GRID_LIMIT
        combinations: list[Params] = list(itertools.islice(space.grid(self.points), most + 1))
        if len(combinations) > most:
            raise SpaceError(
                f"this grid has more than {most:,} combinations; use fewer points, or Random"
            )
        own = [dict(params) for params in first]
        others = [combinations[place] for place in _spread(len(combinations))]
        ordered = [*own, *(params for params in others if params not in own)]
        return _Search(ordered[: self.trials], self.epochs)


def _spread(count: int) -> Iterator[int]:
    """0..count - 1 in steps of the golden section, so that any first part covers the whole.

    In the given order the first parameters would keep their first value for most of the search.

    >>> list(_spread(9))
    [0, 5, 1, 6, 2, 7, 3, 8, 4]
    """
    step = max(1, round(count * (math.sqrt(5) - 1) / 2))
    while math.gcd(step, count) != 1:
        step -= 1
    return (place * step % count for place in range(count))


@dataclass(frozen=True, slots=True)
class _Search(NoSurvivors):
    combinations: Sequence[Params]
    epochs: int

    def ask(self, trial: int) -> Suggestion | Pause:
        if trial >= len(self.combinations):
            return Pause.DONE
        return Suggestion(self.combinations[trial], self.epochs)

    def tell(self, trial: int, seen: Observation) -> None:
        pass  # the grid is fixed beforehand
