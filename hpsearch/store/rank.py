"""The ranking of a task, over all studies and searchers whose values may be compared."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from hpsearch.errors import StoreError
from hpsearch.store.journal import Store


@dataclass(frozen=True, slots=True)
class Ranked:
    """A trial's place. trial: the id people call it by.

    tied: within one standard error of the first's value, so that the data do not tell them apart;
    None where no standard error is known.
    """

    rank: int
    trial: int
    study: str
    searcher: str
    value: float
    se: float | None
    epochs: int
    parameters: int
    seconds: float
    params: Mapping[str, Any]
    tied: bool | None
    task: str
    measure: str
    evaluator: str
    data: str


_COMPARED = ("task", "measure", "evaluator", "data", "direction")

# A trial that another continued is represented by the one that went furthest.
_COMPLETE = """
SELECT a.id AS trial, s.study, s.searcher, t.value, t.se, t.epochs, t.parameters, t.seconds,
       a.params, s.task, s.measure, s.evaluator, s.data, s.direction
FROM told t
JOIN asked a ON a.search = t.search AND a.trial = t.trial AND a.answer = 'suggest'
JOIN searches s ON s.id = t.search
WHERE t.value IS NOT NULL AND (:task IS NULL OR s.task = :task)
  AND s.id NOT IN (SELECT search FROM retired)
  AND NOT EXISTS (SELECT 1 FROM asked c JOIN told ct ON ct.search = c.search AND ct.trial = c.trial
                  WHERE c.search = a.search AND c.parent = a.trial AND ct.value IS NOT NULL)
ORDER BY s.task, s.measure, s.evaluator, s.data, s.direction,
         CASE s.direction WHEN 'max' THEN -t.value ELSE t.value END, a.params, a.id
"""


def rankings(store: Store, task: str | None = None) -> list[list[Ranked]]:
    """One ranking, best first, for each set of trials that may be compared.

    These have task, data fingerprint, metric and evaluator in common. Raises StoreError for a
    task the store does not know.
    """
    if task is not None:
        known = {record.task for record in store.searches()}
        if task not in known:
            raise StoreError(
                f"the store has no task {task!r}; it has {', '.join(sorted(known)) or 'none'}"
            )
    rows = store.db.execute(_COMPLETE, {"task": task}).fetchall()
    return [
        _ranked([dict(row) for row in group])
        for _, group in groupby(rows, key=lambda row: tuple(row[name] for name in _COMPARED))
    ]


def _ranked(rows: list[dict[str, Any]]) -> list[Ranked]:
    best, se = rows[0]["value"], rows[0]["se"]
    return [
        Ranked(
            **{k: v for k, v in row.items() if k not in ("params", "direction")},
            params=json.loads(row["params"]),
            rank=rank,
            tied=None if se is None else abs(row["value"] - best) <= se,
        )
        for rank, row in enumerate(rows, 1)
    ]
