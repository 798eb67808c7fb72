"""The metrics recorded beside the task's: of each trial, their values at its best epoch."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from hpsearch.core.curves import mean_curve
from hpsearch.core.metric import Direction, Metric
from hpsearch.store.database import CURVE_LISTS, LONG_COLUMNS, Database
from hpsearch.store.flat import sql_list
from hpsearch.store.rows import parse_curves
from hpsearch.store.store import Store
from hpsearch.store.trials import JOIN_REPEATED

_TRIALS = """
SELECT DISTINCT a.id
FROM curves c JOIN asked a ON a.search = c.search AND a.trial = c.trial AND a.answer = 'suggest'
WHERE c.metrics IS NOT NULL AND c.search IN ({searches})
  AND a.id NOT IN (SELECT trial FROM hidden)
ORDER BY a.id
"""

_CURVES = f"""
SELECT a.id, c.repeat, c.fold, c.rows, t.best_epoch, coalesce(r.repeats, 0) AS repeats,
       s.measure, s.direction, {", ".join(f"c.{name}" for name in LONG_COLUMNS)}, c.lists
FROM curves c JOIN searches s ON s.id = c.search
JOIN asked a ON a.search = c.search AND a.trial = c.trial AND a.answer = 'suggest'
JOIN told t ON t.search = c.search AND t.trial = c.trial
{JOIN_REPEATED}
WHERE c.metrics IS NOT NULL AND c.search IN ({{searches}}) AND a.id BETWEEN :first AND :last
ORDER BY a.id, c.repeat, c.fold
"""
_VALIDATION = CURVE_LISTS.index("validation")
_PAGE = 128  # trials whose curves are read at a time, to limit memory


@dataclass(frozen=True, slots=True)
class MetricAtBest:
    """A metric of one trial, at the trial's best epoch.

    Args:
        values: by (repeat, fold); NaN where the metric is not defined.
    """

    direction: Direction
    values: Mapping[tuple[int, int], float]

    @property
    def value(self) -> float:
        """The mean over folds and trainings; NaN where any of the values is."""
        return statistics.fmean(self.values.values())

    @property
    def trainings(self) -> list[list[float]]:
        """For each training, the value of each fold."""
        by_repeat: dict[int, list[float]] = {}
        for (repeat, _), value in sorted(self.values.items()):
            by_repeat.setdefault(repeat, []).append(value)
        return list(by_repeat.values())


@dataclass(frozen=True, slots=True)
class TrialMetrics:
    """What was recorded of a trial beside the task's metric.

    Args:
        best_epoch: the best by the task's metric, over all trainings, from 1.
        rows: of the first fold's validation.
        directions: of all metrics that any of its trainings recorded.
        at_best: of the metrics that all of its trainings recorded.
    """

    best_epoch: int
    rows: int
    directions: Mapping[str, Direction]
    at_best: Mapping[str, MetricAtBest]


def read_metrics(
    store: Store, searches: Sequence[int], trial: int | None = None
) -> dict[int, TrialMetrics]:
    """The metrics of all complete trials of these searches that recorded any, by the trial's id.

    The best epoch is that of the trial's value: of the mean curve over folds and trainings. So the
    values are of the model that one would keep.

    Args:
        trial: the id of a trial; read only this one's.
    """
    return store.db.read(lambda: read_metrics_within(store.db, searches, trial))


def read_metrics_within(
    db: Database, searches: Sequence[int], trial: int | None = None
) -> dict[int, TrialMetrics]:
    """`read_metrics`, within a read of the caller's."""
    ids = [trial]
    if trial is None:
        ids = [id_ for (id_,) in db.query(_TRIALS.format(searches=sql_list(searches)))]
    statement = _CURVES.format(searches=sql_list(searches))
    found: dict[int, TrialMetrics] = {}
    for begin in range(0, len(ids), _PAGE):
        some = ids[begin : begin + _PAGE]
        found |= _read_page(db.query(statement, first=some[0], last=some[-1]).records())
    return found


def _read_page(rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[int, TrialMetrics]]:
    for id_, own in groupby(rows, key=lambda row: row["id"]):
        yield id_, _take_best(list(own))


def _take_best(rows: Sequence[Mapping[str, Any]]) -> TrialMetrics:
    """A trial's metrics, from its rows of `curves` that have any."""
    first = rows[0]
    fits = {
        (row["repeat"], row["fold"]): parse_curves(
            [row[name] for name in LONG_COLUMNS], row["lists"]
        )
        for row in rows
    }
    directions: dict[str, Direction] = {}
    for parsed in fits.values():
        for name, curves in parsed.metrics.items():
            if directions.setdefault(name, curves.direction) != curves.direction:
                raise ValueError(f"metric {name[:40]} of trial {first['id']} has two directions")
    # Were all of its trainings recorded? Before the metric was added to the study, none was.
    trainings = {repeat for repeat, _ in fits}
    whole = len(trainings) == 1 + first["repeats"]
    best = first["best_epoch"]
    if len(trainings) > 1 and whole:
        curves_of_fits = [parsed.lists[_VALIDATION] for parsed in fits.values()]
        best = Metric(first["measure"], first["direction"]).best(mean_curve(curves_of_fits)) + 1
    at_best = {
        name: MetricAtBest(
            direction,
            {at: parsed.metrics[name].validation[best - 1] for at, parsed in fits.items()},
        )
        for name, direction in directions.items()
        if whole and all(name in parsed.metrics for parsed in fits.values())
    }
    return TrialMetrics(best, first["rows"], directions, at_best)
