"""What a program is compiled for, and what each call of it gets per member."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from hpsearch.core.task import Task
from hpsearch.training import metrics
from hpsearch.training.batched.batchable import normalizes_batches
from hpsearch.training.batched.hardware import count_devices
from hpsearch.training.batched.member import BatchMember
from hpsearch.training.point_parameters import shuffles
from hpsearch.training.rows import validation_batch_size

_MAX_ORDER_NUMBERS = 2**22  # row numbers sent with one call
_MAX_EPOCHS = 64  # of one call


@dataclass(frozen=True)
class ProgramSpec:
    """All that a program is compiled for, beside the models' structure.

    Args:
        members: models side by side.
        batch_size: rows of a training step, at most.
        steps: training steps of an epoch, at most.
        max_epochs: epochs of one call, at most.
        validation_batch_size: rows of a validation step, at most.
        validation_steps: validation steps of an epoch, at most.
        fills_batches: whether some training minibatches are filled up with rows of weight zero, or
            may be: a batch normalization rounds otherwise where it is told which rows are real, and
            a fit must end the same whoever trains beside it.
        uneven_steps: whether some members have fewer steps than others.
        fills_validation: whether some validation minibatches are filled up likewise.
        shared_order: whether all members train on the same rows in each step.
        shared_validation: whether all members validate on the same rows.
        table: the signature of the rows' table (`DeviceTable.signature`).
        train_predict_steps: 0, or where a metric is computed from predictions, how many steps of
            training rows are predicted before the validation rows.
        has_padded_members: whether members' networks may be narrower than the program's.
    """

    members: int
    batch_size: int
    steps: int
    max_epochs: int
    validation_batch_size: int
    validation_steps: int
    fills_batches: bool
    uneven_steps: bool
    fills_validation: bool
    shared_order: bool
    shared_validation: bool
    table: tuple[Any, ...]
    train_predict_steps: int
    has_padded_members: bool


class Traits(NamedTuple):
    """What tells members of one structure apart.

    Args:
        scalars: numbers that the program takes as data, as a dropout rate: for each an array of
            shape (members,). A model may have none, and XLA dies of an array of none (jaxlib 0.11).
        extents: along each axis of each weight, how much of it is the member's own; of shape
            (members, axes).
        kinds: which of the program's optimizers it has; of shape (members,).
    """

    scalars: Any
    extents: Any
    kinds: Any


class EarlyStopping(NamedTuple):
    """When members end; arrays of shape (members,).

    Args:
        epochs_left: epochs to train, at most.
        best_loss: the lowest validation loss so far, by the metric.
        epochs_since_best: epochs since then.
        patience: epochs without a lower one, at most.
    """

    epochs_left: Any
    best_loss: Any
    epochs_since_best: Any
    patience: Any


def make_program_spec(
    task: Task,
    members: Sequence[BatchMember],
    table: tuple[Any, ...],
    *,
    has_padded_members: bool,
    minibatches: Sequence[int] = (),
    places: int | None = None,
) -> ProgramSpec:
    """The smallest spec of a program that can train these members, and others with `minibatches`.

    Members with larger minibatches than others have fewer steps, and those with smaller ones have
    theirs filled up with rows of weight zero.

    Args:
        table: the signature of the rows' table.
        places: for this many members, as `round_up_members` gives them; None: as few as hold these.
    """
    size = places or round_up_members(len(members))
    sizes = {*minibatches, *(member.batch_size for member in members)}
    batch_size = max(sizes)
    steps = max(-(-member.rows // min(sizes)) for member in members)

    validation_rows = [len(member.fit.split.validation) for member in members]
    validation_batch = max(validation_batch_size(n) for n in validation_rows)
    validation_steps = max(-(-n // validation_batch) for n in validation_rows)
    train_predict_steps = 0
    if metrics.predicted_metrics(task):
        train_predict_steps = max(-(-member.rows // validation_batch) for member in members)

    one_split = len({member.fit.split for member in members}) == 1
    orders = {
        (member.fit.order_seed, shuffles(member.fit.params), member.history.epochs)
        for member in members
    }
    one_order = one_split and len(orders) == 1 and len(sizes) == 1
    shared_order = one_order and members[0].fit.order_seed is not None
    numbers = steps * batch_size * (1 if shared_order else size)
    max_epochs = max(1, min(_MAX_EPOCHS, _MAX_ORDER_NUMBERS // numbers))
    return ProgramSpec(
        members=size,
        batch_size=batch_size,
        steps=steps,
        max_epochs=1 if train_predict_steps else max_epochs,
        validation_batch_size=validation_batch,
        validation_steps=train_predict_steps + validation_steps,
        fills_batches=any(
            member.rows != steps * batch_size or normalizes_batches(member.model)
            for member in members
        ),
        uneven_steps=len(sizes) > 1 or any(member.steps < steps for member in members),
        fills_validation=any(n != validation_steps * validation_batch for n in validation_rows),
        shared_order=shared_order,
        shared_validation=one_split,
        table=table,
        train_predict_steps=train_predict_steps,
        has_padded_members=has_padded_members,
    )


def round_up_members(members: int) -> int:
    """The number of places that a program has for this many members.

    On each device one of 2, 4, ..., 16, 20, ..., 32, 40, ..., 64, 80, ...: so few sizes that a
    later batch often finds its program compiled, and so many that few places stay empty. Not one
    alone: XLA computes a batch of one in another way than a larger one, and last bits differ.
    """
    devices = count_devices(members)
    share = -(-members // devices)
    step = max(2, (1 << max(share - 1, 1).bit_length()) // 8)
    return -(-share // step) * step * devices
