"""How much of a store each search takes."""

from collections.abc import Mapping
from dataclasses import dataclass

from hpsearch.store.database import LONG_COLUMNS
from hpsearch.store.store import Store

_CURVES = "SELECT search, count(*), sum({lengths}) FROM curves GROUP BY search"
_EVENTS = """
SELECT search, count(*), sum(n) FROM (
  SELECT search, 80 + coalesce(length(params), 0) AS n FROM asked
  UNION ALL
  SELECT search, 160 + coalesce(length(message), 0) + coalesce(length(detail), 0) AS n FROM told
) events GROUP BY search
"""
_SEARCHES = """
SELECT s.id, s.study, s.task, s.searcher, length(s.source) + length(s.space),
  (SELECT count(*) FROM asked a WHERE a.search = s.id AND a.answer = 'suggest'),
  (SELECT r.successor FROM retired r WHERE r.search = s.id)
FROM searches s WHERE s.id NOT IN (SELECT search FROM removed) ORDER BY s.id
"""
_NUMBERS = 60  # bytes of a fold's row beside its curves


@dataclass(frozen=True, slots=True)
class SearchSize:
    """What a search takes in the store.

    Args:
        searcher: its label.
        trials: all that were asked for, those that were deleted too.
        rows: of all of its tables together.
        bytes: of these rows, estimated by their texts.
        is_retired: whether a --fresh run replaced it.
    """

    search: int
    study: str
    task: str
    searcher: str
    trials: int
    rows: int
    bytes: int
    is_retired: bool


def measure_searches(store: Store) -> list[SearchSize]:
    """The size of every search of a store, those that --fresh replaced too."""
    return store.db.read(lambda: _measure_searches(store))


def _measure_searches(store: Store) -> list[SearchSize]:
    lengths = " + ".join(f"coalesce(length({name}), 0)" for name in LONG_COLUMNS)
    tables: list[Mapping[int, tuple[int, int]]] = [
        {search: (count, int(size or 0)) for search, count, size in store.db.query(statement)}
        for statement in (_EVENTS, _CURVES.format(lengths=f"{_NUMBERS} + {lengths}"))
    ]
    found = []
    for search, study, task, searcher, size, trials, successor in store.db.query(_SEARCHES):
        counted = [table.get(search, (0, 0)) for table in tables]
        found.append(
            SearchSize(
                search,
                study,
                task,
                searcher,
                trials,
                1 + sum(rows for rows, _ in counted),
                size + sum(bytes_ for _, bytes_ in counted),
                successor is not None,
            )
        )
    return found
