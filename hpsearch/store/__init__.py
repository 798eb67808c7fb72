"""The results store: a journal, and the ranking read from it. See README.md."""

from hpsearch.store.database import Rows
from hpsearch.store.flat import all_curves, all_repeats, all_trials
from hpsearch.store.journal import Journal
from hpsearch.store.lock import study_lock
from hpsearch.store.monitor import EndedTrial, RunningTrial, SearchMonitor, monitor_search
from hpsearch.store.openings import Opening, judge, open_test, openings
from hpsearch.store.rank import Ranked, ranking, rankings
from hpsearch.store.read import number_of, pace, studies, trial
from hpsearch.store.records import COMPARED, Asked, SearchRecord, Told
from hpsearch.store.runs import End, Heartbeat, RunRecord, last_run
from hpsearch.store.store import Store, exists
from hpsearch.store.url import Url, default_place, folder_of, place

__all__ = [
    "COMPARED",
    "Asked",
    "End",
    "EndedTrial",
    "Heartbeat",
    "Journal",
    "Opening",
    "Ranked",
    "Rows",
    "RunRecord",
    "RunningTrial",
    "SearchMonitor",
    "SearchRecord",
    "Store",
    "Told",
    "Url",
    "all_curves",
    "all_repeats",
    "all_trials",
    "default_place",
    "exists",
    "folder_of",
    "judge",
    "last_run",
    "monitor_search",
    "number_of",
    "open_test",
    "openings",
    "pace",
    "place",
    "ranking",
    "rankings",
    "studies",
    "study_lock",
    "trial",
]
