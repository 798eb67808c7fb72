"""Hyperband (Li et al., Journal of Machine Learning Research 18, 2018), whose survivors continue."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from hpsearch.core.option_text import at_least_one
from hpsearch.core.seeds import derive
from hpsearch.core.space import Params, Space
from hpsearch.core.trial import Observation, Pause, Suggestion
from hpsearch.searchers.base import Halves, Search
from hpsearch.searchers.brackets import brackets, check_halving
from hpsearch.searchers.points import points


@dataclass(frozen=True, slots=True)
class Hyperband(Halves):
    """Brackets of successive halving, from many short trials to few long ones.

    max_epochs: of a survivor of every rung. eta: each rung keeps one of eta.
    min_epochs: of the shortest rung, at least. iterations: of all brackets, with new points.
    trials: stop after so many; a promotion counts as one.
    Brackets run side by side: while a rung waits for its last trials, the next bracket begins.
    """

    max_epochs: int = 27
    eta: int = 3
    min_epochs: int = 1
    iterations: int = 1
    trials: int | None = None

    def __post_init__(self) -> None:
        check_halving("Hyperband", self.max_epochs, self.eta, self.min_epochs)
        at_least_one(self, iterations=self.iterations, trials=self.trials)

    def start(self, space: Space, *, seed: int, first: Sequence[Params] = ()) -> Search:
        return _Search(self, self._brackets(space, seed, first))

    def _brackets(self, space: Space, seed: int, first: Sequence[Params]) -> "Iterator[_Bracket]":
        for iteration in range(self.iterations):
            for number, rungs in enumerate(brackets(self.max_epochs, self.eta, self.min_epochs)):
                # A stream of its own: the points do not depend on which bracket asks first.
                stream = derive(seed, "bracket", iteration, number)
                own = first if (iteration, number) == (0, 0) else ()
                yield _Bracket(rungs, points(space, seed=stream, first=own))


@dataclass(slots=True)
class _Bracket:
    """One bracket: the trials of its current rung, and what it may ask for now."""

    rungs: list[tuple[int, int]]
    points: Iterator[Params]
    level: int = 0
    asked: dict[int, Params] = field(default_factory=dict)
    losses: dict[int, float | None] = field(default_factory=dict)
    survivors: list[tuple[int, Params]] = field(default_factory=list)
    size: int = 0

    def __post_init__(self) -> None:
        self.size = self.rungs[0][0]

    @property
    def ready(self) -> bool:
        return len(self.asked) < self.size

    @property
    def over(self) -> bool:
        return self.level == len(self.rungs)

    def continuable(self, trial: int) -> bool:
        waiting = [parent for parent, _ in self.survivors[len(self.asked) :]]
        return trial in waiting or (trial in self.asked and self.level + 1 < len(self.rungs))

    def ask(self, trial: int) -> Suggestion:
        parent: int | None = None
        if self.level == 0:
            params = next(self.points)
        else:
            parent, params = self.survivors[len(self.asked)]
        self.asked[trial] = params
        return Suggestion(params, self.rungs[self.level][1], parent)

    def tell(self, trial: int, loss: float | None) -> None:
        """Take a loss; with the rung's last one, the best go on. A failed trial never does."""
        self.losses[trial] = loss
        if len(self.losses) < self.size:
            return
        order = {trial: place for place, trial in enumerate(self.asked)}
        alive = [
            (loss, order[trial], trial) for trial, loss in self.losses.items() if loss is not None
        ]
        self.level += 1
        wanted = 0 if self.over else self.rungs[self.level][0]
        self.survivors = [(trial, self.asked[trial]) for _, _, trial in sorted(alive)[:wanted]]
        self.size = len(self.survivors)
        self.asked, self.losses = {}, {}
        if not self.size:
            self.level = len(self.rungs)


@dataclass(slots=True)
class _Search:
    options: Hyperband
    coming: Iterator[_Bracket]
    open: list[_Bracket] = field(default_factory=list)
    owner: dict[int, _Bracket] = field(default_factory=dict)

    def ask(self, trial: int) -> Suggestion | Pause:
        if self.options.trials is not None and trial >= self.options.trials:
            return Pause.DONE
        bracket = next((b for b in self.open if b.ready), None)
        if bracket is None:
            bracket = next(self.coming, None)
            if bracket is None:
                return Pause.WAIT if self.open else Pause.DONE
            self.open.append(bracket)
        self.owner[trial] = bracket
        return bracket.ask(trial)

    def tell(self, trial: int, seen: Observation) -> None:
        bracket = self.owner.pop(trial)
        bracket.tell(trial, seen.loss)
        if bracket.over:
            self.open.remove(bracket)

    def continuable(self, trial: int) -> bool:
        return any(bracket.continuable(trial) for bracket in self.open)
