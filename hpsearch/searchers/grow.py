"""Grow a model until it overfits, then regularize it.

Bernico, *Deep Learning Quick Reference* (2018), attributes this rule to Geoffrey Hinton.
"""

import itertools
import logging
import math
import re
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from hpsearch.core.errors import SpaceError
from hpsearch.core.option_text import check_counts, did_you_mean
from hpsearch.core.parameters import Choice, point_text
from hpsearch.core.rules import brief
from hpsearch.core.seeds import derive_seed
from hpsearch.core.space import Params, Space
from hpsearch.core.trial import Observation, Pause, Suggestion
from hpsearch.searchers import optuna_search
from hpsearch.searchers.base import FixedTrialsOptions, NonContinuingSearch, Search

log = logging.getLogger(__name__)

_MOST_STEPS = 1000
# Not the numbers of learning rate schedules (`spaces.schedules`), of which some are named alike.
WEAKENS = re.compile(
    r"^(?!(decay|drops|first_drop|drop_to)$).*(drop|decay|noise|regular|penalty|(^|_)l[12]($|_))",
    re.IGNORECASE,
)
ENLARGES = re.compile(
    r"layer|depth|block|unit|width|neuron|hidden|filter|funnel|embed|(^|_)dim", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class GrowThenRegularize(FixedTrialsOptions):
    """Increase width and depth until the model overfits; then search what regularizes it.

    First part: the parameters `grow` go together from their smallest values to their largest, in
    `steps` models, with `regularize` at its weakest. The search takes the first model whose
    training loss keeps falling while its validation loss rises; where no model does so, the one
    with the best value. Second part: this architecture stays, and Optuna's TPE searches the other
    parameters. Early stopping is searched with them at no cost, because the value of a trial is
    that of its best epoch. Each decision is logged, with its reason.

    Args:
        trials: of both parts together.
        epochs: of each trial; enough for a large model to overfit.
        steps: how many models are grown, at most.
        grow, regularize: names of parameters; where None, those with names like layers, units_1 or
            filters, and like dropout, l2 or weight_decay. A Choice of numbers grows by size, any
            other Choice in the order of its options.

    While the model grows, all other parameters have their value in the first of the user's own
    points, else the middle of their range, or their first option.
    """

    trials: int = 50
    epochs: int = 30
    steps: int = 6
    grow: tuple[str, ...] | None = None
    regularize: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        check_counts(self, trials=self.trials, epochs=self.epochs, steps=self.steps)
        for option in ("grow", "regularize"):
            names = getattr(self, option)
            listed = isinstance(names, tuple | list) and all(isinstance(n, str) for n in names)
            if names is not None and not listed:
                raise ValueError(
                    f"GrowThenRegularize needs {option}= a tuple of names, got {brief(names)}"
                )
        if self.steps > _MOST_STEPS:
            raise ValueError(
                f"GrowThenRegularize needs steps <= {_MOST_STEPS:,}, got steps={self.steps}"
            )

    @property
    def in_flight(self) -> int:
        return 1

    @property
    def compares_curves(self) -> bool:
        """That it needs curves on training rows, which a training function may leave out."""
        return True

    def start(self, space: Space, *, seed: int, first: Sequence[Params] = ()) -> Search:
        by_name = [n for n in space if WEAKENS.search(n)]
        regularizing = self._choose_names(space, "regularize", by_name)
        by_name = [n for n in space if n not in regularizing and ENLARGES.search(n)]
        growing = self._choose_names(space, "grow", by_name)
        if not growing:
            raise SpaceError(
                "GrowThenRegularize finds no parameter of a model's size among "
                f"{', '.join(space)}; name those: GrowThenRegularize(grow=('units',))"
            )
        own = {name: space[name].encode(value) for name, value in (first or [{}])[0].items()}
        units = {name: own.get(name, _middle_unit(space, name)) for name in space}
        units |= {name: _unit_of_size(space, name, 0.0) for name in regularizing}
        models: list[Params] = []
        for step in range(1, self.steps + 1):
            size = (step - 1) / (self.steps - 1) if self.steps > 1 else 1.0
            grown = units | {name: _unit_of_size(space, name, size) for name in growing}
            model = space.from_unit(list(grown.values()))
            if model not in models:
                models.append(model)
        architecture = _with_parents(space, growing)
        return _GrowSearch(self, space, seed, architecture, list(first), models)

    def _choose_names(self, space: Space, option: str, found: list[str]) -> list[str]:
        """The names that an option gives, or the ones found where it is None."""
        names = getattr(self, option)
        for name in names or ():
            if name not in space:
                raise SpaceError(
                    f"GrowThenRegularize({option}=...) names {name!r}, which is not in the space"
                    f"{did_you_mean(name, space)}"
                )
        return found if names is None else list(names)


@dataclass(slots=True)
class _GrowSearch(NonContinuingSearch):
    """A running search.

    Args:
        architecture: names of the parameters that grow, and of those that they depend on.
        first: the user's own points.
        models: from the smallest to the largest.
        model_trials: the trials of `models`, as far as they are asked.
        n_not_overfitting: how many of these, from the smallest on, are known not to overfit.
        regularizing: the search of the second part, once that has begun.
    """

    options: GrowThenRegularize
    space: Space
    seed: int
    architecture: set[str]
    first: list[Params]
    models: list[Params]
    points: dict[int, Params] = field(default_factory=dict)
    observations: dict[int, Observation] = field(default_factory=dict)
    model_trials: list[int] = field(default_factory=list)
    n_not_overfitting: int = 0
    regularizing: optuna_search.OptunaSearch | None = None

    def ask(self, trial: int) -> Suggestion | Pause:
        if trial >= self.options.trials:
            return Pause.DONE
        if trial < len(self.first):
            params = self.first[trial]
        elif self.regularizing is not None:
            if set(self.space) <= self.architecture:
                return Pause.DONE
            answer = self.regularizing.ask(trial)
            assert isinstance(answer, Suggestion)
            params = answer.params
        elif len(self.model_trials) < len(self.models):
            # Where workers are free, larger models train before the smaller ones have ended. They
            # are still looked at in order of size, so the choice is the same.
            params = self.models[len(self.model_trials)]
            self.model_trials.append(trial)
        else:
            return Pause.WAIT
        self.points[trial] = params
        return Suggestion(params, self.options.epochs)

    def tell(self, trial: int, observation: Observation) -> None:
        self.observations[trial] = observation
        if self.regularizing is None:
            self._look_for_overfitting()
        elif trial in self.regularizing.running:
            self.regularizing.tell(trial, observation)
        if len(self.observations) == self.options.trials:
            self._log_best()

    def _look_for_overfitting(self) -> None:
        """Look at the models that ended, in order of size, and take one if possible."""
        for trial in self.model_trials[self.n_not_overfitting :]:
            observation = self.observations.get(trial)
            if observation is None:
                return
            model = self._architecture_text(trial)
            if why := explain_overfitting(observation):
                log.info("%s overfits: %s", model, why)
                self._start_regularizing(trial)
                return
            log.info("%s %s", model, "failed" if observation.loss is None else "does not overfit")
            self.n_not_overfitting += 1
        if self.n_not_overfitting == len(self.models):
            log.info(
                "no model overfits within %d epochs; more epochs or larger models may find more",
                self.options.epochs,
            )
            self._start_regularizing(self._find_best(self.model_trials))

    def _start_regularizing(self, trial: int) -> None:
        rest = ", ".join(name for name in self.space if name not in self.architecture)
        log.info(
            "%s is taken; searched next: %s", self._architecture_text(trial), rest or "nothing"
        )
        self.regularizing = optuna_search.start_search(
            optuna_search.make_tpe_sampler(derive_seed(self.seed, "regularize")),
            self.space,
            trials=self.options.trials,
            epochs=self.options.epochs,
            fixed=self._architecture_of(trial),
        )

    def _log_best(self) -> None:
        best = self._find_best(self.observations)
        curve = self.observations[best].curve
        if curve and self.observations[best].loss is not None:
            epoch = curve.index(min(curve)) + 1
            log.info(
                "best: %s, with early stopping after epoch %d of %d",
                point_text(self.points[best]),
                epoch,
                len(curve),
            )

    def _find_best(self, trials: Iterable[int]) -> int:
        """The trial with the lowest loss, the first of equal ones; failed trials come last."""

        def rank(trial: int) -> tuple[float, int]:
            loss = self.observations[trial].loss
            return math.inf if loss is None else loss, trial

        return min(trials, key=rank)

    def _architecture_of(self, trial: int) -> Params:
        return {n: v for n, v in self.points[trial].items() if n in self.architecture}

    def _architecture_text(self, trial: int) -> str:
        return point_text(self._architecture_of(trial))


def explain_overfitting(trial: Observation) -> str:
    """How a trial's curves show that its model overfits; an empty text where they do not.

    A model overfits where, from the best epoch of validation to the last one, the training loss
    fell while the validation loss rose by more than it usually changes from epoch to epoch. Both
    curves are smoothed over a tenth of their length. These are the curves of the loss that was
    minimised: an accuracy often stays the same while the model gets ever more sure of its mistakes.
    The metric's curves are used only where there are no others, or none that is whole.
    """
    train, validation = trial.train_loss, trial.validation_loss
    if not train or not all(map(math.isfinite, (*train, *validation))):
        train, validation = trial.train_curve, trial.curve
    if not all(map(math.isfinite, (*train, *validation))):
        return ""
    if trial.loss is None or len(validation) < 2 or len(train) != len(validation):
        return ""
    usual = statistics.median(abs(b - a) for a, b in itertools.pairwise(validation))
    rising, falling = _smooth(validation), _smooth(train)
    best = rising.index(min(rising))
    if falling[-1] >= falling[best] or rising[-1] - rising[best] <= usual:
        return ""
    return (
        f"from epoch {best + 1} to {len(rising)} the training loss fell from {falling[best]:.4g} "
        f"to {falling[-1]:.4g}, while the validation loss rose from {rising[best]:.4g} to "
        f"{rising[-1]:.4g}"
    )


def _smooth(values: Sequence[float]) -> list[float]:
    """The mean of each value and those before it, over a tenth of the curve."""
    width = max(1, len(values) // 10)
    return [statistics.fmean(values[max(0, i + 1 - width) : i + 1]) for i in range(len(values))]


def _unit_of_size(space: Space, name: str, size: float) -> float:
    """The unit value of a parameter at a share of its size, from 0 (smallest) to 1 (largest)."""
    parameter = space[name]
    if not isinstance(parameter, Choice):
        return size
    options = list(parameter.options)
    if all(isinstance(option, int | float) for option in options):
        options.sort(key=float)
    return parameter.encode(options[min(int(size * len(options)), len(options) - 1)])


def _middle_unit(space: Space, name: str) -> float:
    parameter = space[name]
    return parameter.encode(parameter.options[0]) if isinstance(parameter, Choice) else 0.5


def _with_parents(space: Space, names: Sequence[str]) -> set[str]:
    """The names, and those of all parameters that decide whether they exist."""
    found = set(names)
    for name in reversed(space.parents_first):
        if name in found:
            found |= set(space[name].when or ())
    return found
