"""Predictions for rows that models were not trained on, their scores, and ensembles of them."""

import io
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np

from hpsearch.core import scores, task_kinds
from hpsearch.core.data import Array, Coding, Data, Inputs
from hpsearch.core.errors import DataError
from hpsearch.core.files import write_whole
from hpsearch.core.task import Task
from hpsearch.evaluators.base import error_of_seeds
from hpsearch.run.study import Study
from hpsearch.selection.choice import ModelMember
from hpsearch.training.base import Split

if TYPE_CHECKING:
    from hpsearch.models.kept import KeptModels


EnsembleWeights = Mapping[int, Fraction]
"""Weights of members by their positions; they add up to 1."""


@dataclass(frozen=True, slots=True, eq=False)
class ValidationPrediction:
    """One member's predictions for the rows it was validated on.

    Args:
        predicted: shape (n, outputs).
        rows: their indices in the data, shape (n,).
    """

    predicted: Array
    rows: Array


def predict_validation_rows(
    study: Study,
    data: Data,
    splits: Sequence[Split],
    members: Sequence[ModelMember],
    *,
    engine: str,
    backend: str,
) -> list[ValidationPrediction]:
    """Each member's predictions for the rows it was validated on.

    Each is trained again as the search trained it first, to its best epoch. Over repeated folds,
    predictions are averaged.
    """
    from hpsearch.models import retrain

    fits = [
        fit
        for member in members
        for fit in study.evaluator.plan_fits(
            splits, study.build, member.params, epochs=member.best_epoch, seed=study.seed
        )
    ]
    trained = retrain.train(study.task, data, fits, engine=engine, backend=backend)
    found: list[ValidationPrediction] = []
    for _ in members:
        # The mean over all splits that validate a row.
        total, times = None, np.zeros(data.rows)
        for split in splits:
            predicted = next(trained).predict_validation()
            if total is None:
                total = np.zeros((data.rows, predicted.shape[1]))
            total[split.validation] += predicted
            times[split.validation] += 1
        assert total is not None
        rows = np.flatnonzero(times)
        found.append(ValidationPrediction(total[rows] / times[rows, None], rows))
    return found


def choose_ensemble(
    task: Task, data: Data, validated: Sequence[ValidationPrediction]
) -> EnsembleWeights:
    """Weights that make the best ensemble on validation rows."""
    from hpsearch.models import scoring

    rows, row_weights = validated[0].rows, task.metric_weights(data)
    y, known = data.y[rows], None if row_weights is None else row_weights[rows]

    def loss(predicted: Array) -> float:
        value, _ = scoring.score(task, predicted, y, known, error=False)
        found = task.objective.loss(value)
        return math.inf if found is None else found

    return choose_greedily([each.predicted for each in validated], loss)


def choose_greedily(
    predictions: Sequence[Array], loss: Callable[[Array], float], *, picks: int = 50
) -> dict[int, Fraction]:
    """Weights of predictions, by their positions, that make the loss of their mean low.

    Greedily adds, with replacement, whichever prediction makes the mean best, starting with the
    best one. Of all means on the way the best is taken, the first of equal ones (Caruana et al.,
    Ensemble Selection from Libraries of Models, ICML 2004, section 2).

    Args:
        loss: of predictions; lower is better.
        picks: how many predictions are added.

    >>> a, b, c = (np.array([v]) for v in (0.0, 3.0, 9.0))
    >>> choose_greedily([a, b, c], lambda mean: abs(float(mean[0]) - 1))
    {0: Fraction(2, 3), 1: Fraction(1, 3)}
    """
    chosen: list[int] = []
    total = np.zeros_like(predictions[0], dtype=np.float64)
    best, best_loss = 0, np.inf
    for size in range(1, picks + 1):
        losses = [loss((total + each) / size) for each in predictions]
        position = int(np.argmin(losses))
        chosen.append(position)
        total += predictions[position]
        if losses[position] < best_loss or not best:
            best, best_loss = size, losses[position]
    counts = Counter(chosen[:best])
    return {position: Fraction(count, best) for position, count in sorted(counts.items())}


def check_test(task: Task, data: Data) -> str:
    """The test's fingerprint. Raises DataError where the test cannot score a model."""
    fingerprint, y = data.test_fingerprint, data.y_test
    assert y is not None
    if not np.isfinite(y).all():
        raise DataError("y_test holds NaN or infinity; drop those rows, or say --sealed")
    numbered = task.kind_of(data.y) == "multiclass" and task_kinds.is_column(y)
    if numbered and task.output_units(data.y) <= y.max():
        raise DataError(
            f"y_test has the class {y.max():g}, which none of the searched rows has; say "
            f"Task(..., outputs={y.max() + 1:g}) and search again, or say --sealed"
        )
    if task.objective.name == "roc_auc" and len(np.unique(y)) < 2:
        raise DataError("y_test has a single class, which has no ROC AUC; say --sealed")
    if (metric := task.objective).needs_predictions and y.ndim <= 2:
        kind, units = task.kind_of(data.y), task.output_units(data.y)
        scores.check_computable(metric, kind, y, units, task.weighted_metrics)
    return fingerprint


def score_test(
    task: Task, data: Data, models: "KeptModels", x: Inputs, folder: Path
) -> dict[str, Any]:
    """Score models on the test rows, and write their predictions into the folder.

    Nothing else reads the test's targets. Beside the models together, `alone` has each one's score.

    Args:
        x: prepared inputs of the test rows.
    """
    from hpsearch.models import scoring

    y = data.y_test
    assert y is not None
    each = list(models.predict_each(x))
    together = models.average(each)
    weights = task.test_weights(data)
    value, se = scoring.score(task, together, y, weights)
    alone, errors = zip(
        *(scoring.score(task, predicted, y, weights) for predicted in each), strict=True
    )
    coding = data.coding or Coding()
    in_table = {"true": y.reshape(len(y), -1), "predicted": together}
    if not task.classifies:
        in_table = {name: coding.in_own_unit(block) for name, block in in_table.items()}
    _write_table(folder / "test.csv", **in_table)
    return {
        "value": value,
        "se": se,
        "rows": len(y),
        "alone": list(alone),
        "alone_mean": fmean(alone),
        "alone_se": _combine_errors(alone, errors),
        **report_scores(task, data, together, y),
    }


def report_scores(task: Task, data: Data, predicted: Array, y: Array) -> dict[str, Any]:
    """`scoring.report`; residuals of a logarithmic target are in the target's own unit."""
    from hpsearch.models import scoring

    if data.coding is not None and data.coding.logarithm:
        predicted, y = data.coding.in_own_unit(predicted), data.coding.in_own_unit(y)
    return scoring.report(task, predicted, y, data.classes)


def _write_table(path: Path, **blocks: Array) -> None:
    """Write blocks of columns, each of shape (rows, columns), as a CSV file."""
    names = [f"{name}_{i}" for name, block in blocks.items() for i in range(block.shape[1])]
    table = np.column_stack(list(blocks.values()))
    text = io.StringIO()
    np.savetxt(text, table, "%.6g", ",", header=",".join(names), comments="")
    write_whole(path, text.getvalue())  # replaces a symbolic link instead of writing through it


def _combine_errors(alone: Sequence[float], errors: Sequence[float | None]) -> float | None:
    """The standard error of the mean over seeds: over rows, which all share, and over seeds."""
    if any(error is None for error in errors):
        return None
    over_rows = fmean(error for error in errors if error is not None)
    return math.hypot(over_rows, error_of_seeds(alone))
