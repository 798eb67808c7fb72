"""One round of `Auto`: it opens with successive halving, and then asks the process."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from hpsearch.core.seeds import derive
from hpsearch.core.space import Params, Space
from hpsearch.core.trial import Observation, Pause, Suggestion
from hpsearch.searchers.auto.decision import Decision, Evidence
from hpsearch.searchers.auto.encoding import Array

LAST = 3  # points in the opening's last rung
SPARE = 4  # times as many points are drawn for it, for those that are near to what was tried
FEW = 8  # of a rung, whose checkpoints are kept however small it is


@dataclass(slots=True)
class Chain:
    """A point, and the last of the trials that train it. level: the rung it trains to, or has."""

    params: Params
    unit: Array
    features: Array
    trial: int
    level: int = 0
    running: bool = True
    failed: bool = False


@dataclass(slots=True)
class Round:
    """State is what was asked and told, and the process's hyperparameters, which only tells change.

    So a pause may be left out of a replay, and the same events give the same search.
    """

    seed: int
    decision: Decision
    opening: list[Chain] = field(default_factory=list)
    chains: list[Chain] = field(default_factory=list)
    owner: dict[int, int] = field(default_factory=dict)
    ended: list[tuple[int, int, float]] = field(default_factory=list)  # chain, epochs, loss
    spent: int = 0
    fitted: int = 0

    def open(self, first: Sequence[Params], tried: Iterable[Array]) -> None:
        """Prepare the first points: the user's own, and others spread over the space.

        tried: unit points, each of shape (d,), that none of the others is to be near.
        """
        rules, encoding = self.decision.rules, self.decision.encoding
        size = min(max(rules.eta ** (len(self.levels) - 1), rules.least), rules.most)
        known = [*tried]
        for params in first:
            known.append(encoding.unit(params))
            self.opening.append(self._chain(known[-1], dict(params)))
        spread = self.decision.candidates.spread(SPARE * size, derive(self.seed, "opening"))
        for unit in spread:
            if not size:
                break
            rows = np.array(known).reshape(-1, len(self.space))
            if len(self.decision.candidates.unknown(unit[None], rows)):
                known.append(unit)
                self.opening.append(self._chain(unit))
                size -= 1

    def ask(self, trial: int) -> Suggestion | Pause:
        """What to train next; DONE where nothing promises to improve on the best."""
        found = self._choose(np.random.default_rng(derive(self.seed, "ask", trial)))
        if isinstance(found, Pause):
            return found
        if found is None:
            return Pause.WAIT if any(chain.running for chain in self.chains) else Pause.DONE
        chain, level = found
        if isinstance(chain, Chain):
            return self._begin(trial, chain, level)
        return self._go_on(trial, chain, level)

    def tell(self, trial: int, seen: Observation) -> None:
        number = self.owner.pop(trial)
        chain = self.chains[number]
        chain.running = False
        chain.failed = seen.loss is None or not math.isfinite(seen.loss)
        loss = math.inf if seen.loss is None or chain.failed else seen.loss
        self.ended.append((number, self.levels[chain.level], loss))
        if len(self.ended) >= max(self.decision.rules.least, 1.1 * self.fitted + 1):
            self.fitted = len(self.ended)
            if (known := self._evidence()).telling:
                self.decision.fit(known)

    def continuable(self, trial: int) -> bool:
        return any(self.chains[number].trial == trial for number in self._waiting())

    def _begin(self, trial: int, chain: Chain, level: int) -> Suggestion:
        chain.trial, chain.level = trial, level
        self.owner[trial] = len(self.chains)
        self.chains.append(chain)
        self.spent += self.levels[level]
        return Suggestion(chain.params, self.levels[level])

    def _go_on(self, trial: int, number: int, level: int) -> Suggestion:
        chain = self.chains[number]
        self.spent += self.levels[level] - self.levels[chain.level]
        chain.level, chain.running = level, True
        parent, chain.trial = chain.trial, trial
        self.owner[trial] = number
        return Suggestion(chain.params, self.levels[level], parent)

    def _choose(self, rng: np.random.Generator) -> "tuple[int | Chain, int] | Pause | None":
        """The number of a chain to go on with, or a new one, and to which rung; or a pause, or nothing."""
        if len(self.chains) < len(self.opening):
            return self.opening[len(self.chains)], 0
        known = self._evidence()
        if not known.telling:
            return self._blind(known, rng)
        due = self._opened(known.waiting)
        if due is None:
            due = self._neglected(known.waiting, self.decision.rules.share)
        if due is not None:
            return due if isinstance(due, Pause) else self._next(due)
        found = self.decision.choose(known, rng)
        if found is None:
            return None
        point, level = found
        return point if isinstance(point, int) else self._chain(point), level

    def _opened(self, waiting: Sequence[int]) -> int | Pause | None:
        """Whose turn it is in the first points' successive halving; WAIT while what trains decides.

        None where it is over.
        """
        numbers = range(len(self.opening))
        for level in range(1, len(self.levels)):
            due = len(numbers) // self.decision.rules.eta**level
            if due < LAST:
                break
            if sum(self.chains[n].level >= level for n in numbers) < due:
                here = [n for n in numbers if self.chains[n].level == level - 1]
                if any(self.chains[n].running for n in here):
                    return Pause.WAIT
                if found := [n for n in waiting if n in here]:
                    return found[0]
        return None

    def _neglected(self, waiting: Sequence[int], share: float) -> int | None:
        """The best that waits for a rung which got less than `share` of an equal part of all epochs.

        More epochs may tell apart what few do not, and only what goes on can show it.
        """
        steps = np.diff(self.levels, prepend=0)
        levels = np.array([chain.level for chain in self.chains])
        epochs = [step * np.sum(levels >= level) for level, step in enumerate(steps)]
        for level in reversed(range(1, len(steps))):
            found = [n for n in waiting if self.chains[n].level == level - 1]
            if found and epochs[level] * len(steps) < share * sum(epochs):
                return found[0]
        return None

    def _blind(self, known: Evidence, rng: np.random.Generator) -> "tuple[int | Chain, int] | None":
        """Successive halving and random points, where losses are all alike."""
        due = self._neglected(known.waiting, 1.0)
        if due is None:
            unit = self.decision.candidates.fresh(known.units, rng)
            if unit is not None:
                return self._chain(unit), 0
            due = next(iter(known.waiting), None)
        return None if due is None else self._next(due)

    def _next(self, number: int) -> tuple[int, int]:
        """A chain and the rung after its last."""
        return number, self.chains[number].level + 1

    def _waiting(self) -> list[int]:
        """The chains that may go on: in every rung the better half, and a few at least; best first.

        Of the others checkpoints may be gone.
        """
        found = []
        for level, epochs in enumerate(self.levels[:-1]):
            rung = sorted((loss, n) for n, at, loss in self.ended if at == epochs)
            for _, n in rung[: max(len(rung) // 2, FEW)]:
                chain = self.chains[n]
                if chain.level == level and not chain.running and not chain.failed:
                    found.append(n)
        return found

    @property
    def levels(self) -> Sequence[int]:
        return self.decision.levels

    @property
    def units(self) -> list[Array]:
        """The points begun so far."""
        return [chain.unit for chain in self.chains]

    @property
    def space(self) -> Space:
        return self.decision.encoding.space

    def _chain(self, unit: Array, params: Params | None = None) -> Chain:
        features = self.decision.encoding.features(unit[None])[0]
        return Chain(self.space.from_unit(unit) if params is None else params, unit, features, 0)

    def _evidence(self) -> Evidence:
        chains, epochs, losses = zip(*self.ended, strict=True) if self.ended else ((), (), ())
        return Evidence(
            np.array([c.unit for c in self.chains]),
            np.array([c.features for c in self.chains]),
            np.array(chains, dtype=np.int64),
            np.array(epochs, dtype=np.float64),
            np.array(losses, dtype=np.float64),
            self._waiting(),
            [(n, self.levels[c.level]) for n, c in enumerate(self.chains) if c.running],
            self.spent / self.levels[-1],
        )
