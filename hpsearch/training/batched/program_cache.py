"""Compiled programs, kept for whoever comes with models of the same structure."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial

from hpsearch.core.task import Task
from hpsearch.training.batched.device_data import Table
from hpsearch.training.batched.member import Member
from hpsearch.training.batched.program import Program
from hpsearch.training.batched.program_spec import shape_of
from hpsearch.training.batched.template import Recent, Template, Templates

_MOST_PROGRAMS = 48


class Programs:
    """The programs of this process, and the templates that they were compiled for."""

    def __init__(self) -> None:
        self.templates = Templates()
        self._compiled: Recent[Future[Program]] = Recent(_MOST_PROGRAMS)

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
        key = task.objective, template, shape  # the template itself: what its key names must live
        program = self._compiled.pop(key, None)
        if program is None or program.cancelled() or (program.done() and program.exception()):
            make = partial(Program, template.model, template.numbers, task, shape, table)
            if compiler is not None:
                program = compiler.submit(make)
            else:
                program = Future()
                try:
                    program.set_result(make())
                except Exception as error:
                    program.set_exception(error)
        self._compiled[key] = program
        return program


PROGRAMS = Programs()
