"""What a report tells, read from a store once."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from hpsearch import store as stores
from hpsearch.report.results import Results
from hpsearch.space import Space
from hpsearch.store import Opening, Ranked, SearchRecord, Store, Url
from hpsearch.trial import Outcome

BEST = 8  # trials whose learning curves are drawn


@dataclass(frozen=True)
class Family:
    """The ranked trials of one space, best first."""

    name: str
    space: Space
    rows: Sequence[Ranked]


@dataclass(frozen=True)
class Comparison:
    """Trials whose values may be compared: of one task, metric, data and evaluator.

    trials: a row each, running and failed ones too. peers: the same of all studies of the store
    that may be compared with them. trainings: of the best trials, by id. openings: of this task's
    sealed test, by this metric.
    """

    searches: Sequence[SearchRecord]
    ranking: Sequence[Ranked]
    trials: pd.DataFrame
    peers: pd.DataFrame
    failures: pd.DataFrame
    trainings: Mapping[int, Sequence[Outcome]]
    openings: Sequence[Opening]

    @property
    def metric(self) -> str:
        """Its name as axes have room for: "loss", not which."""
        return self.searches[0].measure.partition(" (")[0]

    @property
    def sign(self) -> int:
        """1 where more is better, else -1."""
        return 1 if self.searches[0].direction == "max" else -1

    @property
    def winner(self) -> Ranked | None:
        return self.ranking[0] if self.ranking else None

    @property
    def simplest(self) -> Ranked | None:
        return next((row for row in self.ranking if row.one_se), None)

    def best(self, values: "pd.Series[float]") -> "pd.Series[float]":
        """The best so far."""
        return values.cummax() if self.sign > 0 else values.cummin()

    @cached_property
    def families(self) -> list[Family]:
        """By space, in the order of their best trials."""
        spaces = {search.id: search.space for search in self.searches}
        owners: dict[int, int] = self.trials["search"].to_dict()  # type: ignore[assignment]
        found: dict[str, list[Ranked]] = {}
        for row in self.ranking:
            if row.trial in owners:
                found.setdefault(spaces[owners[row.trial]], []).append(row)
        return [
            Family(
                ", ".join(sorted({row.study for row in rows})),
                Space.from_json(json.loads(text)),
                rows,
            )
            for text, rows in found.items()
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
            alike.setdefault(_key(search), []).append(search)
        mine = {
            key: [search for search in group if search in chosen] for key, group in alike.items()
        }
        # What is ranked is read first: a trial that ends meanwhile is in the frames alone.
        rankings = {
            key: stores.ranking(store, {search.id for search in group})
            for key, group in mine.items()
            if group
        }
        openings = stores.openings(store, task)
        trainings = {
            row.trial: _trainings(store, row.trial)
            for ranking in rankings.values()
            for row in ranking[:BEST]
        }
    results = Results(path, task=task)
    trials, failures = results.trials, results.failures
    comparisons = []
    for key, ranking in rankings.items():
        of_these = trials["search"].isin([search.id for search in mine[key]])
        failed = failures.index.isin(trials.index[of_these])
        studies = {search.study for search in mine[key]}
        comparisons.append(
            Comparison(
                mine[key],
                ranking,
                trials[of_these],
                trials[trials["search"].isin([search.id for search in alike[key]])],
                failures[failed],
                {row.trial: trainings[row.trial] for row in ranking[:BEST]},
                [o for o in openings if o.study in studies and o.measure == mine[key][0].measure],
            )
        )
    comparisons.sort(key=lambda each: -len(each.trials))
    return Gathered(kind, str(name), task, comparisons)


def _key(search: SearchRecord) -> tuple[str, ...]:
    return search.task, search.measure, search.evaluator, search.data, search.direction


def _trainings(store: Store, trial: int) -> list[Outcome]:
    search, number = stores.number_of(store, trial)
    return store.journal(search).trainings(number)
