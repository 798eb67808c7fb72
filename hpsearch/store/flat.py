"""All trials and all curves of a store as flat rows, for tables and frames."""

from collections.abc import Sequence

from hpsearch.store.database import Rows
from hpsearch.store.store import Store

_TRIALS = """
SELECT a.id AS trial, s.study, s.task, s.searcher, s.evaluator, s.seed, s.measure AS metric,
       s.direction,
       CASE WHEN t.trial IS NULL THEN 'running' WHEN t.value IS NULL THEN 'failed'
            ELSE 'complete' END AS state,
       coalesce(r.value, t.value) AS value, CASE WHEN r.trial IS NULL THEN t.se ELSE r.se END AS se,
       t.best_epoch, coalesce(t.epochs, a.epochs) AS epochs, a.epochs AS asked_epochs, p.id AS parent,
       (SELECT count(own) FROM repeats n WHERE n.search = a.search AND n.trial = a.trial) AS repeats,
       t.parameters, t.seconds, t.peak_bytes, t.device, a.at AS asked, t.started, t.at AS ended,
       t.failure, t.message, t.detail, a.params, a.search
FROM asked a JOIN searches s ON s.id = a.search
LEFT JOIN told t ON t.search = a.search AND t.trial = a.trial
LEFT JOIN asked p ON p.search = a.search AND p.trial = a.parent AND p.answer = 'suggest'
LEFT JOIN repeats r ON r.search = a.search AND r.trial = a.trial AND r.repeat =
  (SELECT max(repeat) FROM repeats m WHERE m.search = a.search AND m.trial = a.trial
   AND m.value IS NOT NULL)
WHERE a.answer = 'suggest' AND s.id IN ({searches})
ORDER BY a.id
"""

_CURVES = """
SELECT a.id AS trial, c.repeat, c.fold, c.train, c.validation, c.train_loss, c.validation_loss
FROM curves c JOIN asked a ON a.search = c.search AND a.trial = c.trial AND a.answer = 'suggest'
WHERE c.search IN ({searches})
ORDER BY a.id, c.repeat, c.fold
"""

_REPEATS = """
SELECT a.id AS trial, r.repeat, r.own AS value, r.epochs, r.seconds, r.failure, r.device, r.started,
       r.at AS ended
FROM repeats r JOIN asked a ON a.search = r.search AND a.trial = r.trial AND a.answer = 'suggest'
WHERE r.search IN ({searches})
ORDER BY a.id, r.repeat
"""


def all_trials(store: Store, searches: Sequence[int]) -> Rows:
    """A row a trial of these searches, running and failed ones too; by id."""
    return store.db.query(_TRIALS.format(searches=_listed(searches)))


def all_repeats(store: Store, searches: Sequence[int]) -> Rows:
    """A row a repeat of these trials that has ended; value: its own."""
    return store.db.query(_REPEATS.format(searches=_listed(searches)))


def all_curves(store: Store, searches: Sequence[int]) -> Rows:
    """A row a fold of each training of these trials; curves are JSON lists."""
    return store.db.query(_CURVES.format(searches=_listed(searches)))


def _listed(searches: Sequence[int]) -> str:
    return ", ".join(str(int(search)) for search in searches) or "NULL"
