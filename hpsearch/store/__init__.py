"""The results store: a journal, and the ranking read from it. See README.md."""

from hpsearch.store.database import Rows
from hpsearch.store.flat import all_curves, all_repeats, all_trials
from hpsearch.store.journal import Journal
from hpsearch.store.lock import owned
from hpsearch.store.openings import Opening, judge, open_test, openings
from hpsearch.store.rank import Ranked, ranking, rankings
from hpsearch.store.read import number_of, pace, studies, trial
from hpsearch.store.records import Asked, SearchRecord, Told
from hpsearch.store.runs import End, RunRecord, Signs, last_run
from hpsearch.store.store import Store, exists
from hpsearch.store.url import Url, default_place, folder_of, place
from hpsearch.store.watching import Ended, Running, Watch, watch

__all__ = [
    "Asked",
    "End",
    "Ended",
    "Journal",
    "Opening",
    "Ranked",
    "Rows",
    "RunRecord",
    "Running",
    "SearchRecord",
    "Signs",
    "Store",
    "Told",
    "Url",
    "Watch",
    "all_curves",
    "all_repeats",
    "all_trials",
    "default_place",
    "exists",
    "folder_of",
    "judge",
    "last_run",
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
    "watch",
]
