"""The results store: a journal, and the ranking read from it. See README.md."""

from hpsearch.store.database import QueryResult
from hpsearch.store.details import read_costs, read_first_curves, read_fold_values
from hpsearch.store.flat import read_all_curves, read_all_repeats, read_all_trials
from hpsearch.store.journal import Journal
from hpsearch.store.lock import study_lock
from hpsearch.store.metrics import MetricAtBest, TrialMetrics, read_metrics
from hpsearch.store.monitor import EndedTrial, RunningTrial, SearchMonitor, monitor_search
from hpsearch.store.openings import Opening, list_openings, open_test, record_test_result
from hpsearch.store.rank import (
    MetricRanking,
    RankedTrial,
    rank_by_metric,
    rank_searches,
    rank_tasks,
)
from hpsearch.store.read import list_studies, locate_trial, measure_pace, read_trial
from hpsearch.store.records import COMPARED, AskedEvent, MetricCurves, SearchRecord, ToldEvent
from hpsearch.store.rows import ParsedCurves
from hpsearch.store.runs import Heartbeat, RunEnd, RunRecord, read_last_run
from hpsearch.store.store import Store, has_store
from hpsearch.store.url import Url, default_place, folder_beside, parse_place

__all__ = [
    "COMPARED",
    "AskedEvent",
    "EndedTrial",
    "Heartbeat",
    "Journal",
    "MetricAtBest",
    "MetricCurves",
    "MetricRanking",
    "Opening",
    "ParsedCurves",
    "QueryResult",
    "RankedTrial",
    "RunEnd",
    "RunRecord",
    "RunningTrial",
    "SearchMonitor",
    "SearchRecord",
    "Store",
    "ToldEvent",
    "TrialMetrics",
    "Url",
    "default_place",
    "folder_beside",
    "has_store",
    "list_openings",
    "list_studies",
    "locate_trial",
    "measure_pace",
    "monitor_search",
    "open_test",
    "parse_place",
    "rank_by_metric",
    "rank_searches",
    "rank_tasks",
    "read_all_curves",
    "read_all_repeats",
    "read_all_trials",
    "read_costs",
    "read_first_curves",
    "read_fold_values",
    "read_last_run",
    "read_metrics",
    "read_trial",
    "record_test_result",
    "study_lock",
]
