"""Stores as searches leave them, filled without training."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np

from hpsearch import Choice, Float, Int, Space
from hpsearch.core.metric import Metric
from hpsearch.core.trial import Curve, Failure, Observation, Outcome, Score, Suggestion
from hpsearch.evaluators.base import Evaluator
from hpsearch.searchers import Searcher
from hpsearch.store import SearchRecord, Store

SPACE = Space(
    units=Int(8, 256, log=True),
    dropout=Float(0.0, 0.6),
    learning_rate=Float(1e-4, 1e-1, log=True),
    optimizer=Choice("adam", "sgd"),
    momentum=Float(0.0, 0.95, when={"optimizer": "sgd"}),
)
SOURCE = '"""Which width and rate?"""\n\nstudy = Study(...)  # <b>not bold</b>\n'
_DEVICES = "gpu 0", "gpu 0.2", "gpu 1"
_BEGAN = 1_800_000_000.0


def fill(
    store: Store,
    searcher: Searcher,
    evaluator: Evaluator,
    *,
    study: str = "filled",
    folds: int = 1,
    fail: Mapping[int, Failure] | None = None,
    running: int = 0,
    space: Space = SPACE,
    metrics: Sequence[Metric] = (),
    **changes: Any,
) -> None:
    """Search a space on three devices, with made-up curves that overfit where units are many.

    fail: trials that fail, by number. running: how many of the last are not told. metrics: are
    recorded beside the task's, somewhat below it.
    """
    rng = np.random.default_rng(0)
    record = SearchRecord(
        study=study, searcher=searcher.label, evaluator=evaluator.label, seed=0, backend="jax",
        **{
            "task": "made", "measure": "accuracy", "direction": "max", "data": "0" * 16,
            "space": json.dumps(space.to_json()), "training": "{}", "file": f"studies/{study}.py",
            "source": SOURCE, "versions": '{"python": "3.11", "keras": "3"}',
        } | changes,
    )  # fmt: skip
    free = dict.fromkeys(_DEVICES, _BEGAN)
    now = [_BEGAN]
    with patch("hpsearch.store.journal.time", SimpleNamespace(time=lambda: now[0])):
        journal = store.begin_search(record, metrics=metrics)
        search, trial = searcher.start(space, seed=0), 0
        while isinstance(asked := search.ask(trial), Suggestion):
            journal.append_answer(trial, asked)
            device = min(free, key=lambda name: free[name])
            outcome = _outcome(asked, folds, rng, (fail or {}).get(trial), device, free[device])
            outcome = _with_metrics(outcome, metrics)
            free[device] += outcome.seconds + 0.4
            now[0] = free[device]
            if trial < (getattr(searcher, "trials", None) or 10**9) - running:
                journal.append_outcome(trial, outcome)
            score = outcome.score
            search.tell(trial, Observation(score and 1 - score.value, epochs_of(score)))
            trial += 1


def _with_metrics(outcome: Outcome, metrics: Sequence[Metric]) -> Outcome:
    if outcome.score is None:
        return outcome
    folds = []
    for curve in outcome.score.folds:
        parts = {"train": curve.train, "validation": curve.validation}
        below = {part: tuple(0.9 * value for value in values) for part, values in parts.items()}
        folds.append(replace(curve, metrics={metric.name: below for metric in metrics}))
    return replace(outcome, score=replace(outcome.score, folds=tuple(folds)))


def epochs_of(score: Score | None) -> tuple[float, ...]:
    return tuple(1 - value for value in score.folds[0].validation) if score else ()


def _outcome(
    asked: Suggestion,
    folds: int,
    rng: np.random.Generator,
    failure: Failure | None,
    device: str,
    started: float,
) -> Outcome:
    params = {"units": 32, "learning_rate": 0.01, "dropout": 0.2} | dict(asked.params)
    units, rate, dropout = (float(params[n]) for n in ("units", "learning_rate", "dropout"))
    seconds = asked.epochs * (0.2 + units / 500)
    where: dict[str, Any] = {"device": device, "started": started}
    if failure:
        return Outcome(failure=failure, seconds=0.3, **where)
    epochs = np.arange(1, asked.epochs + 1)
    pace = 1 - np.exp(-epochs * rate**0.5 * 2)
    curves = []
    for _ in range(folds):
        noise = rng.normal(scale=0.004, size=len(epochs))
        train = 0.5 + 0.48 * pace * (1 - 0.3 * dropout)
        over = units / 256 * epochs / 400 * (1 - dropout)
        validation = 0.5 + 0.42 * pace - over + noise + rng.normal(scale=0.005)
        curves.append(
            Curve(
                *(tuple(map(float, c)) for c in (train, validation, 1 - train, 1 - validation)),
                rows=100, train_rows=300, n_weights=int(units) * 21, seconds=seconds,
            )
        )  # fmt: skip
    mean = np.mean([curve.validation for curve in curves], axis=0)
    best = int(mean.argmax())
    at_best = [curve.validation[best] for curve in curves]
    se = float(np.std(at_best, ddof=1) / folds**0.5) if folds > 1 else 0.01
    score = Score(float(mean[best]), se, best + 1, tuple(curves))
    return Outcome(score, None, seconds, int(units) * 21, 2**30, **where)
