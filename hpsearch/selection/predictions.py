"""Predictions for rows that models were not trained on, their scores, and ensembles of them."""

import csv
import io
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np

from hpsearch.core import scores, task_kinds
from hpsearch.core.arrays import Array, Targets, count_rows, take_rows, targets_by_name
from hpsearch.core.coding import Coding
from hpsearch.core.data import Data
from hpsearch.core.errors import DataError
from hpsearch.core.files import write_whole
from hpsearch.core.task import Task
from hpsearch.evaluators.base import error_of_seeds
from hpsearch.models.output_types import OutputTypes, map_outputs
from hpsearch.runs.study import StudyDefinition
from hpsearch.selection.choice import ModelMember
from hpsearch.training.base import Split

if TYPE_CHECKING:
    from hpsearch.models.kept import KeptModels, PreparedRows


EnsembleWeights = Mapping[int, Fraction]
"""Weights of members by their positions; they add up to 1."""


@dataclass(frozen=True, slots=True, eq=False)
class ValidationPrediction:
    """One member's predictions for the rows it was validated on.

    Args:
        predicted: shape (n, units), or (n, steps, classes) of sequences; a dict by output where
            there are several.
        rows: their indices in the data, shape (n,).
    """

    predicted: Any
    rows: Array


def predict_validation_rows(
    study: StudyDefinition,
    data: Data,
    rows: int,
    splits: Sequence[Split],
    members: Sequence[ModelMember],
    *,
    engine: str,
    backend: str,
) -> list[ValidationPrediction]:
    """Each member's predictions for the rows it was validated on.

    Each is trained again as the search trained it first, to its best epoch. Over repeated folds,
    predictions are averaged.

    Args:
        rows: how many the numbers in `splits` are of.
    """
    from hpsearch.models import retrain

    fits = [
        fit
        for member in members
        for fit in study.evaluator.plan_fits(
            splits,
            study.trial_function,
            member.params,
            epochs=member.best_epoch,
            seed=study.seed,
            most_epochs=member.most_epochs,
            callbacks=study.callbacks,
        )
    ]
    trained = retrain.train(
        study.task,
        data,
        fits,
        engine=engine,
        backend=backend,
        trains_itself=study.train is not None,
    )
    found: list[ValidationPrediction] = []
    for _ in members:
        # The mean over all splits that validate a row.
        total, times = None, np.zeros(rows)
        for split in splits:
            predicted = next(trained).predict_validation()
            if total is None:
                total = map_outputs(lambda each: np.zeros((rows, *each.shape[1:])), predicted)
            map_outputs(partial(_add_at, split.validation), total, predicted)
            times[split.validation] += 1
        validated = np.flatnonzero(times)
        mean = map_outputs(partial(_divide_rows, validated, times[validated]), total)
        found.append(ValidationPrediction(mean, validated))
    return found


def _add_at(rows: Array, total: Array, predicted: Array) -> None:
    total[rows] += predicted


def _divide_rows(rows: Array, by: Array, total: Array) -> Array:
    """These rows, each divided by its own number."""
    return np.asarray(total[rows] / by.reshape(-1, *[1] * (total.ndim - 1)))


def choose_ensemble(
    task: Task, data: Data, validated: Sequence[ValidationPrediction]
) -> EnsembleWeights:
    """Weights that make the best ensemble on validation rows."""
    from hpsearch.models import scoring

    rows, row_weights = validated[0].rows, task.metric_weights(data)
    y, known = take_rows(data.y, rows), None if row_weights is None else row_weights[rows]
    measures: dict[str, Any] = {}

    def loss(predicted: Any) -> float:
        value, _ = scoring.score(task, predicted, y, known, error=False, measures=measures)
        found = task.objective.loss(value)
        return math.inf if found is None else found

    return choose_greedily([each.predicted for each in validated], loss)


def choose_greedily(
    predictions: Sequence[Any], loss: Callable[[Any], float], *, picks: int = 50
) -> dict[int, Fraction]:
    """Weights of predictions, by their positions, that make the loss of their mean low.

    Greedily adds, with replacement, whichever prediction makes the mean best, starting with the
    best one. Of all means on the way the best is taken, the first of equal ones (Caruana et al.,
    Ensemble Selection from Libraries of Models, ICML 2004, section 2).

    Args:
        predictions: arrays, or dicts of arrays by output.
        loss: of predictions; lower is better.
        picks: how many predictions are added.

    >>> a, b, c = (np.array([v]) for v in (0.0, 3.0, 9.0))
    >>> choose_greedily([a, b, c], lambda mean: abs(float(mean[0]) - 1))
    {0: Fraction(2, 3), 1: Fraction(1, 3)}
    """
    chosen: list[int] = []
    total = map_outputs(lambda each: np.zeros_like(each, dtype=np.float64), predictions[0])
    best, best_loss = 0, np.inf
    for size in range(1, picks + 1):
        losses = [loss(map_outputs(partial(_mean_with, size), total, p)) for p in predictions]
        position = int(np.argmin(losses))
        chosen.append(position)
        total = map_outputs(np.add, total, predictions[position])
        if losses[position] < best_loss or not best:
            best, best_loss = size, losses[position]
    counts = Counter(chosen[:best])
    return {position: Fraction(count, best) for position, count in sorted(counts.items())}


def combine(validated: Sequence[ValidationPrediction], weights: EnsembleWeights) -> Any:
    """The weighted mean of members' predictions, for each output."""
    total: Any = None
    for position, weight in weights.items():
        share = map_outputs(lambda each, by=float(weight): by * each, validated[position].predicted)
        total = share if total is None else map_outputs(np.add, total, share)
    return total


def _mean_with(size: int, total: Array, added: Array) -> Any:
    """The mean of `size` arrays, of which the others add up to `total`."""
    return (total + added) / size


def check_test(task: Task, data: Data) -> str:
    """The test's fingerprint. Raises DataError where the test cannot score a model."""
    if data.x_test is None:
        raise DataError(
            "the task has no test rows to open; give it Data(..., x_test=, y_test=) or "
            "Data.streams(test=), or refit with --sealed (sealed=True)"
        )
    fingerprint = data.test_fingerprint
    assert data.y_test is not None
    searched, tested = targets_by_name(data.y), targets_by_name(data.y_test)
    for name, part in task.parts.items():
        called = f"y_test[{name!r}]" if name else "y_test"
        _check_test_targets(part, searched[name], tested[name], called)
    objective = task.objective
    if objective.output or not task.has_several_outputs:
        part, y = task.parts[objective.output], tested[objective.output]
        if objective.own_name == "roc_auc" and len(np.unique(y)) < 2:
            raise DataError("y_test has a single class, which has no ROC AUC; say --sealed")
        if objective.needs_predictions and (y.ndim <= 2 or part.is_sequence(y)):
            kind, units = part.kind_of(y), part.output_units(searched[objective.output])
            scores.check_computable(objective, kind, y, units, task.weighted_metrics)
    weights = task.test_weights(data)
    if weights is not None and not (weights > 0).any():
        raise DataError("all test rows have the weight zero; weigh some, or say --sealed")
    return fingerprint


def _check_test_targets(part: Task, searched: Array, y: Array, called: str) -> None:
    """`check_test` of one output's targets. called: their name in messages."""
    if not np.isfinite(y).all():
        raise DataError(f"{called} holds NaN or infinity; drop those rows, or say --sealed")
    numbered = task_kinds.is_numbered(part.kind_of(searched), part.loss, y)
    if numbered and part.output_units(searched) <= y.max():
        raise DataError(
            f"{called} has the class {y.max():g}, which none of the searched rows has; say "
            f"Task(..., outputs={y.max() + 1:g}) and search again, or say --sealed"
        )


def score_test(
    task: Task, data: Data, models: "KeptModels", rows: "PreparedRows", folder: Path
) -> dict[str, Any]:
    """Score models on the test rows, and write their predictions into the folder.

    Nothing else reads the test's targets. Beside the models together, `alone` has each one's score.

    Args:
        rows: of the test, as `KeptModels.prepare_inputs` gives them.
    """
    from hpsearch.models import scoring

    y = data.y_test
    assert y is not None
    each = list(models.predict_each(rows))
    together = models.average(each)
    weights = task.test_weights(data)
    value, se = scoring.score(task, together, y, weights)
    alone, errors = zip(
        *(scoring.score(task, predicted, y, weights) for predicted in each), strict=True
    )
    _write_table(folder / "test.csv", _make_columns(data, models.outputs, together))
    return {
        "value": value,
        "se": se,
        "rows": count_rows(y),
        "alone": list(alone),
        "alone_mean": fmean(alone),
        "alone_se": _combine_errors(alone, errors),
        **report_scores(task, data, together, y, data.sample_weight_test),
    }


def report_scores(
    task: Task, data: Data, predicted: Any, y: Targets, weights: Array | None
) -> dict[str, Any]:
    """`scoring.report`; residuals of a logarithmic target are in the target's own unit.

    Args:
        weights: `Data.sample_weight` of these rows.
    """
    from hpsearch.models import scoring

    coding = data.coding
    if coding is not None and coding.logarithm and not task.has_several_outputs:
        predicted, y = coding.in_own_unit(predicted), coding.in_own_unit(np.asarray(y))
    return scoring.report(task, predicted, y, data.classes, weights)


def _make_columns(data: Data, outputs: OutputTypes, predicted: Any) -> dict[str, Array]:
    """The columns of test.csv in blocks of shape (rows, columns), by the beginning of their names.

    Of a sequence: the true and the predicted class of each step, and the latter's probability.
    """
    from hpsearch.models.prediction import to_probabilities

    assert data.y_test is not None
    coding, blocks = data.coding or Coding(), {}
    true, by_output = targets_by_name(data.y_test), targets_by_name(predicted)
    for name, output in outputs.items():
        y, shown = true[name], by_output[name]
        found = {"true": y.reshape(len(y), -1), "predicted": shown}
        if output.is_sequence:
            found = {
                "true": y if y.ndim == 2 else y.argmax(axis=2),
                "predicted": shown.argmax(axis=2),
                "p": to_probabilities(shown, output).max(axis=2),
            }
        elif not output.classifies:
            found = {of: coding.in_own_unit(block) for of, block in found.items()}
        prefix = f"{name}/" if name else ""
        blocks.update({f"{prefix}{of}": block for of, block in found.items()})
    return blocks


def _write_table(path: Path, blocks: Mapping[str, Array]) -> None:
    """Write blocks of columns, each of shape (rows, columns), as a CSV file."""
    names = [f"{name}_{i}" for name, block in blocks.items() for i in range(block.shape[1])]
    table = np.column_stack(list(blocks.values()))
    text = io.StringIO()
    header = io.StringIO()
    csv.writer(header, lineterminator="").writerow(names)  # an output's name may hold a comma
    np.savetxt(text, table, "%.6g", ",", header=header.getvalue(), comments="")
    write_whole(path, text.getvalue())  # replaces a symbolic link instead of writing through it


def _combine_errors(alone: Sequence[float], errors: Sequence[float | None]) -> float | None:
    """The standard error of the mean over seeds: over rows, which all share, and over seeds."""
    if any(error is None for error in errors):
        return None
    over_rows = fmean(error for error in errors if error is not None)
    return math.hypot(over_rows, error_of_seeds(alone))
