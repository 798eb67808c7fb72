"""Rankings of trials, over all studies and searchers whose values may be compared."""

import json
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from hpsearch.core import ties
from hpsearch.core.errors import StoreError
from hpsearch.core.metric import Direction, Metric, higher_is_better, plain_metric_name
from hpsearch.core.option_text import did_you_mean
from hpsearch.store.database import Database
from hpsearch.store.labels import Labels, read_labels_within
from hpsearch.store.metrics import MetricAtBest, TrialMetrics, read_metrics_within
from hpsearch.store.records import BASELINES, SearchRecord
from hpsearch.store.store import Store
from hpsearch.store.trial_filter import ALL_TRIALS, TrialFilter
from hpsearch.store.trials import ERROR, JOIN_REPEATED, SECONDS, VALUE

_ValuesBySearch = dict[int, dict[int, dict[tuple[int, int], float]]]
"""By search and trial, the value of each (repeat, fold)."""


class RankedTrial(NamedTuple):
    """A trial and its place in a ranking.

    Args:
        trial: its id across the store.
        value, se, seconds: over all of its trainings.
        repeats: trainings after the first, with fresh seeds, that ended well.
        failed_repeats: those that failed. A trial with one ranks behind all trials without.
        tied: whether it is not significantly different from the first: by
            `ties.are_indistinguishable` over the folds of both; on a single split over the seeds,
            or by one standard error of the first's value. None where that is not known.
        more_repeats: further repeats of both that would show a difference; None where no number of
            repeats is known to.
        one_se: whether it is the simplest trial within one standard error of the first: the one
            with the fewest weights, then the fewest epochs. Baselines are left out on both sides.
        tags: its own, and those of its study.
        note: its own.
    """

    rank: int
    trial: int
    study: str
    searcher: str
    value: float
    se: float | None
    epochs: int
    n_weights: int
    seconds: float
    params: Mapping[str, Any]
    tied: bool | None
    task: str
    measure: str
    evaluator: str
    data: str
    repeats: int
    failed_repeats: int
    more_repeats: int | None
    one_se: bool
    tags: tuple[str, ...] = ()
    note: str | None = None

    @property
    def baseline(self) -> str | None:
        """The name of the plain model that this trial trained, to compare with; None: it has none."""
        return str(self.params["baseline"]) if self.searcher == BASELINES else None

    def to_json(self) -> dict[str, Any]:
        """The fields by their names in JSON documents."""
        named = {_JSON_NAMES.get(name, name): value for name, value in self._asdict().items()}
        return named | {"baseline": self.baseline}


_JSON_NAMES = {"measure": "metric", "n_weights": "parameters"}


class MetricRanking(NamedTuple):
    """A ranking by a metric, best first.

    Args:
        searches: whose values compare; the rankings are of their trials.
        measure: the metric as it is shown.
        by_own: whether it is the metric that the task names.
        left_out: how many complete trials have no value of it: they were trained before it was
            recorded, or it is not defined at their best epoch.
    """

    searches: Sequence[SearchRecord]
    measure: str
    by_own: bool
    rows: list[RankedTrial]
    left_out: int


ErrorRule = Callable[[str, Metric, Sequence[Sequence[float]], int], float | None]
"""Gives the standard error of a mean over trainings and folds, or None where they give none.

It is called with the evaluator's label, the metric, each training's values by fold, and the number
of rows of the first fold's validation.
"""


_COMPLETE = f"""
SELECT {VALUE}, a.params, a.id, {ERROR}, t.epochs, t.parameters, {SECONDS}, t.trial,
       coalesce(r.repeats, 0), coalesce(r.failed, 0)
FROM told t JOIN asked a ON a.search = t.search AND a.trial = t.trial AND a.answer = 'suggest'
{JOIN_REPEATED}
WHERE t.search = :search AND t.value IS NOT NULL AND a.id NOT IN (SELECT trial FROM hidden)
"""

_VALUES = "SELECT trial, repeat, fold, value FROM curves WHERE search = :search"

_SPLITS = """
SELECT rows, train_rows FROM curves WHERE search = :search AND trial = :trial AND repeat = 0
"""

_CONTINUED = """
SELECT c.parent FROM asked c JOIN told t ON t.search = c.search AND t.trial = c.trial
WHERE c.search = :search AND c.parent IS NOT NULL AND t.value IS NOT NULL
  AND c.id NOT IN (SELECT trial FROM hidden)
"""


def rank_tasks(
    store: Store,
    task: str | None = None,
    only: TrialFilter = ALL_TRIALS,
    study: str | None = None,
) -> list[list[RankedTrial]]:
    """One ranking, best first, for each set of trials that may be compared.

    These have in common what `records.COMPARED` names: task, metric and its direction, evaluator,
    data. A trial that was continued is represented by its continuation. Raises StoreError for a
    task that the store does not have.

    Args:
        only: rank these trials alone. Raises StoreError for what the store does not have.
        study: only the sets that have a complete trial of this study, shown or not.
    """
    return store.db.read(lambda: _rank_tasks(store, task, only, study))


def _rank_tasks(
    store: Store, task: str | None, only: TrialFilter, study: str | None
) -> list[list[RankedTrial]]:
    groups = _compared_searches(store, task, only, study)
    return [ranking for group in groups if (ranking := _rank(store.db, group, only))]


def _compared_searches(
    store: Store, task: str | None, only: TrialFilter, study: str | None
) -> list[list[SearchRecord]]:
    """The searches of a task, or of all, in groups whose values may be compared.

    Args:
        study: only groups in which this study has a complete trial, shown or not.
    """
    searches = store.searches()
    if only:
        only.check(searches, read_labels_within(store.db))
    if task is not None and task not in (known := {record.task for record in searches}):
        raise StoreError(
            f"the store has no task {task!r}; it has {', '.join(sorted(known)) or 'none'}"
        )
    compared: dict[tuple[str, ...], list[SearchRecord]] = {}
    for s in searches:
        if task in (None, s.task) and only.takes_search(s):
            compared.setdefault(s.comparison, []).append(s)
    if study is not None:
        own = [s for s in searches if s.study == study and any(_read_rows(store.db, s))]
        compared = {key: compared[key] for key in {s.comparison for s in own} & compared.keys()}
    return [compared[key] for key in sorted(compared)]


def rank_by_metric(
    store: Store,
    task: str | None,
    name: str,
    standard_error: ErrorRule,
    only: TrialFilter = ALL_TRIALS,
    study: str | None = None,
) -> list[MetricRanking]:
    """Rankings as those of `rank_tasks`, by any metric that trials recorded.

    A trial's value is that of the metric at its best epoch by the task's own metric, so that it is
    of the model that one would keep: the mean over its folds and trainings. By the task's own
    metric, the ranking is that of `rank_tasks`.

    Args:
        study: as `rank_tasks` has it.

    Raises StoreError for a task that the store does not have, and for a metric that no trial
    recorded.
    """
    return store.db.read(lambda: _rank_by_metric(store, task, name, standard_error, only, study))


def _rank_by_metric(
    store: Store,
    task: str | None,
    name: str,
    standard_error: ErrorRule,
    only: TrialFilter,
    study: str | None,
) -> list[MetricRanking]:
    found: list[MetricRanking] = []
    known: dict[str, None] = {}
    is_known = False
    groups = _compared_searches(store, task, only, study)
    if study is not None and not groups:  # nothing of it is complete yet
        return []
    for searches in groups:
        own = searches[0].measure
        known |= dict.fromkeys([plain_metric_name(own)])
        if name in (own, plain_metric_name(own)):
            is_known = True
            found.append(MetricRanking(searches, own, True, _rank(store.db, searches, only), 0))
            continue
        recorded = read_metrics_within(store.db, [search.id for search in searches])
        names = dict.fromkeys(n for trial in recorded.values() for n in trial.directions)
        is_known, known = is_known or name in names, known | names
        found.append(_rank_recorded(store.db, searches, name, recorded, standard_error, only))
    if not is_known:
        raise StoreError(
            f"no trial recorded a metric {name!r}{did_you_mean(name, known)}; recorded are: "
            f"{', '.join(known) or 'none'}"
        )
    return [ranking for ranking in found if ranking.rows or ranking.left_out]


def _rank_recorded(
    db: Database,
    searches: Sequence[SearchRecord],
    name: str,
    recorded: Mapping[int, TrialMetrics],
    standard_error: ErrorRule,
    only: TrialFilter,
) -> MetricRanking:
    """The ranking by a metric that is recorded beside the task's."""
    measure = f"{name}, weighted" if searches[0].measure.endswith(", weighted") else name
    rows: list[_Row] = []
    left_out = 0
    first: tuple[Direction, int] | None = None
    values: _ValuesBySearch = {}
    labels = read_labels_within(db)
    for search in searches:
        of_search = values.setdefault(search.id, {})
        for row in _read_rows(db, search):
            if not only.takes_trial(row.id, search.study, labels):
                continue
            trial = recorded.get(row.id)
            metric: MetricAtBest | None = trial.at_best.get(name) if trial else None
            if trial is None or metric is None or not math.isfinite(metric.value):
                left_out += 1
                continue
            if first is None:
                first = metric.direction, row.id
            elif metric.direction != first[0]:
                raise StoreError(
                    f"metric {name!r} is {first[0]!r} in trial {first[1]} and "
                    f"{metric.direction!r} in trial {row.id}, which cannot be ranked together; "
                    "give it another name in one of the studies"
                )
            of_search[row.trial] = dict(metric.values)
            error = standard_error(
                search.evaluator, Metric(name, metric.direction), metric.trainings, trial.rows
            )
            ranked = replace(search, measure=measure, direction=metric.direction)
            rows.append(row._replace(value=metric.value, se=error, search=ranked))
    return MetricRanking(searches, measure, False, _rank_rows(db, rows, values, labels), left_out)


def rank_searches(store: Store, searches: Collection[int]) -> list[RankedTrial]:
    """The ranking of these searches, by id, whose values must be comparable; it may be empty."""
    return rank_records(store, [record for record in store.searches() if record.id in searches])


def rank_records(
    store: Store, searches: Sequence[SearchRecord], only: TrialFilter = ALL_TRIALS
) -> list[RankedTrial]:
    """As `rank_searches`, of records that were read already.

    Args:
        only: rank these trials alone.
    """
    return store.db.read(lambda: _rank(store.db, searches, only)) if searches else []


def find_best(store: Store, search: SearchRecord) -> tuple[int, float] | None:
    """The id and value of a search's best trial; None where it has no complete one."""
    first = min(_read_rows(store.db, search), key=_sort_key, default=None)
    return first and (first.id, first.value)


def _rank(db: Database, searches: Sequence[SearchRecord], only: TrialFilter) -> list[RankedTrial]:
    # Sorted and built here, not in SQL: for ten thousand trials it takes a third of the time.
    labels = read_labels_within(db)
    rows = [
        row
        for search in searches
        if only.takes_search(search)
        for row in _read_rows(db, search)
        if only.takes_trial(row.id, search.study, labels)
    ]
    return _rank_rows(db, rows, {}, labels)


def _rank_rows(
    db: Database,
    rows: "list[_Row]",
    values: _ValuesBySearch,
    labels: Labels,
) -> list[RankedTrial]:
    """The ranking of these trials.

    Args:
        values: by search and trial, the value of each repeat and fold, by which trials are paired;
            those of other searches are read.
        labels: the store's tags and notes.
    """
    if not rows:
        return []
    rows.sort(key=_sort_key)
    # All points are parsed as one JSON text, which is faster than one by one.
    points = json.loads(f"[{','.join(row.point for row in rows)}]")
    if set(map(type, points)) != {dict}:
        raise ValueError("a point is not a JSON object")
    # Compare each trial with the first.
    ties_with_first = _Ties(db, rows[0], values)
    simplest = _find_simplest(rows)
    ranking = []
    for rank, (point, row) in enumerate(zip(points, rows, strict=True), 1):
        tied, more_repeats = ties_with_first.compare(row)
        ranking.append(
            RankedTrial(
                rank=rank,
                trial=row.id,
                study=row.search.study,
                searcher=row.search.searcher,
                value=row.value,
                se=row.se,
                epochs=row.epochs,
                n_weights=row.n_weights,
                seconds=row.seconds,
                params=point,
                tied=tied,
                task=row.search.task,
                measure=row.search.measure,
                evaluator=row.search.evaluator,
                data=row.search.data,
                repeats=row.repeats,
                failed_repeats=row.failed,
                more_repeats=more_repeats,
                one_se=row is simplest,
                tags=labels.tags_of(row.id, row.search.study),
                note=labels.trial_notes.get(row.id),
            )
        )
    return ranking


class _Row(NamedTuple):
    """A complete trial: the columns of _COMPLETE, and its search."""

    value: float
    point: str
    id: int
    se: float | None
    epochs: int
    n_weights: int
    seconds: float
    trial: int
    repeats: int
    failed: int
    search: SearchRecord


def _sort_key(row: _Row) -> tuple[bool, float, str, int]:
    value = -row.value if higher_is_better(row.search.direction) else row.value
    return row.failed > 0, value, row.point, row.id


def _read_rows(db: Database, search: SearchRecord) -> Iterator[_Row]:
    """The complete trials of a search, without those that a complete trial continued."""
    continued = {parent for (parent,) in db.query(_CONTINUED, search=search.id)}
    for columns in db.query(_COMPLETE, search=search.id):
        row = _Row._make((*columns, search))
        if row.trial not in continued:
            yield row


def _find_simplest(rows: Sequence[_Row]) -> _Row | None:
    """The simplest trial within one standard error of the first; None where no error is known.

    Breiman et al., Classification and Regression Trees, 1984, section 3.4.3. A trial with a failed
    repeat is chosen only where the first has one too. Baselines are no choice: the numbers of
    their weights do not compare with those of networks.
    """
    searched = [row for row in rows if not row.search.has_baselines]
    if not searched or (first := searched[0]).se is None:
        return None
    safe = [row for row in searched if row.failed == 0 or first.failed > 0]
    within = [row for row in safe if abs(row.value - first.value) <= first.se]
    # A training function that saves nothing does not tell how many weights there are: 0.
    known = [row for row in within if row.n_weights] or within
    return min(known, key=lambda row: (row.n_weights, row.epochs))


class _Ties:
    """Compares trials with the first of their ranking."""

    def __init__(
        self,
        db: Database,
        first: _Row,
        values: _ValuesBySearch,
    ) -> None:
        self._db, self._first, self._values = db, first, values
        sizes = db.query(_SPLITS, search=first.search.id, trial=first.trial)
        shares = [rows / train if train else 0.0 for rows, train in sizes]
        # Stores of version 1 lack the numbers of training rows: a share of 0 would be wrong.
        self._share = sum(shares) / len(shares) if shares and all(shares) else None

    def compare(self, row: _Row) -> tuple[bool | None, int | None]:
        """Whether a trial is tied with the first, and the repeats that would show a difference."""
        error, apart = self._first.se, abs(row.value - self._first.value)
        # An error of 0 comes of folds that all have the same value, and says nothing of other rows.
        near = None if error is None or (error == 0 and apart > 0) else apart <= error
        if row is self._first:
            return near, None
        differences = self._differences(row)
        if self._share is None or sum(map(len, differences)) < 2:
            return near, None
        tied, folds = ties.are_indistinguishable(differences, self._share), len(differences) > 1
        if not tied:
            return (False if folds else near), None  # seeds alone say nothing about other rows
        more = ties.count_repeats_needed(differences, self._share) if folds or not near else None
        return True, more

    def _differences(self, row: _Row) -> list[list[float]]:
        """By split, the differences to the first; empty where their splits differ."""
        first = self._first
        if row.search.seed != first.search.seed:
            return []
        firsts = self._read_values(first.search)[first.trial]
        mine = self._read_values(row.search).get(row.trial, {})
        return ties.pair_trainings(mine, firsts)

    def _read_values(self, search: SearchRecord) -> dict[int, dict[tuple[int, int], float]]:
        if search.id not in self._values:
            found = self._values.setdefault(search.id, {})
            for trial, repeat, fold, value in self._db.query(_VALUES, search=search.id):
                found.setdefault(trial, {})[repeat, fold] = value
        return self._values[search.id]
