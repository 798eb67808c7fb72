"""Fit `Task(preprocess_y=)` on a split's training targets, and check that it has an inverse.

No framework is imported here.
"""

from contextlib import AbstractContextManager
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from hpsearch.core.arrays import Array, take_rows, targets_by_name
from hpsearch.core.data import Data
from hpsearch.core.errors import DataError
from hpsearch.core.reading.source_answers import tell_errors
from hpsearch.core.rules import brief
from hpsearch.core.searched_preprocessing import PreprocessingFailed
from hpsearch.core.target_steps import Difference, Steps, steps_by_output
from hpsearch.core.task import Task
from hpsearch.training.base import Split
from hpsearch.training.fitted_targets import FittedTargets, OwnTargets, apply_step, flatten_targets
from hpsearch.training.fresh_transformers import copy_seeded

_FEW_ROWS = 1000  # on which it is tried whether targets come back
_MOST_CHANGED, _SHARE = 0.1, 1e-3  # of the rows; of the targets' standard deviation
_LAST_VALUES: WeakKeyDictionary[Data, dict[Difference, Array]] = WeakKeyDictionary()


def prepare_targets(
    task: Task, data: Data, split: Split, y: Any, y_validation: Any
) -> tuple[OwnTargets, Any, Any]:
    """The targets of a split in their own unit, and the training and validation ones as changed.

    Preprocessing is fitted on the training rows alone.

    Args:
        task: the task.
        data: its data.
        split: the rows, with the parameters of its point.
        y, y_validation: their targets, finite, in the shape that models need.

    Raises DataError where that fails, or predictions could not be changed back; PreprocessingFailed
    where a point has made the transformers.
    """
    chosen = task.with_preprocessing(split.preprocessing)
    try:
        own = _fit_targets(chosen, data, split, y, y_validation)
        changed = own.fitted.transform(own.y, own.last_values)
        changed_validation = own.fitted.transform(own.y_validation, own.last_values_validation)
        for part in (changed, changed_validation):
            _check_changed(own.fitted, part)
        _check_inverse(own)
    except DataError as error:
        if split.preprocessing:
            raise PreprocessingFailed(str(error), split.preprocessing) from error
        raise
    return own, changed, changed_validation


def _fit_targets(task: Task, data: Data, split: Split, y: Any, y_validation: Any) -> OwnTargets:
    """`prepare_targets` of a task with the preprocessing of the split's point."""
    targets, fitted = targets_by_name(y), {}
    last_values: dict[str, Array] = {}
    for name, steps in steps_by_output(task.preprocess_y, tuple(task.parts)).items():
        steps = tuple(_resolve(step, data) for step in steps)
        for step in steps:
            if isinstance(step, Difference):
                last_values[name] = _find_last_values_once(step, data)
        last = last_values[name][split.train] if name in last_values else None
        with _name_failing_steps(steps):
            fitted[name] = _fit_steps(steps, flatten_targets(targets[name]), last)
    return OwnTargets(
        FittedTargets(fitted),
        y,
        y_validation,
        take_rows(last_values, split.train),
        take_rows(last_values, split.validation),
    )


def _check_changed(fitted: FittedTargets, changed: Any) -> None:
    """Raise DataError where a changed target is no finite number."""
    for name, array in targets_by_name(changed).items():
        flat = array.reshape(len(array), -1)
        if bad := int((~np.isfinite(flat)).any(axis=1).sum()):
            raise DataError(
                f"{_show(fitted.steps[name])} gives NaN or infinity for {bad} of {len(flat)} "
                f"targets{f' of {name}' if name else ''}; take one that is defined for all targets"
            )


def _fit_steps(steps: Steps, values: Array, last: Array | None) -> Steps:
    fitted = []
    for step in steps:
        with np.errstate(all="ignore"):  # NaN is told of what it gives
            fitted.append(step if isinstance(step, Difference) else _fit(step, values))
        shape = values.shape
        values, last = apply_step(fitted[-1], values, last)
        if values.shape != shape:
            raise DataError(
                f"{_show(steps)} makes targets of shape {values.shape} of {shape}; take "
                "transformers that keep the shape"
            )
    return tuple(fitted)


def _fit(step: Any, values: Array) -> Any:
    """A step like it, fitted. Raises DataError where `fit` does not return it."""
    found = copy_seeded(step).fit(values)
    if not callable(getattr(found, "inverse_transform", None)):
        raise DataError(
            f"fit of {_show((step,))} must return the transformer, got {brief(found)}; end it with "
            "return self"
        )
    return found


def _check_inverse(own: OwnTargets) -> None:
    """Raise DataError where most targets do not come back, as where a function has no inverse."""
    for name, y in targets_by_name(own.y).items():
        few = slice(None, None, max(1, len(y) // _FEW_ROWS))
        steps, last = {"": own.fitted.steps[name]}, own.last_values.get(name)
        alone = FittedTargets(steps)
        of_rows = {} if last is None else {"": last[few]}
        with _name_failing_steps(steps[""]):
            again = alone.undo(alone.transform(y[few].astype(np.float64), of_rows), of_rows)
        apart = np.abs(again - y[few]).reshape(len(again), -1)
        spread = float(np.std(y[few])) or 1.0
        changed = ~(apart <= _SHARE * spread).all(axis=1)
        if changed.mean() > _MOST_CHANGED:
            row = int(np.flatnonzero(changed)[0])
            one, other = (np.ravel(each[row])[0] for each in (y[few], again))
            raise DataError(
                f"{_show(steps[''])} does not give targets back: {one:.6g} comes back as "
                f"{other:.6g}; take a transformer with an inverse, as FunctionTransformer(np.log1p, "
                "np.expm1)"
            )


def _resolve(step: Any, data: Data) -> Any:
    if not isinstance(step, Difference):
        return step
    found = step.resolve(data.x, data.columns)
    assert isinstance(found.channel, int)
    code = data.frames.get(found.input or "x")
    if code is not None and code.codes[found.channel].values is not None:
        raise DataError(f"{step} needs a channel of numbers, and that column has none")
    return found


def _find_last_values_once(step: Difference, data: Data) -> Array:
    """Of all rows; those of a source are read for it once."""
    kept = _LAST_VALUES.setdefault(data, {})
    if step not in kept:
        kept[step] = step.find_last_values(data.x)
    return kept[step]


def _name_failing_steps(steps: Steps) -> AbstractContextManager[None]:
    """Raises errors of transformers as a DataError that names them."""
    return tell_errors(f"{_show(steps)} fails on the task's targets")


def _show(steps: Steps) -> str:
    shown = [" ".join(str(step).split()) for step in steps]
    return f"preprocess_y={shown[0] if len(shown) == 1 else '[' + ', '.join(shown) + ']'}"
