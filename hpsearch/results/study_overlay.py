"""Searches of several studies over each other: the best value so far of each."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from hpsearch.core.errors import ReportError
from hpsearch.results.best_so_far import BestSoFar, collect_best_so_far
from hpsearch.results.trial_filters import value_axis_label, with_baselines
from hpsearch.store import COMPARED, SearchRecord

if TYPE_CHECKING:
    from hpsearch.results.frames import StoreFrames

_WORDS = {"measure": "metric"}


@dataclass(frozen=True)
class StudyOverlay:
    """The searches of studies that compare, as they are drawn.

    Args:
        best: the curves of all searches that have a complete trial.
        label: of the axis of values.
    """

    task: str
    label: str
    best: BestSoFar

    def to_json(self) -> dict[str, Any]:
        """The numbers that are drawn, as plain JSON; None before the first complete trial."""
        return {
            "task": self.task,
            "baselines": dict(self.best.baselines),
            "searches": [
                {
                    "search": search,
                    "name": self.best.names[search],
                    "best": last_best(curve),
                    "epochs": [float(each) for each in curve["epochs"]],
                    "seconds": [float(each) for each in curve["seconds"]],
                    "best_so_far": [
                        float(each) if math.isfinite(each) else None for each in curve["best"]
                    ],
                }
                for search, curve in self.best.curves.items()
            ],
        }


def last_best(curve: pd.DataFrame) -> float:
    """The best value of a search. curve: of `BestSoFar`."""
    return float(curve["best"].iloc[-1])


def overlay_studies(results: "StoreFrames", studies: Sequence[str]) -> StudyOverlay:
    """The searches of these studies.

    Raises ReportError where they do not compare, where one has no complete trial, and where there
    is only one search in all.
    """
    trials = results.trials
    named = [record for record in results.searches if record.study in studies]
    searches = [record for record in named if not record.has_baselines]
    complete = set(trials.loc[trials["state"] == "complete", "search"])
    drawn = [record for record in searches if record.id in complete]
    for study in studies:
        if not any(record.study == study for record in drawn):
            raise ReportError(f"study {study} has no complete trial yet; run it first")
    _refuse_incomparable(drawn)
    if len(drawn) < 2:
        raise ReportError(
            f"study {studies[0]} has one search, and nothing to compare it with; name another study"
        )
    shown = trials.loc[trials["search"].isin([record.id for record in drawn])]
    best = collect_best_so_far(with_baselines(trials, named, shown), named)
    assert best is not None  # each has a complete trial
    return StudyOverlay(drawn[0].task, value_axis_label(shown), best)


def _refuse_incomparable(searches: Sequence[SearchRecord]) -> None:
    first = searches[0]
    for name in COMPARED:
        for other in searches:
            one, two = getattr(first, name), getattr(other, name)
            if one != two:
                what = _WORDS.get(name, name)
                values = "" if name == "data" else f": {one} and {two}"
                raise ReportError(
                    f"studies {first.study} and {other.study} do not compare, as their {what} "
                    f"differs{values}; name studies with the same {what}"
                )
