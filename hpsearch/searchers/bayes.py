"""Bayesian search by Optuna's samplers (Akiba et al., KDD 2019)."""

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from hpsearch.core.errors import HpsearchError
from hpsearch.core.option_text import check_counts
from hpsearch.core.rules import brief
from hpsearch.core.space import Params, Space
from hpsearch.searchers.base import UNLIMITED, FixedTrialsOptions, Search
from hpsearch.searchers.optuna_search import ignore_optuna_warnings, make_tpe_sampler, start_search

if TYPE_CHECKING:
    import optuna

NEEDS: dict[str, tuple[str, ...]] = {
    "tpe": (),
    "gp": ("torch", "scipy"),
    "cmaes": ("cmaes",),
    "qmc": ("scipy",),
}


@dataclass(frozen=True, slots=True)
class Bayes(FixedTrialsOptions):
    """Points that a model of all trials so far expects the most of, each trained in full.

    Args:
        sampler: which of Optuna's models:
            "tpe": tree-structured Parzen estimators (Bergstra et al., NeurIPS 2011); multivariate,
            grouped for conditional spaces, with a constant liar for trials in flight.
            "gp": a Gaussian process.
            "cmaes": covariance matrix adaptation, for numbers; options are drawn at random.
            "qmc": a quasi-random sequence, which learns nothing but covers the space evenly.
    """

    trials: int = 50
    epochs: int = 20
    sampler: Literal["tpe", "gp", "cmaes", "qmc"] = "tpe"

    def __post_init__(self) -> None:
        check_counts(self, trials=self.trials, epochs=self.epochs)
        if not isinstance(self.sampler, str) or self.sampler not in NEEDS:
            raise ValueError(f"Bayes has samplers {', '.join(NEEDS)}, got {brief(self.sampler)}")

    @property
    def in_flight(self) -> int:
        return UNLIMITED if self.sampler == "qmc" else 1

    def start(self, space: Space, *, seed: int, first: Sequence[Params] = ()) -> Search:
        missing = [name for name in NEEDS[self.sampler] if importlib.util.find_spec(name) is None]
        if missing:
            raise HpsearchError(
                f"Bayes(sampler={self.sampler!r}) needs {' and '.join(missing)}: "
                f"pip install 'hpsearch[{self.sampler}]', or use sampler='tpe'"
            )
        return start_search(
            self._make_sampler(seed),
            space,
            trials=self.trials,
            epochs=self.epochs,
            first=first,
            ask_for_all=self.sampler != "tpe",
        )

    def _make_sampler(self, seed: int) -> "optuna.samplers.BaseSampler":
        if self.sampler == "tpe":
            return make_tpe_sampler(seed)
        from optuna import samplers

        with ignore_optuna_warnings():
            if self.sampler == "gp":
                return samplers.GPSampler(seed=seed)
            if self.sampler == "cmaes":
                # It would warn in every trial that it draws options at random.
                return samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False)
            return samplers.QMCSampler(seed=seed, scramble=True)
