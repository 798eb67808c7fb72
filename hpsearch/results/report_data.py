"""The data of a report, read from a store at one time."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from hpsearch import store as stores
from hpsearch.core.errors import StoreError
from hpsearch.core.metric import Metric
from hpsearch.core.space import Space
from hpsearch.core.trial import Outcome
from hpsearch.results.baseline_gain import BaselineGain, find_gain
from hpsearch.results.frames import failure_frame, read_trial_rows, repeat_frame, trial_frame
from hpsearch.results.metric_values import MetricValue, summarize_metrics
from hpsearch.results.trial_filters import short_metric_name
from hpsearch.store import (
    ALL_TRIALS,
    Opening,
    RankedTrial,
    SearchRecord,
    Store,
    TrialFilter,
    Url,
)

MOST_CURVES = 8  # trials whose learning curves are drawn


@dataclass(frozen=True)
class SpaceTrials:
    """The ranked trials of one space, best first, as `StoreFrames` has them.

    Args:
        name: of the studies that have this space.
    """

    name: str
    space: Space
    trials: pd.DataFrame


@dataclass(frozen=True)
class Comparison:
    """Trials whose values compare: of one task, metric, data and evaluator.

    Args:
        searches: of the study or task that the report is about, without those of baselines.
        comparable_searches: all searches of the store whose values compare with these, these too,
            and those of baselines.
        ranking: of `searches`.
        whole_ranking: the same with the baselines, which take their places in it.
        gain: what the best trial brought over the best baseline; None where there is none.
        trials, repeats, failures: of `searches`, as `StoreFrames` has them; running trials too.
        comparable_trials: the trials of `comparable_searches`.
        trainings: of the best trials, by id.
        metric_values: of the ranked trials, by id and name: the metrics recorded beside the task's.
        openings: of this task's sealed test, by this metric.
    """

    searches: Sequence[SearchRecord]
    comparable_searches: Sequence[SearchRecord]
    ranking: Sequence[RankedTrial]
    whole_ranking: Sequence[RankedTrial]
    gain: BaselineGain | None
    trials: pd.DataFrame
    comparable_trials: pd.DataFrame
    repeats: pd.DataFrame
    failures: pd.DataFrame
    trainings: Mapping[int, Sequence[Outcome]]
    metric_values: Mapping[int, Mapping[str, MetricValue]]
    openings: Sequence[Opening]

    @property
    def metric_name(self) -> str:
        """The metric's short name, without the kind of a loss."""
        return short_metric_name(self.searches[0].measure)

    @property
    def metric(self) -> Metric:
        """The metric with its direction."""
        return self.searches[0].metric

    @property
    def metric_names(self) -> list[str]:
        """The metrics that any ranked trial recorded beside the task's."""
        found = (name for values in self.metric_values.values() for name in values)
        return list(dict.fromkeys(found))

    @property
    def best(self) -> RankedTrial | None:
        """The first of the ranking; None where no trial is complete."""
        return self.ranking[0] if self.ranking else None

    @property
    def simplest(self) -> RankedTrial | None:
        """The simplest trial within one standard error of the best, where that is known."""
        return next((row for row in self.ranking if row.one_se), None)

    @cached_property
    def ranked_trials(self) -> pd.DataFrame:
        """The ranked trials, best first."""
        order = [row.trial for row in self.ranking]
        # The frames lack searches that were put aside after the ranking was read.
        return self.trials.loc[[trial for trial in order if trial in self.trials.index]]

    @cached_property
    def trials_by_space(self) -> list[SpaceTrials]:
        """The ranked trials by space, in the order of their best trials."""
        spaces = {search.id: search.space for search in self.searches}
        return [
            SpaceTrials(
                ", ".join(sorted(trials["study"].unique())),
                Space.from_json(json.loads(str(space))),
                trials,
            )
            for space, trials in self.ranked_trials.groupby(
                self.ranked_trials["search"].map(spaces), sort=False
            )
        ]


@dataclass(frozen=True)
class ReportData:
    """Everything a report shows.

    Args:
        kind: "study" or "task": what the report is about.
        comparisons: the ones with most trials first.
    """

    kind: str
    name: str
    task: str
    comparisons: Sequence[Comparison]


def read_report_data(
    path: Path | Url,
    *,
    study: str | None = None,
    task: str | None = None,
    only: TrialFilter = ALL_TRIALS,
) -> ReportData:
    """Read everything that a report of a study, or of a task, shows; the store has to hold it.

    Args:
        only: report these trials alone.

    Raises StoreError where there are none, or `only` names what the store does not have.
    """
    with Store(path) as store:
        searches = store.searches()
        labels = stores.read_labels(store)
        if only:
            only.check(searches, labels)
        of_name = [s for s in searches if s.study == study or s.task == task]
        chosen = [s for s in of_name if only.takes_search(s)]
        if chosen and all(search.has_baselines for search in chosen):
            raise StoreError(
                f"{study or task} has only baselines here, which make no report of their own; "
                "`rank` lists them"
            )
        if not chosen:
            raise StoreError(f"{study or task} has no trial of {only}; leave that out")
        kind, name, task = "study" if study else "task", study or task, chosen[0].task
        alike: dict[tuple[str, ...], list[SearchRecord]] = {}
        for search in searches:
            alike.setdefault(search.comparison, []).append(search)
        with_baselines = {
            key: [search for search in group if search in chosen] for key, group in alike.items()
        }
        mine = {
            key: [search for search in group if not search.has_baselines]
            for key, group in with_baselines.items()
        }
        # Rankings are read before frames, so that the frames have every ranked trial, also while
        # a search writes.
        rankings = {
            key: stores.rank_records(store, with_baselines[key], only)
            for key, group in mine.items()
            if group
        }
        gains = {key: find_gain(store, ranking) for key, ranking in rankings.items()}
        searched = {
            key: [row for row in ranking if row.baseline is None]
            for key, ranking in rankings.items()
        }
        openings = stores.list_openings(store, task)
        trainings = {
            row.trial: _read_trainings(store, row.trial)
            for ranking in searched.values()
            for row in ranking[:MOST_CURVES]
        }
        of_task = [search.id for search in searches if search.task == task]
        rows = read_trial_rows(store, of_task)
        if only.tags:
            takes = [
                only.takes_trial(trial, of_study, labels)
                for trial, of_study in zip(rows["trial"], rows["study"], strict=True)
            ]
            rows = rows.loc[takes]
            if not rows["search"].isin([search.id for search in chosen]).any():
                raise StoreError(f"{study or task} has no trial of {only}; leave that out")
        recorded = stores.read_metrics(store, of_task)
        trials, failures = trial_frame(rows, recorded), failure_frame(rows)
        repeats = repeat_frame(store, of_task)
    comparisons = []
    for key, ranking in searched.items():
        own = trials[trials["search"].isin([search.id for search in mine[key]])]
        studies = {search.study for search in mine[key]}
        comparisons.append(
            Comparison(
                mine[key],
                alike[key],
                ranking,
                rankings[key],
                gains[key],
                own,
                trials[trials["search"].isin([search.id for search in alike[key]])],
                repeats[repeats["trial"].isin(own.index)],
                failures[failures.index.isin(own.index)],
                {row.trial: trainings[row.trial] for row in ranking[:MOST_CURVES]},
                {
                    row.trial: summarize_metrics(row.evaluator, recorded[row.trial])
                    for row in rankings[key]
                    if row.trial in recorded
                },
                [o for o in openings if o.study in studies and o.measure == mine[key][0].measure],
            )
        )
    comparisons.sort(key=lambda each: -len(each.trials))
    return ReportData(kind, str(name), task, comparisons)


def _read_trainings(store: Store, trial: int) -> list[Outcome]:
    search, number = stores.locate_trial(store, trial)
    return store.journal(search).trainings(number)
