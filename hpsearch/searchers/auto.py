"""Early like successive halving, late like a Gaussian process: one model of points and epochs."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from hpsearch.options import at_least_one
from hpsearch.searchers.base import Halves, Search
from hpsearch.searchers.brackets import rungs
from hpsearch.searchers.surrogate.decision import Decision, Evidence
from hpsearch.searchers.surrogate.encoding import Array, Encoding
from hpsearch.searchers.surrogate.rules import Rules
from hpsearch.seeds import derive
from hpsearch.space import Params, Space
from hpsearch.trial import Observation, Pause, Suggestion

log = logging.getLogger(__name__)

RULES = Rules()
FEW = 8  # of a rung, whose checkpoints are kept however small it is


@dataclass(frozen=True, slots=True)
class Auto(Halves):
    """Trains what promises most, only as far as it must to tell whether it keeps the promise.

    trials: the budget, in full trainings: `trials * max_epochs` epochs in all, which the last
    trials begun may exceed by less than a full training each. Most points get few epochs, so that
    many more than `trials` are tried. max_epochs: of a trial that goes all the way.

    A Gaussian process over points and epochs predicts every point's loss at the last epoch, after
    freeze-thaw optimization (Swersky et al., arXiv:1406.3896) and DyHPO (Wistuba et al., NeurIPS
    2022). Of unfinished trials and new points, the one with the largest expected improvement
    there is trained to the next rung. The search ends early where nothing promises any more.
    """

    trials: int = 50
    max_epochs: int = 27

    def __post_init__(self) -> None:
        at_least_one(self, trials=self.trials, max_epochs=self.max_epochs)

    @property
    def in_flight(self) -> int:
        return 1  # eight at a time find much less: see README.md

    def start(self, space: Space, *, seed: int, first: Sequence[Params] = ()) -> Search:
        encoding = Encoding(space)
        # A first rung of one epoch, whatever the others are: more points come into sight early.
        levels = sorted({1, *rungs(self.max_epochs, RULES.eta)})
        if not RULES.steps:
            levels = [self.max_epochs]
        decision = Decision(RULES, encoding, self.max_epochs, derive(seed, "rows"))
        return _Search(self, seed, levels, list(first), decision)


@dataclass(slots=True)
class _Chain:
    """A point, and the last of the trials that train it. level: the rung it trains to, or has."""

    params: Params
    unit: Array
    features: Array
    trial: int
    level: int = 0
    running: bool = True
    failed: bool = False


@dataclass(slots=True)
class _Search:
    """State is what was asked and told, and the process's hyperparameters, which only tells change.

    So a pause may be left out of a replay, and the same events give the same search.
    """

    options: Auto
    seed: int
    levels: list[int]
    first: list[Params]
    decision: Decision
    chains: list[_Chain] = field(default_factory=list)
    owner: dict[int, int] = field(default_factory=dict)
    ended: list[tuple[int, int, float]] = field(default_factory=list)  # chain, epochs, loss
    spent: int = 0
    fitted: int = 0

    def ask(self, trial: int) -> Suggestion | Pause:
        if self.spent >= self.options.trials * self.options.max_epochs:
            return Pause.DONE
        found = self._choose(np.random.default_rng(derive(self.seed, "ask", trial)))
        if found is None:
            if any(chain.running for chain in self.chains):
                return Pause.WAIT
            log.info(
                "nothing promises to improve on the best: %d of %d epochs are left over",
                self.options.trials * self.options.max_epochs - self.spent,
                self.options.trials * self.options.max_epochs,
            )
            return Pause.DONE
        return self._begin(trial, found) if isinstance(found, _Chain) else self._go_on(trial, found)

    def tell(self, trial: int, seen: Observation) -> None:
        number = self.owner.pop(trial)
        chain = self.chains[number]
        chain.running = False
        chain.failed = seen.loss is None or not math.isfinite(seen.loss)
        loss = math.inf if seen.loss is None or chain.failed else seen.loss
        self.ended.append((number, self.levels[chain.level], loss))
        rules = self.decision.rules
        if len(self.ended) >= max(rules.initial, 1.1 * self.fitted + 1):
            self.fitted = len(self.ended)
            if (known := self._evidence()).telling:
                self.decision.fit(known)

    def continuable(self, trial: int) -> bool:
        """Whether it is in the better half of its rung, or among the first few."""
        chain = next((c for c in self.chains if c.trial == trial), None)
        if chain is None or chain.failed or chain.level + 1 == len(self.levels):
            return False
        rung = sorted(
            (loss, number)
            for number, epochs, loss in self.ended
            if epochs == self.levels[chain.level]
        )
        place = next((p for p, (_, n) in enumerate(rung) if self.chains[n] is chain), 0)
        return place < max(len(rung) // 2, FEW)

    def _begin(self, trial: int, chain: _Chain) -> Suggestion:
        chain.trial = trial
        self.owner[trial] = len(self.chains)
        self.chains.append(chain)
        self.spent += self.levels[0]
        return Suggestion(chain.params, self.levels[0])

    def _go_on(self, trial: int, number: int) -> Suggestion:
        chain = self.chains[number]
        chain.level, chain.running = chain.level + 1, True
        parent, chain.trial = chain.trial, trial
        self.owner[trial] = number
        self.spent += self.levels[chain.level] - self.levels[chain.level - 1]
        return Suggestion(chain.params, self.levels[chain.level], parent)

    def _choose(self, rng: np.random.Generator) -> "int | _Chain | None":
        """The number of a chain to go on with, or a new one, or nothing."""
        begun, rules = len(self.chains), self.decision.rules
        if begun < len(self.first):
            return self._chain(self.decision.encoding.unit(self.first[begun]), self.first[begun])
        if begun == 0 and rules.middle:
            return self._chain(self.decision.encoding.snap(np.full((1, len(self.space)), 0.5))[0])
        if begun >= rules.initial + len(self.first):
            known = self._evidence()
            if known.telling:
                found = self.decision.choose(known, rng)
                return found if found is None or isinstance(found, int) else self._chain(found)
        return self._blind(rng)

    def _blind(self, rng: np.random.Generator) -> "int | _Chain | None":
        """By successive halving, where losses do not tell points apart, or are yet to come."""
        if len(self.chains) >= self.decision.rules.initial:
            for level in reversed(range(len(self.levels) - 1)):
                here = [n for n, c in enumerate(self.chains) if c.level >= level]
                above = sum(self.chains[n].level > level for n in here)
                waiting = [n for n in self._waiting() if self.chains[n].level == level]
                if waiting and above < len(here) // self.decision.rules.eta:
                    return waiting[0]
        known = np.array([c.unit for c in self.chains]).reshape(-1, len(self.space))
        unit = self.decision.candidates.fresh(known, rng)
        if unit is not None:
            return self._chain(unit)
        return next(iter(self._waiting()), None)

    def _waiting(self) -> list[int]:
        top = len(self.levels) - 1
        return [
            n for n, c in enumerate(self.chains) if c.level < top and not c.running and not c.failed
        ]

    def _promotable(self) -> list[int]:
        """Waiting chains whose next rung is not crowded: one that ends may outdate all the others."""
        share = self.decision.rules.share
        running = [c.level for c in self.chains if c.running and c.level > 0]

        def room(level: int) -> bool:
            above = len(self.levels) - 1 - level
            return sum(at >= level for at in running) < share * (1 + above)

        return [n for n in self._waiting() if room(self.chains[n].level + 1)]

    @property
    def space(self) -> Space:
        return self.decision.encoding.space

    def _chain(self, unit: Array, params: Params | None = None) -> _Chain:
        features = self.decision.encoding.features(unit[None])[0]
        return _Chain(self.space.from_unit(unit) if params is None else params, unit, features, 0)

    def _evidence(self) -> Evidence:
        chains, epochs, losses = zip(*self.ended, strict=True) if self.ended else ((), (), ())
        return Evidence(
            np.array([c.unit for c in self.chains]),
            np.array([c.features for c in self.chains]),
            np.array(chains, dtype=np.int64),
            np.array(epochs, dtype=np.float64),
            np.array(losses, dtype=np.float64),
            self._promotable(),
            [(n, self.levels[c.level]) for n, c in enumerate(self.chains) if c.running],
        )
