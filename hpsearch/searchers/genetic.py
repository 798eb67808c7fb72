"""Genetic search: NSGA-II (Deb et al., IEEE Trans. Evol. Comp. 6, 2002), by Optuna."""

from collections.abc import Sequence
from dataclasses import dataclass

from hpsearch.core.option_text import check_counts
from hpsearch.core.space import Params, Space
from hpsearch.searchers.base import FixedTrialsOptions, Search
from hpsearch.searchers.optuna_search import ignore_optuna_warnings, start_search


@dataclass(frozen=True, slots=True)
class Genetic(FixedTrialsOptions):
    """Generations of points, each made from the best of the last by crossover and mutation.

    Args:
        population: the points of a generation.
    """

    trials: int = 100
    epochs: int = 20
    population: int = 20

    def __post_init__(self) -> None:
        check_counts(self, trials=self.trials, epochs=self.epochs, population=self.population)
        if self.population < 2:
            raise ValueError(f"Genetic needs population >= 2, got population={self.population}")

    @property
    def in_flight(self) -> int:
        return self.population

    def start(self, space: Space, *, seed: int, first: Sequence[Params] = ()) -> Search:
        from optuna.samplers import NSGAIISampler

        with ignore_optuna_warnings():
            sampler = NSGAIISampler(population_size=self.population, seed=seed)
        return start_search(sampler, space, trials=self.trials, epochs=self.epochs, first=first)
