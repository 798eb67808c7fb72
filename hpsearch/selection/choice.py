"""Which points the final model is made of, and how long each is trained."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from hpsearch.core.curves import mean_curve
from hpsearch.core.errors import HpsearchError
from hpsearch.core.metric import Metric
from hpsearch.core.option_text import check_counts, did_you_mean
from hpsearch.evaluators.base import error_of_seeds
from hpsearch.store import RankedTrial, SearchRecord, Store, locate_trial, rank_searches
from hpsearch.training.point_parameters import batch_size

Scale = Literal["epochs", "steps"]
SCALES: tuple[Scale, ...] = get_args(Scale)


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """How the final model is chosen and trained; by default it is the best trial.

    Args:
        trial: take the trial of this id.
        one_se: take the simplest trial within one standard error of the best.
        ensemble: take an ensemble, chosen from this many of the best trials.
        baseline: take the study's baseline of this name; "" takes the best one.
        seeds: how many models of each trial.
        scale: what stays the same though there are more rows: the number of epochs, or of steps.
        sealed: whether the test stays sealed.

    Raises HpsearchError where more than one of trial, one_se, ensemble and baseline is set.
    """

    trial: int | None = None
    one_se: bool = False
    ensemble: int | None = None
    seeds: int = 3
    scale: Scale = "epochs"
    sealed: bool = False
    baseline: str | None = None

    def __post_init__(self) -> None:
        check_counts(self, trial=self.trial, ensemble=self.ensemble, seeds=self.seeds)
        ways: dict[str, Any] = {
            "trial": self.trial,
            "one_se": self.one_se,
            "ensemble": self.ensemble,
        }
        if self.baseline is not None:
            ways["baseline"] = self.baseline or "the best"
        if len(named := [f"{way}={value}" for way, value in ways.items() if value]) > 1:
            raise HpsearchError(f"{' and '.join(named)} exclude each other; name one")

    @property
    def label(self) -> str:
        """How the model was chosen, for its card."""
        if self.ensemble:
            return f"an ensemble of the best {self.ensemble}"
        if self.baseline is not None:
            return f"the baseline {self.baseline}" if self.baseline else "the best baseline"
        if self.one_se:
            return "the simplest within one standard error of the best"
        return "named by its trial" if self.trial else "the best"


@dataclass(frozen=True, slots=True)
class ModelMember:
    """A point of the final model.

    Args:
        value, se: as in the ranking.
        se_of_seeds: the part of the standard error that comes from seeds, by its repeats.
        best_epoch: of the mean curve over its folds and repeats.
        rows: how many rows it was trained on, on average over folds.
        searcher: the label of the one that its search had.
        most_epochs: that a trial of that search can get: schedules reach as far as these.
    """

    trial: int
    params: Mapping[str, Any]
    value: float
    se: float | None
    se_of_seeds: float
    n_weights: int
    best_epoch: int
    rows: int
    searcher: str
    most_epochs: int = 0

    def epochs(self, rows: int, scale: Scale) -> int:
        """How many epochs on so many rows correspond to its best epoch."""
        return scale_epochs(self.best_epoch, self.rows, rows, batch_size(self.params), scale)


def scale_epochs(best_epoch: int, before: int, after: int, batch: int, scale: Scale) -> int:
    """How many epochs on `after` rows correspond to `best_epoch` on `before` rows; at least 1.

    >>> scale_epochs(20, 300, 400, 100, "epochs"), scale_epochs(20, 300, 400, 100, "steps")
    (20, 15)
    """
    if scale == "epochs":
        return best_epoch
    return max(1, round(best_epoch * math.ceil(before / batch) / math.ceil(after / batch)))


def choose_members(
    store: Store,
    searches: Sequence[SearchRecord],
    choice: ModelChoice,
    metric: Metric,
    trained_on: int,
) -> list[ModelMember]:
    """The chosen trial as a member; for an ensemble the best few, best first.

    Args:
        trained_on: rows that trials are trained on, on average over folds.

    Raises HpsearchError where no trial is complete, or where the ranking lacks the named trial.
    """
    rows = rank_searches(store, [search.id for search in searches])
    if not rows:
        what = "baseline" if choice.baseline is not None else "trial"
        raise HpsearchError(f"no {what} of the study is complete yet; run it first")
    return [_make_member(store, row, metric, trained_on) for row in _choose_rows(rows, choice)]


def _choose_rows(rows: Sequence[RankedTrial], choice: ModelChoice) -> Sequence[RankedTrial]:
    if choice.ensemble is not None:
        # A trial with a failed repeat may fail again.
        reliable = [row for row in rows if row.failed_repeats == 0]
        return (reliable or rows)[: choice.ensemble]
    if choice.trial is not None:
        found = [row for row in rows if row.trial == choice.trial]
        if not found:
            raise HpsearchError(
                f"trial {choice.trial} is not in the study's ranking; its trials are "
                f"{', '.join(str(row.trial) for row in rows[:20])}"
                f"{' ...' if len(rows) > 20 else ''}"
            )
        return found
    if choice.baseline:
        found = [row for row in rows if row.baseline == choice.baseline]
        if not found:
            known = [str(row.baseline) for row in rows]
            raise HpsearchError(
                f"the study has no baseline {choice.baseline!r}"
                f"{did_you_mean(choice.baseline, known)}; it has {', '.join(known)}"
            )
        return found[:1]
    if choice.one_se:
        found = [row for row in rows if row.one_se]
        if not found:
            raise HpsearchError(
                "the best trial has no standard error to choose within, because its evaluator has "
                "one split only, or random ones; search by --evaluator kfold, or name a --trial"
            )
        return found
    return rows[:1]


def _make_member(store: Store, row: RankedTrial, metric: Metric, trained_on: int) -> ModelMember:
    search, number = locate_trial(store, row.trial)
    trainings = store.journal(search).trainings(number)
    scores = [training.score for training in trainings if training.score]
    folds = [fold for score in scores for fold in score.folds]
    curve = mean_curve([fold.validation for fold in folds])
    return ModelMember(
        row.trial,
        row.params,
        row.value,
        row.se,
        error_of_seeds([score.value for score in scores]),
        row.n_weights,
        metric.best(curve) + 1,
        trained_on,
        row.searcher,
    )
