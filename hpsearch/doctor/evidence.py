"""What the store knows of one search, read once for all checks."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from hpsearch.core.metric import Metric
from hpsearch.core.space import Space
from hpsearch.core.trial import Cost, Curve
from hpsearch.doctor.commands import study_command
from hpsearch.results.baseline_gain import BaselineGain, read_gain
from hpsearch.store import (
    Opening,
    RankedTrial,
    RunRecord,
    SearchRecord,
    Store,
    Url,
    list_openings,
    rank_records,
    read_all_trials,
    read_costs,
    read_first_curves,
    read_fold_values,
    read_last_run,
)

FEWEST_TRIALS = 20  # complete ones; with fewer, more than a quarter would be "the best" five
_BEST = 5  # trials at least that stand for the best, else a tenth of all
_MOST_CURVES = 60  # trials whose curves are read, to be quick in large stores


class TrialFacts(NamedTuple):
    """A trial as the checks need it: the columns of `read_all_trials` by their names."""

    trial: int
    params: Mapping[str, Any]
    state: str
    value: float | None
    se: float | None
    epochs: int
    asked_epochs: int
    parent: int | None
    seconds: float | None
    ended: float | None
    failure: str | None
    message: str | None


@dataclass(frozen=True)
class SearchEvidence:
    """One search.

    Args:
        trials: all of them, in the order in which they were asked.
        ranking: of its complete trials, best first; what was continued stands for itself no more.
        folds: each fold's value in a trial's first training, by the trial's id.
        curves: of the folds in the first trainings of some trials: the best, and some of those
            that were trained in full without having been chosen for it.
        openings: of the sealed test of its task, by any study.
        run: its last one, for commands.
        gain: what its best trial brought over the best baseline; None where there is none.
        place: of the store, for commands; None: it is in memory.
    """

    record: SearchRecord
    trials: Sequence[TrialFacts]
    ranking: Sequence[RankedTrial]
    folds: Mapping[int, Sequence[float]]
    costs: Mapping[int, Cost]
    curves: Mapping[int, Sequence[Curve]]
    openings: Sequence[Opening]
    run: RunRecord | None = None
    gain: BaselineGain | None = None
    place: Path | Url | None = None

    @property
    def metric(self) -> Metric:
        return self.record.metric

    @cached_property
    def space(self) -> Space:
        return Space.from_json(json.loads(self.record.space))

    @cached_property
    def ended(self) -> list[TrialFacts]:
        """The trials that ended, the first to end first."""
        found = [t for t in self.trials if t.state in ("complete", "failed")]
        return sorted(found, key=lambda trial: trial.ended or 0.0)

    @cached_property
    def complete(self) -> list[TrialFacts]:
        """The trials that ended well with a finite value, the first to end first."""
        return [t for t in self.ended if t.value is not None and math.isfinite(t.value)]

    @cached_property
    def roots(self) -> list[TrialFacts]:
        """The complete trials that continue no other: no result has decided who they are."""
        return [trial for trial in self.complete if trial.parent is None]

    @cached_property
    def best(self) -> list[RankedTrial]:
        """The best trials: a tenth of the ranking, at least five; those trained longest first."""
        # Rungs keep the best: asked for fewer epochs, a trial was left behind. One that patience
        # stopped was not.
        order = sorted(self.ranking, key=lambda row: not self.is_full(row))
        return order[: max(_BEST, len(order) // 10)]

    @cached_property
    def _asked_epochs(self) -> dict[int, int]:
        return {trial.trial: trial.asked_epochs for trial in self.trials}

    def is_full(self, row: RankedTrial) -> bool:
        """Whether a ranked trial was trained in full, or as far as its patience went."""
        return self._asked_epochs.get(row.trial, row.epochs) >= self.full_epochs

    @cached_property
    def full_epochs(self) -> int:
        """The epochs of a training in full: the most that any trial was asked for."""
        return max((trial.asked_epochs for trial in self.trials), default=0)

    @cached_property
    def full(self) -> list[TrialFacts]:
        """The complete trials that were asked for in full, the first to end first."""
        return [trial for trial in self.complete if trial.asked_epochs >= self.full_epochs]

    def command(self, name: str, **options: Any) -> str:
        """The command `run` or `refit` on its study, with these options."""
        return study_command(name, self.record, self.place, self.run, **options)

    def loss(self, value: float) -> float:
        """A value, negated where higher is better."""
        return -value if self.metric.higher_is_better else value


def read_evidence(
    store: Store, record: SearchRecord, place: Path | Url | None = None
) -> SearchEvidence:
    """Read all that the checks need of one search. place: the store's, for commands."""
    rows, run = read_all_trials(store, [record.id]), read_last_run(store, record.id)
    trials = [TrialFacts(*(row[name] for name in TrialFacts._fields)) for row in rows.records()]
    ranking = rank_records(store, [record])
    most = max((trial.asked_epochs for trial in trials), default=0)
    chosen = [row.trial for row in ranking[: _MOST_CURVES // 2]]
    whole = [
        t.trial
        for t in trials
        if t.state == "complete" and t.asked_epochs == most and t.parent is None
    ]
    step = max(1, -(-len(whole) // (_MOST_CURVES // 2)))
    return SearchEvidence(
        record,
        trials,
        ranking,
        read_fold_values(store, record.id),
        read_costs(store, record.id),
        read_first_curves(store, sorted({*chosen, *whole[::step]})),
        list_openings(store, record.task),
        run,
        read_gain(store, record),
        place,
    )
