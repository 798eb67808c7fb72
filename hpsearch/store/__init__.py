"""The results store: a journal, and the ranking read from it. See README.md."""

from hpsearch.store.journal import Asked, Journal, SearchRecord, Store, Told
from hpsearch.store.lock import owned
from hpsearch.store.rank import Ranked, ranking, rankings
from hpsearch.store.read import pace, studies, trial

__all__ = [
    "Asked",
    "Journal",
    "Ranked",
    "SearchRecord",
    "Store",
    "Told",
    "owned",
    "pace",
    "ranking",
    "rankings",
    "studies",
    "trial",
]
