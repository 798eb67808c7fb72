"""What a program is compiled for, and what a call of it is told."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from hpsearch.core.task import Task
from hpsearch.training.batched.device_data import Table
from hpsearch.training.batched.member import Member, next_size
from hpsearch.training.rows import validation_batch

_ORDER_NUMBERS = 2**22  # row numbers sent with a call, at most
_MOST_EPOCHS = 64  # of a call


@dataclass(frozen=True)
class Shape:
    """All that a program was compiled for, beside the models' structure.

    members: models side by side. batch, steps: rows of a training step, and steps of an epoch, at
    most. chunk: epochs of a call, at most. validation_batch, validation_steps: likewise.
    filled: whether some training batches hold rows of no weight; uneven: whether some members have
    fewer steps than others; validation_filled: as filled.
    one_order: all members train on the same rows in each step. one_validation: all validate on the
    same rows. table: as `Table.shape`. predicts: steps of training rows before those of validation,
    where predictions come back and the metric is computed from them; else 0. narrow: whether
    members' weights may be of less extent than the program's.
    """

    members: int
    batch: int
    steps: int
    chunk: int
    validation_batch: int
    validation_steps: int
    filled: bool
    uneven: bool
    validation_filled: bool
    one_order: bool
    one_validation: bool
    table: tuple[Any, ...]
    predicts: int = 0
    narrow: bool = False


class Limits(NamedTuple):
    """When members end; arrays of shape (members,).

    left, patience: epochs at most, and at most without a better value. best: the lowest loss by
    the metric so far; since: epochs since then.
    """

    left: Any
    best: Any
    since: Any
    patience: Any


def shape_of(task: Task, members: Sequence[Member], table: Table) -> Shape:
    """What a program for these members must be of."""
    size = next_size(len(members))
    batch = max(member.batch for member in members)
    steps = max(member.steps for member in members)
    held_out = [len(member.fit.split.validation) for member in members]
    validation = max(validation_batch(n) for n in held_out)
    validation_steps = max(-(-n // validation) for n in held_out)
    one_split = len({member.fit.split for member in members}) == 1
    orders = {(member.fit.order, member.history.epochs) for member in members}
    one_order = one_split and len(orders) == 1 and members[0].fit.order is not None
    predicts = 0
    if task.metric == "roc_auc":
        predicts = max(-(-member.rows // validation) for member in members)
    numbers = steps * batch * (1 if one_order else size)
    return Shape(
        members=size,
        batch=batch,
        steps=steps,
        chunk=1 if predicts else max(1, min(_MOST_EPOCHS, _ORDER_NUMBERS // numbers)),
        validation_batch=validation,
        validation_steps=predicts + validation_steps,
        filled=any(member.rows != steps * batch for member in members),
        uneven=any(member.steps < steps for member in members),
        validation_filled=any(n != validation_steps * validation for n in held_out),
        one_order=one_order,
        one_validation=one_split,
        table=table.shape,
        predicts=predicts,
    )
