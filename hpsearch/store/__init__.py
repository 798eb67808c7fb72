"""The results store: a journal, and the ranking read from it. See README.md."""

from hpsearch.store.journal import Journal, Store
from hpsearch.store.lock import owned
from hpsearch.store.openings import Opening, judge, open_test, openings
from hpsearch.store.rank import Ranked, ranking, rankings
from hpsearch.store.read import number_of, pace, studies, trial
from hpsearch.store.records import Asked, SearchRecord, Told
from hpsearch.store.schema import default_path

__all__ = [
    "Asked",
    "Journal",
    "Opening",
    "Ranked",
    "SearchRecord",
    "Store",
    "Told",
    "default_path",
    "judge",
    "number_of",
    "open_test",
    "openings",
    "owned",
    "pace",
    "ranking",
    "rankings",
    "studies",
    "trial",
]
