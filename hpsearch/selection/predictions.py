"""What models predict for rows they were not trained on, and how good that is."""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np

from hpsearch.core import task_kinds
from hpsearch.core.data import Array, Coding, Data, Inputs
from hpsearch.core.errors import DataError
from hpsearch.core.files import write_whole
from hpsearch.core.task import Task
from hpsearch.evaluators.base import error_of_seeds
from hpsearch.run.study import Study
from hpsearch.selection.choice import ModelMember
from hpsearch.training.base import Split

if TYPE_CHECKING:
    from hpsearch.models.kept import Kept


@dataclass(frozen=True, slots=True, eq=False)
class ValidationPrediction:
    """predicted: of shape (n, outputs), for the data's rows of these indices, of shape (n,)."""

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

    It is trained once more as the search trained it first, to its best epoch. Over repeated
    folds predictions are averaged.
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


def check_test(task: Task, data: Data) -> str:
    """The test's fingerprint; DataError where it cannot tell how good a model is."""
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
    if task.metric == "roc_auc" and len(np.unique(y)) < 2:
        raise DataError("y_test has a single class, which has no ROC AUC; say --sealed")
    return fingerprint


def score_test(task: Task, data: Data, models: "Kept", x: Inputs, folder: Path) -> dict[str, Any]:
    """What models make of the test rows, whose prepared inputs are x; nothing else reads their y.

    Together they are the model; `alone` is what each of them is by itself. The predictions are left
    in the folder.
    """
    from hpsearch.models import scoring

    y = data.y_test
    assert y is not None
    each = list(models.each(x))
    together = models.mean(each)
    value, se = scoring.score(task, together, y)
    alone, errors = zip(*(scoring.score(task, predicted, y) for predicted in each), strict=True)
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
    """`scoring.report`; residuals of a logarithm are those of what it was taken of."""
    from hpsearch.models import scoring

    if data.coding is not None and data.coding.logarithm:
        predicted, y = data.coding.in_own_unit(predicted), data.coding.in_own_unit(y)
    return scoring.report(task, predicted, y, data.classes)


def _write_table(path: Path, **blocks: Array) -> None:
    """Blocks of columns as a CSV file."""
    names = [f"{name}_{i}" for name, block in blocks.items() for i in range(block.shape[1])]
    table = np.column_stack(list(blocks.values()))
    text = io.StringIO()
    np.savetxt(text, table, "%.6g", ",", header=",".join(names), comments="")
    write_whole(path, text.getvalue())  # not through a link of that name, to wherever it leads


def _combine_errors(alone: Sequence[float], errors: Sequence[float | None]) -> float | None:
    """Of the mean over seeds: that over rows, which all share, and that of the seeds."""
    if any(error is None for error in errors):
        return None
    over_rows = fmean(error for error in errors if error is not None)
    return math.hypot(over_rows, error_of_seeds(alone))
