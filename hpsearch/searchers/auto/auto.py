"""`Auto`: successive halving first, then a Gaussian process over points and epochs."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

from hpsearch.core.option_text import check_counts, check_switches
from hpsearch.core.plan import Plan
from hpsearch.core.seeds import derive_seed
from hpsearch.core.space import Params, Space
from hpsearch.core.trial import Observation, Pause, Suggestion
from hpsearch.searchers.auto.decision import Decision
from hpsearch.searchers.auto.encoding import Encoding
from hpsearch.searchers.auto.luck import Remainder
from hpsearch.searchers.auto.programs import ProgramCosts
from hpsearch.searchers.auto.round import Round
from hpsearch.searchers.auto.rules import Rules
from hpsearch.searchers.auto.seconds import TrialSeconds
from hpsearch.searchers.base import HalvingOptions, Search, refuse_empty_space
from hpsearch.searchers.brackets import rungs

log = logging.getLogger(__name__)

RULES = Rules()


@dataclass(frozen=True, slots=True)
class Auto(HalvingOptions):
    """Spend each epoch where it promises most: on a new point, or on a trial that continues.

    It opens with successive halving (Jamieson and Talwalkar, AISTATS 2016) of points that cover the
    space. Then a Gaussian process over points and epochs predicts every point's loss at the last
    epoch, after freeze-thaw optimization (Swersky et al., arXiv:1406.3896) and DyHPO (Wistuba et
    al., NeurIPS 2022). The unfinished trial or new point with the largest expected improvement
    there is trained to the next rung that says enough about its last epoch. After every 50 full
    trainings the search begins again, because one search in four is stuck by then. It ends early
    where no point is expected to improve on the best.

    Args:
        trials: the budget, in full trainings: `trials * max_epochs` epochs in all. The last trials
            may exceed it by less than a full training each. Most points get few epochs, so that
            many more points than `trials` are tried.
        max_epochs: of a trial that is trained in full.
        until_luck: whether it ends where what is left to find is less than the standard error of
            the best loss over folds. Else it only says so.
    """

    trials: int = 50
    max_epochs: int = 27
    until_luck: bool = False

    def __post_init__(self) -> None:
        check_counts(self, trials=self.trials, max_epochs=self.max_epochs)
        check_switches(self, until_luck=self.until_luck)

    @property
    def in_flight(self) -> int:
        return 1  # eight at a time find less with the same epochs; see README.md

    def plan(self) -> Plan:
        """Its epochs are known. How many trials they make, only results can tell.

        No trial gets more than `max_epochs`, so there are at least `trials` of them.
        """
        epochs = self.trials * self.max_epochs
        return Plan(self.trials, epochs, epochs, complete=False, most_epochs=epochs)

    def start(self, space: Space, *, seed: int, first: Sequence[Params] = ()) -> Search:
        refuse_empty_space(space, "Auto")
        return _AutoSearch(self, space, seed, first)


@dataclass(slots=True)
class _AutoSearch:
    """Rounds, one after the other. Only the last one is asked; trials of all may still end.

    Args:
        round_of: the round of each running trial.
        costs: of compiling; all rounds learn them together.
        seconds: that trials take, likewise.
        said: whether it was said that only luck is left.
        until_luck: whether it ends there.
    """

    options: Auto
    space: Space
    seed: int
    first: Sequence[Params]
    rounds: list[Round] = field(default_factory=list)
    round_of: dict[int, Round] = field(default_factory=dict)
    costs: ProgramCosts = field(init=False)
    seconds: TrialSeconds = field(default_factory=TrialSeconds)
    said: bool = False
    until_luck: bool = field(init=False)

    def __post_init__(self) -> None:
        self.costs = ProgramCosts(list(self.space))
        self.until_luck = self.options.until_luck

    def ask(self, trial: int) -> Suggestion | Pause:
        full = self.options.max_epochs
        left = self.options.trials * full - sum(past.spent for past in self.rounds)
        if left <= 0:
            return Pause.DONE
        if not self.rounds or self.rounds[-1].spent >= RULES.restart * full:
            new = self._make_round()
            if new.opening or not self.rounds:  # else every point of the space was tried
                self.rounds.append(new)
        answer = self.rounds[-1].ask(trial)
        if isinstance(answer, Suggestion):
            self.round_of[trial] = self.rounds[-1]
        found = self.rounds[-1].remainder
        if found is not None and found.is_luck:
            self._say_once(found)
        elif answer is Pause.DONE:
            log.info(
                "no point is expected to improve on the best: %d of %d epochs are left over",
                left,
                self.options.trials * full,
            )
        return answer

    def tell(self, trial: int, observation: Observation) -> None:
        self.round_of.pop(trial).tell(trial, observation)

    def continuable(self, trial: int) -> bool:
        return bool(self.rounds) and self.rounds[-1].continuable(trial)

    def lift_limits(self) -> None:
        self._end_at_luck(False)

    def set_limits(self) -> None:
        self._end_at_luck(self.options.until_luck)

    def _end_at_luck(self, ends: bool) -> None:
        self.until_luck = ends
        for each in self.rounds:
            each.until_luck = ends

    def expect_epoch_seconds(self, seconds: float) -> None:
        self.seconds.expected = seconds

    def _say_once(self, left: Remainder) -> None:
        """That what is left to find is less than the error of the best."""
        if not self.said:
            self.said = True
            log.info(
                "what is left to find (about %.2g) is less than the standard error of the best "
                "(%.2g): which of the best points is chosen is a matter of luck",
                left.gain,
                left.se,
            )

    def _make_round(self) -> Round:
        number, levels = len(self.rounds), rungs(self.options.max_epochs, RULES.eta)
        seed = derive_seed(self.seed, "round", number) if number else self.seed
        rows = derive_seed(seed, "rows")
        decision = Decision(RULES, Encoding(self.space), levels, rows, self.costs, self.seconds)
        new = Round(seed, decision, self.until_luck)
        tried = [unit for past in self.rounds for unit in past.units]
        new.prepare_opening(() if number else self.first, tried)
        return new
