"""Compiled programs, kept for whoever comes with models of the same structure."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

from hpsearch.task import Task
from hpsearch.training.member import Member, next_size
from hpsearch.training.program import Program, Shape
from hpsearch.training.rows import validation_batch
from hpsearch.training.table import Table
from hpsearch.training.template import Template, Templates

_ORDER_NUMBERS = 2**22  # row numbers sent with a call, at most
_MOST_EPOCHS = 64  # of a call
_MOST_PROGRAMS = 48


class Programs:
    """The programs of this process, and the templates that they were compiled for."""

    def __init__(self) -> None:
        self.templates = Templates()
        self._compiled: dict[Any, Future[Program]] = {}

    def get(
        self,
        task: Task,
        template: Template,
        members: Sequence[Member],
        table: Table,
        compiler: ThreadPoolExecutor | None = None,
    ) -> Future[Program]:
        """The program for these members; compiler: who compiles it, later; None: at once."""
        shape = replace(shape_of(task, members, table), narrow=template.wide is not None)
        key = task.objective, template.key, shape
        program = self._compiled.pop(key, None)
        if program is None or program.cancelled() or (program.done() and program.exception()):
            make = partial(Program, template.model, template.numbers, task, shape, table)
            if compiler is not None:
                program = compiler.submit(make)
            else:
                program = Future()
                program.set_result(make())
        while len(self._compiled) >= _MOST_PROGRAMS:
            del self._compiled[next(iter(self._compiled))]
        self._compiled[key] = program  # the last one used is the last to go
        return program


PROGRAMS = Programs()


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
