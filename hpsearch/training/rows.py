"""The rows of a split, prepared, and their order in each epoch. No framework is imported here."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from hpsearch.core.data import Array, Data, Inputs, inputs_by_name
from hpsearch.core.errors import DataError, first_line
from hpsearch.core.seeds import derive_seed
from hpsearch.core.task import Task
from hpsearch.training.base import Fit, Indices, ModelSpec, Split

_VALIDATION_BATCH = 1024


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """The prepared rows of one split, and the transformer that prepared them, as it was fitted."""

    x: Inputs
    y: Array
    x_validation: Inputs
    y_validation: Array
    transformer: Any = None


def prepare(task: Task, data: Data, split: Split) -> Rows:
    """Take a split's rows and preprocess them, fitted on its training rows alone.

    Raises DataError where NaN or infinity is left afterwards.
    """
    x, x_validation = _take(data.x, split.train), _take(data.x, split.validation)
    fitted = None
    if task.preprocess is not None:
        with _name_failing_transformer(task.preprocess):
            fitted = _fitted(task.preprocess, x, data.y[split.train])
            x, x_validation = transformed(fitted, x), transformed(fitted, x_validation)
    y = targets(task, data.y)
    rows = Rows(x, _rows(y, split.train), x_validation, _rows(y, split.validation), fitted)
    for name, arrays in (("x", rows.x), ("x", rows.x_validation)):
        for part, array in inputs_by_name(arrays).items():
            _check_finite(name if part == "x" else f"{name}[{part!r}]", array)
    _check_finite("y", rows.y)
    _check_finite("y", rows.y_validation)
    return rows


def targets(task: Task, y: Array) -> Array:
    """y as models are given it: a column where the model has one output.

    Keras's losses and metrics else disagree on whether to compare row by row or every row with
    every other.
    """
    return y.reshape(-1, 1) if y.ndim == 1 and task.output_units(y) == 1 else y


def prepared(fitted: Any, x: Inputs) -> Inputs:
    """Rows to predict: `transformed`; DataError where NaN or infinity is left."""
    found = transformed(fitted, x)
    for name, array in inputs_by_name(found).items():
        _check_finite(name if name == "x" else f"x[{name!r}]", array)
    return found


def transformed(fitted: Any, x: Inputs) -> Inputs:
    """x by a fitted transformer, or by a dict of them, one an input; None leaves it as it is."""
    if fitted is None:
        return x
    if isinstance(x, np.ndarray):
        return _dense(fitted.transform(x))
    return {
        name: _dense(fitted[name].transform(array)) if name in fitted else array
        for name, array in x.items()
    }


def model_spec(task: Task, rows: Rows, y: Array, metrics: list[Any]) -> ModelSpec:
    """The spec of a task; y is the whole of the searched rows, so that no class is overlooked."""
    shapes = {name: tuple(array.shape[1:]) for name, array in inputs_by_name(rows.x).items()}
    dtypes = {name: str(array.dtype) for name, array in inputs_by_name(rows.x).items()}
    return ModelSpec(
        input_shape=shapes if isinstance(rows.x, dict) else shapes["x"],
        dtype=dtypes if isinstance(rows.x, dict) else dtypes["x"],
        outputs=task.output_units(y),
        activation=task.activation,
        loss=task.loss,
        metrics=metrics,
    )


def order(fit: Fit, epoch: int) -> Indices:
    """The order of the split's training rows in an epoch, which is counted from 0.

    It depends on (seed, epoch) alone, so that a fit can be continued.
    """
    seed = fit.seed if fit.order is None else fit.order
    return np.random.default_rng(derive_seed(seed, "order", epoch)).permutation(
        len(fit.split.train)
    )


def validation_batch(rows: int) -> int:
    """A batch size that leaves no smaller last batch, if it can: each shape is compiled anew."""
    return math.ceil(rows / math.ceil(rows / _VALIDATION_BATCH))


def _take(x: Inputs, indices: Indices) -> Inputs:
    if isinstance(x, np.ndarray):
        return _rows(x, indices)
    return {name: _rows(array, indices) for name, array in x.items()}


def _rows(array: Array, indices: Indices) -> Array:
    first, last = int(indices[0]), int(indices[-1])
    if last - first == len(indices) - 1 and bool(np.all(np.diff(indices) == 1)):
        return array[first : last + 1]  # a view: a large holdout needs no second copy
    return array[indices]


def _fitted(transformer: Any, x: Inputs, y: Array) -> Any:
    from sklearn.base import clone

    if isinstance(x, np.ndarray):
        return clone(transformer).fit(x, y)
    if not isinstance(transformer, dict) or not set(transformer) <= set(x):
        raise DataError(
            f"preprocess for several inputs is a dict with keys of {', '.join(x)}, "
            f"got {transformer!r}"
        )
    return {name: _fitted(each, x[name], y) for name, each in transformer.items()}


@contextmanager
def _name_failing_transformer(transformer: Any) -> Iterator[None]:
    """Say whose fault it is when preprocessing fails."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:
        raise DataError(
            f"preprocess={transformer!r} fails on the task's x: {first_line(error)}"
        ) from error


def _dense(array: Any) -> Array:
    from scipy.sparse import issparse

    return np.asarray(array.toarray() if issparse(array) else array)


def _check_finite(name: str, array: Array) -> None:
    if array.dtype.kind not in "fc":
        return
    with np.errstate(invalid="ignore"):  # inf - inf is what is looked for here
        if np.isfinite(np.sum(array)):  # one pass without a copy; look closer only if it fails
            return
    bad = ~np.isfinite(array.reshape(len(array), -1))
    if bad.any():
        raise DataError(
            f"{name} holds NaN or infinity in {int(bad.any(axis=1).sum())} of {len(array)} rows; "
            "drop those rows, or fill them: Task(..., preprocess=SimpleImputer())"
        )
