"""The difference of two trials of a store, paired over folds and seeds where both have the same."""

from typing import Any

from hpsearch.core import ties
from hpsearch.core.difference import ValueDifference, compare_values
from hpsearch.store.database import Database
from hpsearch.store.metrics import read_metrics_within
from hpsearch.store.rank import RankedTrial
from hpsearch.store.store import Store

_FOLDS = """
SELECT c.search, c.repeat, c.fold, c.value, c.rows, c.train_rows, s.seed
FROM curves c JOIN asked a ON a.search = c.search AND a.trial = c.trial AND a.answer = 'suggest'
JOIN searches s ON s.id = c.search WHERE a.id = :trial
"""


def compare_ranked_trials(
    store: Store, first: RankedTrial, second: RankedTrial, metric: str | None = None
) -> ValueDifference:
    """By how much the value of the first is larger, both of one ranking.

    Over several folds they are paired. On a single split the error is made of those of both
    values: pairs of seeds would say nothing of other rows.

    Args:
        metric: by which the ranking is, of those recorded beside the task's; None: the task's own.
    """
    return store.db.read(lambda: _compare(store.db, first, second, metric))


def _compare(
    db: Database, first: RankedTrial, second: RankedTrial, metric: str | None
) -> ValueDifference:
    one, other = (_read_folds(db, row.trial, metric) for row in (first, second))
    paired: list[list[float]] = []
    # The folds depend on the seed of the search.
    if {row["seed"] for row in one.values()} == {row["seed"] for row in other.values()}:
        firsts, seconds = ({p: row["value"] for p, row in rows.items()} for rows in (one, other))
        paired = ties.pair_trainings(firsts, seconds)
    # Stores of version 1 lack the numbers of training rows: a share of 0 would be wrong.
    shares = [r["rows"] / r["train_rows"] if r["train_rows"] else 0.0 for r in one.values()]
    share = sum(shares) / len(shares) if shares and all(shares) else None
    values = (first.value, first.se), (second.value, second.se)
    return compare_values(*values, paired if len(paired) > 1 else [], share)


def _read_folds(
    db: Database, trial: int, metric: str | None
) -> dict[tuple[int, int], dict[str, Any]]:
    """What is known of each (repeat, fold) of a trial, with its value by the metric."""
    rows = db.query(_FOLDS, trial=trial).records()
    found = {(row["repeat"], row["fold"]): row for row in rows}
    if metric is None:
        return found
    recorded = read_metrics_within(db, list({row["search"] for row in rows}), trial)
    values = recorded[trial].at_best[metric].values
    return {place: row | {"value": values[place]} for place, row in found.items()}
