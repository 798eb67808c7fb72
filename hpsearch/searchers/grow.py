"""Grow a model until it overfits, then regularize it.

The rule that Bernico, *Deep Learning Quick Reference* (2018), attributes to Geoffrey Hinton, as a
searcher.
"""

import itertools
import logging
import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

from hpsearch.core.errors import SpaceError
from hpsearch.core.option_text import at_least_one, did_you_mean
from hpsearch.core.parameters import Choice, text_of_point
from hpsearch.core.rules import brief
from hpsearch.core.seeds import derive
from hpsearch.core.space import Params, Space
from hpsearch.core.trial import Observation, Pause, Suggestion
from hpsearch.searchers import optuna_search
from hpsearch.searchers.base import InFull, NoSurvivors, Search

log = logging.getLogger(__name__)

_MOST_STEPS = 1000
_WEAKENS = re.compile(r"drop|decay|noise|regular|penalty|(^|_)l[12]($|_)", re.IGNORECASE)
_ENLARGES = re.compile(
    r"layer|depth|block|unit|width|neuron|hidden|filter|funnel|embed|(^|_)dim", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class GrowThenRegularize(InFull):
    """Width and depth grow until the model overfits; then what regularizes it is searched.

    Growing: all of `grow` go together from their smallest values to their largest, in `steps`
    models, with `regularize` at its weakest, until the training loss keeps falling while the
    validation loss rises. The first model that does so is kept or, where none does, the one that
    validates best. Regularizing: this architecture stays, and Optuna's TPE searches the other
    parameters. Early stopping is searched with them at no cost, because the value of a trial is
    that of its best epoch. What is decided, and why, is logged.

    trials: of both parts together. epochs: of each; enough for a large model to overfit.
    grow, regularize: names of parameters; None: those whose names say so (layers, units_1,
    filters; dropout, l2, weight_decay). A Choice of numbers grows by size, others as they stand.
    What is neither is held while the model grows: at its value in the first start value, else at
    the middle of its range, or the first option.
    """

    trials: int = 50
    epochs: int = 30
    steps: int = 6
    grow: tuple[str, ...] | None = None
    regularize: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        at_least_one(self, trials=self.trials, epochs=self.epochs, steps=self.steps)
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

    def start(self, space: Space, *, seed: int, first: Sequence[Params] = ()) -> Search:
        weak = self._named(space, "regularize", [n for n in space if _WEAKENS.search(n)])
        named = [n for n in space if n not in weak and _ENLARGES.search(n)]
        large = self._named(space, "grow", named)
        if not large:
            raise SpaceError(
                "GrowThenRegularize finds no parameter of a model's size among "
                f"{', '.join(space)}; name those: GrowThenRegularize(grow=('units',))"
            )
        held = {name: space[name].encode(value) for name, value in (first or [{}])[0].items()}
        units = {name: held.get(name, _middle(space, name)) for name in space}
        units |= {name: _sized(space, name, 0.0) for name in weak}
        models: list[Params] = []
        for step in range(1, self.steps + 1):
            size = (step - 1) / (self.steps - 1) if self.steps > 1 else 1.0
            grown = units | {name: _sized(space, name, size) for name in large}
            model = space.from_unit(list(grown.values()))
            if model not in models:
                models.append(model)
        return _Search(self, space, seed, _with_conditions(space, large), list(first), models)

    def _named(self, space: Space, option: str, found: list[str]) -> list[str]:
        names = getattr(self, option)
        for name in names or ():
            if name not in space:
                raise SpaceError(
                    f"GrowThenRegularize({option}=...) names {name!r}, which is not in the space"
                    f"{did_you_mean(name, space)}"
                )
        return found if names is None else list(names)


@dataclass(slots=True)
class _Search(NoSurvivors):
    options: GrowThenRegularize
    space: Space
    seed: int
    large: set[str]
    first: list[Params]
    models: list[Params]  # from the smallest to the largest
    points: dict[int, Params] = field(default_factory=dict)
    seen: dict[int, Observation] = field(default_factory=dict)
    grown: list[int] = field(default_factory=list)  # the trials of `models`, as far as asked
    judged: int = 0  # how many of them are known not to overfit
    regularizing: optuna_search.OptunaSearch | None = None

    def ask(self, trial: int) -> Suggestion | Pause:
        if trial >= self.options.trials:
            return Pause.DONE
        if trial < len(self.first):
            params = self.first[trial]
        elif self.regularizing is not None:
            if set(self.space) <= self.large:
                return Pause.DONE
            answer = self.regularizing.ask(trial)
            assert isinstance(answer, Suggestion)
            params = answer.params
        elif len(self.grown) < len(self.models):
            # Where workers are free, larger models train before the smaller ones have ended; it
            # does not matter to which one is kept.
            params = self.models[len(self.grown)]
            self.grown.append(trial)
        else:
            return Pause.WAIT
        self.points[trial] = params
        return Suggestion(params, self.options.epochs)

    def tell(self, trial: int, seen: Observation) -> None:
        self.seen[trial] = seen
        if self.regularizing is None:
            self._judge()
        elif trial in self.regularizing.running:
            self.regularizing.tell(trial, seen)
        if len(self.seen) == self.options.trials:
            self._conclude()

    def _judge(self) -> None:
        """Look at the models in order of their size, as far as they have ended."""
        while self.judged < len(self.grown) and self.grown[self.judged] in self.seen:
            trial = self.grown[self.judged]
            why = overfitting(self.seen[trial])
            if why:
                log.info("%s overfits: %s", self._size(trial), why)
                self._keep(trial)
                return
            failed = self.seen[trial].loss is None
            log.info("%s %s", self._size(trial), "failed" if failed else "does not overfit")
            self.judged += 1
        if self.judged == len(self.models):
            trial = min(self.grown, key=lambda trial: (_value(self.seen[trial]), trial))
            log.info(
                "no model overfits within %d epochs: more of them, or larger models, may find more",
                self.options.epochs,
            )
            self._keep(trial)

    def _keep(self, trial: int) -> None:
        rest = ", ".join(name for name in self.space if name not in self.large)
        log.info("%s is kept; searched now: %s", self._size(trial), rest or "nothing is left")
        self.regularizing = optuna_search.start(
            optuna_search.tpe(derive(self.seed, "regularize")),
            self.space,
            trials=self.options.trials,
            epochs=self.options.epochs,
            fixed=self._architecture(trial),
        )

    def _conclude(self) -> None:
        best = min(self.seen, key=lambda trial: (_value(self.seen[trial]), trial))
        curve = self.seen[best].curve
        if curve and self.seen[best].loss is not None:
            epoch = curve.index(min(curve)) + 1
            log.info(
                "best: %s, with early stopping after epoch %d of %d",
                text_of_point(self.points[best]),
                epoch,
                len(curve),
            )

    def _architecture(self, trial: int) -> Params:
        return {n: v for n, v in self.points[trial].items() if n in self.large}

    def _size(self, trial: int) -> str:
        return text_of_point(self._architecture(trial))


def overfitting(seen: Observation) -> str:
    """Why the curves say that the model overfits, or an empty text.

    It does where, from the best epoch of validation to the last one, the training loss fell while
    the validation loss rose by more than it usually changes from epoch to epoch. Both curves are
    smoothed over a tenth of their length. The loss that was minimised tells more than the metric
    (an accuracy often stays where it is while the model grows ever more sure of its mistakes), so
    the metric's curves are used only where there is no other.
    """
    validation = seen.validation_loss or seen.curve
    train = seen.train_loss or seen.train_curve
    if seen.loss is None or len(validation) < 2 or len(train) != len(validation):
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
    """The mean of each value and those before it, a tenth of the curve wide."""
    width = max(1, len(values) // 10)
    return [statistics.fmean(values[max(0, i + 1 - width) : i + 1]) for i in range(len(values))]


def _value(seen: Observation) -> float:
    return float("inf") if seen.loss is None else seen.loss


def _sized(space: Space, name: str, size: float) -> float:
    """Where on the unit axis of a parameter the given share of its size lies; 0: the smallest."""
    parameter = space[name]
    if not isinstance(parameter, Choice):
        return size
    options = list(parameter.options)
    if all(isinstance(option, int | float) for option in options):
        options.sort(key=float)
    return parameter.encode(options[min(int(size * len(options)), len(options) - 1)])


def _middle(space: Space, name: str) -> float:
    parameter = space[name]
    return parameter.encode(parameter.options[0]) if isinstance(parameter, Choice) else 0.5


def _with_conditions(space: Space, names: Sequence[str]) -> set[str]:
    """The names, and whatever decides whether they exist."""
    found = set(names)
    for name in reversed(space.parents_first):
        if name in found:
            found |= set(space[name].when or ())
    return found
