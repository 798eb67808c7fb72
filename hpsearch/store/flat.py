"""All trials, repeats and curves of searches as flat rows, for tables and frames."""

from collections.abc import Iterator, Sequence
from functools import partial

from hpsearch.store.database import QueryResult
from hpsearch.store.rows import ParsedCurves, parse_curves, parse_point
from hpsearch.store.runs import is_running
from hpsearch.store.store import Store
from hpsearch.store.trials import ERROR, JOIN_REPEATED, VALUE

_TRIALS = f"""
SELECT a.id AS trial, s.study, s.task, s.searcher, s.evaluator, s.seed, s.measure AS metric,
       s.direction,
       CASE WHEN t.value IS NOT NULL THEN 'complete' WHEN t.trial IS NOT NULL THEN 'failed'
            WHEN s.id IN ({{running}}) THEN 'running' ELSE 'stopped' END AS state,
       {VALUE} AS value, {ERROR} AS se,
       t.best_epoch, coalesce(t.epochs, a.epochs) AS epochs, a.epochs AS asked_epochs,
       p.id AS parent,
       coalesce(r.repeats, 0) AS repeats,
       t.parameters, t.seconds, t.peak_bytes, t.device, a.at AS asked, t.started, t.at AS ended,
       t.failure, t.message, t.detail, a.params, a.search
FROM asked a JOIN searches s ON s.id = a.search
LEFT JOIN told t ON t.search = a.search AND t.trial = a.trial
LEFT JOIN asked p ON p.search = a.search AND p.trial = a.parent AND p.answer = 'suggest'
  AND p.id NOT IN (SELECT trial FROM hidden)
{JOIN_REPEATED}
WHERE a.answer = 'suggest' AND s.id IN ({{searches}}) AND a.id NOT IN (SELECT trial FROM hidden)
ORDER BY a.id
"""

_CURVES = """
SELECT a.id, c.repeat, c.fold, c.train, c.validation, c.train_loss, c.validation_loss,
       c.metrics, c.lists
FROM asked a JOIN curves c ON c.search = a.search AND c.trial = a.trial
WHERE a.answer = 'suggest' AND a.search IN ({searches}) AND a.id BETWEEN :first AND :last
  AND a.id NOT IN (SELECT trial FROM hidden)
ORDER BY a.id, c.repeat, c.fold
"""
_PAGE = 128  # trials whose curves are read at a time, to limit memory

_REPEATS = """
SELECT a.id AS trial, r.repeat, r.own AS value, r.epochs, r.seconds, r.failure, r.device, r.started,
       r.at AS ended
FROM repeats r JOIN asked a ON a.search = r.search AND a.trial = r.trial AND a.answer = 'suggest'
WHERE r.search IN ({searches}) AND a.id NOT IN (SELECT trial FROM hidden)
ORDER BY a.id, r.repeat
"""


def read_all_trials(store: Store, searches: Sequence[int]) -> QueryResult:
    """One row for each trial of these searches, by id; unfinished and failed ones too.

    `params` are mappings. An unfinished trial is "running" while a run of its search is alive, and
    "stopped" otherwise.
    """

    def read() -> QueryResult:
        running = [search for search in searches if is_running(store, search)]
        found = store.db.query(
            _TRIALS.format(searches=sql_list(searches), running=sql_list(running))
        )
        at = found.names.index("params")
        return QueryResult(
            found.names, ((*row[:at], parse_point(row[at]), *row[at + 1 :]) for row in found)
        )

    return store.db.read(read)


def read_all_repeats(store: Store, searches: Sequence[int]) -> QueryResult:
    """One row for each finished repeat of these searches' trials; value: of that training alone."""
    return store.db.query(_REPEATS.format(searches=sql_list(searches)))


def read_all_curves(
    store: Store, searches: Sequence[int]
) -> Iterator[list[tuple[int, int, int, ParsedCurves]]]:
    """Trial, repeat, fold, and the curves, for each fold of each training; some at a time."""
    ids = "SELECT id FROM asked WHERE answer = 'suggest' AND search IN ({searches}) ORDER BY id"
    trials = [id_ for (id_,) in store.db.query(ids.format(searches=sql_list(searches)))]
    statement = _CURVES.format(searches=sql_list(searches))

    def page(some: Sequence[int]) -> list[tuple[int, int, int, ParsedCurves]]:
        found = store.db.query(statement, first=some[0], last=some[-1])
        return [
            (trial, repeat, fold, _check_lengths(parse_curves(texts, digest)))
            for trial, repeat, fold, *texts, digest in found
        ]

    for begin in range(0, len(trials), _PAGE):
        yield store.db.read(partial(page, trials[begin : begin + _PAGE]))


def _check_lengths(curves: ParsedCurves) -> ParsedCurves:
    if len(set(map(len, curves.lists))) != 1:
        raise ValueError("curves of one training have different lengths")
    return curves


def sql_list(searches: Sequence[int]) -> str:
    """The ids of searches as SQL has them in brackets."""
    return ", ".join(str(int(search)) for search in searches) or "NULL"
