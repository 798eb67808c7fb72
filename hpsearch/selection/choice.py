"""What the final model is made of: which points, and how long each is trained."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from hpsearch.core.errors import HpsearchError
from hpsearch.core.option_text import at_least_one
from hpsearch.core.task import Metric
from hpsearch.evaluators.base import error_of_seeds, mean_curve
from hpsearch.store import RankedTrial, SearchRecord, Store, locate_trial, rank_searches
from hpsearch.training.base import batch_size

Scale = Literal["epochs", "steps"]
SCALES: tuple[Scale, ...] = get_args(Scale)


@dataclass(frozen=True, slots=True)
class Choice:
    """How the final model is chosen and trained.

    trial: the id of one; else `one_se` says whether the simplest within one standard error of the
    best is taken, or the best. ensemble: of how many of the best an ensemble is chosen instead.
    seeds: models of each. scale: what stays as it was, now that there are more rows: the number of
    epochs, or that of optimizer steps. sealed: leave the test closed.
    """

    trial: int | None = None
    one_se: bool = False
    ensemble: int | None = None
    seeds: int = 3
    scale: Scale = "epochs"
    sealed: bool = False

    def __post_init__(self) -> None:
        at_least_one(self, trial=self.trial, ensemble=self.ensemble, seeds=self.seeds)
        ways = {"trial": self.trial, "one_se": self.one_se, "ensemble": self.ensemble}
        if len(given := [f"{way}={value}" for way, value in ways.items() if value]) > 1:
            raise HpsearchError(f"{' and '.join(given)} exclude each other; name one")

    @property
    def label(self) -> str:
        if self.ensemble:
            return f"an ensemble of the best {self.ensemble}"
        if self.one_se:
            return "the simplest within one standard error of the best"
        return "named by its trial" if self.trial else "the best"


@dataclass(frozen=True, slots=True)
class Member:
    """A point of the final model. value, se: as ranked. of_seeds: the part of the error that its
    repeats tell. best_epoch: of the mean curve over its folds and repeats, where it was trained on
    `rows` rows on average.
    """

    trial: int
    params: Mapping[str, Any]
    value: float
    se: float | None
    of_seeds: float
    n_weights: int
    best_epoch: int
    rows: int

    def epochs(self, rows: int, scale: Scale) -> int:
        """Those that stand for its best epoch where there are so many rows."""
        return scaled_epochs(self.best_epoch, self.rows, rows, batch_size(self.params), scale)


def scaled_epochs(best_epoch: int, before: int, after: int, batch: int, scale: Scale) -> int:
    """The epochs on `after` rows that stand for `best_epoch` on `before`, at least 1.

    >>> scaled_epochs(20, 300, 400, 100, "epochs"), scaled_epochs(20, 300, 400, 100, "steps")
    (20, 15)
    """
    if scale == "epochs":
        return best_epoch
    return max(1, round(best_epoch * math.ceil(before / batch) / math.ceil(after / batch)))


def candidates(
    store: Store, searches: Sequence[SearchRecord], choice: Choice, metric: Metric, trained_on: int
) -> list[Member]:
    """The one that is chosen, or for an ensemble the best few, best first.

    trained_on: rows, on average over folds. Raises HpsearchError where none is complete, or the trial named is not among them.
    """
    rows = rank_searches(store, [search.id for search in searches])
    if not rows:
        raise HpsearchError("no trial of the study is complete yet; run it first")
    return [_member(store, row, metric, trained_on) for row in _chosen(rows, choice)]


def _chosen(rows: Sequence[RankedTrial], choice: Choice) -> Sequence[RankedTrial]:
    if choice.ensemble is not None:
        safe = [row for row in rows if row.failed_repeats == 0]
        return (safe or rows)[: choice.ensemble]
    if choice.trial is not None:
        found = [row for row in rows if row.trial == choice.trial]
        if not found:
            raise HpsearchError(
                f"trial {choice.trial} is not in the study's ranking; its trials are "
                f"{', '.join(str(row.trial) for row in rows[:20])}"
                f"{' ...' if len(rows) > 20 else ''}"
            )
        return found
    if choice.one_se:
        found = [row for row in rows if row.one_se]
        if not found:
            raise HpsearchError(
                "the best trial has no standard error to choose within: its one split tells none; "
                "search by --evaluator kfold, or name a --trial"
            )
        return found
    return rows[:1]


def _member(store: Store, row: RankedTrial, metric: Metric, trained_on: int) -> Member:
    search, number = locate_trial(store, row.trial)
    trainings = store.journal(search).trainings(number)
    scores = [training.score for training in trainings if training.score]
    folds = [fold for score in scores for fold in score.folds]
    curve = mean_curve([fold.validation for fold in folds])
    return Member(
        row.trial,
        row.params,
        row.value,
        row.se,
        error_of_seeds([score.value for score in scores]),
        row.n_weights,
        metric.best(curve) + 1,
        trained_on,
    )
