"""All searches of a store side by side: what each found, what it took, and how it stands."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from hpsearch import store as stores
from hpsearch.results.baseline_gain import BaselineGain, read_gain
from hpsearch.results.best_so_far import own_epochs
from hpsearch.results.failure_causes import FailureCause, group_failures
from hpsearch.results.frames import failure_frame, read_trial_rows, repeat_frame, trial_frame
from hpsearch.store import RankedTrial, RunRecord, SearchRecord, Store, Url, read_last_run


@dataclass(frozen=True, slots=True)
class SearchOverview:
    """One search of a store.

    Args:
        run: its last run.
        best: its first trial by rank; None where none is complete.
        first: the longest training of the point that it tried first, which is the builder's
            default where there is one; None where that is not complete.
        over_baseline: what the best brought over the best baseline; None where there is none.
        ties: how many other trials are not significantly different from the best.
        complete, failed, unfinished: how many trials.
        epochs, seconds: trained, with those of repeats.
        failures: the causes of its failed trials, the most frequent first.
        test_was_opened: whether a model of the study was tested on the sealed rows.
    """

    record: SearchRecord
    run: RunRecord | None
    best: RankedTrial | None
    first: RankedTrial | None
    over_baseline: BaselineGain | None
    ties: int
    complete: int
    failed: int
    unfinished: int
    epochs: int
    seconds: float
    failures: Sequence[FailureCause]
    test_was_opened: bool

    @property
    def gain(self) -> float | None:
        """By how much the best value is better than the first point's; None where one is unknown."""
        if self.best is None or self.first is None:
            return None
        best, first = self.best.value, self.first.value
        return best - first if self.record.metric.higher_is_better else first - best

    @property
    def is_running(self) -> bool:
        return self.run is not None and self.run.alive

    @property
    def is_done(self) -> bool:
        """Whether its last run went on to the search's end."""
        return self.run is not None and self.run.ended == "done"


def read_overview(path: Path | Url) -> list[SearchOverview]:
    """All searches of a store that are not put aside, the one with the latest run first."""
    with Store(path) as store:
        searches = [search for search in store.searches() if not search.has_baselines]
        # Rankings are read before frames, so that the frames have every ranked trial.
        rankings = {s.id: stores.rank_records(store, [s]) for s in searches}
        runs = {s.id: read_last_run(store, s.id) for s in searches}
        ids = [search.id for search in searches]
        rows = read_trial_rows(store, ids)
        trials, failures = trial_frame(rows, {}), failure_frame(rows)
        repeats = repeat_frame(store, ids)
        gains = {search.id: read_gain(store, search) for search in searches}
        tested = {opening.study for opening in stores.list_openings(store)}
    found = [
        _describe(
            search,
            runs[search.id],
            rankings[search.id],
            gains[search.id],
            trials[trials["search"] == search.id],
            failures,
            repeats,
            test_was_opened=search.study in tested,
        )
        for search in searches
    ]
    return sorted(found, key=lambda each: -(each.run.id if each.run else 0))


def _describe(
    search: SearchRecord,
    run: RunRecord | None,
    ranking: Sequence[RankedTrial],
    over_baseline: BaselineGain | None,
    trials: pd.DataFrame,
    failures: pd.DataFrame,
    repeats: pd.DataFrame,
    *,
    test_was_opened: bool,
) -> SearchOverview:
    own_repeats = repeats[repeats["trial"].isin(trials.index)]
    state = trials["state"].value_counts()
    epochs = own_epochs(trials)[trials["ended"].notna()].sum() + own_repeats["epochs"].sum()
    return SearchOverview(
        search,
        run,
        ranking[0] if ranking else None,
        _find_first(ranking, trials),
        over_baseline,
        sum(bool(row.tied) for row in ranking[1:]),
        int(state.get("complete", 0)),
        int(state.get("failed", 0)),
        int(state.get("running", 0) + state.get("stopped", 0)),
        int(epochs),
        float(trials["seconds"].sum() + own_repeats["seconds"].sum()),
        group_failures(failures[failures.index.isin(trials.index)]),
        test_was_opened,
    )


def _find_first(ranking: Sequence[RankedTrial], trials: pd.DataFrame) -> RankedTrial | None:
    """The first trial of a search, or the longest one that continues it."""
    if trials.empty:
        return None
    family = {int(trials.index.min())}
    for trial, parent in trials["parent"].sort_index().items():
        if not pd.isna(parent) and int(parent) in family:
            family.add(int(str(trial)))
    known = [row for row in ranking if row.trial in family]
    return max(known, key=lambda row: row.epochs, default=None)
