"""Training many fits side by side as one compiled program, on JAX."""

import contextlib
import logging
import math
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import numpy as np

from hpsearch.core.data import Data
from hpsearch.core.errors import BuildError, first_line, is_out_of_memory
from hpsearch.core.space import Params
from hpsearch.core.task import Task
from hpsearch.core.trial import Curve
from hpsearch.training import metrics
from hpsearch.training.base import Build, Fit, ModelSpec, Split
from hpsearch.training.batched import device_data as tables
from hpsearch.training.batched.batchable import other_metric, row_mixer, why_not_batchable
from hpsearch.training.batched.device_data import Table
from hpsearch.training.batched.hardware import cache_bytes, free_bytes
from hpsearch.training.batched.member import Member, next_size
from hpsearch.training.batched.program import Program, whole_table
from hpsearch.training.batched.program_cache import PROGRAMS
from hpsearch.training.batched.run import Gang
from hpsearch.training.batched.scalars import own_loss
from hpsearch.training.batched.template import MOST_TEMPLATES, Recent, Template
from hpsearch.training.building import parts
from hpsearch.training.fit import FitTrainer
from hpsearch.training.rows import model_spec, prepare, validation_batch

log = logging.getLogger(__name__)

_WORTH_MEASURING = 30.0  # seconds of training
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
    _specs: dict[Split | None, ModelSpec] = field(default_factory=dict)
    _tables: dict[Any, Table] = field(default_factory=dict)
    _sizes: Recent[int] = field(default_factory=lambda: Recent(MOST_TEMPLATES))
    _told: set[str] = field(default_factory=set)

    def train(self, fits: Sequence[Fit], data: Data) -> Iterator[tuple[int, Curve]]:
        """Yield (index, curve) as fits end; whatever `build` raises passes through."""
        waiting: list[Member] = []
        alone: list[int] = []
        for index, fit in enumerate(fits):
            spec = self._spec(fit.split, data)
            member = Member.build(index, fit, spec, self.task.objective)
            if why := _why_not(member):
                self._remark(self._refused(why))
                alone.append(index)
            elif member.history.ended:  # by its parent's patience
                if fit.checkpoint_out is not None and not fit.checkpoint_out.exists():
                    member.save(member.state())
                yield index, member.curve()
            else:
                waiting.append(member)
        with _compiling() as compiler:
            groups = PROGRAMS.templates.arrange(waiting)
            for template, members in groups:  # the first trains while others are compiled
                if size := self._size(template, members):
                    some = next(_dealt(members, size))
                    self._program(template, some, _splits(some), data, compiler)
            for template, members in groups:
                left = {member.index for member in members}
                try:
                    size, first = self._fastest(template, members, data)
                    trained = self._train(template, members, size, data, first) if size else ()
                    for member in trained:
                        left.remove(member.index)
                        yield member.index, member.curve()
                except _NotCompiled as error:
                    self._remark(self._refused(str(error)))
                    self._sizes[template.key] = 0  # nor would it be for the trials to come
                alone += sorted(left)
        if alone:
            for place, curve in FitTrainer(self.task).train([fits[i] for i in alone], data):
                yield alone[place], curve

    def _train(
        self,
        template: Template,
        members: Sequence[Member],
        size: int,
        data: Data,
        first: Gang | None = None,
    ) -> Iterator[Member]:
        """Yield members of one template as they end. size: of a gang; first: one that has begun."""
        gangs = list(_dealt(members, size))
        while gangs:
            some = gangs.pop(0)
            ended: set[int] = set()
            try:
                if first is None or first.members != some:
                    first = self._begun(template, some, data)
                for member in first.train():
                    ended.add(member.index)
                    yield member
            except Exception as error:
                # Those that follow are cut anew too: each of them would run out of memory again.
                size = self._fewer(template, some, error)
                left = [member for member in some if member.index not in ended]
                again = [*self._again(template, left, data), *(m for gang in gangs for m in gang)]
                gangs, first = list(_dealt(again, size)), None

    def _fewer(self, template: Template, members: Sequence[Member], error: Exception) -> int:
        """How many to train side by side, after memory ran out; raises any other error."""
        if not is_out_of_memory(error) or len(members) == 1:
            raise error
        fewer = self._sizes[template.key] = len(members) // 2
        log.warning("memory holds no %d models side by side; going on by %d", len(members), fewer)
        return fewer

    def _again(self, template: Template, members: Sequence[Member], data: Data) -> list[Member]:
        """The same fits as they were before, or at their last checkpoint."""
        again = []
        for member in members:
            spec = self._spec(member.fit.split, data)
            again.append(Member.build(member.index, member.fit, spec, self.task.objective))
            template.place(again[-1])
        return again

    def _size(self, template: Template, members: Sequence[Member]) -> int:
        """Members of a gang, as far as it is known; 0: they are trained by `fit`."""
        most = self._sizes.get(template.key, _fitting(template))
        return min(self.most, len(members), most)

    def _fastest(
        self, template: Template, members: Sequence[Member], data: Data
    ) -> tuple[int, Gang | None]:
        """Members of a gang with which all are trained soonest; 0: by `fit`. And the first gang.

        Where all takes long, this is measured: a few steps by gangs of several sizes, and by `fit`.
        """
        size = self._size(template, members)
        if template.key in self._sizes:
            return size, None
        some = next(_dealt(members, size))
        try:
            gang = self._begun(template, some, data)
            paces = {len(some): gang.seconds_an_epoch() / len(some)}
        except Exception as error:
            return self._fewer(template, some, error), None
        epochs = max(member.history.left for member in members)
        if paces[len(some)] * epochs * len(members) < _WORTH_MEASURING:
            return size, gang
        while smaller := min(paces) // 4:
            paces[smaller] = self._begun(template, members[:smaller], data).seconds_an_epoch()
            paces[smaller] /= smaller
            if paces[smaller] > 0.9 * min(paces.values()):
                break
        if not self.strict:
            paces[0] = FitTrainer(self.task).seconds_an_epoch(members[0].fit, data)
        best = min(paces, key=lambda size: paces[size])
        told = ", ".join(f"{size or 'fit'}: {pace:.3g} s" for size, pace in paces.items())
        log.info("an epoch of a model takes, side by side with as many: %s", told)
        self._sizes[template.key] = best
        return best, gang

    def probe(self, build: Build, points: Iterable[Params], split: Split, data: Data) -> str | None:
        """As `FitTrainer.probe`; refuses, if strict, also what cannot be trained side by side."""
        points = list(points)
        FitTrainer(self.task).probe(build, points, split, data)
        fit = Fit(build, points[0], split, seed=0, epochs=1)
        member = Member.build(0, fit, self._spec(split, data), self.task.objective)
        if (why := _why_not(member)) is None:
            return None
        told = self._refused(why)
        self._told.add(told)  # by whoever asked
        return told

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
        key = split if self.task.preprocess is not None else None  # else all are of one shape
        if key not in self._specs:
            rows = prepare(self.task, data, split)
            self._specs[key] = model_spec(self.task, rows, data.y, [])
        spec = self._specs[key]
        return replace(spec, loss=own_loss(spec.loss), metrics=metrics.to_compile(self.task))

    def _begun(self, template: Template, members: Sequence[Member], data: Data) -> Gang:
        splits = _splits(members)

        def compiled(some: Sequence[Member]) -> tuple[Program, Table]:
            compiling, table = self._program(template, some, splits, data)
            try:
                program = compiling.result()
            except Exception as error:
                if is_out_of_memory(error):
                    raise
                raise _NotCompiled(f"its step is not compiled ({first_line(error)})") from error
            if program.bytes > free_bytes() and len(some) > 1:
                raise MemoryError(f"{program.bytes:,} bytes are wanted")
            return program, table

        return Gang(self.task, members, compiled, self.chunk)

    def _program(
        self,
        template: Template,
        members: Sequence[Member],
        splits: tuple[Split, ...],
        data: Data,
        compiler: ThreadPoolExecutor | None = None,
    ) -> tuple[Future[Program], Table]:
        """The program for some members, and the rows that it trains them on."""
        table = self._table(splits, len(members), data)
        return PROGRAMS.get(self.task, template, members, table, compiler), table

    def _table(self, splits: tuple[Split, ...], members: int, data: Data) -> Table:
        """The rows of these splits, where a gang of so many looks for them."""
        where = whole_table(next_size(members))
        key = splits if self.task.preprocess is not None else None, where
        if key not in self._tables:
            while len(self._tables) >= _MOST_TABLES:
                del self._tables[next(iter(self._tables))]
            self._tables[key] = tables.make(self.task, data, splits, where)
        return self._tables[key]


class _NotCompiled(Exception):
    """Keras or JAX refused the program of a gang: a step that `fit` may take all the same."""


def _splits(members: Sequence[Member]) -> tuple[Split, ...]:
    return tuple(dict.fromkeys(member.fit.split for member in members))


def _why_not(member: Member) -> str | None:
    """Why no gang can train it, if none can: for itself, or because batches must be filled up."""
    why = why_not_batchable(member.model)
    if why or (why := other_metric(member.model, member.history.metric.name)):
        return why
    held_out = len(member.fit.split.validation)
    filled = held_out % validation_batch(held_out)
    if not (filled or member.rows % member.batch) or (why := row_mixer(member.model)) is None:
        return None
    way_out = "" if filled else "; a batch_size that divides the training rows leaves it full"
    return f"{why}, and the last batch is filled up{way_out}"


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
