"""The results store: a journal, and the ranking read from it. See README.md."""

from hpsearch.store.journal import Asked, Journal, SearchRecord, Store, Told
from hpsearch.store.lock import owned
from hpsearch.store.rank import Ranked, rankings
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
    "rankings",
    "studies",
    "trial",
]
