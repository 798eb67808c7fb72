"""Training many fits side by side as one compiled program, on JAX."""

import contextlib
import logging
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import jax
import numpy as np

from hpsearch.errors import BuildError
from hpsearch.space import Params
from hpsearch.task import Data, Task
from hpsearch.training import metrics, table
from hpsearch.training.base import Build, Fit, ModelSpec, Split
from hpsearch.training.fit import FitTrainer
from hpsearch.training.machine import cache_bytes
from hpsearch.training.member import Member, next_size
from hpsearch.training.numbers import obstacle, row_mixer
from hpsearch.training.placing import parts
from hpsearch.training.program import Program, Shape, whole_table
from hpsearch.training.rows import model_spec, prepare, validation_batch
from hpsearch.training.table import Table
from hpsearch.training.template import Template, Templates
from hpsearch.training.together import Gang
from hpsearch.trial import Curve

log = logging.getLogger(__name__)

_ORDER_NUMBERS = 2**22  # row numbers sent with a call, at most
_MOST_EPOCHS = 64  # of a call
_MOST_PROGRAMS = 64
_MOST_TABLES = 2


@dataclass(eq=False)
class GangTrainer:
    """Fits of one structure, loss, optimizer and batch size train side by side.

    What cannot train so is trained by `fit`, and the log says why; strict: it is refused instead.
    most: members of a gang. chunk: epochs between two looks at what it does; None: what takes
    about half a second.
    """

    task: Task
    strict: bool = False
    most: int = 256
    chunk: int | None = None
    _specs: dict[Split, ModelSpec] = field(default_factory=dict)
    _tables: dict[Any, Table] = field(default_factory=dict)
    _programs: dict[Any, Future[Program]] = field(default_factory=dict)
    _templates: Templates = field(default_factory=Templates)
    _told: set[str] = field(default_factory=set)

    def train(self, fits: Sequence[Fit], data: Data) -> Iterator[tuple[int, Curve]]:
        """Yield (index, curve) as fits end; whatever `build` raises passes through."""
        waiting: list[Member] = []
        alone: list[int] = []
        for index, fit in enumerate(fits):
            spec = self._spec(fit.split, data)
            member = Member.build(index, fit, spec, self.task.objective)
            if why := obstacle(member.model) or _unfillable(member):
                self._remark(self._refused(why))
                alone.append(index)
            elif member.history.ended:  # by its parent's patience
                if fit.checkpoint_out is not None and not fit.checkpoint_out.exists():
                    member.save(member.state())
                yield index, member.curve()
            else:
                waiting.append(member)
        gangs = [
            (template, some)
            for template, members in self._templates.arrange(waiting)
            for some in _dealt(members, min(self.most, _fitting(template)))
        ]
        with _compiling() as compiler:
            for template, members in gangs:  # the first trains while others are compiled
                self._compile(template, members, data, compiler)
            for template, members in gangs:
                for member in self._gang(template, members, data).train():
                    yield member.index, member.curve()
        if alone:
            for place, curve in FitTrainer(self.task).train([fits[i] for i in alone], data):
                yield alone[place], curve

    def probe(self, build: Build, points: Iterable[Params], split: Split, data: Data) -> str | None:
        """As `FitTrainer.probe`; refuses, if strict, also what cannot be trained side by side."""
        points = list(points)
        FitTrainer(self.task).probe(build, points, split, data)
        fit = Fit(build, points[0], split, seed=0, epochs=1)
        member = Member.build(0, fit, self._spec(split, data), self.task.objective)
        why = obstacle(member.model) or _unfillable(member)
        return self._refused(why) if why else None

    @property
    def together(self) -> int:
        return self.most

    def _refused(self, why: str) -> str:
        if self.strict:
            raise BuildError(
                f"--engine gang cannot train this model: {why}; use --engine fit, or auto"
            )
        return f"models are trained one after the other, by fit: {why}"

    def _remark(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            log.warning("%s", text)

    def _spec(self, split: Split, data: Data) -> ModelSpec:
        if split not in self._specs:
            rows = prepare(self.task, data, split)
            self._specs[split] = model_spec(self.task, rows, data.y, [])
        return replace(self._specs[split], metrics=metrics.to_compile(self.task))

    def _gang(self, template: Template, members: Sequence[Member], data: Data) -> Gang:
        def program(some: Sequence[Member]) -> Program:
            return self._compile(template, some, data).result()

        rows = self._table(members, data)
        return Gang(self.task, rows, members, program, self.chunk)

    def _table(self, members: Sequence[Member], data: Data) -> Table:
        splits = tuple(dict.fromkeys(member.fit.split for member in members))
        where = whole_table(next_size(len(members)))
        key = splits if self.task.preprocess is not None else None, where
        if key not in self._tables:
            while len(self._tables) >= _MOST_TABLES:
                del self._tables[next(iter(self._tables))]
            self._tables[key] = table.make(self.task, data, splits, where)
        return self._tables[key]

    def _compile(
        self,
        template: Template,
        members: Sequence[Member],
        data: Data,
        compiler: ThreadPoolExecutor | None = None,
    ) -> Future[Program]:
        """The program for these, at once or later; it is kept for others of their shape."""
        rows = self._table(members, data)
        shape = replace(self._shape(members, rows), narrow=template.wide is not None)
        key = template.key, shape
        program = self._programs.pop(key, None)
        if program is None:
            while len(self._programs) >= _MOST_PROGRAMS:
                del self._programs[next(iter(self._programs))]
            make = partial(Program, template.model, template.numbers, self.task, shape, rows)
            program = _done(make) if compiler is None else compiler.submit(make)
        self._programs[key] = program  # the last one used is the last to go
        return program

    def _shape(self, members: Sequence[Member], rows: Table) -> Shape:
        size = next_size(len(members))
        batch = max(member.batch for member in members)
        steps = max(member.steps for member in members)
        held_out = [len(member.fit.split.validation) for member in members]
        validation = max(validation_batch(n) for n in held_out)
        validation_steps = max(-(-n // validation) for n in held_out)
        one_split = len({member.fit.split for member in members}) == 1
        orders = {(member.fit.order, member.history.epochs) for member in members}
        one_order = len(members) == 1 or (
            one_split and len(orders) == 1 and members[0].fit.order is not None
        )
        predicts = 0
        if self.task.metric == "roc_auc":
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
            table=rows.shape,
            predicts=predicts,
        )


def _unfillable(member: Member) -> str | None:
    """Why batches may not be filled up with rows of no weight, if some must be."""
    held_out = len(member.fit.split.validation)
    filled = member.rows % member.batch or held_out % validation_batch(held_out)
    return row_mixer(member.model) if filled else None


def _fitting(template: Template) -> int:
    """How many members' weights, gradients and optimizer state the processor's cache holds.

    More of them train more slowly on a CPU: each step would fetch all from memory.
    """
    variables = [v for part in parts(template.model) for v in part]
    variables += template.model.trainable_variables
    each: int = sum(math.prod(v.shape) * np.dtype(str(v.dtype)).itemsize for v in variables)
    return max(len(jax.local_devices()), cache_bytes() // max(1, each))


def _dealt(members: Sequence[Member], most: int) -> Iterator[Sequence[Member]]:
    """Cut them into gangs of about one size, so that one program serves all."""
    gangs = -(-len(members) // most)
    size = -(-len(members) // gangs)
    return (members[start : start + size] for start in range(0, len(members), size))


@contextlib.contextmanager
def _compiling() -> Iterator[ThreadPoolExecutor]:
    compiler = ThreadPoolExecutor(1, "compiler")
    try:
        yield compiler
    finally:
        compiler.shutdown(wait=False, cancel_futures=True)


def _done(make: Callable[[], Program]) -> Future[Program]:
    future: Future[Program] = Future()
    future.set_result(make())
    return future
