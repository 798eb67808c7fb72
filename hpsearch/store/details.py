"""Details of a search's trials that judge it as a whole: folds' values, costs, some curves."""

from collections.abc import Sequence

from hpsearch.core.trial import Cost, Curve
from hpsearch.store.database import LONG_COLUMNS
from hpsearch.store.flat import sql_list
from hpsearch.store.rows import curve_from_row, parse_cost
from hpsearch.store.store import Store

_FOLDS = """
SELECT a.id, c.value
FROM curves c JOIN asked a ON a.search = c.search AND a.trial = c.trial AND a.answer = 'suggest'
WHERE c.search = :search AND c.repeat = 0 ORDER BY a.id, c.fold
"""
_COSTS = """
SELECT a.id, t.cost
FROM told t JOIN asked a ON a.search = t.search AND a.trial = t.trial AND a.answer = 'suggest'
WHERE t.search = :search AND t.cost IS NOT NULL
"""
_CURVES = f"""
SELECT a.id, c.fold, {", ".join(f"c.{name}" for name in LONG_COLUMNS)}, c.rows, c.train_rows,
       c.parameters, c.seconds, c.lists
FROM curves c JOIN asked a ON a.search = c.search AND a.trial = c.trial AND a.answer = 'suggest'
WHERE a.id IN ({{trials}}) AND c.repeat = 0 ORDER BY a.id, c.fold
"""


def read_fold_values(store: Store, search: int) -> dict[int, list[float]]:
    """Each fold's value in the first training of a search's complete trials, by the trial's id."""
    found: dict[int, list[float]] = {}
    for trial, value in store.db.query(_FOLDS, search=search):
        found.setdefault(trial, []).append(value)
    return found


def read_costs(store: Store, search: int) -> dict[int, Cost]:
    """What the first trainings of a search took of the machine, by the trial's id."""

    def read() -> dict[int, Cost]:
        rows = store.db.query(_COSTS, search=search)
        found = ((trial, parse_cost(text)) for trial, text in rows)
        return {trial: cost for trial, cost in found if cost is not None}

    return store.db.read(read)


def read_first_curves(store: Store, trials: Sequence[int]) -> dict[int, list[Curve]]:
    """The folds' curves in the first training of these trials, by the trial's id."""

    def read() -> dict[int, list[Curve]]:
        found: dict[int, list[Curve]] = {}
        for row in store.db.query(_CURVES.format(trials=sql_list(trials))).records():
            found.setdefault(row["id"], []).append(curve_from_row(row))
        return found

    return store.db.read(read)
