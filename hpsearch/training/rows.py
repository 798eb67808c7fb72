"""Prepare the rows of a split, and order them in each epoch. No framework is imported here."""

import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hpsearch.core.array_types import is_sparse
from hpsearch.core.arrays import (
    Array,
    Inputs,
    Targets,
    inputs_by_name,
    read_when_needed,
    targets_by_name,
    view_rows,
)
from hpsearch.core.data import Data
from hpsearch.core.errors import DataError
from hpsearch.core.reading.lazy_rows import LazyRows
from hpsearch.core.seeds import derive_seed
from hpsearch.core.streamed import Streams, count_steps
from hpsearch.core.task import Task
from hpsearch.training.adapting import LayerAdapter
from hpsearch.training.base import Fit, Indices, ModelSpec, Split
from hpsearch.training.fitted_targets import OwnTargets
from hpsearch.training.point_parameters import batch_size, shuffles
from hpsearch.training.preprocessing import prepare_split, transform_inputs
from hpsearch.training.target_preprocessing import prepare_targets

_VALIDATION_BATCH = 1024


@dataclass(frozen=True, slots=True, eq=False)
class SplitRows:
    """The preprocessed rows of one split.

    Args:
        x: training rows; of a source not read yet, likewise those to validate on.
        y: their targets, an array or a dict by output; as `preprocess_y` changes them.
        x_validation: validation rows.
        y_validation: their targets.
        transformer: the fitted preprocessing; None where the task has none.
        weights: of the training rows in the loss, shape (rows,), or (rows, steps) of sequences;
            None where all weigh 1.
        weights_validation: likewise; training uses them in weighted metrics only.
        streams: where the data comes in batches: x, y, x_validation, y_validation are then a batch
            that shows shapes and types, and no rows to train on. None: these are the rows.
        own_targets: the targets in their own unit, where the task has `preprocess_y`; else None.
    """

    x: Inputs
    y: Any
    x_validation: Inputs
    y_validation: Any
    transformer: Any = None
    weights: Array | None = None
    weights_validation: Array | None = None
    streams: Streams | None = None
    own_targets: OwnTargets | None = None

    def in_own_unit(self, predicted: Any, *, train: bool = False) -> tuple[Any, Any]:
        """Predictions for the validation rows, or the training rows, and their targets.

        Both as metrics compare them: in the targets' own unit.
        """
        own = self.own_targets
        if own is None:
            return predicted, self.y if train else self.y_validation
        return own.undo(predicted, train=train), own.y if train else own.y_validation


def prepare_rows(task: Task, data: Data, split: Split, *, copies_large: bool = True) -> SplitRows:
    """Take a split's rows, and preprocess them as fitted on its training rows alone.

    Args:
        copies_large: whether rows of large arrays are copied; else they are LazyRows of these, as
            those of sources always are, where there is no preprocessing.

    Raises DataError where NaN or infinity is left afterwards, BuildError where a point makes no
    transformer.
    """
    if data.given_streams is not None:
        y = shape_targets(task, data.y)
        return SplitRows(data.x, y, data.x, y, streams=data.given_streams)
    fitted = None
    if task.preprocess is not None:
        fitted, x, x_validation = prepare_split(task, data, split)
    else:
        whole = data.x if copies_large else read_when_needed(data.x)
        x, x_validation = view_rows(whole, split.train), view_rows(whole, split.validation)
    shaped = shape_targets(task, data.y)
    y, y_validation = (view_rows(shaped, part) for part in (split.train, split.validation))
    own_targets = None
    if task.preprocess_y is None:
        _check_targets(y, y_validation, check_numbers)
    else:
        _check_targets(y, y_validation, _check_finite)
        own_targets, y, y_validation = prepare_targets(task, data, split, y, y_validation)
    rows = SplitRows(
        _check_as_read(x),
        y,
        _check_as_read(x_validation),
        y_validation,
        fitted,
        own_targets=own_targets,
    )
    if (weights := task.row_weights(data)) is not None:
        parts = (view_rows(weights, part) for part in (split.train, split.validation))
        rows = replace(rows, **dict(zip(("weights", "weights_validation"), parts, strict=True)))
        _check_some_weigh(rows)
    for arrays in (rows.x, rows.x_validation):
        for part, array in inputs_by_name(arrays).items():
            if not isinstance(array, LazyRows):
                check_numbers(_name_input(part), array)
    return rows


def shape_targets(task: Task, y: Targets) -> Any:
    """y in the shape that models need: a column where the model has one output unit.

    Otherwise Keras's losses and metrics disagree: some compare row by row, others every row with
    every other.
    """
    if isinstance(y, Mapping):
        return {name: shape_targets(part, y[name]) for name, part in task.parts.items()}
    return y.reshape(-1, 1) if y.ndim == 1 and task.output_units(y) == 1 else y


def spread_weights(weights: Array, shapes: Any) -> Any:
    """Weights of rows in shapes that broadcast over a row's losses, one a step or a pixel.

    Args:
        weights: of shape (rows,) or (rows, steps).
        shapes: of the model's outputs, a tuple, or a dict or list of tuples.
    """
    if isinstance(shapes, dict | list):
        named = shapes.items() if isinstance(shapes, dict) else enumerate(shapes)
        spread = {name: spread_weights(weights, shape) for name, shape in named}
        if all(each is weights for each in spread.values()):
            return weights
        return spread if isinstance(shapes, dict) else list(spread.values())
    missing = len(shapes) - 1 - weights.ndim
    return weights.reshape(*weights.shape, *[1] * missing) if missing > 0 else weights


def prepare_inputs(fitted: Any, x: Inputs) -> Inputs:
    """Preprocess rows to predict; DataError where NaN or infinity is left."""
    found = _check_as_read(transform_inputs(fitted, x))
    for name, array in inputs_by_name(found).items():
        if not isinstance(array, LazyRows):
            check_numbers(_name_input(name), array)
    return found


def make_model_spec(task: Task, rows: SplitRows, y: Targets, metrics: Any, fit: Fit) -> ModelSpec:
    """What `build` needs to know; y: of all searched rows, so that no class is missed."""
    shapes = {name: tuple(array.shape[1:]) for name, array in inputs_by_name(rows.x).items()}
    dtypes = {
        name: "string" if array.dtype.kind == "O" else str(array.dtype)
        for name, array in inputs_by_name(rows.x).items()
    }
    return ModelSpec(
        input_shape=shapes if isinstance(rows.x, dict) else shapes["x"],
        dtype=dtypes if isinstance(rows.x, dict) else dtypes["x"],
        outputs=task.output_units(y),
        activation=task.activation,
        loss=task.loss,
        metrics=metrics,
        loss_weights=task.weigh_losses() if task.has_several_outputs else None,
        rows=count_training_rows(rows.streams, fit),
        batch_size=batch_size(fit.params),
        epochs=fit.most_epochs or fit.epochs,
        preprocessing=fit.split.preprocessing,
        adapter=None
        if rows.streams is not None
        else LayerAdapter(lambda: rows.x, lambda: rows.transformer),
    )


def count_training_rows(streams: Streams | None, fit: Fit) -> int:
    """The rows of an epoch; of a stream by its number of full batches, 0 where it does not say."""
    if streams is None:
        return len(fit.split.train)
    size = batch_size(fit.params)
    return size * (count_steps(streams, size) or 0)


def draw_row_order(fit: Fit, epoch: int) -> Indices:
    """Draw the order of the split's training rows in an epoch, counted from 0.

    It depends on (seed, epoch) alone, so that a fit can be continued. Where the point says
    shuffle=False, the rows stay as the split has them.
    """
    if not shuffles(fit.params):
        return np.arange(len(fit.split.train))
    seed = fit.seed if fit.order_seed is None else fit.order_seed
    return np.random.default_rng(derive_seed(seed, "order", epoch)).permutation(
        len(fit.split.train)
    )


def validation_batch_size(rows: int) -> int:
    """A size that leaves no smaller last minibatch, if possible: each shape is compiled anew."""
    return math.ceil(rows / math.ceil(rows / _VALIDATION_BATCH))


def _check_as_read(x: Inputs) -> Inputs:
    """Refuse NaN and infinity in rows of a source when they are read."""
    if isinstance(x, Mapping):
        return {name: _check_as_read_of(name, array) for name, array in x.items()}
    return _check_as_read_of("x", x)


def _check_as_read_of(name: str, x: Any) -> Any:
    if not isinstance(x, LazyRows):
        return x
    if x.dtype.kind == "O":
        if runs_on_tensorflow():  # whose models may look words up; `check_model` asks this one
            return x
        raise DataError(refuse_texts(_name_input(name)))
    if not (x.dtype.kind in "fc" or _may_be_cut_off(x.dtype)):
        return x
    if x.is_in_memory:  # as other arrays: once, before anything is trained
        for rows in x.chunks():
            check_numbers(_name_input(name), rows)
        return x

    def check(rows: Any) -> Any:
        # Sparse ones stay so, and are dense where a minibatch is taken: 0 is what they do not hold.
        check_numbers(_name_input(name), rows.data if is_sparse(rows) else rows)
        return rows

    return x.map(check)


def refuse_texts(called: str) -> str:
    """Why texts cannot be trained on. called: the input."""
    return (
        f"{called} gives texts, and models take numbers; turn them into numbers, as by "
        "Task(..., preprocess=TfidfVectorizer(max_features=5000))"
    )


def runs_on_tensorflow() -> bool:
    """Whether Keras runs on TensorFlow; it does not where nobody has imported it."""
    return _running_backend() == "tensorflow"


def _running_backend() -> str | None:
    keras = sys.modules.get("keras")
    return None if keras is None else str(keras.backend.backend())


def _check_targets(y: Any, y_validation: Any, check: Callable[[str, Array], None]) -> None:
    for targets in (y, y_validation):
        for output, array in targets_by_name(targets).items():
            check(f"y[{output!r}]" if output else "y", array)


def _name_input(name: str) -> str:
    return name if name == "x" else f"x[{name!r}]"


def _check_some_weigh(rows: SplitRows) -> None:
    assert rows.weights is not None
    if not (rows.weights > 0).any():
        raise DataError(
            "all training rows of a split have the weight zero; leave some with weights above 0"
        )


def check_numbers(name: str, array: Array) -> None:
    """Raise DataError where models could not be trained on an array of shape (rows, ...).

    It may hold neither NaN nor infinity; nor, on JAX, whole numbers of more than 32 bits, which it
    would cut off without a word.
    """
    _check_finite(name, array)
    if _may_be_cut_off(array.dtype):
        bounds = np.iinfo(np.int32 if array.dtype.kind == "i" else np.uint32)
        if array.size and (array.min() < bounds.min or array.max() > bounds.max):
            furthest = max(int(array.max()), int(array.min()), key=abs)
            raise DataError(
                f"{name} holds whole numbers as large as {furthest:,}, and JAX counts in 32 bits, up "
                f'to {bounds.max:,}; give it as {name}.astype("float32"), or scale it, as by '
                f"Task(..., {'preprocess_y' if name[0] == 'y' else 'preprocess'}=StandardScaler())"
            )


def _may_be_cut_off(dtype: np.dtype[Any]) -> bool:
    """Whether JAX may cut whole numbers of this type off."""
    return dtype.kind in "iu" and dtype.itemsize > 4 and _running_backend() == "jax"


def _check_finite(name: str, array: Array) -> None:
    if array.dtype.kind not in "fc":
        return
    with np.errstate(invalid="ignore"):  # inf - inf gives the NaN that is looked for
        if np.isfinite(np.sum(array)):  # one pass without a copy; look closer only if it fails
            return
    bad = ~np.isfinite(array.reshape(len(array), -1))
    if bad.any():
        way_out = ", or fill them: Task(..., preprocess=SimpleImputer())" if name[0] == "x" else ""
        raise DataError(
            f"{name} holds NaN or infinity in {int(bad.any(axis=1).sum())} of {len(array)} rows; "
            f"drop those rows{way_out}"
        )
