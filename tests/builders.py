"""Made-up searches, outcomes and stores, for tests of whatever reads them."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hpsearch import Choice, Space
from hpsearch.core.trial import Curve, Outcome, Score, Suggestion
from hpsearch.store import BASELINES, Journal, SearchRecord, Store
from hpsearch.store.database import PERMANENT_TABLES

RECORD = SearchRecord(
    study="s", searcher="Random()", evaluator="Holdout()", seed=0, backend="jax", task="digits",
    measure="accuracy", direction="max", data="d", space="{}", training="{}", file="s.py",
    source="", versions="{}",
)  # fmt: skip

# A name that is harmful where it is not escaped.
EVIL = "</script><script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>"


def make_record(**changes: Any) -> SearchRecord:
    """A search's record, with some fields changed."""
    return dataclasses.replace(RECORD, **changes)


def make_outcome(
    value: float, *, se: float | None = None, epochs: int = 2, n_weights: int = 10, folds: int = 1
) -> Outcome:
    """A trial that ended well: its value is the same in each epoch and fold."""
    curve = Curve((value,) * epochs, (value,) * epochs, (0.1,) * epochs, (0.2,) * epochs, rows=5)
    return Outcome(Score(value, se, epochs, (curve,) * folds), None, 1.5, n_weights, 2**30)


def make_outcome_of_folds(
    values: Any, se: float | None = 0.01, n_weights: int = 10, epochs: int = 2, **sizes: int
) -> Outcome:
    """A trial that ended well, with a value for each fold. sizes: rows and train_rows."""
    sizes = {"rows": 25, "train_rows": 75} | sizes
    folds = tuple(
        Curve((v,) * epochs, (v,) * epochs, (0.1,) * epochs, (0.2,) * epochs, **sizes)  # type: ignore[arg-type]
        for v in values
    )
    score = Score(float(np.mean(values)), se, epochs, folds)
    return Outcome(score, None, 1.0, n_weights, 0)


def make_outcome_with_metrics(
    validation: Sequence[Sequence[float]],
    metrics: Mapping[str, Sequence[Sequence[float]]],
    se: float | None = 0.01,
) -> Outcome:
    """A trial that ended well, whose value is best where it is highest.

    Args:
        validation: the task's metric, a curve for each fold.
        metrics: likewise, for each metric recorded beside it; on training rows it is the same.
    """
    folds = []
    for fold, curve in enumerate(validation):
        own = tuple(curve)
        recorded = {n: {part: tuple(c[fold]) for part in PARTS} for n, c in metrics.items()}
        losses = (0.1,) * len(own), (0.2,) * len(own)
        folds.append(Curve(own, own, *losses, metrics=recorded, rows=25, train_rows=75))
    mean = np.mean(validation, axis=0)
    best = int(mean.argmax())
    return Outcome(Score(float(mean[best]), se, best + 1, tuple(folds)), None, 1.0, 10, 0)


PARTS = ("train", "validation")


def fill_store(
    store: Store, search: SearchRecord, *values: float, params: Any = None, **options: Any
) -> Journal:
    """Begin a search and append complete trials with these values."""
    journal = store.begin_search(search)
    for number, value in enumerate(values):
        journal.append_answer(number, Suggestion(params or {"a": number}, 2))
        journal.append_outcome(number, make_outcome(value, **options))
    return journal


def append_outcomes(store: Store, search: SearchRecord, *outcomes: Outcome) -> Journal:
    """Begin a search and append trials that ended so."""
    journal = store.begin_search(search)
    for number, each in enumerate(outcomes):
        journal.append_answer(number, Suggestion({"a": number}, each.epochs))
        journal.append_outcome(number, each)
    return journal


# What turns a store of this version into one of an earlier version.
VERSION_6 = """
DROP TABLE tags; DROP TABLE notes; DROP TABLE hidden; DROP TABLE removed; DROP TABLE former_names;
"""
VERSION_3 = f"""
{VERSION_6}
ALTER TABLE repeats DROP COLUMN seq; ALTER TABLE curves DROP COLUMN lists;
ALTER TABLE curves DROP COLUMN metrics;
ALTER TABLE told DROP COLUMN cost; ALTER TABLE repeats DROP COLUMN cost;
""" + "".join(f"ALTER TABLE {table} DROP COLUMN digest;" for table in PERMANENT_TABLES)


def build_on_digits(build: Any, params: Any) -> Any:
    """The model that `build` makes at a point, for the rows of digits."""
    from hpsearch.training.base import ModelSpec
    from hpsearch.training.building import build_model

    return build_model(build, ModelSpec((64,), 10, "softmax", "mse"), params, seed=0)


def fill_baselines(
    store: Store, search: SearchRecord, values: Mapping[str, Any], se: float | None = 0.01
) -> Journal:
    """Append the search of a study's baselines, as one that was trained beside `search`.

    values: of each baseline, by its name: one a fold.
    """
    space = Space(baseline=Choice(*values))
    record = dataclasses.replace(
        search, searcher=BASELINES, space=json.dumps(space.to_json()), id=0
    )
    journal = store.begin_search(record)
    for number, (name, folds) in enumerate(values.items()):
        journal.append_answer(number, Suggestion({"baseline": name}, 1))
        outcome = make_outcome_of_folds(folds, se, n_weights=0, epochs=1)
        journal.append_outcome(number, outcome)
    return journal
