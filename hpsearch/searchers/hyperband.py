"""Hyperband (Li et al., Journal of Machine Learning Research 18, 2018)."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from hpsearch.core.errors import SpaceError
from hpsearch.core.option_text import check_counts
from hpsearch.core.seeds import derive_seed
from hpsearch.core.space import Params, Space
from hpsearch.core.trial import Observation, Pause, Suggestion
from hpsearch.searchers.base import HalvingOptions, Search, generate_points
from hpsearch.searchers.brackets import brackets as make_brackets
from hpsearch.searchers.brackets import check_halving


@dataclass(frozen=True, slots=True)
class Hyperband(HalvingOptions):
    """Brackets of successive halving, from many short trials to few long ones.

    A trial that survives its rung continues. Brackets run side by side: while a rung waits for its
    last trials, the next bracket begins.

    Args:
        max_epochs: of a trial that survives every rung.
        eta: each rung keeps one trial in eta.
        min_epochs: the least epochs of the first rung.
        iterations: how many times all brackets run, with new points each time.
        trials: stop after so many; a promotion counts as one.
        brackets: at most so many, from the one that halves most on; 1 is successive halving.
    """

    max_epochs: int = 27
    eta: int = 3
    min_epochs: int = 1
    iterations: int = 1
    trials: int | None = None
    brackets: int | None = None

    def __post_init__(self) -> None:
        check_halving("Hyperband", self.max_epochs, self.eta, self.min_epochs)
        check_counts(self, iterations=self.iterations, trials=self.trials, brackets=self.brackets)

    def start(self, space: Space, *, seed: int, first: Sequence[Params] = ()) -> Search:
        made = make_brackets(self.max_epochs, self.eta, self.min_epochs)[: self.brackets]
        room = self.iterations * sum(rungs[0][0] for rungs in made)
        if len(first) > room:
            raise SpaceError(
                f"{self.label} begins {room} trials in its first rungs, and start= has "
                f"{len(first)} points; leave some out, or raise iterations= or max_epochs="
            )
        most = self.iterations * len(made)
        return _HyperbandSearch(self, _generate_brackets(made, space, seed, first), most)


def _generate_brackets(
    made: "Sequence[list[tuple[int, int]]]", space: Space, seed: int, first: Sequence[Params]
) -> "Iterator[_Bracket]":
    """Brackets without end, all of these again and again. `first` fills first rungs, in turn."""
    for iteration in itertools.count():
        for number, rungs in enumerate(made):
            # Each bracket has its own random stream, so that its points do not depend on which
            # bracket asks first.
            stream = derive_seed(seed, "bracket", iteration, number)
            own, first = first[: rungs[0][0]], first[rungs[0][0] :]
            yield _Bracket(rungs, generate_points(space, seed=stream, first=own))


@dataclass(slots=True)
class _Bracket:
    """One bracket of successive halving.

    Args:
        rungs: (trials, total epochs) of each.
        level: the current rung.
        asked: the points of the current rung's trials, as far as they are asked.
        losses: of its trials that ended; None for those that failed.
        survivors: the trials of the rung before that this one continues, best first.
        size: how many trials the current rung has.
    """

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
    def has_more_to_ask(self) -> bool:
        return len(self.asked) < self.size

    @property
    def is_over(self) -> bool:
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
        """Note a loss. The last loss of a rung ends it: its best trials continue; failed ones never."""
        self.losses[trial] = loss
        if len(self.losses) < self.size:
            return
        # Of equal losses the one asked first is better, in whatever order they were told.
        order = {trial: place for place, trial in enumerate(self.asked)}
        ranked = sorted(
            (loss, order[trial], trial) for trial, loss in self.losses.items() if loss is not None
        )
        self.level += 1
        wanted = 0 if self.is_over else self.rungs[self.level][0]
        self.survivors = [(trial, self.asked[trial]) for _, _, trial in ranked[:wanted]]
        self.size = len(self.survivors)
        self.asked, self.losses = {}, {}
        if not self.size:  # all trials failed: the bracket ends early
            self.level = len(self.rungs)


@dataclass(slots=True)
class _HyperbandSearch:
    """A running search.

    Args:
        most: brackets that it begins.
        begun: those that it has begun.
    """

    options: Hyperband
    new_brackets: Iterator[_Bracket]
    most: int
    begun: int = 0
    is_limited: bool = True
    open_brackets: list[_Bracket] = field(default_factory=list)
    bracket_of: dict[int, _Bracket] = field(default_factory=dict)  # of each running trial

    def ask(self, trial: int) -> Suggestion | Pause:
        if self.options.trials is not None and trial >= self.options.trials:
            return Pause.DONE
        bracket = next((b for b in self.open_brackets if b.has_more_to_ask), None)
        if bracket is None:
            if self.is_limited and self.begun >= self.most:
                return Pause.WAIT if self.open_brackets else Pause.DONE
            bracket = next(self.new_brackets)
            self.begun += 1
            self.open_brackets.append(bracket)
        self.bracket_of[trial] = bracket
        return bracket.ask(trial)

    def tell(self, trial: int, observation: Observation) -> None:
        bracket = self.bracket_of.pop(trial)
        bracket.tell(trial, observation.loss)
        if bracket.is_over:
            self.open_brackets.remove(bracket)

    def continuable(self, trial: int) -> bool:
        return any(bracket.continuable(trial) for bracket in self.open_brackets)

    def lift_limits(self) -> None:
        self.is_limited = False

    def set_limits(self) -> None:
        self.is_limited = True
