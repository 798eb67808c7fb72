"""What a trainer is given and gives back. No framework is imported here."""

import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from hpsearch.errors import BuildError, DataError, first_line
from hpsearch.options import did_you_mean
from hpsearch.parameters import Choice, Float
from hpsearch.space import Params, Space
from hpsearch.task import Array, Data, Inputs, Task, named
from hpsearch.trial import Curve, Every

# Hyperparameters of the fit itself: every space may have them, no `build` sees them.
FIT_PARAMS = ("batch_size",)
DEFAULT_BATCH_SIZE = 32

Indices = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """What `build` needs to know of the task.

    input_shape: of one row, as prepared; a dict where the task has several inputs.
    outputs, activation: of the last layer. loss, metrics: to pass to `model.compile`.
    """

    input_shape: Any
    outputs: int
    activation: str
    loss: Any
    metrics: list[Any] = field(default_factory=list)


Build = Callable[..., Any]
"""`build(spec: ModelSpec, **params) -> compiled keras.Model`"""


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Row indices of one fit: train of shape (rows - n,), validation of shape (n,)."""

    train: Indices
    validation: Indices


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """One model to train on one split from epoch `start_epoch` until it has `epochs` in total.

    patience: epochs without a better validation metric after which it stops; None: never.
    checkpoint_in: the file to continue from, exactly when start_epoch > 0; where it is lost, the
    fit begins anew. checkpoint_out: the file to leave at the end, if any, and `every` so often; a
    fit that finds it continues from there.
    """

    build: Build
    params: Params
    split: Split
    seed: int
    epochs: int
    start_epoch: int = 0
    patience: int | None = None
    checkpoint_in: Path | None = None
    checkpoint_out: Path | None = None
    every: Every = Every()


class Trainer(Protocol):
    def train(self, fits: Sequence[Fit], data: Data) -> Iterator[tuple[int, Curve]]:
        """Yield (index into fits, its curve) as they finish; a diverged fit's curve says so.

        Raises Interrupted, with checkpoints left, soon after that was requested.
        """

    def probe(self, build: Build, points: Iterable[Params], split: Split, data: Data) -> None:
        """Refuse, by BuildError or DataError, what could not be trained at all."""


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """The prepared rows of one split."""

    x: Inputs
    y: Array
    x_validation: Inputs
    y_validation: Array


def prepare(task: Task, data: Data, split: Split) -> Rows:
    """Take a split's rows and preprocess them, fitted on its training rows alone.

    Raises DataError where NaN or infinity is left afterwards.
    """
    x, x_validation = _take(data.x, split.train), _take(data.x, split.validation)
    if task.preprocess is not None:
        try:
            x, x_validation = _preprocess(task.preprocess, x, x_validation, data.y[split.train])
        except DataError:
            raise
        except Exception as error:
            raise DataError(
                f"preprocess={task.preprocess!r} fails on the task's x: {first_line(error)}"
            ) from error
    # A column where the model has one output: Keras's losses and metrics else disagree on whether
    # to compare row by row or every row with every other.
    y = data.y.reshape(-1, 1) if data.y.ndim == 1 and task.output_units(data.y) == 1 else data.y
    rows = Rows(x, _rows(y, split.train), x_validation, _rows(y, split.validation))
    for name, arrays in (("x", rows.x), ("x", rows.x_validation)):
        for part, array in named(arrays).items():
            _check_finite(name if part == "x" else f"{name}[{part!r}]", array)
    _check_finite("y", rows.y)
    _check_finite("y", rows.y_validation)
    return rows


def model_spec(task: Task, rows: Rows, y: Array, metrics: list[Any]) -> ModelSpec:
    """The spec of a task; y is the whole of the searched rows, so that no class is overlooked."""
    shapes = {name: tuple(array.shape[1:]) for name, array in named(rows.x).items()}
    return ModelSpec(
        input_shape=shapes if isinstance(rows.x, dict) else shapes["x"],
        outputs=task.output_units(y),
        activation=task.activation,
        loss=task.loss,
        metrics=metrics,
    )


def check_space(build: Build, space: Space) -> None:
    """Refuse parameters that `build` does not know, and batch sizes that are none."""
    check_names(build, space)
    if "batch_size" not in space:
        return
    sizes = space["batch_size"]
    ends = sizes.options if isinstance(sizes, Choice) else (sizes.low, sizes.high)
    for size in ends:
        batch_size({"batch_size": 0 if isinstance(sizes, Float) else size})


def batch_size(params: Params) -> int:
    """The fit's batch size, 32 where the space has none; BuildError where it is no whole number."""
    size = params.get("batch_size", DEFAULT_BATCH_SIZE)
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise BuildError(
            f"batch_size must be whole numbers of at least 1, got {size!r}; use Int or Choice"
        )
    return size


def check_names(build: Build, names: Iterable[str]) -> None:
    """Refuse names that `build` has no parameter for. A `**params` takes any and checks itself."""
    parameters = list(inspect.signature(build).parameters.values())
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return
    known = [p.name for p in parameters[1:]]
    for name in names:
        if name not in known and name not in FIT_PARAMS:
            raise BuildError(unknown_name(name, known))


def unknown_name(name: str, known: Iterable[str]) -> str:
    known = list(known)
    return (
        f"build does not know the parameter {name!r}{did_you_mean(name, known)}; it takes "
        f"{', '.join(known) or 'none'}, and batch_size is for the fit"
    )


def _take(x: Inputs, indices: Indices) -> Inputs:
    if isinstance(x, np.ndarray):
        return _rows(x, indices)
    return {name: _rows(array, indices) for name, array in x.items()}


def _rows(array: Array, indices: Indices) -> Array:
    first, last = int(indices[0]), int(indices[-1])
    if last - first == len(indices) - 1 and bool(np.all(np.diff(indices) == 1)):
        return array[first : last + 1]  # a view: a large holdout needs no second copy
    return array[indices]


def _preprocess(
    transformer: Any, x: Inputs, x_validation: Inputs, y: Array
) -> tuple[Inputs, Inputs]:
    from sklearn.base import clone

    if isinstance(x, np.ndarray) and isinstance(x_validation, np.ndarray):
        fitted = clone(transformer).fit(x, y)
        return _dense(fitted.transform(x)), _dense(fitted.transform(x_validation))
    parts, validation_parts = named(x), named(x_validation)
    if not isinstance(transformer, dict) or not set(transformer) <= set(parts):
        raise DataError(
            f"preprocess for several inputs is a dict with keys of {', '.join(parts)}, "
            f"got {transformer!r}"
        )
    pairs = {
        name: _preprocess(transformer[name], array, validation_parts[name], y)
        if name in transformer
        else (array, validation_parts[name])
        for name, array in parts.items()
    }
    first: Any = {name: pair[0] for name, pair in pairs.items()}
    second: Any = {name: pair[1] for name, pair in pairs.items()}
    return first, second


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
