"""What a report tells, read from a store once."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from hpsearch import store as stores
from hpsearch.core.space import Space
from hpsearch.core.task import Metric
from hpsearch.core.trial import Outcome
from hpsearch.results.frames import failure_frame, repeat_frame, trial_frame
from hpsearch.results.trials import short_metric_name
from hpsearch.store import Opening, RankedTrial, SearchRecord, Store, Url

BEST = 8  # trials whose learning curves are drawn


@dataclass(frozen=True)
class Family:
    """The ranked trials of one space, best first, as `StoreFrames` has them."""

    name: str
    space: Space
    trials: pd.DataFrame


@dataclass(frozen=True)
class Comparison:
    """Trials whose values may be compared: of one task, metric, data and evaluator.

    trials, repeats, failures: as `StoreFrames` has them, running trials too. peers: the trials of all
    studies of the store that may be compared with these; rivals: their searches. trainings: of the
    best trials, by id. openings: of this task's sealed test, by this metric.
    """

    searches: Sequence[SearchRecord]
    rivals: Sequence[SearchRecord]
    ranking: Sequence[RankedTrial]
    trials: pd.DataFrame
    peers: pd.DataFrame
    repeats: pd.DataFrame
    failures: pd.DataFrame
    trainings: Mapping[int, Sequence[Outcome]]
    openings: Sequence[Opening]

    @property
    def metric(self) -> str:
        """Its name as axes have room for: "loss", not which."""
        return short_metric_name(self.searches[0].measure)

    @property
    def better(self) -> Metric:
        """What tells which values are better."""
        return self.searches[0].metric

    @property
    def winner(self) -> RankedTrial | None:
        return self.ranking[0] if self.ranking else None

    @property
    def simplest(self) -> RankedTrial | None:
        return next((row for row in self.ranking if row.one_se), None)

    @cached_property
    def ranked(self) -> pd.DataFrame:
        """The ranked trials, best first."""
        order = [row.trial for row in self.ranking]
        # Of a search that was put aside since, the frames know nothing any more.
        return self.trials.loc[[trial for trial in order if trial in self.trials.index]]

    @cached_property
    def families(self) -> list[Family]:
        """By space, in the order of their best trials."""
        spaces = {search.id: search.space for search in self.searches}
        return [
            Family(
                ", ".join(sorted(trials["study"].unique())),
                Space.from_json(json.loads(str(space))),
                trials,
            )
            for space, trials in self.ranked.groupby(self.ranked["search"].map(spaces), sort=False)
        ]


@dataclass(frozen=True)
class Gathered:
    """kind: "study" or "task", whose report it is; comparisons: those with most trials first."""

    kind: str
    name: str
    task: str
    comparisons: Sequence[Comparison]


def gather(path: Path | Url, *, study: str | None = None, task: str | None = None) -> Gathered:
    """Everything a report of a study, or of a task, tells; the store has to know it."""
    with Store(path) as store:
        searches = store.searches()
        chosen = [s for s in searches if s.study == study or s.task == task]
        kind, name, task = "study" if study else "task", study or task, chosen[0].task
        alike: dict[tuple[str, ...], list[SearchRecord]] = {}
        for search in searches:
            alike.setdefault(search.comparison, []).append(search)
        mine = {
            key: [search for search in group if search in chosen] for key, group in alike.items()
        }
        # What is ranked is read first: a trial that ends meanwhile is in the frames alone.
        rankings = {
            key: stores.rank_searches(store, {search.id for search in group})
            for key, group in mine.items()
            if group
        }
        openings = stores.list_openings(store, task)
        trainings = {
            row.trial: _trainings(store, row.trial)
            for ranking in rankings.values()
            for row in ranking[:BEST]
        }
        of_task = [search.id for search in searches if search.task == task]
        trials = trial_frame(store, of_task)
        repeats = repeat_frame(store, of_task)
        failures = failure_frame(store, of_task)
    comparisons = []
    for key, ranking in rankings.items():
        own = trials[trials["search"].isin([search.id for search in mine[key]])]
        studies = {search.study for search in mine[key]}
        comparisons.append(
            Comparison(
                mine[key],
                alike[key],
                ranking,
                own,
                trials[trials["search"].isin([search.id for search in alike[key]])],
                repeats[repeats["trial"].isin(own.index)],
                failures[failures.index.isin(own.index)],
                {row.trial: trainings[row.trial] for row in ranking[:BEST]},
                [o for o in openings if o.study in studies and o.measure == mine[key][0].measure],
            )
        )
    comparisons.sort(key=lambda each: -len(each.trials))
    return Gathered(kind, str(name), task, comparisons)


def _trainings(store: Store, trial: int) -> list[Outcome]:
    search, number = stores.locate_trial(store, trial)
    return store.journal(search).trainings(number)
