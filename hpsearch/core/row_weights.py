"""How much each row weighs in the training loss: `Data.sample_weight` times its class's weight."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from hpsearch.core.arrays import Array
from hpsearch.core.data import Data
from hpsearch.core.errors import DataError
from hpsearch.core.rules import brief, why_no_number
from hpsearch.core.task_kinds import Kind, is_column


def check_class_weight(given: Any) -> None:
    """Raise DataError where `Task.class_weight` is not "balanced", or a dict of weights."""
    if given is None or (isinstance(given, str) and given == "balanced"):
        return
    if not isinstance(given, Mapping) or not given:
        raise DataError(
            f"Task needs class_weight= 'balanced', or a dict of a weight for each class, got "
            f"{brief(given)}"
        )
    for name, weight in given.items():
        if why_no_number(weight) or not math.isfinite(weight) or weight < 0:
            raise DataError(
                f"class_weight needs weights from 0 on, got {brief(weight)} for class {brief(name)}"
            )


def check_sample_weights(data: Data, *, has_steps: bool) -> None:
    """Raise DataError where rows' weights do not go with the targets, or all are zero.

    Args:
        data: the task's.
        has_steps: whether each row has a loss for each of several steps.
    """
    for name in ("sample_weight", "sample_weight_test"):
        weights = getattr(data, name)
        if weights is None:
            continue
        if not weights.any():
            raise DataError(f"{name} is zero in all rows; leave some with weights above 0")
        if weights.ndim == 2 and not has_steps:
            raise DataError(
                f"{name} of shape {weights.shape} is for sequences, of steps that each have a loss "
                "of their own; give one number a row"
            )


def compute_row_weights(class_weight: Any, kind: Kind, data: Data) -> Array | None:
    """The weight of each row in the training loss, shape (rows,), float32; None where all weigh 1.

    Args:
        class_weight: as `Task` takes it. "balanced" is rows / (classes * rows of the class), over
            all searched rows, as scikit-learn has it.

    Raises DataError where a class has no weight, or the task has no classes.
    """
    weights = _multiply(class_weight, kind, data, np.asarray(data.y), data.sample_weight)
    if weights is not None and not weights.any():
        raise DataError(
            "class_weight and sample_weight make all rows weigh zero; give some weights above 0"
        )
    return weights


def compute_test_weights(class_weight: Any, kind: Kind, data: Data) -> Array | None:
    """The weight of each test row in weighted metrics, as `compute_row_weights` has it."""
    y = np.asarray(data.y_test)
    if class_weight is not None and len(np.setdiff1d(y, np.asarray(data.y))):
        raise DataError("class_weight needs test rows of the classes that the searched rows have")
    return _multiply(class_weight, kind, data, y, data.sample_weight_test)


def _multiply(
    class_weight: Any, kind: Kind, data: Data, y: Array, weights: Array | None
) -> Array | None:
    if class_weight is not None:
        of_rows = _weights_by_class(class_weight, kind, data)[_class_numbers(y)]
        weights = of_rows if weights is None else weights * of_rows
    return None if weights is None else np.asarray(weights, np.float32)


def _weights_by_class(class_weight: Any, kind: Kind, data: Data) -> Array:
    if kind not in ("binary", "multiclass"):
        raise DataError(
            f"class_weight is for a binary or multiclass task, and this one is {kind}; use "
            "Data(sample_weight=)"
        )
    y = np.asarray(data.y)
    numbers = _class_numbers(y)
    if is_column(y) and (y.reshape(-1) != numbers).any():
        raise DataError("class_weight needs y of classes 0, 1, 2, ..., and y has other values")
    counts = np.bincount(numbers)
    if not isinstance(class_weight, Mapping):
        present = np.maximum(counts, 1) * np.count_nonzero(counts)
        return np.where(counts > 0, len(numbers) / present, 0.0)
    named: dict[Any, Any] = {name: number for number, name in enumerate(data.classes)}
    by_number: dict[int, float] = {}
    for key, weight in class_weight.items():
        number = named.get(key, key)
        is_number = isinstance(number, int | np.integer) and not isinstance(number, bool)
        if number is None or not is_number or number < 0:
            known = ", ".join(data.classes) or f"0 to {len(counts) - 1}"
            raise DataError(f"class_weight has no class {brief(key)} to weigh; known: {known}")
        by_number[int(number)] = float(weight)
    missing = [number for number in np.flatnonzero(counts) if number not in by_number]
    if missing:
        name = data.classes[missing[0]] if data.classes else missing[0]
        raise DataError(f"class_weight gives class {name} no weight; give each class of y one")
    return np.array([by_number.get(number, 0.0) for number in range(len(counts))])


def _class_numbers(y: Array) -> Array:
    return (y.reshape(-1) if is_column(y) else y.argmax(axis=1)).astype(np.int64)
