"""The ranking of a task, over all studies and searchers whose values may be compared."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from hpsearch.errors import StoreError
from hpsearch.store.journal import SearchRecord, Store


class Ranked(NamedTuple):
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


_COMPLETE = """
SELECT t.value, a.params, a.id, t.se, t.epochs, t.parameters, t.seconds, t.trial
FROM told t JOIN asked a ON a.search = t.search AND a.trial = t.trial AND a.answer = 'suggest'
WHERE t.search = :search AND t.value IS NOT NULL
"""

_CONTINUED = """
SELECT c.parent FROM asked c JOIN told t ON t.search = c.search AND t.trial = c.trial
WHERE c.search = :search AND c.parent IS NOT NULL AND t.value IS NOT NULL
"""


def rankings(store: Store, task: str | None = None) -> list[list[Ranked]]:
    """One ranking, best first, for each set of trials that may be compared.

    These have task, data fingerprint, metric and evaluator in common. A trial that another
    continued is represented by the one that went furthest. Raises StoreError for a task the store
    does not know.
    """
    searches = store.searches()
    if task is not None and task not in (known := {record.task for record in searches}):
        raise StoreError(
            f"the store has no task {task!r}; it has {', '.join(sorted(known)) or 'none'}"
        )
    compared: dict[tuple[str, ...], list[SearchRecord]] = {}
    for s in searches:
        if task in (None, s.task):
            key = (s.task, s.measure, s.evaluator, s.data, s.direction)
            compared.setdefault(key, []).append(s)
    found = (_ranked(store.db, compared[key]) for key in sorted(compared))
    return [ranking for ranking in found if ranking]


def _ranked(db: sqlite3.Connection, searches: Sequence[SearchRecord]) -> list[Ranked]:
    # Sorted and built here, not in SQL: ten thousand trials take a third of the time.
    sign = -1 if searches[0].direction == "max" else 1
    cursor = db.cursor()
    cursor.row_factory = None  # plain tuples
    rows: list[tuple[Any, ...]] = []
    for search in searches:
        which = {"search": search.id}
        continued = {parent for (parent,) in cursor.execute(_CONTINUED, which)}
        rows += [
            (sign * row[0], *row, search)
            for row in cursor.execute(_COMPLETE, which).fetchall()
            if row[-1] not in continued
        ]
    if not rows:
        return []
    rows.sort(key=itemgetter(0, 2, 3))
    points = json.loads(f"[{','.join(row[2] for row in rows)}]")
    best, error = rows[0][1], rows[0][4]
    return [
        Ranked(
            rank,
            id_,
            search.study,
            search.searcher,
            value,
            se,
            epochs,
            parameters,
            seconds,
            point,
            None if error is None else abs(value - best) <= error,
            search.task,
            search.measure,
            search.evaluator,
            search.data,
        )
        for rank, (
            point,
            (_, value, _, id_, se, epochs, parameters, seconds, _, search),
        ) in enumerate(zip(points, rows, strict=True), 1)
    ]
