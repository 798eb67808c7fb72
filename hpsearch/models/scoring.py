"""Score predictions: the task's metric with its standard error over rows, and details."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np

from hpsearch.core import row_scores
from hpsearch.core.arrays import Array, Targets, count_rows, targets_by_name
from hpsearch.core.metric import Metric
from hpsearch.core.row_scores import (
    ABSOLUTE,
    ROOT,
    SQUARED,
    Measure,
    pick_classes,
    subtract_targets,
    true_classes,
)
from hpsearch.core.scores import apply_link
from hpsearch.core.task import Task
from hpsearch.training import metrics
from hpsearch.training.rows import shape_targets

_RESAMPLES = 100
_QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
_IN_UNIT = (  # scikit-learn's, in the unit of the target
    *("neg_mean_absolute_error", "neg_median_absolute_error", "neg_root_mean_squared_error"),
    *("neg_max_error", "max_error", "median_absolute_error", "mean_pinball_loss"),
)


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """What a task's metric is added up from: the metric of one output.

    Args:
        output: its name; "" where there is one.
        share: what its metric is multiplied by.
        task: of that output alone.
        metric: without the output's name.
        predicted: of shape (rows, units), or (rows, steps, classes) of sequences.
        y: targets in the shape that models need.
    """

    output: str
    share: float
    task: Task
    metric: Metric
    predicted: Array
    y: Array


def score(
    task: Task,
    predicted: Targets,
    y: Targets,
    weights: Array | None = None,
    *,
    error: bool = True,
    measures: dict[str, Measure] | None = None,
) -> tuple[float, float | None]:
    """The task's metric over these rows, and its standard error over them.

    Args:
        task: says which metric.
        predicted: of shape (rows, units), or (rows, steps, classes) of sequences; a dict by output
            where there are several.
        y: targets as the task has them.
        weights: of the rows in the metric, shape (rows,), or (rows, steps) of sequences; None: all
            weigh 1.
        error: False: leave out a standard error that takes time.
        measures: for many calls with one task: what takes time to make is kept in it.

    Where the metric is a mean over rows, the error is that of the mean; for its root, by the delta
    method; else by a bootstrap over rows (Efron 1979). All steps of a sequence stay together.
    """
    parts = _split_metric(task, predicted, y)
    if weights is None:
        by_row = [score_rows(p.task, p.metric.name, p.predicted, p.y) for p in parts]
        if all(values is not None for values in by_row):
            rows = sum(part.share * values for part, values in zip(parts, by_row, strict=True))
            return float(rows.mean()), _error_of_mean(rows)
        if parts[0].metric.name in ROOT:
            squares = score_rows(parts[0].task, "mse", parts[0].predicted, parts[0].y)
            assert squares is not None
            root = math.sqrt(float(squares.mean()))
            of_squares = _error_of_mean(squares)
            return root, None if of_squares is None else of_squares / (2 * root) if root else 0.0

    made = {} if measures is None else measures
    for part in parts:
        if part.output not in made:
            made[part.output] = metrics.make_measure(part.task, part.metric)

    def measure(rows: Any) -> float:
        return sum(
            part.share
            * made[part.output](
                part.predicted[rows], part.y[rows], None if weights is None else weights[rows]
            )
            for part in parts
        )

    def measure_drawn(rows: Any) -> float:
        try:
            return measure(rows)
        except Exception:  # a function of the user's own, for example where a class is missing
            return math.nan

    value = measure(slice(None))
    if not error:
        return value, None
    rng, count = np.random.default_rng(0), count_rows(y)
    values = [measure_drawn(rng.integers(count, size=count)) for _ in range(_RESAMPLES)]
    finite = [value for value in values if math.isfinite(value)]
    return value, float(np.std(finite, ddof=1)) if len(finite) > 1 else None


def _split_metric(task: Task, predicted: Targets, y: Targets) -> list[_Part]:
    """The parts of the task's metric; several only of the loss of several outputs."""
    objective, predictions, targets = task.objective, targets_by_name(predicted), targets_by_name(y)
    own = replace(objective, name=objective.own_name, output="")
    shares = {objective.output: 1.0}
    if task.has_several_outputs and not objective.output:
        shares = task.weigh_losses()
    parts = []
    for name, share in shares.items():
        part = task.parts[name]
        true = shape_targets(part, targets[name])
        # Of images and the like, predictions are in one row, and losses compare them by shape.
        alike = predictions[name].size == true.size
        shaped = predictions[name].reshape(true.shape) if alike else predictions[name]
        parts.append(_Part(name, share, part, own, shaped, true))
    return parts


def score_rows(task: Task, metric: str, predicted: Array, y: Array) -> Any:
    """The metric of each row, of shape (rows,); None where it is not a mean over rows.

    Of a sequence, it is the mean over the row's steps. The task has one output.
    """
    y = shape_targets(task, y)
    if metric == "loss":
        loss = keras.losses.get(task.loss)
        pointwise = loss.call if isinstance(loss, keras.losses.Loss) else loss
        values = pointwise(keras.ops.convert_to_tensor(y), keras.ops.convert_to_tensor(predicted))
        values = keras.ops.convert_to_numpy(values).astype(np.float64)
        if not values.ndim or len(values) != len(y):  # one number for all rows, as Dice has it
            return None
        return values.reshape(len(y), -1).mean(1)
    return row_scores.score_rows(task, metric, predicted, y)


def unit_power(metric: str) -> int | None:
    """The power of the target's unit that a metric is in; None where that is not known."""
    if metric in ABSOLUTE + ROOT + _IN_UNIT:
        return 1
    return 2 if metric in (*SQUARED, "neg_mean_squared_error") else None


def report(
    task: Task,
    predicted: Targets,
    y: Targets,
    known: Sequence[str] = (),
    weights: Array | None = None,
) -> dict[str, Any]:
    """Details beside the metric, as plain JSON.

    For a classification: the accuracy; precision, recall, F1 and the number of rows by class; the
    confusion matrix (row: true, column: predicted). Where a row may have several labels, the
    accuracy is over all labels, and there is no confusion matrix. For sequences, all of it is over
    steps, and the numbers of steps are called `steps`. For a regression: mean absolute and root mean squared error; quantiles of the residuals
    (predicted minus true); the means of predicted and true values for each tenth of the rows, by
    the true value. Of several outputs: `outputs`, with these of each.

    Args:
        task: says which of these.
        predicted: of shape (rows, units), or (rows, steps, classes) of sequences; a dict by output
            where there are several.
        y: targets as the task has them.
        known: names of the classes, if they have any.
        weights: of each step of sequences, shape (rows, steps); steps of weight 0 are left out.
            Weights of rows have no effect.
    """
    predictions, targets = targets_by_name(predicted), targets_by_name(y)
    if task.has_several_outputs:
        return {
            "outputs": {
                name: report(part, predictions[name], targets[name])
                for name, part in task.parts.items()
            }
        }
    return _report_output(task, predictions[""], targets[""], known, weights)


def _report_output(
    task: Task, predicted: Array, y: Array, known: Sequence[str], weights: Array | None
) -> dict[str, Any]:
    """`report` of one output."""
    if not task.classifies:
        true = shape_targets(task, y).reshape(len(y), -1).mean(axis=1)
        residuals = subtract_targets(predicted, shape_targets(task, y))
        tenths = [rows for rows in np.array_split(np.argsort(true, kind="stable"), 10) if len(rows)]
        quantiles = np.quantile(residuals, _QUANTILES)
        return {
            "mae": float(np.abs(residuals).mean()),
            "rmse": math.sqrt(float((residuals**2).mean())),
            "residuals": {
                f"{share:.0%}": float(value)
                for share, value in zip(_QUANTILES, quantiles, strict=True)
            },
            "against_true": [
                {"true": float(true[rows].mean()), "predicted": float(predicted[rows].mean())}
                for rows in tenths
            ],
        }
    if task.from_logits:
        predicted = apply_link(predicted, task.link)
    if task.kind_of(y) == "multilabel":
        true, found = y > 0.5, predicted > 0.5
        names = np.arange(y.shape[1])
        return _report_classes(true, found, names, known)
    from sklearn.metrics import confusion_matrix

    true, found = true_classes(task, y), pick_classes(predicted)
    counts: dict[str, Any] = {}
    if task.is_sequence(y):
        counted = np.ones(true.shape, bool)
        if weights is not None and weights.ndim == 2:
            counted = weights > 0
        true, found = true[counted], found[counted]
        counts = {"steps": len(true), "steps_left_out": int((~counted).sum())}
    names = np.unique(np.concatenate([true, found]))
    confusion = confusion_matrix(true, found, labels=names).tolist()
    by_class = _report_classes(true, found, names, known, "steps" if counts else "rows")
    return {**counts, **by_class, "confusion": confusion}


def _report_classes(
    true: Array, found: Array, names: Array, known: Sequence[str], counted: str = "rows"
) -> dict[str, Any]:
    """Scores of each class. counted: what has a class, "rows" or "steps"."""
    from sklearn.metrics import precision_recall_fscore_support

    columns = precision_recall_fscore_support(true, found, labels=names, zero_division=0)
    return {
        "accuracy": float((true == found).mean()),
        "classes": [
            {
                "class": known[name] if known else int(name),
                "precision": float(precision),
                "recall": float(recall),
                "f1": float(f1),
                counted: int(number),
            }
            for name, precision, recall, f1, number in zip(names, *columns, strict=True)
        ],
    }


def _error_of_mean(values: Sequence[float] | Array) -> float | None:
    return float(np.std(values, ddof=1) / math.sqrt(len(values))) if len(values) > 1 else None
