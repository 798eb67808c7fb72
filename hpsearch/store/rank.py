"""Rankings of trials, over all studies and searchers whose values may be compared."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from hpsearch.core.errors import StoreError
from hpsearch.core.metric import higher_is_better
from hpsearch.store import ties
from hpsearch.store.database import Database
from hpsearch.store.records import SearchRecord
from hpsearch.store.store import Store
from hpsearch.store.trials import ERROR, JOIN_REPEATED, SECONDS, VALUE


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
            with the fewest weights, then the fewest epochs.
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

    def to_json(self) -> dict[str, Any]:
        """The fields by their names in JSON documents."""
        return {_JSON_NAMES.get(name, name): value for name, value in self._asdict().items()}


_JSON_NAMES = {"measure": "metric", "n_weights": "parameters"}


_COMPLETE = f"""
SELECT {VALUE}, a.params, a.id, {ERROR}, t.epochs, t.parameters, {SECONDS}, t.trial,
       coalesce(r.repeats, 0), coalesce(r.failed, 0)
FROM told t JOIN asked a ON a.search = t.search AND a.trial = t.trial AND a.answer = 'suggest'
{JOIN_REPEATED}
WHERE t.search = :search AND t.value IS NOT NULL
"""

_VALUES = "SELECT trial, repeat, fold, value FROM curves WHERE search = :search"

_SPLITS = """
SELECT rows, train_rows FROM curves WHERE search = :search AND trial = :trial AND repeat = 0
"""

_CONTINUED = """
SELECT c.parent FROM asked c JOIN told t ON t.search = c.search AND t.trial = c.trial
WHERE c.search = :search AND c.parent IS NOT NULL AND t.value IS NOT NULL
"""


def rank_tasks(store: Store, task: str | None = None) -> list[list[RankedTrial]]:
    """One ranking, best first, for each set of trials that may be compared.

    These have in common what `records.COMPARED` names: task, metric and its direction, evaluator, data. A trial that was continued
    is represented by its continuation. Raises StoreError for a task that the store does not have.
    """
    return store.db.read(lambda: _rank_tasks(store, task))


def _rank_tasks(store: Store, task: str | None) -> list[list[RankedTrial]]:
    searches = store.searches()
    if task is not None and task not in (known := {record.task for record in searches}):
        raise StoreError(
            f"the store has no task {task!r}; it has {', '.join(sorted(known)) or 'none'}"
        )
    compared: dict[tuple[str, ...], list[SearchRecord]] = {}
    for s in searches:
        if task in (None, s.task):
            compared.setdefault(s.comparison, []).append(s)
    found = (_rank(store.db, compared[key]) for key in sorted(compared))
    return [ranking for ranking in found if ranking]


def rank_searches(store: Store, searches: Collection[int]) -> list[RankedTrial]:
    """The ranking of these searches, whose values must be comparable; it may be empty."""
    found = [record for record in store.searches() if record.id in searches]
    return store.db.read(lambda: _rank(store.db, found)) if found else []


def find_best(store: Store, search: SearchRecord) -> tuple[int, float] | None:
    """The id and value of a search's best trial; None where it has no complete one."""
    first = min(_read_rows(store.db, search), key=_sort_key, default=None)
    return first and (first.id, first.value)


def _rank(db: Database, searches: Sequence[SearchRecord]) -> list[RankedTrial]:
    # Sorted and built here, not in SQL: for ten thousand trials it takes a third of the time.
    rows: list[_Row] = [row for search in searches for row in _read_rows(db, search)]
    if not rows:
        return []
    rows.sort(key=_sort_key)
    # All points are parsed as one JSON text, which is faster than one by one.
    points = json.loads(f"[{','.join(row.point for row in rows)}]")
    if set(map(type, points)) != {dict}:
        raise ValueError("a point is not a JSON object")
    # Compare each trial with the first.
    ties_with_first = _Ties(db, rows[0])
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
    repeat is chosen only where the first has one too.
    """
    first = rows[0]
    if first.se is None:
        return None
    safe = [row for row in rows if row.failed == 0 or first.failed > 0]
    within = [row for row in safe if abs(row.value - first.value) <= first.se]
    return min(within, key=lambda row: (row.n_weights, row.epochs))


class _Ties:
    """Compares trials with the first of their ranking."""

    def __init__(self, db: Database, first: _Row) -> None:
        self._db, self._first = db, first
        self._values: dict[int, dict[int, dict[tuple[int, int], float]]] = {}
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
        """By split, the differences for each seed that both were trained with.

        Empty where their splits differ.
        """
        first = self._first
        if row.search.seed != first.search.seed:
            return []
        firsts = self._read_values(first.search)[first.trial]
        mine = self._read_values(row.search).get(row.trial, {})
        found: dict[int, list[float]] = {}
        for repeat, fold in sorted(firsts.keys() & mine.keys()):
            found.setdefault(fold, []).append(mine[repeat, fold] - firsts[repeat, fold])
        return list(found.values())

    def _read_values(self, search: SearchRecord) -> dict[int, dict[tuple[int, int], float]]:
        if search.id not in self._values:
            found = self._values.setdefault(search.id, {})
            for trial, repeat, fold, value in self._db.query(_VALUES, search=search.id):
                found.setdefault(trial, {})[repeat, fold] = value
        return self._values[search.id]
