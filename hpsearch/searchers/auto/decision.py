"""Choose what `Auto` trains next: the continuation of a trial, or a new point."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from hpsearch.searchers.auto.candidates import CandidateSampler
from hpsearch.searchers.auto.encoding import Array, Encoding
from hpsearch.searchers.auto.evidence import Evidence
from hpsearch.searchers.auto.failures import SuccessModel, fit_success_model
from hpsearch.searchers.auto.improvement import Outlook, imagine_running
from hpsearch.searchers.auto.process import (
    TINY,
    GaussianProcess,
    Ints,
    Locations,
    Posterior,
    on_one_thread,
)
from hpsearch.searchers.auto.programs import ProgramCosts
from hpsearch.searchers.auto.rules import Rules
from hpsearch.searchers.auto.seconds import TrialSeconds

NEW = -1  # the chain of a point that no trial trains yet

Point = int | Array  # the number of a point that was begun, or a new unit point, shape (d,)


@dataclass(frozen=True, slots=True)
class NextTraining:
    """What is trained next.

    Args:
        point: to begin or continue.
        level: the rung to train it to.
        gain: by how much it may be better than the best at the last epoch: its mean and one
            standard deviation, in normal scores. None for a random point.
    """

    point: Point
    level: int
    gain: float | None = None


@dataclass(slots=True)
class Decision:
    """Decides by the expected improvement at the last epoch, as a Gaussian process predicts it.

    Args:
        levels: epochs of the rungs; the last one is a full training.
        costs: of compiling, as far as trials of the whole search have shown them.
        seconds: that trials take, likewise.
        process: as it was last fitted.
        shared: what the asks since a trial ended share: a key, rows and the process given these.
    """

    rules: Rules
    encoding: Encoding
    levels: Sequence[int]
    seed: int
    costs: ProgramCosts
    seconds: TrialSeconds
    process: GaussianProcess = field(init=False)
    shared: tuple[tuple[int, int], Ints, Posterior] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.process = GaussianProcess(self.encoding.groups)

    @property
    def lowest_rung(self) -> int:
        """The rung that a training goes to at least."""
        return self.seconds.find_lowest_rung(self.levels)

    @property
    def sampler(self) -> CandidateSampler:
        return CandidateSampler(self.encoding, self.rules.near)

    @on_one_thread
    def fit(self, known: Evidence, times: int) -> None:
        """Fit the process's hyperparameters to the trials that ended, so many times as long."""
        y = known.scores
        rows = self._select_rows(known, y, self.rules.fit_rows)
        where, evaluations = self._locate(known, rows), times * self.rules.evaluations
        self.process = self.process.fit(where, y[rows], evaluations)

    @on_one_thread
    def choose(
        self,
        known: Evidence,
        rng: np.random.Generator,
        leader: int,
        drawing: np.random.Generator | None,
    ) -> NextTraining | None:
        """The point to begin or continue, and the rung to train it to.

        None where no point is expected to improve on the best.

        Args:
            rng: of this ask.
            leader: the first trial that was asked for since one ended.
            drawing: of that ask, where it is another one.
        """
        rules = self.rules

        # Now and then: a random point, to the lowest rung; seldom one that is likely to fail.
        explores = rng.random() < rules.explore
        success = self._model_success(known)
        if explores:
            anywhere = self.sampler.sample_new_point(known.units, rng)
            if anywhere is not None and self._is_worth_a_try(anywhere, success, rng):
                return NextTraining(anywhere, self.lowest_rung)

        # What the process predicts, with hyperparameters drawn from their posterior. All asks since
        # a trial ended share what the first of them drew.
        process = self.process.draw_theta(rng)
        if drawing is not None:
            drawing.random()  # as above
            process = self.process.draw_theta(drawing)
        rows, posterior = self._condition(known, (leader, len(known.losses)), process)
        observed = posterior.observed

        # The best so far, of what was trained to the last epoch (or as far as any was). It is the
        # predicted mean, not the highest score, which may be luck. Points in flight count too.
        observed = observed.take(known.fine[rows])
        finished = observed.take(observed.epochs == observed.epochs.max())
        outlook = imagine_running(
            posterior,
            finished,
            self._locate_running(known),
            math.log(self.levels[-1]),
            rules.pairs,
            rng,
        )

        # By how much a candidate must beat the best: less, the more full trainings were spent.
        fading = 1.0 if rng.random() < rules.bold else min(1.0, rules.fade / known.spent) ** 2
        margin = rules.xi * fading

        # The best new point, against the best of those that may be continued.
        new_point, improvement, hope = self._find_new_point(known, outlook, margin, success, rng)
        found: Point | None = new_point
        waiting = sorted(set(known.waiting) & set(known.chains[rows].tolist()))
        if waiting:
            where = self._at_last_epoch(known.features[waiting], np.array(waiting))
            improvements, any_improvements = outlook.log_improvements(where, margin, 0.0)
            hope = max(hope, float(any_improvements.max()))
            place = int(np.argmax(improvements))
            if new_point is None or improvements[place] >= improvement:
                found = waiting[place]

        # The end, where nothing is expected to improve. A process that knows few losses is not
        # believed: where it errs, it is often sure of itself.
        enough = known.fine.sum() >= rules.sure * (2 + known.units.shape[1])
        if found is None or (enough and hope < math.log(rules.stop)):
            return None
        level = self._choose_rung(known, outlook.posterior, found)
        return NextTraining(found, level, outlook.hope_for(self._place_at_end(known, found)))

    def _model_success(self, known: Evidence) -> SuccessModel | None:
        """Where points fail; None where none has."""
        failed = known.failed
        if not failed.any():
            return None
        scale = np.exp(-self.process.theta)[self.encoding.groups]
        ended = np.unique(known.chains)
        return fit_success_model(known.features[ended], failed[ended], scale)

    def _is_worth_a_try(
        self, unit: Array, success: SuccessModel | None, rng: np.random.Generator
    ) -> bool:
        """By lot, as probable as the point is to succeed."""
        if success is None:
            return True
        likely = success.log_probability(self.encoding.to_features(unit[None]))
        return bool(math.log(max(rng.random(), TINY)) < likely[0])

    def _divide_by_cost(self, improvements: Array, pool: Array, known: Evidence) -> Array:
        """Logarithms of improvements, less those of what the points cost.

        A program that a running trial needs will be there.
        """
        most = self.costs.log_cost_of_new_program
        if not most:
            return improvements
        # Decoding takes time: only points that might be among the best four whatever they cost.
        fourth = np.sort(improvements)[-min(4, len(pool))]
        near = np.flatnonzero(improvements >= fourth - most)
        space = self.encoding.space
        running = [space.from_unit(known.units[number]) for number, _ in known.running]
        costs = self.costs.estimate_log_cost([space.from_unit(u) for u in pool[near]], running)
        divided = improvements - most
        divided[near] = improvements[near] - costs
        return np.asarray(divided)

    def _choose_rung(self, known: Evidence, posterior: Posterior, point: Point) -> int:
        """The first rung that explains enough of the point's variance at the last epoch.

        A trial to a lower rung would hardly change what is predicted, so that the next one would
        be expected to improve as much as this one, and so on. What no trial has reached yet, a new
        point does not go to: others are nearer to it. The more trials are running, the less a rung
        need explain: a long trial goes by what was known before any of them ended.
        """
        if isinstance(point, int):
            features, chain = known.features[point], point
            first = self.levels.index(known.epochs[known.chains == point].max()) + 1
        else:
            features, chain, first = self.encoding.to_features(point[None])[0], NEW, 0
        furthest = max(first, self.levels.index(known.epochs[known.fine].max()))
        epochs = np.log(np.array(self.levels[first:]))
        size = len(epochs)
        where = Locations(np.tile(features, (size, 1)), epochs, np.full(size, chain))
        c = posterior.covariance(where)
        at_rung = np.diag(c)[:-1] + posterior.process.noise
        at_last = max(float(c[-1, -1]), TINY)
        least = self.rules.explained / (1.0 + len(known.running) / self.rules.eased)
        enough = np.flatnonzero(c[:-1, -1] ** 2 / (at_rung * at_last) >= least)
        found = min(first + int(enough[0] if len(enough) else size - 1), furthest)
        return max(found, self.lowest_rung)

    def _condition(
        self, known: Evidence, key: tuple[int, int], process: GaussianProcess
    ) -> tuple[Ints, Posterior]:
        """The rows of the trials that are taken, and a drawn process given these.

        It is kept for the asks with the same key, which draw the same process.
        """
        if self.shared is None or self.shared[0] != key:
            y = known.scores
            rows = self._select_rows(known, y, self.rules.rows)
            self.shared = key, rows, process.condition_on(self._locate(known, rows), y[rows])
        return self.shared[1:]

    def _select_rows(self, known: Evidence, y: Array, size: int) -> Ints:
        """Rows of at most `size` scores, so that a call stays cheap: the best, and random others.

        The random ones stay the same while rows are added; else predictions would jump.
        """
        if len(y) <= size:
            return np.arange(len(y))
        order = np.argsort(-y, kind="stable")
        best, rest = order[: size // 2], np.sort(order[size // 2 :])
        lot = np.random.default_rng(self.seed).random(known.trials[-1] + 1)[known.trials[rest]]
        others = rest[np.argsort(lot, kind="stable")[: size - size // 2]]
        return np.sort(np.concatenate([best, others]))

    def _locate(self, known: Evidence, rows: Ints) -> Locations:
        """The locations of these trials."""
        chains = known.chains[rows]
        return Locations(known.features[chains], np.log(known.epochs[rows]), chains)

    def _at_last_epoch(self, features: Array, chains: Ints) -> Locations:
        return Locations(features, np.full(len(chains), math.log(self.levels[-1])), chains)

    def _place_at_end(self, known: Evidence, point: Point) -> Locations:
        """One point at the last epoch."""
        if isinstance(point, int):
            return self._at_last_epoch(known.features[[point]], np.array([point]))
        return self._at_last_epoch(self.encoding.to_features(point[None]), np.array([NEW]))

    def _locate_running(self, known: Evidence) -> Locations:
        """Where results of running trials are awaited."""
        chains = np.array([chain for chain, _ in known.running], dtype=np.int64)
        epochs = np.log(np.array([epochs for _, epochs in known.running], dtype=np.float64))
        return Locations(known.features[chains], epochs, chains)

    def _find_new_point(
        self,
        known: Evidence,
        outlook: Outlook,
        margin: float,
        success: SuccessModel | None,
        rng: np.random.Generator,
    ) -> tuple[Array | None, float, float]:
        """The best new point found.

        Returns it, the logarithm of its expected improvement by `margin` for what it costs, and the
        largest logarithm of an expected improvement by anything.
        """
        rules, sampler = self.rules, self.sampler

        # Candidates everywhere, and around the five points with the best predictions.
        fine = np.arange(len(known.units)) if success is None else np.flatnonzero(~success.failed)
        means = outlook.posterior.predict_mean(self._at_last_epoch(known.features[fine], fine))
        centers = known.units[fine[np.argsort(-means, kind="stable")[:5]]]
        pool = np.concatenate(
            [
                sampler.sample_anywhere(rules.uniform, rng),
                sampler.sample_around(centers, rules.local, rng),
            ]
        )

        # The four best of them, and then candidates around those, nearer every time.
        found, most, hope = None, -math.inf, -math.inf
        for scale in (0.5, 0.25, 0.0):
            pool = sampler.drop_near_known(pool, known.units)
            if not len(pool):
                break
            features = self.encoding.to_features(pool)
            there = self._at_last_epoch(features, np.full(len(pool), NEW))
            improvements, any_improvements = outlook.log_improvements(there, margin, 0.0)
            if success is not None:
                likely = success.log_probability(features)
                improvements, any_improvements = improvements + likely, any_improvements + likely
            hope = max(hope, float(any_improvements.max()))
            improvements = self._divide_by_cost(improvements, pool, known)
            order = np.argsort(-improvements, kind="stable")[:4]
            if improvements[order[0]] > most:
                found, most = pool[order[0]], float(improvements[order[0]])
            pool = sampler.sample_around(pool[order], rules.refined, rng, scale)
        return found, most, hope
