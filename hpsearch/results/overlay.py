"""Learning curves of trials, to be drawn over each other."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from hpsearch.core.errors import ReportError
from hpsearch.core.metric import Direction, Metric, plain_metric_name
from hpsearch.core.option_text import did_you_mean
from hpsearch.results.metric_values import curve_column
from hpsearch.results.parameter_axes import describe_differences

if TYPE_CHECKING:
    from hpsearch.results.frames import StoreFrames


@dataclass(frozen=True, slots=True)
class OverlayCurve:
    """One trial's curve: a value an epoch, the mean over folds and trainings.

    Args:
        label: the trial and what distinguishes it from the others.
        std: standard deviation over folds, a value an epoch; None where there is one fold.
        smoothed: the smoothed validation curve after the skipped epochs; empty without smoothing.
        best_epoch: of the best value of `validation`, from 1.
    """

    trial: int
    label: str
    validation: list[float]
    training: list[float]
    std: list[float] | None
    smoothed: list[float]
    best_epoch: int
    folds: int
    trainings: int

    @property
    def best_value(self) -> float:
        return self.validation[self.best_epoch - 1]


@dataclass(frozen=True, slots=True)
class Overlay:
    """Curves of one measure.

    Args:
        smooth: weight of earlier epochs in the smoothed curves; 0: no smoothing.
        skip: epochs that are left out before smoothing.
    """

    measure: str
    direction: Direction
    lines: list[OverlayCurve]
    smooth: float
    skip: int

    def to_json(self) -> dict[str, Any]:
        """The numbers that are drawn, as plain JSON; None for a number that is not finite."""
        return {
            "metric": self.measure,
            "direction": self.direction,
            "smooth": self.smooth,
            "skip": self.skip,
            "trials": [
                {
                    "trial": line.trial,
                    "label": line.label,
                    "best_epoch": line.best_epoch,
                    "best_value": line.best_value,
                    "folds": line.folds,
                    "trainings": line.trainings,
                    "validation": _finite_or_none(line.validation),
                    "training": _finite_or_none(line.training),
                    "std": None if line.std is None else _finite_or_none(line.std),
                    "smoothed": _finite_or_none(line.smoothed),
                }
                for line in self.lines
            ],
        }


def _finite_or_none(values: Sequence[float]) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in values]


def overlay_curves(
    results: "StoreFrames",
    trials: Sequence[int],
    *,
    loss: bool = False,
    metric: str | None = None,
    smooth: float = 0.9,
    skip: int | None = None,
) -> Overlay:
    """The curves of these trials, in this order.

    Args:
        loss: whether to take the minimised loss instead of the metric.
        metric: the name of another metric that was recorded, to take instead of the task's.
        smooth, skip: as `Overlay` has them; skip=None: as many as `default_skip` says.

    Raises ReportError where a trial is unknown or has no such curve, or curves have no common axis.
    """
    if loss and metric is not None:
        raise ReportError(f"draw the loss or the metric {metric!r}, not both at once")
    if not 0 <= smooth < 1:
        raise ReportError(f"smoothing needs 0 <= smooth < 1, got smooth={smooth}")
    rows = _comparable_rows(results, trials)
    shown, columns = _choose_measure(results, rows, loss=loss, metric=metric)
    labels = _curve_labels(results, rows)
    lines = []
    shortest = int(rows["epochs"].min())
    skip = default_skip(shortest) if skip is None else skip
    if not 0 <= skip < shortest:
        raise ReportError(
            f"the shortest of these curves has {shortest} epochs; "
            f"leave out 0 to {shortest - 1} of them, got skip={skip}"
        )
    for trial in rows.index:
        lines.append(_overlay_curve(results, trial, labels[trial], shown, columns, smooth, skip))
    return Overlay(shown.name, shown.direction, lines, smooth, skip)


def default_skip(epochs: int) -> int:
    """How many of the first epochs to leave out, as their values are far from all others.

    >>> default_skip(500), default_skip(20)
    (10, 2)
    """
    return min(10, epochs // 10)


def _overlay_curve(
    results: "StoreFrames",
    trial: int,
    label: str,
    metric: Metric,
    columns: tuple[str, str],
    smooth: float,
    skip: int,
) -> OverlayCurve:
    own = results.curves.loc[results.curves["trial"] == trial]
    training, validation = (average_over_trainings(own, column) for column in columns)
    mean = list[float](validation.mean(axis=1).tolist())
    if not np.isfinite(mean).any():
        raise ReportError(
            f"{metric.name} of trial {trial} is not defined at any epoch; leave it out"
        )
    folds = validation.shape[1]
    return OverlayCurve(
        trial=trial,
        label=label,
        validation=mean,
        training=training.mean(axis=1).tolist(),
        std=validation.std(axis=1, ddof=1).tolist() if folds > 1 else None,
        smoothed=smooth_curve(mean[skip:], smooth) if smooth else [],
        best_epoch=metric.best(mean) + 1,
        folds=folds,
        trainings=own["repeat"].nunique(),
    )


def smooth_curve(values: Sequence[float], weight: float) -> list[float]:
    """The exponential moving average, which begins with the first value.

    As in Chollet, Deep Learning with Python, section 3.6. Values that are not finite are skipped.

    Args:
        values: a value an epoch.
        weight: of the average so far; each new value has the rest.

    >>> smooth_curve([1.0, 2.0, 2.0], 0.5), smooth_curve([1.0, math.nan, 2.0], 0.5)
    ([1.0, 1.5, 1.75], [1.0, 1.0, 1.5])
    """
    found: list[float] = []
    for value in values:
        before = found[-1] if found and math.isfinite(found[-1]) else value
        found.append(before * weight + value * (1 - weight) if math.isfinite(value) else before)
    return found


def average_over_trainings(
    curves: pd.DataFrame, column: str
) -> "np.ndarray[Any, np.dtype[np.float64]]":
    """One trial's curve as the mean over its trainings, shape (epochs, folds).

    It ends where the shortest fold of any training ends.

    Args:
        curves: rows of `StoreFrames.curves` of one trial.
        column: the curve's.
    """
    each = curves.set_index(["epoch", "fold", "repeat"])[column].unstack(["fold", "repeat"])
    last = int(curves.groupby(["fold", "repeat"])["epoch"].max().min())
    whole = each.sort_index(axis=1).loc[:last].to_numpy(dtype=np.float64)
    return np.asarray(whole.reshape(last, curves["fold"].nunique(), -1).mean(axis=2))


def _comparable_rows(results: "StoreFrames", trials: Sequence[int]) -> pd.DataFrame:
    """The rows of these trials, each once. Raises ReportError where one has no curves."""
    known = results.trials
    if not trials:
        raise ReportError("name the trials to be compared: as many as you like, by their numbers")
    for trial in trials:
        if trial not in known.index:
            raise ReportError(f"there is no trial {trial} here; `rank` lists those that are")
        state, failure = str(known.at[trial, "state"]), str(known.at[trial, "failure"])
        if state != "complete":
            kind = f" ({failure})" if state == "failed" else ""
            raise ReportError(f"trial {trial} has no curves, it is {state}{kind}; leave it out")
    return known.loc[list(dict.fromkeys(trials))]


def _choose_measure(
    results: "StoreFrames", rows: pd.DataFrame, *, loss: bool, metric: str | None
) -> tuple[Metric, tuple[str, str]]:
    """What is drawn, and the columns of its curves on training and on validation rows.

    Raises ReportError where a trial did not record the metric, or curves have no common axis.
    """
    measure, direction = _common_measure(rows, loss=loss)
    if loss:
        return Metric(measure, direction), ("train_loss", "validation_loss")
    if metric is None or metric in (measure, plain_metric_name(measure)):
        return Metric(measure, direction), ("train", "validation")
    directions: dict[Direction, int] = {}
    for trial in map(int, rows.index):
        found = results.recorded.get(trial)
        known = found.at_best if found else {}
        if metric not in known:
            names = [plain_metric_name(measure), *known]
            raise ReportError(
                f"trial {trial} did not record a metric {metric!r}{did_you_mean(metric, names)}; "
                f"it has {', '.join(names)}"
            )
        directions.setdefault(known[metric].direction, trial)
    if len(directions) > 1:
        each = ", ".join(f"{way!r} in trial {trial}" for way, trial in directions.items())
        raise ReportError(f"metric {metric!r} is {each}, which have no common axis")
    columns = curve_column("train", metric), curve_column("validation", metric)
    return Metric(metric, next(iter(directions))), columns


def _common_measure(rows: pd.DataFrame, *, loss: bool) -> tuple[str, Direction]:
    """The curves' common measure, and its direction. Losses are comparable within one task only."""
    column = "task" if loss else "metric"
    found = {str(what): trial for trial, what in rows[column].iloc[::-1].items()}
    if len(found) > 1:
        each = ", ".join(f"trial {trial} {what}" for what, trial in reversed(found.items()))
        raise ReportError(
            f"curves have a common axis within one {column}, and here are {each}; "
            f"compare trials of one {column}"
        )
    if loss:
        return "loss", "min"
    return str(rows["metric"].iloc[0]), rows["direction"].iloc[0]


def _curve_labels(results: "StoreFrames", rows: pd.DataFrame) -> dict[int, str]:
    """Labels of trials: study, evaluator, seed and parameters, as far as they differ."""
    points = {}
    for trial, row in rows.iterrows():
        about = {name: row[name] for name in ("task", "study", "evaluator", "seed")}
        points[int(str(trial))] = about | results.points[int(str(trial))]
    return {
        trial: f"trial {trial}" + (f": {text}" if text else "")
        for trial, text in describe_differences(points).items()
    }
