"""What the reading commands show of searches and single trials, as plain records."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from hpsearch.errors import StoreError
from hpsearch.store.store import Store

_COUNTS = """
SELECT s.*,
  (SELECT count(*) FROM asked a WHERE a.search = s.id AND a.answer = 'suggest') AS trials,
  (SELECT count(*) FROM told t WHERE t.search = s.id) AS told,
  (SELECT count(*) FROM told t WHERE t.search = s.id AND t.failure IS NOT NULL) AS failed,
  (SELECT CASE s.direction WHEN 'max' THEN max(value) ELSE min(value) END
     FROM told t WHERE t.search = s.id) AS best
FROM searches s WHERE s.id NOT IN (SELECT search FROM retired) ORDER BY s.id
"""

_TRIAL = """
SELECT a.id, a.trial AS number, a.params, a.epochs AS asked_epochs, p.id AS parent,
       s.id AS search, s.study, s.searcher, s.evaluator, s.task, s.measure, s.seed, s.backend,
       r.successor
FROM asked a JOIN searches s ON s.id = a.search
LEFT JOIN asked p ON p.search = a.search AND p.trial = a.parent AND p.answer = 'suggest'
LEFT JOIN retired r ON r.search = s.id
WHERE a.id = :id
"""


def studies(store: Store) -> list[dict[str, Any]]:
    """Every search that is not retired: what it is, how far it is, and its best value."""
    return [
        {
            **_what(row),
            "trials": row["told"],
            "failed": row["failed"],
            "running": row["trials"] - row["told"],
            "best": row["best"],
            "began": row["began"],
            "file": row["file"],
        }
        for row in store.db.query(_COUNTS).records()
    ]


def trial(store: Store, id_: int) -> dict[str, Any]:
    """Everything of one trial. Raises StoreError where there is none of that id."""
    found = store.db.query(_TRIAL, id=id_).records()
    if not found:
        [(last,)] = store.db.query("SELECT max(id) FROM asked")
        raise StoreError(f"the store has no trial {id_}; its trials are 1 to {last or 0}")
    [row] = found
    trainings = store.journal(row["search"]).trainings(row["number"])
    outcome = trainings[0] if trainings else None
    score, failure = (outcome.score, outcome.failure) if outcome else (None, None)
    return {
        "trial": row["id"],
        **_what(row),
        "state": "running" if outcome is None else "failed" if failure else "complete",
        "retired": row["successor"] is not None,
        "params": json.loads(row["params"]),
        "parent": row["parent"],
        "epochs": outcome.epochs if score and outcome else row["asked_epochs"],
        "value": score.value if score else None,
        "se": score.se if score else None,
        "best_epoch": score.best_epoch if score else None,
        "parameters": outcome.parameters if outcome else None,
        "seconds": outcome.seconds if outcome else None,
        "failure": failure.kind if failure else None,
        "message": failure.message if failure else None,
        "detail": failure.detail if failure else None,
        "repeats": [
            {
                "value": repeat.score and repeat.score.value,
                "best_epoch": repeat.score and repeat.score.best_epoch,
                "failure": repeat.failure and repeat.failure.kind,
            }
            for repeat in trainings[1:]
        ],
        "curves": [asdict(curve) for curve in score.folds] if score else [],
    }


def number_of(store: Store, id_: int) -> tuple[int, int]:
    """The search of the trial that people call by this id, and its number there."""
    [(search, number)] = store.db.query("SELECT search, trial FROM asked WHERE id = :id", id=id_)
    return search, number


def _what(row: Mapping[str, Any]) -> dict[str, Any]:
    """What a search is, as both records call it."""
    names = ("study", "task", "searcher", "evaluator", "seed", "backend")
    return {"metric": row["measure"]} | {name: row[name] for name in names}


def pace(store: Store, study: str) -> tuple[int, float] | None:
    """How many complete trials of a study were timed, and the seconds an epoch of them took."""
    [(trials, seconds, epochs)] = store.db.query(
        "SELECT count(*), sum(t.seconds), sum(t.epochs - coalesce(p.epochs, 0)) "
        "FROM told t JOIN searches s ON s.id = t.search "
        "JOIN asked a ON a.search = t.search AND a.trial = t.trial AND a.answer = 'suggest' "
        "LEFT JOIN told p ON p.search = a.search AND p.trial = a.parent "
        "WHERE s.study = :study AND t.value IS NOT NULL",
        study=study,
    )
    return (trials, seconds / float(epochs)) if epochs else None
