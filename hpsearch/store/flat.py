"""All trials and all curves of a store as flat rows, for tables and frames."""

from collections.abc import Iterator, Sequence
from functools import partial

from hpsearch.store.database import Rows
from hpsearch.store.rows import curves, point
from hpsearch.store.runs import is_running
from hpsearch.store.store import Store
from hpsearch.store.trials import ERROR, JOIN_REPEATED, VALUE

_TRIALS = f"""
SELECT a.id AS trial, s.study, s.task, s.searcher, s.evaluator, s.seed, s.measure AS metric,
       s.direction,
       CASE WHEN t.value IS NOT NULL THEN 'complete' WHEN t.trial IS NOT NULL THEN 'failed'
            WHEN s.id IN ({{running}}) THEN 'running' ELSE 'stopped' END AS state,
       {VALUE} AS value, {ERROR} AS se,
       t.best_epoch, coalesce(t.epochs, a.epochs) AS epochs, a.epochs AS asked_epochs, p.id AS parent,
       coalesce(r.repeats, 0) AS repeats,
       t.parameters, t.seconds, t.peak_bytes, t.device, a.at AS asked, t.started, t.at AS ended,
       t.failure, t.message, t.detail, a.params, a.search
FROM asked a JOIN searches s ON s.id = a.search
LEFT JOIN told t ON t.search = a.search AND t.trial = a.trial
LEFT JOIN asked p ON p.search = a.search AND p.trial = a.parent AND p.answer = 'suggest'
{JOIN_REPEATED}
WHERE a.answer = 'suggest' AND s.id IN ({{searches}})
ORDER BY a.id
"""

_CURVES = """
SELECT a.id, c.repeat, c.fold, c.train, c.validation, c.train_loss, c.validation_loss, c.lists
FROM asked a JOIN curves c ON c.search = a.search AND c.trial = a.trial
WHERE a.answer = 'suggest' AND a.search IN ({searches}) AND a.id BETWEEN :first AND :last
ORDER BY a.id, c.repeat, c.fold
"""
_PAGE = 128  # trials whose curves are read at a time: those of all may need much memory

_REPEATS = """
SELECT a.id AS trial, r.repeat, r.own AS value, r.epochs, r.seconds, r.failure, r.device, r.started,
       r.at AS ended
FROM repeats r JOIN asked a ON a.search = r.search AND a.trial = r.trial AND a.answer = 'suggest'
WHERE r.search IN ({searches})
ORDER BY a.id, r.repeat
"""


def all_trials(store: Store, searches: Sequence[int]) -> Rows:
    """A row a trial of these searches, those that did not end and failed ones too; by id.

    Points are mappings. What did not end is running where a run of its search is alive, else stopped.
    """

    def read() -> Rows:
        running = [search for search in searches if is_running(store, search)]
        found = store.db.query(_TRIALS.format(searches=_listed(searches), running=_listed(running)))
        at = found.names.index("params")
        return Rows(found.names, ((*row[:at], point(row[at]), *row[at + 1 :]) for row in found))

    return store.db.read(read)


def all_repeats(store: Store, searches: Sequence[int]) -> Rows:
    """A row a repeat of these trials that has ended; value: its own."""
    return store.db.query(_REPEATS.format(searches=_listed(searches)))


def all_curves(
    store: Store, searches: Sequence[int]
) -> Iterator[list[tuple[int, int, int, list[list[float]]]]]:
    """A row a fold of each training of these trials: trial, repeat, fold, and the four curves; some
    rows at a time.
    """
    ids = "SELECT id FROM asked WHERE answer = 'suggest' AND search IN ({searches}) ORDER BY id"
    trials = [id_ for (id_,) in store.db.query(ids.format(searches=_listed(searches)))]
    statement = _CURVES.format(searches=_listed(searches))

    def page(some: Sequence[int]) -> list[tuple[int, int, int, list[list[float]]]]:
        found = store.db.query(statement, first=some[0], last=some[-1])
        return [
            (trial, repeat, fold, _aligned(curves(texts, digest)))
            for trial, repeat, fold, *texts, digest in found
        ]

    for begin in range(0, len(trials), _PAGE):
        yield store.db.read(partial(page, trials[begin : begin + _PAGE]))


def _aligned(lists: list[list[float]]) -> list[list[float]]:
    if len(set(map(len, lists))) != 1:
        raise ValueError("curves of one training have different lengths")
    return lists


def _listed(searches: Sequence[int]) -> str:
    return ", ".join(str(int(search)) for search in searches) or "NULL"
