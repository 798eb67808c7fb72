"""Any Optuna sampler behind ask and tell. Used by `Bayes` and `Genetic`."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hpsearch.core.parameters import Choice, Float, Int, typed
from hpsearch.core.space import Params, Space
from hpsearch.core.trial import Observation, Pause, Suggestion
from hpsearch.searchers.base import NoSurvivors

if TYPE_CHECKING:
    import optuna


@dataclass(slots=True)
class OptunaSearch(NoSurvivors):
    """Drives a study kept in memory; our journal, repeated on resume, is its only store.

    fixed: what all points have in common. whole: ask for a value of every parameter, for samplers
    that know no conditions and would leave to chance what does not always exist.
    """

    space: Space
    trials: int
    epochs: int
    study: "optuna.Study"
    fixed: Params
    whole: bool
    running: dict[int, "optuna.trial.Trial"] = field(default_factory=dict)

    def ask(self, trial: int) -> Suggestion | Pause:
        if trial >= self.trials:
            return Pause.DONE
        with quiet():
            asked = self.study.ask()
            params: dict[str, Any] = dict(self.fixed)
            for name in self.space.parents_first:
                exists = name not in params and self.space.active(name, params)
                if exists or (self.whole and name not in params):
                    value = _suggest(asked, name, self.space[name])
                    params |= {name: value} if exists else {}
        self.running[trial] = asked
        return Suggestion(
            {name: params[name] for name in self.space if name in params}, self.epochs
        )

    def tell(self, trial: int, seen: Observation) -> None:
        import optuna

        # A failed trial must be told too: else it would count as running for ever.
        failed = optuna.trial.TrialState.FAIL if seen.loss is None else None
        with quiet():
            self.study.tell(self.running.pop(trial), seen.loss, state=failed)


def start(
    sampler: "optuna.samplers.BaseSampler",
    space: Space,
    *,
    trials: int,
    epochs: int,
    first: Sequence[Params] = (),
    fixed: Params | None = None,
    whole: bool = False,
) -> OptunaSearch:
    """A search with this sampler that tries the points `first` before any other."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with quiet():
        study = optuna.create_study(sampler=sampler)
        for params in first:
            study.enqueue_trial({n: _encode(space[n], value) for n, value in params.items()})
    return OptunaSearch(space, trials, epochs, study, fixed or {}, whole)


def tpe(seed: int) -> "optuna.samplers.TPESampler":
    """Parzen estimators of all parameters together, for conditions and trials in flight."""
    from optuna.samplers import TPESampler

    with quiet():
        return TPESampler(multivariate=True, group=True, constant_liar=True, seed=seed)


def quiet() -> warnings.catch_warnings:
    """Leave out Optuna's notes on what it calls experimental."""
    return warnings.catch_warnings(action="ignore")


def _suggest(asked: "optuna.trial.Trial", name: str, parameter: Float | Int | Choice) -> Any:
    if isinstance(parameter, Choice):
        # By place: Optuna compares options with ==, and True == 1.
        return parameter.options[asked.suggest_categorical(name, range(len(parameter.options)))]
    if isinstance(parameter, Int):
        return asked.suggest_int(
            name, parameter.low, parameter.high, log=parameter.log, step=parameter.step or 1
        )
    value = asked.suggest_float(
        name, parameter.low, parameter.high, log=parameter.log, step=parameter.step
    )
    return parameter.decode(parameter.encode(value)) if parameter.step is not None else value


def _encode(parameter: Float | Int | Choice, value: Any) -> Any:
    if not isinstance(parameter, Choice):
        return value
    return next(i for i, option in enumerate(parameter.options) if typed(option) == typed(value))
