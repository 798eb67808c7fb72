"""What to train next, as the process sees it: go on with a trial, or begin a new point."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from hpsearch.searchers.auto.candidates import Candidates
from hpsearch.searchers.auto.encoding import Array, Encoding
from hpsearch.searchers.auto.improvement import log_improvement
from hpsearch.searchers.auto.process import (
    TINY,
    Ints,
    Posterior,
    Process,
    Seen,
    normal_scores,
    one_thread,
)
from hpsearch.searchers.auto.rules import Rules

NEW = -1  # the chain of a point that is not begun yet

Point = int | Array  # the number of one that was begun, or a new unit point, shape (d,)


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that is known. Points are numbered in the order in which they were begun.

    units: unit points, (n, d). features: theirs, (n, f). chains, epochs, losses: of every trial
    that ended, its point's number, its total epochs, its loss (infinite: failed), each (m,).
    waiting: points that may continue. running: points in training, and to how many epochs.
    spent: epochs of all trials, in full trainings.
    """

    units: Array
    features: Array
    chains: Ints
    epochs: Array
    losses: Array
    waiting: Sequence[int]
    running: Sequence[tuple[int, int]]
    spent: float

    @property
    def telling(self) -> bool:
        """Whether losses differ, so that there is something to learn."""
        finite = self.losses[np.isfinite(self.losses)]
        return len(finite) > 1 and bool(finite.min() < finite.max())


@dataclass(slots=True)
class Decision:
    """Chooses by expected improvement at the last epoch, and fits the process now and then.

    levels: epochs of the rungs, the last of which is a full training.
    """

    rules: Rules
    encoding: Encoding
    levels: Sequence[int]
    seed: int
    process: Process = field(init=False)

    def __post_init__(self) -> None:
        self.process = Process(self.encoding.groups)

    @property
    def candidates(self) -> Candidates:
        return Candidates(self.encoding, self.rules.near)

    def fit(self, known: Evidence) -> None:
        """Learn the process's hyperparameters from what is known."""
        with one_thread():
            self._fit(known)

    def choose(self, known: Evidence, rng: np.random.Generator) -> tuple[Point, int] | None:
        """What to continue or begin, and to which rung; None where nothing promises to improve."""
        with one_thread():
            return self._choose(known, rng)

    def _fit(self, known: Evidence) -> None:
        y = self._scores(known)
        rows = self._representative(y, self.rules.fit_rows)
        self.process.fit(self._seen(known, rows), y[rows], self.rules.evaluations)

    def _choose(self, known: Evidence, rng: np.random.Generator) -> tuple[Point, int] | None:
        rules = self.rules
        if rng.random() < rules.explore:
            anywhere = self.candidates.fresh(known.units, rng)
            if anywhere is not None:
                return anywhere, 0
        y = self._scores(known)
        rows = self._representative(y, rules.rows)
        seen = self._seen(known, rows)
        posterior = self.process.drawn(rng).given(seen, y[rows])
        best = self._best(seen, posterior)
        if known.running:
            posterior = self._believed(known, posterior)
        faded = 1.0 if rng.random() < rules.bold else min(1.0, rules.fade / known.spent) ** 2
        goal = best + rules.xi * faded
        waiting = sorted(set(known.waiting) & set(known.chains[rows].tolist()))
        at, chance, hope = self._new(known, posterior, best, goal, rng)
        found: Point | None = at
        if waiting:
            where = self._finished(known.features[waiting], np.array(waiting))
            mean, sd = posterior.at(where)
            chances = log_improvement(mean, sd, goal)
            hope = max(hope, float(log_improvement(mean, sd, best).max()))
            place = int(np.argmax(chances))
            if at is None or chances[place] >= chance:
                found, chance = waiting[place], float(chances[place])
        # A young process errs, and where it errs it often is sure of itself.
        sure = len(known.losses) >= rules.sure * (2 + known.units.shape[1])
        if found is None or (sure and hope < math.log(rules.stop)):
            return None
        return found, self._rung(known, posterior, found)

    def _rung(self, known: Evidence, posterior: Posterior, point: Point) -> int:
        """The first rung that explains enough of what is not known of the point at the last epoch.

        A lower one would hardly change what is believed, and others like it would promise as much as before.
        """
        if isinstance(point, int):
            features, chain = known.features[point], point
            first = self.levels.index(known.epochs[known.chains == point].max()) + 1
        else:
            features, chain, first = self.encoding.features(point[None])[0], NEW, 0
        epochs = np.log(np.array(self.levels[first:]))
        size = len(epochs)
        c = posterior.covariance(Seen(np.tile(features, (size, 1)), epochs, np.full(size, chain)))
        seen, last = np.diag(c)[:-1] + posterior.process.noise, max(float(c[-1, -1]), TINY)
        enough = np.flatnonzero(c[:-1, -1] ** 2 / (seen * last) >= self.rules.explained)
        return first + int(enough[0] if len(enough) else size - 1)

    def _best(self, seen: Seen, posterior: Posterior) -> float:
        """The best mean of what was trained to the last epoch, or of anything before there is any."""
        finished = seen.epochs == seen.epochs.max()
        return float(posterior.mean(seen.take(finished)).max())

    def _scores(self, known: Evidence) -> Array:
        """Losses as the process sees them, shape (m,): the higher, the better."""
        return normal_scores(known.losses)

    def _representative(self, y: Array, size: int) -> Ints:
        """Rows of at most `size` scores: the better half of them the best, others at random.

        Which others does not change while rows are added, or the process would jump.
        """
        if len(y) <= size:
            return np.arange(len(y))
        order = np.argsort(-y, kind="stable")
        best, rest = order[: size // 2], np.sort(order[size // 2 :])
        lot = np.random.default_rng(self.seed).random(len(y))[rest]
        others = rest[np.argsort(lot, kind="stable")[: size - size // 2]]
        return np.sort(np.concatenate([best, others]))

    def _seen(self, known: Evidence, rows: Ints) -> Seen:
        chains = known.chains[rows]
        return Seen(known.features[chains], np.log(known.epochs[rows]), chains)

    def _finished(self, features: Array, chains: Ints) -> Seen:
        """Where points would be at the last epoch."""
        return Seen(features, np.full(len(chains), math.log(self.levels[-1])), chains)

    def _believed(self, known: Evidence, posterior: Posterior) -> Posterior:
        """As if what trains now had ended as expected (kriging believer, Ginsbourger et al. 2010)."""
        chains = np.array([chain for chain, _ in known.running])
        epochs = np.log([epochs for _, epochs in known.running])
        where = Seen(known.features[chains], epochs, chains)
        y = np.concatenate([posterior.y, posterior.mean(where)])
        return posterior.process.given(posterior.seen.also(where), y)

    def _new(
        self,
        known: Evidence,
        posterior: Posterior,
        best_score: float,
        goal: float,
        rng: np.random.Generator,
    ) -> "tuple[Array | None, float, float]":
        """The best new point found, and the logarithm of its expected improvement."""
        rules, draw = self.rules, self.candidates
        rated = posterior.mean(self._finished(known.features, np.arange(len(known.units))))
        best = known.units[np.argsort(-rated, kind="stable")[:5]]
        pool = np.concatenate(
            [
                draw.anywhere(rules.uniform, rng),
                draw.around(best, rules.local, rng),
            ]
        )
        found, most, hope = None, -math.inf, -math.inf
        for scale in (0.5, 0.25, 0.0):
            pool = draw.unknown(pool, known.units)
            if not len(pool):
                break
            where = self._finished(self.encoding.features(pool), np.full(len(pool), NEW))
            mean, sd = posterior.at(where)
            chances = log_improvement(mean, sd, goal)
            hope = max(hope, float(log_improvement(mean, sd, best_score).max()))
            order = np.argsort(-chances, kind="stable")[:4]
            if chances[order[0]] > most:
                found, most = pool[order[0]], float(chances[order[0]])
            pool = draw.around(pool[order], rules.refined, rng, scale)
        return found, most, hope
