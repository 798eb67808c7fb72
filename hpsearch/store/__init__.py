"""The results store: a journal, and the ranking read from it. See README.md."""

from hpsearch.store.database import QueryResult
from hpsearch.store.details import read_costs, read_first_curves, read_fold_values
from hpsearch.store.flat import read_all_curves, read_all_repeats, read_all_trials
from hpsearch.store.journal import Journal
from hpsearch.store.labels import (
    Labels,
    Target,
    add_tags,
    find_target,
    read_labels,
    remove_tags,
    set_note,
)
from hpsearch.store.lock import study_lock
from hpsearch.store.metrics import MetricAtBest, TrialMetrics, read_metrics
from hpsearch.store.monitor import EndedTrial, RunningTrial, SearchMonitor, monitor_search
from hpsearch.store.openings import Opening, list_openings, open_test, record_test_result
from hpsearch.store.rank import (
    MetricRanking,
    RankedTrial,
    rank_by_metric,
    rank_records,
    rank_searches,
    rank_tasks,
)
from hpsearch.store.read import list_studies, locate_trial, measure_pace, read_trial
from hpsearch.store.records import (
    BASELINES,
    COMPARED,
    AskedEvent,
    MetricCurves,
    SearchRecord,
    ToldEvent,
)
from hpsearch.store.removal import (
    StudyRows,
    check_trial_ended,
    find_present_name,
    find_unfinished_child,
    hidden_trials,
    hide_trial,
    read_study_rows,
    remove_study,
    rename_study,
)
from hpsearch.store.rows import ParsedCurves
from hpsearch.store.runs import Heartbeat, RunEnd, RunRecord, read_last_run
from hpsearch.store.sizes import SearchSize, measure_searches
from hpsearch.store.store import Store, has_store
from hpsearch.store.trial_filter import ALL_TRIALS, TrialFilter
from hpsearch.store.trial_pairs import compare_ranked_trials
from hpsearch.store.url import Url, default_place, folder_beside, parse_place

__all__ = [
    "ALL_TRIALS",
    "BASELINES",
    "COMPARED",
    "AskedEvent",
    "EndedTrial",
    "Heartbeat",
    "Journal",
    "Labels",
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
    "SearchSize",
    "Store",
    "StudyRows",
    "Target",
    "ToldEvent",
    "TrialFilter",
    "TrialMetrics",
    "Url",
    "add_tags",
    "check_trial_ended",
    "compare_ranked_trials",
    "default_place",
    "find_present_name",
    "find_target",
    "find_unfinished_child",
    "folder_beside",
    "has_store",
    "hidden_trials",
    "hide_trial",
    "list_openings",
    "list_studies",
    "locate_trial",
    "measure_pace",
    "measure_searches",
    "monitor_search",
    "open_test",
    "parse_place",
    "rank_by_metric",
    "rank_records",
    "rank_searches",
    "rank_tasks",
    "read_all_curves",
    "read_all_repeats",
    "read_all_trials",
    "read_costs",
    "read_first_curves",
    "read_fold_values",
    "read_labels",
    "read_last_run",
    "read_metrics",
    "read_study_rows",
    "read_trial",
    "record_test_result",
    "remove_study",
    "remove_tags",
    "rename_study",
    "set_note",
    "study_lock",
]
