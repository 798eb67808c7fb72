"""Searches of made-up networks, healthy or sick, without training.

A network's loss is a bowl over the unit cube: `best` says where each parameter is best and how much
it matters. Its curves fall to that loss. Searchers ask and are told as in a run, so that rungs,
parents and the order of trials are as real ones.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np

from hpsearch import Choice, Float, Holdout, Int, KFold, Space
from hpsearch.core.metric import Metric
from hpsearch.core.seeds import canonical_json, derive_seed
from hpsearch.core.trial import Cost, Curve, Failure, Observation, Outcome, Suggestion
from hpsearch.doctor.surface import position
from hpsearch.evaluators.base import Evaluator
from hpsearch.searchers import Asha, Auto, Genetic, Grid, Hyperband, Random, Searcher
from hpsearch.store import SearchRecord, Store
from tests.builders import fill_baselines

SPACE = Space(
    units=Int(8, 256, log=True),
    dropout=Float(0.0, 0.6),
    learning_rate=Float(1e-4, 1e-1, log=True),
    optimizer=Choice("adam", "sgd", "rmsprop"),
)
Bowl = Mapping[str, tuple[float, float]]
"""By parameter, where in its range (from 0 to 1) it is best, and the loss at a distance of 1."""


@dataclass(frozen=True)
class Made:
    """How a made-up search goes.

    Args:
        accuracy: whether values are accuracies; else they are losses from 0.1 on.
        noise: of a fold's value, by its rows and its seed; common: of a fold, for all trials.
        pace: the share of the epochs after which two thirds are learned.
        rise: what the validation loss gains from its lowest epoch, at `turn` of the epochs, to
            the last one.
        gap: between training and validation rows.
        baselines: values of each by its name: one a fold.
        jump: trials' values until this share of the epochs are noise only.
        fails: the failure of a point, or None.
        cost: of a trial by number, point and epochs, with its seconds.
    """

    space: Space = field(default_factory=lambda: SPACE)
    best: Bowl = field(default_factory=dict)
    searcher: Searcher = field(default_factory=lambda: Random(trials=60, epochs=20))
    evaluator: Evaluator = field(default_factory=lambda: KFold(5))
    accuracy: bool = True
    noise: float = 0.005
    common: float = 0.01
    pace: float = 0.2
    rise: float = 0.0
    turn: float = 0.6
    gap: float = 0.04
    jump: float = 0.0
    fails: Callable[[Mapping[str, Any]], Failure | None] = lambda params: None
    cost: Callable[[int, Mapping[str, Any], int], tuple[Cost, float] | None] = lambda *_: None
    first: tuple[Mapping[str, Any], ...] = ()
    training: Mapping[str, Any] = field(default_factory=dict)
    baselines: Mapping[str, Any] = field(default_factory=dict)
    study: str = "made"
    seed: int = 0

    def fill(self, store: Store, **changes: Any) -> int:
        """Run the search into a store; its id there."""
        record = SearchRecord(
            **{
                "study": self.study, "searcher": self.searcher.label,
                "evaluator": self.evaluator.label, "seed": 0, "backend": "jax",
                "task": "made", "measure": "accuracy" if self.accuracy else "mse",
                "direction": "max" if self.accuracy else "min", "data": "0" * 16,
                "space": json.dumps(self.space.to_json()), "training": json.dumps(self.training),
                "file": f"studies/{self.study}.py", "source": "", "versions": "{}",
            } | changes,
        )  # fmt: skip
        now = [1_800_000_000.0]
        with patch("hpsearch.store.journal.time", SimpleNamespace(time=lambda: now[0])):
            journal = store.begin_search(record)
            search = self.searcher.start(self.space, seed=self.seed, first=self.first)
            trial, epochs_of = 0, dict[int, int]()
            while isinstance(asked := search.ask(trial), Suggestion):
                journal.append_answer(trial, asked)
                start = epochs_of.get(-1 if asked.parent is None else asked.parent, 0)
                epochs_of[trial] = asked.epochs
                outcome = self.train(trial, asked)
                now[0] += outcome.seconds + 0.1
                outcome = replace(outcome, started=now[0] - outcome.seconds, device="cpu 0")
                journal.append_outcome(trial, outcome)
                search.tell(trial, self.observe(outcome, start))
                trial += 1
            if self.baselines:
                fill_baselines(store, record, self.baselines)
        return journal.search

    @property
    def metric(self) -> Metric:
        return Metric("accuracy", "max") if self.accuracy else Metric("mse", "min")

    def loss(self, params: Mapping[str, Any]) -> float:
        """The loss of a point without noise, above that of the best."""
        found = 0.0
        for name, (where, size) in self.best.items():
            if name in params:
                found += size * (position(self.space[name], params[name]) - where) ** 2
        return found

    def train(self, trial: int, asked: Suggestion) -> Outcome:
        params, epochs = asked.params, asked.epochs
        cost, seconds = self.cost(trial, params, epochs) or (None, 1.0 + 0.1 * epochs)
        weights = int(params.get("units", 32)) * 21
        where: dict[str, Any] = {"seconds": seconds, "cost": cost, "n_weights": weights}
        if failure := self.fails(params):
            return Outcome(failure=failure, **where)
        most = getattr(self.searcher, "most_epochs", None) or epochs
        curves = [self._curve(params, epochs, most, fold) for fold in range(self.evaluator.fits)]
        return Outcome(self.evaluator.score(curves, self.metric), **where)

    def _curve(self, params: Mapping[str, Any], epochs: int, most: int, fold: int) -> Curve:
        # The same whether the trial continues or not: drawn for all epochs, and cut.
        fold_seed = derive_seed(self.seed, "fold", fold)
        own = np.random.default_rng(derive_seed(self.seed, canonical_json(dict(params)), fold))
        at = np.arange(1, most + 1) / most
        learned = 1 - np.exp(-at / self.pace)
        last = 0.1 + self.loss(params)
        luck = own.normal(scale=self.noise)
        common = np.random.default_rng(fold_seed).normal(scale=self.common)
        wobble = own.normal(scale=self.noise / 5, size=most)
        over = self.rise * np.clip((at - self.turn) / (1 - self.turn), 0, None)
        begin = 0.8
        loss = begin + (last - begin) * learned + luck + common
        if self.jump:
            early = at <= self.jump
            loss[early] = begin - 0.3 * own.random() * at[early]
        validation = np.clip(loss + over + wobble, 0.0, 0.99 if self.accuracy else None)
        train = np.clip(loss - self.gap * learned - 0.2 * self.rise * at, 0.0, None)
        shown = [1 - v if self.accuracy else v for v in (train, validation)]
        lists = [tuple(map(float, v[:epochs])) for v in (*shown, train, validation)]
        rows = 200 if self.evaluator.fits == 1 else 100
        return Curve(*lists, rows=rows, train_rows=400, n_weights=10, seconds=1.0)

    def observe(self, outcome: Outcome, start: int) -> Observation:
        if outcome.score is None:
            return Observation(None)
        metric, folds = self.metric, outcome.score.folds
        curves = np.array([fold.validation for fold in folds]).mean(axis=0)[start:]
        trains = np.array([fold.train for fold in folds]).mean(axis=0)[start:]
        losses = [np.array([getattr(f, n) for f in folds]).mean(axis=0)[start:]
                  for n in ("validation_loss", "train_loss")]  # fmt: skip
        sign = -1 if metric.higher_is_better else 1
        return Observation(
            metric.loss(outcome.score.value), tuple(sign * curves), tuple(sign * trains),
            tuple(losses[0]), tuple(losses[1]), outcome.seconds, outcome.n_weights,
            outcome.cost or Cost(1, outcome.seconds), outcome.score.se,
        )  # fmt: skip


def random_bowl(space: Space, rng: np.random.Generator) -> Bowl:
    """A bowl whose best lies well inside, in which every parameter matters."""
    return {name: (float(rng.uniform(0.25, 0.75)), float(rng.uniform(0.15, 0.5))) for name in space}


CONDITIONAL = Space(
    layers=Int(1, 3),
    units_1=Int(8, 256, log=True),
    units_2=Int(8, 256, log=True, when={"layers": (2, 3)}),
    optimizer=Choice("adam", "sgd"),
    momentum=Float(0.0, 0.95, when={"optimizer": "sgd"}),
    learning_rate=Float(1e-4, 1e-1, log=True),
)
FLAT = Space(SPACE, momentum=Float(0.0, 0.9))
HYPERBAND = Hyperband(max_epochs=27, iterations=2)
SMALL = Space(units=Int(8, 256, log=True), batch_size=Choice(16, 32, 64, 128))


def healthy(seed: int) -> Made:
    """A healthy search of one of many shapes, all at random."""
    rng = np.random.default_rng(seed)
    space = (SPACE, CONDITIONAL, SMALL)[int(rng.integers(3))]
    searchers = [
        Random(trials=int(rng.integers(3, 120)), epochs=20),
        Random(trials=60, epochs=int(rng.integers(5, 40))),
        Hyperband(max_epochs=27, iterations=int(rng.integers(1, 3))),
        Asha(trials=100, max_epochs=27),
        Genetic(trials=60, epochs=20),
        Grid(epochs=10, points=3),
        Auto(trials=20, max_epochs=27),
    ]
    searcher = searchers[int(rng.choice([0, 0, 0, 1, 1, 2, 2, 2, 3, 3, 4, 5, 6]))]
    cut = float(rng.uniform(0.85, 1.0)) if rng.random() < 0.3 else math.inf
    diverged = Failure("nan", "the loss became nan")
    rate = space.get("learning_rate")

    def fails(params: Mapping[str, Any]) -> Failure | None:
        return diverged if rate and position(rate, params["learning_rate"]) > cut else None

    return Made(
        space=space,
        best=random_bowl(space, rng),
        searcher=searcher,
        evaluator=(KFold(5), KFold(3), Holdout(), Holdout(rows=100))[int(rng.integers(4))],
        accuracy=bool(rng.random() < 0.6),
        noise=float(rng.uniform(0.002, 0.01)),
        common=float(rng.uniform(0.0, 0.03)),
        pace=float(rng.uniform(0.1, 0.2)),
        rise=float(rng.choice([0.0, 0.01, 0.03])),
        turn=float(rng.uniform(0.6, 0.9)),
        gap=float(rng.uniform(0.03, 0.08)),
        fails=fails,
        seed=seed,
    )


# Well inside, all of it matters.
INSIDE: Bowl = {
    "units": (0.5, 0.3),
    "dropout": (0.4, 0.3),
    "learning_rate": (0.6, 0.4),
}
MEMORY = Failure("memory", "RESOURCE_EXHAUSTED: out of memory allocating 5368709120 bytes")
LOST = Failure("exception", "ValueError: the width 12 is not a multiple of 8")


def _default_near_best(**changes: Any) -> Made:
    point = {"units": 45, "dropout": 0.24, "learning_rate": 0.0063, "optimizer": "adam"}
    return Made(best=INSIDE, first=(point,), training={"default_point": point}, **changes)


def _compiles(trial: int, params: Mapping[str, Any], epochs: int) -> tuple[Cost, float]:
    return Cost(1, 9.0, 6.0, f"program {trial}"), 9.0


def _waits(trial: int, params: Mapping[str, Any], epochs: int) -> tuple[Cost, float]:
    seconds = epochs * (0.2 + params.get("units", 32) / 1e5) * (1 + 0.01 * (trial % 3))
    return Cost(1, seconds), seconds


def _waits_for_batches(trial: int, params: Mapping[str, Any], epochs: int) -> tuple[Cost, float]:
    seconds = epochs * 32 / params["batch_size"] * (1 + 0.01 * (trial % 3))
    return Cost(1, seconds), seconds


SICK: dict[str, tuple[str, str, Made]] = {
    # What it is: the check that finds it, its subject ("": whatever), the search.
    "rate too low": ("edge", "learning_rate", Made(best=INSIDE | {"learning_rate": (1.3, 0.4)})),
    "rate too high": (
        "edge", "learning_rate", Made(best=INSIDE | {"learning_rate": (-0.2, 0.4)}, accuracy=False),
    ),
    "too narrow": (
        "edge", "units", Made(best=INSIDE | {"units": (1.2, 0.5)}, evaluator=Holdout(), seed=1),
    ),
    "large minibatches": (
        "edge", "batch_size",
        Made(space=SMALL, best={"units": (0.5, 0.2), "batch_size": (1.3, 0.4)}),
    ),
    "edge in Hyperband": (
        "edge", "dropout",
        Made(best=INSIDE | {"dropout": (1.3, 0.5)}, searcher=HYPERBAND),
    ),
    "momentum does nothing": (
        "no effect", "momentum",
        Made(space=FLAT, best=INSIDE, noise=0.01, searcher=Random(trials=100, epochs=20)),
    ),
    "dropout does nothing": (
        "no effect", "dropout",
        Made(
            best={n: at for n, at in INSIDE.items() if n != "dropout"} | {"units": (0.3, 0.1)},
            noise=0.02, seed=2,
        ),
    ),
    "a flat hill": ("budget", "", Made(best={n: (0.5, 0.05) for n in INSIDE}, noise=0.02)),
    "all found early": (
        "budget", "",
        Made(space=SMALL, best={"units": (0.5, 0.1)}, searcher=Random(trials=150, epochs=20),
             noise=0.01),
    ),
    "out of memory": (
        "failures", "memory",
        Made(best=INSIDE, fails=lambda p: MEMORY if p["units"] > 32 else None),
    ),
    "all raise": ("failures", "exception", Made(fails=lambda p: LOST)),
    "rates diverge": (
        "failures", "nan",
        Made(
            best=INSIDE, searcher=HYPERBAND,
            fails=lambda p: Failure("nan", "fold 2: the loss became nan")
            if p["learning_rate"] > 2e-3 else None,
        ),
    ),
    "folds disagree": ("folds", "", Made(best={"units": (0.5, 0.01)}, noise=0.05)),
    "few rows": (
        "folds", "", Made(best={}, noise=0.1, evaluator=KFold(3), accuracy=False, seed=3),
    ),
    "all overfit": (
        "overfitting", "", Made(best=INSIDE, rise=0.4, turn=0.2, pace=0.05, noise=0.003),
    ),
    "overfit on a split": (
        "overfitting", "",
        Made(best=INSIDE, rise=0.3, turn=0.15, pace=0.04, evaluator=Holdout(), accuracy=False),
    ),
    "stops too early": ("underfitting", "epochs", Made(best=INSIDE, pace=1.0)),
    "too small": (
        "underfitting", "size", Made(best=INSIDE, gap=0.0, pace=0.1, noise=0.003, accuracy=False),
    ),
    "first epochs are noise": (
        "beginnings", "",
        Made(best=INSIDE, jump=0.4, searcher=Hyperband(max_epochs=27, iterations=8)),
    ),
    "compiles all the time": ("compiling", "", Made(best=INSIDE, cost=_compiles)),
    "one small network at a time": ("idle device", "", Made(best=INSIDE, cost=_waits)),
    "small minibatches": (
        "idle device", "batch_size", Made(space=SMALL, best=random_bowl(SMALL, np.random.default_rng(4)),
                                          cost=_waits_for_batches),
    ),
    "a plain model is as good": (
        "plain model", "",
        Made(best=INSIDE, baselines={"gradient boosting": [0.99, 0.99, 0.98, 0.995, 0.99]}),
    ),
    "the default is as good": ("baseline", "", _default_near_best()),
    "the default, by Hyperband": ("baseline", "", _default_near_best(searcher=HYPERBAND)),
}  # fmt: skip
