"""One round of `Auto`: it opens with successive halving, and then asks the Gaussian process."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from hpsearch.core.seeds import derive_seed
from hpsearch.core.space import Params, Space
from hpsearch.core.trial import Observation, Pause, Suggestion
from hpsearch.searchers.auto.decision import Decision
from hpsearch.searchers.auto.encoding import Array
from hpsearch.searchers.auto.evidence import Evidence
from hpsearch.searchers.auto.luck import Remainder, measure_remainder

LAST_RUNG_POINTS = 3  # of the opening
SPARE = 4  # so many times the points are drawn: those near to one that was tried are left out
FEWEST_CONTINUABLE = 8  # of a rung, however small it is
MOST_FITS = 4  # of the process at once: as often as losses grew by a tenth, but no more


@dataclass(slots=True)
class TrialChain:
    """A point, and the trials that train it, each of which continues the one before.

    Args:
        trial: the last of these trials.
        level: the rung that it has reached, or trains to.
    """

    params: Params
    unit: Array
    features: Array
    trial: int
    level: int = 0
    running: bool = True
    failed: bool = False


@dataclass(slots=True)
class Round:
    """One round of the search. Chains are numbered in the order in which they were begun.

    Its state is what was asked and told, and the process's hyperparameters, which change only in
    an ask that is answered by a trial. So a replay may leave out pauses, and the same events give
    the same search. Trials that end between two asks may do so in any order.

    Args:
        opening: the points that are tried before any other, and spare ones.
        opened: how many of these are the opening.
        chain_of: the chain of each running trial.
        until_luck: whether it ends where what is left to find is less than folds can tell.
        ended: (chain, epochs, loss) of each trial that ended, by trial.
        errors: the standard error of the loss of each trial of which it is known.
        spent: epochs of all trials.
        fitted: how many trials had ended when the process was last fitted.
        first: the first trial of the round.
        leader: the first trial that was asked for since one ended; None where none was.
        remainder: what is left to find, by the last ask that knew.
    """

    seed: int
    decision: Decision
    until_luck: bool = False
    opening: list[TrialChain] = field(default_factory=list)
    opened: int = 0
    chains: list[TrialChain] = field(default_factory=list)
    chain_of: dict[int, int] = field(default_factory=dict)
    ended: dict[int, tuple[int, int, float]] = field(default_factory=dict)
    errors: dict[int, float] = field(default_factory=dict)
    spent: int = 0
    fitted: int = 0
    first: int | None = None
    leader: int | None = None
    remainder: Remainder | None = None

    @property
    def levels(self) -> Sequence[int]:
        """The epochs of the rungs."""
        return self.decision.levels

    @property
    def space(self) -> Space:
        return self.decision.encoding.space

    @property
    def units(self) -> list[Array]:
        """The unit points begun so far."""
        return [chain.unit for chain in self.chains]

    def prepare_opening(self, first: Sequence[Params], tried: Iterable[Array]) -> None:
        """Choose the first points: the user's own, and others spread over the space.

        Args:
            first: the user's own points.
            tried: unit points of earlier rounds, each of shape (d,); no new one is near them.
        """
        rules, encoding = self.decision.rules, self.decision.encoding
        halvings = len(self.levels) - 1 - self.decision.lowest_rung
        size = min(max(rules.eta**halvings, rules.least), rules.most)
        self.opened = len(first) + size
        most = max(rules.widest, size)
        known = [*tried]
        for params in first:
            known.append(encoding.to_unit(params))
            self.opening.append(self._make_chain(known[-1], dict(params)))
        sampler = self.decision.sampler
        for unit in sampler.spread_evenly(SPARE * most, derive_seed(self.seed, "opening")):
            if len(self.opening) == len(first) + most:
                break
            rows = np.array(known).reshape(-1, len(self.space))
            if len(sampler.drop_near_known(unit[None], rows)):
                known.append(unit)
                self.opening.append(self._make_chain(unit))
        self.opened = min(self.opened, len(self.opening))

    def ask(self, trial: int) -> Suggestion | Pause:
        """What to train next; DONE where no point is expected to improve on the best."""
        process, fitted = self.decision.process, self.fitted
        found = self._choose(trial)
        if isinstance(found, Pause):
            return found
        if found is None:
            self.decision.process, self.fitted = process, fitted  # a pause changes nothing
            return Pause.WAIT if any(chain.running for chain in self.chains) else Pause.DONE
        self._fit_if_due()
        self.first = trial if self.first is None else self.first
        self.leader = trial if self.leader is None else self.leader
        if not self.ended:
            self.opened = max(self.opened, min(len(self.chains) + 1, len(self.opening)))
        chain, level = found
        if isinstance(chain, TrialChain):
            return self._start_chain(trial, chain, level)
        return self._continue_chain(trial, chain, level)

    def tell(self, trial: int, observation: Observation) -> None:
        number = self.chain_of.pop(trial)
        chain = self.chains[number]
        chain.running = False
        chain.failed = observation.loss is None or not math.isfinite(observation.loss)
        loss = math.inf if observation.loss is None or chain.failed else observation.loss
        self.ended[trial] = number, self.levels[chain.level], loss
        if observation.se is not None:
            self.errors[trial] = observation.se
        self.decision.costs.record(chain.params, observation.cost)
        self.decision.seconds.record(trial, len(observation.curve), observation.cost)
        self.leader = None

    def continuable(self, trial: int) -> bool:
        return any(self.chains[number].trial == trial for number in self._continuable_chains())

    def _fit_if_due(self) -> None:
        """Fit the process each time that losses have grown by a tenth: that takes longest.

        Where a batch made them grow by several tenths, it is fitted the longer.
        """
        times, fitted = 0, self.fitted
        while len(self.ended) >= (due := max(self.decision.rules.least, 1.1 * fitted + 1)):
            times, fitted = times + 1, math.ceil(due)
        if times:
            self.fitted = len(self.ended)
            known = self._gather_evidence()
            if known.has_differing_losses:
                self.decision.fit(known, min(times, MOST_FITS))

    def _make_rng(self, trial: int) -> np.random.Generator:
        """The random numbers of an ask."""
        return np.random.default_rng(derive_seed(self.seed, "ask", trial))

    def _choose(self, trial: int) -> tuple[int | TrialChain, int] | Pause | None:
        """A new chain, or the number of one to continue, and the rung to train it to.

        WAIT while running trials decide what is next; None where nothing is worth a training.
        """
        # First all points of the opening, to the first rung. Where more than these are trained
        # side by side, the opening is as large as what is asked for before any of them ends.
        begun, lowest = len(self.chains), self.decision.lowest_rung
        if begun < self.opened or (not self.ended and begun < len(self.opening)):
            return self.opening[begun], lowest

        known = self._gather_evidence()
        if not known.has_differing_losses:
            return self._choose_without_losses(known, self._make_rng(trial))

        # Then the opening's successive halving, which goes by rank alone.
        due = self._next_of_opening(known.waiting)
        if isinstance(due, Pause):
            return due

        # Then a rung that got too few epochs, if there is one.
        if due is None:
            due = self._best_below_neglected_rung(known.waiting, self.decision.rules.share)
        if due is not None:
            return due, max(self.chains[due].level + 1, lowest)

        # Else what the process expects most of. All asks since a trial ended share the process
        # that the first of them drew.
        self._fit_if_due()
        leader = trial if self.leader is None else self.leader
        drawing = None if leader == trial else self._make_rng(leader)
        found = self.decision.choose(known, self._make_rng(trial), leader, drawing)
        if found is None:
            return None
        if found.gain is not None:
            self.remainder = measure_remainder(found.gain, known, self.levels[-1])
            if self.until_luck and self.remainder is not None and self.remainder.is_luck:
                return None
        point = found.point
        return point if isinstance(point, int) else self._make_chain(point), found.level

    def _next_of_opening(self, waiting: Sequence[int]) -> int | Pause | None:
        """The chain that the opening's successive halving continues next.

        WAIT while trials that decide it are running; None where the opening is over.
        """
        numbers = range(self.opened)
        for level in range(1, len(self.levels)):
            due = len(numbers) // self.decision.rules.eta**level
            if due < LAST_RUNG_POINTS:
                break
            if sum(self.chains[n].level >= level for n in numbers) < due:
                below = [n for n in numbers if self.chains[n].level == level - 1]
                if any(self.chains[n].running for n in below):
                    return Pause.WAIT
                if found := [n for n in waiting if n in below]:
                    return found[0]
        return None

    def _best_below_neglected_rung(self, waiting: Sequence[int], share: float) -> int | None:
        """The best chain that may continue to a rung with less than its share of all epochs.

        That is `share` of what it would have if all rungs had equally many. More epochs may tell
        apart what few do not, and only trials that go on can show it.
        """
        steps = np.diff(self.levels, prepend=0)
        levels = np.array([chain.level for chain in self.chains])
        epochs = [step * np.sum(levels >= level) for level, step in enumerate(steps)]
        for level in reversed(range(1, len(steps))):
            found = [n for n in waiting if self.chains[n].level == level - 1]
            if found and epochs[level] * len(steps) < share * sum(epochs):
                return found[0]
        return None

    def _choose_without_losses(
        self, known: Evidence, rng: np.random.Generator
    ) -> tuple[int | TrialChain, int] | None:
        """Successive halving over random points: the choice where all losses are equal."""
        due = self._best_below_neglected_rung(known.waiting, 1.0)
        if due is None:
            unit = self.decision.sampler.sample_new_point(known.units, rng)
            if unit is not None:
                return self._make_chain(unit), self.decision.lowest_rung
            due = next(iter(known.waiting), None)
        if due is None:
            return None
        return due, max(self.chains[due].level + 1, self.decision.lowest_rung)

    def _continuable_chains(self) -> list[int]:
        """The chains that may go on: the better half of every rung, and a few at least; best first.

        The checkpoints of all others may be gone.
        """
        found = []
        for level, epochs in enumerate(self.levels[:-1]):
            rung = sorted((loss, n) for n, at, loss in self.ended.values() if at == epochs)
            for _, n in rung[: max(len(rung) // 2, FEWEST_CONTINUABLE)]:
                chain = self.chains[n]
                if chain.level == level and not chain.running and not chain.failed:
                    found.append(n)
        return found

    def _make_chain(self, unit: Array, params: Params | None = None) -> TrialChain:
        features = self.decision.encoding.to_features(unit[None])[0]
        if params is None:
            params = self.space.from_unit(unit)
        return TrialChain(params, unit, features, trial=0)

    def _start_chain(self, trial: int, chain: TrialChain, level: int) -> Suggestion:
        chain.trial, chain.level = trial, level
        self.chain_of[trial] = len(self.chains)
        self.chains.append(chain)
        self.spent += self.levels[level]
        return Suggestion(chain.params, self.levels[level])

    def _continue_chain(self, trial: int, number: int, level: int) -> Suggestion:
        chain = self.chains[number]
        self.spent += self.levels[level] - self.levels[chain.level]
        chain.level, chain.running = level, True
        parent, chain.trial = chain.trial, trial
        self.chain_of[trial] = number
        return Suggestion(chain.params, self.levels[level], parent)

    def _gather_evidence(self) -> Evidence:
        trials = sorted(self.ended)
        ended = [self.ended[trial] for trial in trials]
        chains, epochs, losses = zip(*ended, strict=True) if ended else ((), (), ())
        return Evidence(
            units=np.array([c.unit for c in self.chains]),
            features=np.array([c.features for c in self.chains]),
            trials=np.array(trials, dtype=np.int64) - (self.first or 0),
            chains=np.array(chains, dtype=np.int64),
            epochs=np.array(epochs, dtype=np.float64),
            losses=np.array(losses, dtype=np.float64),
            errors=np.array([self.errors.get(trial, math.nan) for trial in trials]),
            waiting=self._continuable_chains(),
            running=[(n, self.levels[c.level]) for n, c in enumerate(self.chains) if c.running],
            spent=self.spent / self.levels[-1],
        )
