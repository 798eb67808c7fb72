"""One model of all points and epochs decides what to begin and what to continue."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from hpsearch.options import at_least_one
from hpsearch.searchers.base import Halves, Search
from hpsearch.searchers.brackets import rungs
from hpsearch.searchers.surrogate.encoding import Array, Encoding
from hpsearch.searchers.surrogate.process import Posterior, Process, Seen, normal_scores
from hpsearch.seeds import derive
from hpsearch.space import Params, Space
from hpsearch.trial import Observation, Pause, Suggestion

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Rules:
    """How it decides. Not the user's to set: the ablation of README.md sets them."""

    initial: int = 6
    xi: float = 0.2
    cost: float = 0.0  # expected improvement is divided by the epochs it takes to this power
    near: float = 0.02
    uniform: int = 200
    local: int = 200
    rounds: int = 2
    middle: bool = True
    rank: bool = True
    top: bool = False  # train in one go
    chain: bool = True
    lowest: int = 1
    eta: int = 3
    fit_rows: int = 150
    fit_evals: int = 12
    hallucinate: str = "mean"


RULES = Rules()


@dataclass(frozen=True, slots=True)
class Auto(Halves):
    trials: int = 50
    max_epochs: int = 27

    def __post_init__(self) -> None:
        at_least_one(self, trials=self.trials, max_epochs=self.max_epochs)

    @property
    def in_flight(self) -> int:
        return 8

    def start(self, space: Space, *, seed: int, first: Sequence[Params] = ()) -> Search:
        levels = rungs(self.max_epochs, RULES.eta, RULES.lowest)
        if RULES.top:
            levels = [self.max_epochs]
        encoding = Encoding(space)
        return _Search(self, seed, levels, list(first), encoding, Process(encoding.groups), RULES)


@dataclass(slots=True)
class _Chain:
    """A point and how far it was trained. level: of its last trial; running, or told a loss."""

    params: Params
    unit: Array
    trial: int
    level: int = 0
    running: bool = True
    failed: bool = False


@dataclass(slots=True)
class _Search:
    options: Auto
    seed: int
    levels: list[int]
    first: list[Params]
    encoding: Encoding
    process: Process
    rules: Rules
    chains: list[_Chain] = field(default_factory=list)
    owner: dict[int, int] = field(default_factory=dict)
    rows: list[tuple[int, int]] = field(default_factory=list)  # (chain, level) of each loss
    losses: list[float] = field(default_factory=list)
    spent: int = 0
    fitted: int = 0

    def ask(self, trial: int) -> Suggestion | Pause:
        if self.spent >= self.options.trials * self.options.max_epochs:
            return Pause.DONE
        rng = np.random.default_rng(derive(self.seed, "ask", trial))
        found = self._choose(rng)
        if isinstance(found, int):
            chain = self.chains[found]
            chain.level += 1
            parent, chain.trial, chain.running = chain.trial, trial, True
            self.owner[trial] = found
            self.spent += self.levels[chain.level] - self.levels[chain.level - 1]
            return Suggestion(chain.params, self.levels[chain.level], parent)
        params, unit = found
        self.owner[trial] = len(self.chains)
        self.chains.append(_Chain(params, unit, trial))
        self.spent += self.levels[0]
        return Suggestion(params, self.levels[0])

    def tell(self, trial: int, seen: Observation) -> None:
        number = self.owner.pop(trial)
        chain = self.chains[number]
        chain.running = False
        chain.failed = seen.loss is None or math.isnan(seen.loss)
        self.rows.append((number, chain.level))
        self.losses.append(math.inf if seen.loss is None or chain.failed else seen.loss)
        if len(self.rows) >= self.rules.initial and len(self.rows) >= 1.1 * self.fitted + 1:
            self.fitted = len(self.rows)
            if self._informative():
                where, y = self._observed()
                rows = self._representative(y)
                self.process.fit(where.take(rows), y[rows], self.rules.fit_evals)

    def continuable(self, trial: int) -> bool:
        number = self.owner.get(trial)
        return True

    def _informative(self) -> bool:
        return len(self.losses) >= 3 and len({x for x in self.losses if x < math.inf}) > 1

    def _choose(self, rng: np.random.Generator) -> "int | tuple[Params, Array]":
        begun = len(self.chains)
        if begun < len(self.first):
            return self.first[begun], self.encoding.unit(self.first[begun])
        if begun < self.rules.initial:
            return self._fresh(begun, rng)
        if not self._informative():
            return self._fresh(begun, rng)
        return self._by_model(rng)

    def _fresh(self, begun: int, rng: np.random.Generator) -> tuple[Params, Array]:
        d = len(self.encoding.space)
        unit = np.full(d, 0.5) if begun == 0 and self.rules.middle else rng.random(d)
        unit = self.encoding.snap(unit[None])[0]
        return self.encoding.space.from_unit(unit), unit

    def _observed(self) -> tuple[Seen, Array]:
        units = np.array([chain.unit for chain in self.chains])
        features = self.encoding.features(units)
        numbers = np.array([number for number, _ in self.rows])
        epochs = np.log([self.levels[level] for _, level in self.rows])
        losses = np.array(self.losses)
        if self.rules.rank:
            y = normal_scores(losses)
        else:
            finite = losses[losses < math.inf]
            losses = np.minimum(losses, finite.max())
            y = -(losses - losses.mean()) / (losses.std() + 1e-12)
        own = numbers if self.rules.chain else np.arange(len(numbers)) + 10**6
        return Seen(features[numbers], epochs, own), y

    def _representative(self, y: Array) -> Array:
        size = self.rules.fit_rows
        if len(y) <= size:
            return np.arange(len(y))
        order = np.argsort(-y, kind="stable")
        best, rest = order[: size // 3], order[size // 3 :]
        rng = np.random.default_rng(derive(self.seed, "fit", len(y)))
        return np.sort(np.concatenate([best, rng.choice(rest, size - size // 3, replace=False)]))

    def _by_model(self, rng: np.random.Generator) -> "int | tuple[Params, Array]":
        seen, y = self._observed()
        posterior = self.process.given(seen, y)
        best = float(posterior.mean(seen).max())
        units = np.array([chain.unit for chain in self.chains])
        features = self.encoding.features(units)
        running = [n for n, c in enumerate(self.chains) if c.running]
        top = math.log(self.levels[-1])
        if running:
            where = Seen(
                features[running],
                np.log([self.levels[self.chains[n].level] for n in running]),
                np.array(running) if self.rules.chain else -2 - np.arange(len(running)),
            )
            posterior = self.process.given(
                seen.also(where), np.concatenate([y, posterior.mean(where)])
            )
        open_ = [
            n
            for n, c in enumerate(self.chains)
            if not (c.running or c.failed or c.level + 1 == len(self.levels))
        ]
        goal = best + self.rules.xi
        found: int | tuple[Params, Array] | None = None
        most = -math.inf
        if open_:
            where = Seen(
                features[open_],
                np.full(len(open_), top),
                np.array(open_) if self.rules.chain else -5 - np.arange(len(open_)),
            )
            gain = log_ei(posterior, where, goal)
            if self.rules.cost:
                steps = [
                    self.levels[self.chains[n].level + 1] - self.levels[self.chains[n].level]
                    for n in open_
                ]
                gain = gain - self.rules.cost * np.log(steps)
            place = int(np.argmax(gain))
            found, most = open_[place], float(gain[place])
        unit, gain_new = self._candidate(posterior, units, goal, rng)
        if unit is not None and gain_new - self.rules.cost * math.log(self.levels[0]) > most:
            found = self.encoding.space.from_unit(unit), unit
        if found is None:
            found = self._fresh(len(self.chains), rng)
        return found

    def _candidate(
        self, posterior: Posterior, units: Array, goal: float, rng: np.random.Generator
    ) -> tuple[Array | None, float]:
        rules, d = self.rules, units.shape[1]
        top = math.log(self.levels[-1])
        n = len(units)
        where = Seen(self.encoding.features(units), np.full(n, top), np.arange(n))
        best = np.argsort(-posterior.mean(where), kind="stable")[:5]
        pool = np.concatenate(
            [rng.random((rules.uniform, d)), self._around(units[best], rules.local, rng)]
        )
        chosen, most = None, -math.inf
        for round_ in range(rules.rounds + 1):
            pool = self.encoding.snap(pool)
            near = np.zeros(len(pool), dtype=bool)
            for start in range(0, n, 100):
                apart = np.abs(pool[:, None] - units[None, start : start + 100]).max(axis=2)
                near |= (apart < rules.near).any(axis=1)
            pool = pool[~near]
            if not len(pool):
                break
            where = Seen(
                self.encoding.features(pool), np.full(len(pool), top), np.full(len(pool), -1)
            )
            gain = log_ei(posterior, where, goal)
            order = np.argsort(-gain, kind="stable")[:4]
            if gain[order[0]] > most:
                chosen, most = pool[order[0]], float(gain[order[0]])
            pool = self._around(pool[order], 80, rng, 0.5 ** (round_ + 1))
        return chosen, most

    def _around(
        self, centers: Array, count: int, rng: np.random.Generator, scale: float = 1.0
    ) -> Array:
        d = centers.shape[1]
        base = centers[rng.integers(len(centers), size=count)]
        width = scale * 0.3 * 10.0 ** -(1.5 * rng.random((count, 1)))
        step = rng.standard_normal((count, d)) * np.maximum(width, 0.5 / self.encoding.counts)
        moved = rng.random((count, d)) < np.maximum(rng.random((count, 1)), 1.0 / d)
        out = base + step * moved
        choice = self.encoding.choices[None] & moved & (rng.random((count, d)) < 0.5)
        out = np.where(choice, rng.random((count, d)), np.where(self.encoding.choices[None], base, out))
        # Reflect at the ends, where clipping would pile points up.
        out = np.abs(out)
        return np.clip(np.where(out > 1.0, 2.0 - out, out), 0.0, 1.0)


def log_ei(posterior: Posterior, where: Seen, goal: float) -> Array:
    from scipy.special import log_ndtr, ndtr

    mean, sd = posterior.at(where)
    z = (mean - goal) / sd
    density = np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
    inner = density + z * ndtr(z)
    # Far below the goal the difference of two small numbers is lost; there density / z**2 is near.
    far = -0.5 * z * z - 0.5 * math.log(2 * math.pi) - 2 * np.log(np.maximum(np.abs(z), 1.0))
    return np.asarray(np.log(sd) + np.where(z > -6, np.log(np.maximum(inner, 1e-300)), far))
