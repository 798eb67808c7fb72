"""Fitted `Task(preprocess_y=)`: changes targets, and changes predictions back.

No framework is imported here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from hpsearch.core.arrays import Array, Inputs, take_rows
from hpsearch.core.target_steps import Difference, Steps

LastValues = Mapping[str, Array]
"""What a Difference subtracts of each row, shape (rows,), by output; without outputs that have none."""


@dataclass(frozen=True, slots=True, eq=False)
class FittedTargets:
    """Fitted preprocessing of targets, which changes predictions back into the targets' own unit.

    Args:
        steps: of each output, by its name; "" where there is one. Differences are resolved.
    """

    steps: Mapping[str, Steps]

    def find_last_values(self, x: Inputs) -> LastValues:
        """What Differences subtract of these rows. x: as given, not preprocessed."""
        return {
            name: step.find_last_values(x)
            for name, steps in self.steps.items()
            for step in steps
            if isinstance(step, Difference)
        }

    def transform(self, y: Any, last_values: LastValues) -> Any:
        """Targets in the unit in which models learn; an array, or a dict by output."""

        def change(name: str, targets: Array) -> Array:
            values, last = flatten_targets(targets), last_values.get(name)
            for step in self.steps[name]:
                values, last = apply_step(step, values, last)
            own = targets.dtype if targets.dtype.kind == "f" else np.dtype(np.float32)
            return values.reshape(targets.shape).astype(own)

        return _map_outputs(change, y)

    def undo(self, predicted: Any, last_values: LastValues) -> Any:
        """Predictions in the targets' own unit, as float64; NaN where there is no such number.

        Args:
            predicted: of shape (rows, ...), or a dict by output.
            last_values: of the same rows.
        """

        def change_back(name: str, found: Array) -> Array:
            if not self.steps[name]:
                return found
            values, last = flatten_targets(found), last_values.get(name)
            before = _last_values_at_difference(self.steps[name], last, values.shape)
            for step in reversed(self.steps[name]):
                if isinstance(step, Difference):
                    values = values + before
                else:
                    values = _map_finite_rows(step.inverse_transform, values)
            return values.reshape(found.shape)

        return _map_outputs(change_back, predicted)


@dataclass(frozen=True, slots=True, eq=False)
class OwnTargets:
    """The targets of a split in their own unit, in which metrics are computed.

    Args:
        fitted: what changed them.
        y, y_validation: in the shape that models need; an array, or a dict by output.
        last_values, last_values_validation: of the same rows.
    """

    fitted: FittedTargets
    y: Any
    y_validation: Any
    last_values: LastValues = field(default_factory=dict)
    last_values_validation: LastValues = field(default_factory=dict)

    def undo(self, predicted: Any, *, train: bool = False) -> Any:
        """Predictions for the validation rows, or the training rows, in the targets' own unit."""
        return self.fitted.undo(
            predicted, self.last_values if train else self.last_values_validation
        )

    def take(self, train: Any, validation: Any) -> "OwnTargets":
        """Those of some of the training rows, and of some of the validation rows."""
        return replace(
            self,
            y=take_rows(self.y, train),
            y_validation=take_rows(self.y_validation, validation),
            last_values=take_rows(self.last_values, train),
            last_values_validation=take_rows(self.last_values_validation, validation),
        )


def apply_step(step: Any, values: Array, last: Array | None) -> tuple[Array, Array | None]:
    """Targets of shape (rows, units) after a step, and what a Difference that follows subtracts."""
    if isinstance(step, Difference):
        assert last is not None
        return values - (last if last.ndim == 2 else last[:, None]), None
    with np.errstate(all="ignore"):
        if last is not None:
            spread = last if last.ndim == 2 else last[:, None]
            last = _to_array(step.transform(np.broadcast_to(spread, values.shape).copy()))
        return _to_array(step.transform(values.copy())), last


def _last_values_at_difference(
    steps: Steps, last: Array | None, shape: tuple[int, ...]
) -> Array | None:
    """What the Difference among the steps subtracts, after the steps before it."""
    if last is None:
        return None
    found: Array | None = np.broadcast_to(last[:, None], shape)
    for step in steps:
        if isinstance(step, Difference):
            break
        _, found = apply_step(step, np.zeros(shape), found)
    return found


def _map_finite_rows(change: Callable[[Array], Any], values: Array) -> Array:
    """Change rows of shape (units,) that are finite; others become NaN.

    Scikit-learn raises for infinity, as a model that diverges predicts it.
    """
    finite = np.isfinite(values).all(axis=1)
    found = np.full(values.shape, np.nan)
    if finite.any():
        with np.errstate(all="ignore"):
            found[finite] = _to_array(change(values[finite]))
    return found


def _map_outputs(change: Callable[[str, Any], Any], arrays: Any) -> Any:
    if isinstance(arrays, Mapping):
        return {name: change(name, array) for name, array in arrays.items()}
    return change("", arrays)


def flatten_targets(array: Array) -> Array:
    """Targets or predictions as float64, of shape (rows, units)."""
    return np.asarray(array, np.float64).reshape(len(array), -1)


def _to_array(found: Any) -> Array:
    if np.ma.is_masked(found):
        raise ValueError("it gives masked values, which would be used as data")
    return np.asarray(found, np.float64)
