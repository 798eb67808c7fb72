"""The learning rate schedule of a compiled model: its end, and a copy of its own for each model."""

from typing import Any

import keras

from hpsearch.core.errors import BuildError
from hpsearch.training.base import ModelSpec
from hpsearch.training.building import without_tensorflow

_kinds = keras.optimizers.schedules
# Keras's schedules, whose numbers a program takes as data and whose configuration says all.
KINDS = (
    _kinds.ExponentialDecay,
    _kinds.InverseTimeDecay,
    _kinds.PolynomialDecay,
    _kinds.CosineDecay,
    _kinds.CosineDecayRestarts,
    _kinds.PiecewiseConstantDecay,
)


def find_schedule(optimizer: Any) -> Any:
    """The `LearningRateSchedule` of an optimizer, also of one that scales the loss; else None."""
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    # `optimizer.learning_rate` would give the rate of the current step.
    rate = getattr(optimizer, "_learning_rate", None)
    return rate if isinstance(rate, _kinds.LearningRateSchedule) else None


def own_schedule(model: Any) -> None:
    """Give a model a copy of its schedule, if that is Keras's own.

    Models may share one, and its numbers are replaced while a program is traced.
    """
    schedule = find_schedule(model.optimizer)
    if type(schedule) in KINDS:
        with without_tensorflow():
            model.optimizer.learning_rate = type(schedule).from_config(schedule.get_config())


def check_schedule(model: Any, spec: ModelSpec) -> None:
    """Raise BuildError where the model's schedule ends after the last step of the longest trial.

    Nothing would ever be trained at its last rates. Some schedules have no end.
    """
    schedule = find_schedule(model.optimizer)
    end, how = _find_end(schedule)
    if not end or not spec.rows:  # no end, or a stream of which nobody knows the steps
        return
    steps = spec.steps_per_epoch * spec.epochs
    if end > steps:
        raise BuildError(
            f"the schedule {type(schedule).__name__} ends after {end:g} steps ({how}), and a trial "
            f"has {steps:,} at most: {spec.epochs:,} epochs of {spec.steps_per_epoch:,}; "
            "compute it from spec.steps_per_epoch * spec.epochs"
        )


def _find_end(schedule: Any) -> tuple[float, str]:
    """The step from which one of Keras's schedules stays the same, and what says so; else 0."""
    kind = type(schedule)
    if kind is _kinds.CosineDecay:
        if schedule.warmup_target is None:
            return schedule.decay_steps, "decay_steps"
        return schedule.warmup_steps + schedule.decay_steps, "warmup_steps + decay_steps"
    if kind is _kinds.PolynomialDecay and not schedule.cycle:
        return schedule.decay_steps, "decay_steps"
    if kind is _kinds.PiecewiseConstantDecay and len(schedule.boundaries):
        return max(schedule.boundaries), "its last boundary"
    return 0, ""
