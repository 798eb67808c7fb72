"""The results store: a journal, and the ranking read from it. See README.md."""

from hpsearch.store.database import Rows
from hpsearch.store.flat import all_curves, all_trials
from hpsearch.store.journal import Journal
from hpsearch.store.lock import owned
from hpsearch.store.openings import Opening, judge, open_test, openings
from hpsearch.store.rank import Ranked, ranking, rankings
from hpsearch.store.read import number_of, pace, studies, trial
from hpsearch.store.records import Asked, SearchRecord, Told
from hpsearch.store.store import Store, exists
from hpsearch.store.url import Url, place

__all__ = [
    "Asked",
    "Journal",
    "Opening",
    "Ranked",
    "Rows",
    "SearchRecord",
    "Store",
    "Told",
    "Url",
    "all_curves",
    "all_trials",
    "exists",
    "judge",
    "number_of",
    "open_test",
    "openings",
    "owned",
    "pace",
    "place",
    "ranking",
    "rankings",
    "studies",
    "trial",
]
