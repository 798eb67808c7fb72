"""Searches and single trials as plain records, as the reading commands show them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from hpsearch.core.curves import mean_curve
from hpsearch.core.errors import StoreError
from hpsearch.core.metric import Metric
from hpsearch.core.trial import Curve
from hpsearch.store.database import CURVE_LISTS
from hpsearch.store.rank import find_best
from hpsearch.store.records import BASELINES
from hpsearch.store.rows import parse_point
from hpsearch.store.runs import is_running
from hpsearch.store.store import Store
from hpsearch.store.trials import ERROR, JOIN_REPEATED, VALUE

_COUNTS = """
SELECT s.*,
  (SELECT count(*) FROM asked a WHERE a.search = s.id AND a.answer = 'suggest') AS trials,
  (SELECT count(*) FROM told t WHERE t.search = s.id) AS told,
  (SELECT count(*) FROM told t WHERE t.search = s.id AND t.failure IS NOT NULL) AS failed,
  (SELECT count(*) FROM hidden h JOIN asked a ON a.id = h.trial WHERE a.search = s.id) AS hidden,
  (SELECT count(*) FROM hidden h JOIN asked a ON a.id = h.trial
   JOIN told t ON t.search = a.search AND t.trial = a.trial
   WHERE a.search = s.id AND t.failure IS NOT NULL) AS hidden_failed
FROM searches s WHERE s.id NOT IN (SELECT search FROM retired) ORDER BY s.id
"""

_TRIAL = f"""
SELECT a.id, a.trial AS number, a.params, a.epochs AS asked_epochs, p.id AS parent,
       {VALUE} AS value, {ERROR} AS se,
       s.id AS search, s.study, s.searcher, s.evaluator, s.task, s.measure, s.direction, s.seed,
       s.backend, gone.successor, hidden.at AS deleted
FROM asked a JOIN searches s ON s.id = a.search
LEFT JOIN told t ON t.search = a.search AND t.trial = a.trial
{JOIN_REPEATED}
LEFT JOIN asked p ON p.search = a.search AND p.trial = a.parent AND p.answer = 'suggest'
  AND p.id NOT IN (SELECT trial FROM hidden)
LEFT JOIN hidden ON hidden.trial = a.id
LEFT JOIN retired gone ON gone.search = s.id
WHERE a.id = :id
"""


def list_studies(store: Store) -> list[dict[str, Any]]:
    """Every search that is not retired: its names, its progress, and its best trial and value.

    Unfinished trials are "running" while a run of the search is alive, and "stopped" otherwise.
    """
    return store.db.read(lambda: _list_studies(store))


def _list_studies(store: Store) -> list[dict[str, Any]]:
    counted = {row["id"]: row for row in store.db.query(_COUNTS).records()}
    found = []
    for record in store.searches():
        if (row := counted.get(record.id)) is None:  # begun after they were counted
            continue
        unfinished, alive = row["trials"] - row["told"], is_running(store, record.id)
        trial, value = find_best(store, record) or (None, None)
        found.append(
            {
                **_describe_search(row),
                "trials": row["told"] - row["hidden"],
                "failed": row["failed"] - row["hidden_failed"],
                "running": unfinished if alive else 0,
                "stopped": 0 if alive else unfinished,
                "best": value,
                "best_trial": trial,
                "began": row["began"],
                "file": row["file"],
            }
        )
    return found


def read_trial(store: Store, id_: int) -> dict[str, Any]:
    """All about one trial; value, error, best epoch and seconds are over all of its trainings.

    "repeats" holds each training, the first one too; it is empty where there was only one. Raises
    StoreError where no trial has this id.
    """
    return store.db.read(lambda: _read_trial(store, id_))


def _read_trial(store: Store, id_: int) -> dict[str, Any]:
    found = store.db.query(_TRIAL, id=id_).records()
    if not found:
        [(last,)] = store.db.query("SELECT max(id) FROM asked")
        there = f"its trials are 1 to {last}" if last else "it has none yet; run a study first"
        raise StoreError(f"the store has no trial {id_}; {there}")
    [row] = found
    if row["deleted"] is not None:
        raise StoreError(f"trial {id_} was deleted; `rank` lists the others")
    journal = store.journal(row["search"])
    trainings = journal.trainings(row["number"])
    outcome = trainings[0] if trainings else None
    score, failure = (outcome.score, outcome.failure) if outcome else (None, None)
    if outcome is None:
        state = "running" if is_running(store, row["search"]) else "stopped"
    else:
        state = "failed" if failure else "complete"
    value, se, best_epoch = (score.value, score.se, score.best_epoch) if score else (None,) * 3
    if len(trainings) > 1 and score:
        value, se = row["value"], row["se"]
        curves = [c.validation for t in trainings if t.score for c in t.score.folds]
        best_epoch = Metric(row["measure"], row["direction"]).best(mean_curve(curves)) + 1
    return {
        "trial": row["id"],
        **_describe_search(row),
        "state": state,
        "retired": row["successor"] is not None,
        "params": parse_point(row["params"]),
        "baseline": parse_point(row["params"])["baseline"]
        if row["searcher"] == BASELINES
        else None,
        "parent": row["parent"],
        "epochs": outcome.epochs if score and outcome else row["asked_epochs"],
        "value": value,
        "se": se,
        "best_epoch": best_epoch,
        "parameters": outcome.n_weights if outcome else None,
        "seconds": sum(training.seconds for training in trainings) if outcome else None,
        "failure": failure.kind if failure else None,
        "message": failure.message if failure else None,
        "detail": failure.detail if failure else None,
        "repeats": [
            {
                "repeat": number,
                "value": repeat.score and repeat.score.value,
                "best_epoch": repeat.score and repeat.score.best_epoch,
                "failure": repeat.failure and repeat.failure.kind,
            }
            for number, repeat in zip(
                [0, *sorted(journal.ended_repeats(row["number"]))], trainings, strict=True
            )
        ]
        if len(trainings) > 1
        else [],
        "curves": [_describe_curve(curve) for curve in score.folds] if score else [],
    }


def _describe_curve(curve: Curve) -> dict[str, Any]:
    """A fold's curves as plain JSON: a value that is undefined, or was not reported, is None."""

    def finite(values: Sequence[float]) -> list[float | None]:
        return [value if math.isfinite(value) else None for value in values]

    metrics = {
        name: {part: finite(values) for part, values in parts.items()}
        for name, parts in curve.metrics.items()
    }
    lists = {name: finite(getattr(curve, name)) for name in CURVE_LISTS}
    return {**asdict(curve), **lists, "metrics": metrics}


def locate_trial(store: Store, id_: int) -> tuple[int, int]:
    """The search of the trial with this id, and the trial's number within the search."""
    [(search, number)] = store.db.query("SELECT search, trial FROM asked WHERE id = :id", id=id_)
    return search, number


def _describe_search(row: Mapping[str, Any]) -> dict[str, Any]:
    """The names of a search, by the keys that both records use."""
    names = ("study", "task", "searcher", "evaluator", "seed", "backend")
    return {"metric": row["measure"]} | {name: row[name] for name in names}


def measure_pace(store: Store, study: str) -> tuple[int, float] | None:
    """The number of a study's complete trials, and their mean seconds an epoch; None before any."""
    [(trials, seconds, epochs)] = store.db.query(
        "SELECT count(*), sum(t.seconds), sum(t.epochs - coalesce(p.epochs, 0)) "
        "FROM told t JOIN searches s ON s.id = t.search "
        "JOIN asked a ON a.search = t.search AND a.trial = t.trial AND a.answer = 'suggest' "
        "LEFT JOIN told p ON p.search = a.search AND p.trial = a.parent "
        "WHERE s.study = :study AND s.searcher != :baselines AND t.value IS NOT NULL",
        study=study,
        baselines=BASELINES,
    )
    return (trials, seconds / float(epochs)) if epochs else None
