"""A search by any of Optuna's samplers, behind ask and tell."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hpsearch.core.space import Params, Space
from hpsearch.core.trial import Observation, Pause, Suggestion
from hpsearch.searchers.base import NonContinuingSearch
from hpsearch.searchers.optuna_ranges import suggest_value, to_optuna_value

if TYPE_CHECKING:
    import optuna


@dataclass(slots=True)
class OptunaSearch(NonContinuingSearch):
    """A running search, by an Optuna study in memory.

    Nothing of it is stored: when a search continues, repeating our journal makes it again.

    Args:
        fixed: the values that all points share.
        ask_for_all: whether the sampler is asked for every parameter, also for those that do not
            exist. Samplers that know no conditions would draw a parameter at random if it were
            sometimes missing.
    """

    space: Space
    trials: int
    epochs: int
    study: "optuna.Study"
    fixed: Params
    ask_for_all: bool
    running: dict[int, "optuna.trial.Trial"] = field(default_factory=dict)

    def ask(self, trial: int) -> Suggestion | Pause:
        if trial >= self.trials:
            return Pause.DONE
        with ignore_optuna_warnings():
            asked = self.study.ask()
            params: dict[str, Any] = dict(self.fixed)
            for name in self.space.parents_first:
                exists = name not in params and self.space.active(name, params)
                if exists or (self.ask_for_all and name not in params):
                    value = suggest_value(asked, name, self.space[name])
                    params |= {name: value} if exists else {}
        self.running[trial] = asked
        return Suggestion(
            {name: params[name] for name in self.space if name in params}, self.epochs
        )

    def tell(self, trial: int, observation: Observation) -> None:
        import optuna

        # Optuna must know of a failed trial too; else it would count as running for ever.
        failed = optuna.trial.TrialState.FAIL if observation.loss is None else None
        with ignore_optuna_warnings():
            self.study.tell(self.running.pop(trial), observation.loss, state=failed)


def start_search(
    sampler: "optuna.samplers.BaseSampler",
    space: Space,
    *,
    trials: int,
    epochs: int,
    first: Sequence[Params] = (),
    fixed: Params | None = None,
    ask_for_all: bool = False,
) -> OptunaSearch:
    """Begin a search by this sampler. Its arguments are those of `OptunaSearch`.

    Args:
        first: points to try before any other.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with ignore_optuna_warnings():
        study = optuna.create_study(sampler=sampler)
        for params in first:
            study.enqueue_trial(
                {n: to_optuna_value(space[n], value) for n, value in params.items()}
            )
    return OptunaSearch(space, trials, epochs, study, fixed or {}, ask_for_all)


def make_tpe_sampler(seed: int) -> "optuna.samplers.TPESampler":
    """Parzen estimators over all parameters together, with conditions and trials in flight."""
    from optuna.samplers import TPESampler

    with ignore_optuna_warnings():
        return TPESampler(multivariate=True, group=True, constant_liar=True, seed=seed)


def ignore_optuna_warnings() -> warnings.catch_warnings:
    """Silence Optuna's warnings that what is used here is experimental."""
    return warnings.catch_warnings(action="ignore")
