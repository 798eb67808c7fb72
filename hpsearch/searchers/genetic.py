"""Genetic search: NSGA-II (Deb et al., IEEE Trans. Evol. Comp. 6, 2002) as Optuna keeps it."""

from collections.abc import Sequence
from dataclasses import dataclass

from hpsearch.core.option_text import at_least_one
from hpsearch.core.space import Params, Space
from hpsearch.searchers.base import InFull, Search
from hpsearch.searchers.optuna_search import quiet, start


@dataclass(frozen=True, slots=True)
class Genetic(InFull):
    """Generations of points, each bred from the best of the last by crossover and mutation."""

    trials: int = 100
    epochs: int = 20
    population: int = 20

    def __post_init__(self) -> None:
        at_least_one(self, trials=self.trials, epochs=self.epochs, population=self.population)
        if self.population < 2:
            raise ValueError(f"Genetic needs population >= 2, got population={self.population}")

    @property
    def in_flight(self) -> int:
        return self.population

    def start(self, space: Space, *, seed: int, first: Sequence[Params] = ()) -> Search:
        from optuna.samplers import NSGAIISampler

        with quiet():
            sampler = NSGAIISampler(population_size=self.population, seed=seed)
        return start(sampler, space, trials=self.trials, epochs=self.epochs, first=first)
