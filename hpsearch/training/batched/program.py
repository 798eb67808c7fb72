"""The compiled program that trains a batch of models of one structure, and the programs kept."""

import math
import threading
import time
from collections.abc import Hashable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from hpsearch.core.task import Task
from hpsearch.training import metrics
from hpsearch.training.batched.device_data import DeviceTable
from hpsearch.training.batched.hardware import count_devices
from hpsearch.training.batched.member import BatchMember
from hpsearch.training.batched.program_spec import (
    EarlyStopping,
    ProgramSpec,
    Traits,
    make_program_spec,
)
from hpsearch.training.batched.template import RecentDict, Template, TemplateRegistry
from hpsearch.training.batched.traced_step import State, TracedTraining
from hpsearch.training.deferred import read_as_placeholders

_MAX_PROGRAMS = 48
_tracing = threading.Lock()

# XLA leaves large sums to a library that adds in another order than XLA does small ones: from about
# ten members a device on, a fit would end in other last bits. So of this library only products are
# wanted, each by itself; that is as fast.
_SUMS_ALIKE: dict[str, str | bool] = {
    "xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT"
}


class Program:
    """Trains `spec.members` models side by side, for some epochs a call.

    Args:
        template: whose structure the members have. Its model must not be used for anything else.
        task: what is learned.
        spec: what to compile for.
        table: the rows, or others of the same signature.
    """

    def __init__(
        self, template: Template, task: Task, spec: ProgramSpec, table: DeviceTable
    ) -> None:
        self.spec = spec
        # Threads trace one after the other, for layers are changed meanwhile. XLA compiles at once.
        with _tracing:
            start = time.perf_counter()
            _compile_metrics(template.model, task, table)
            lowered = self._lower(template, task, table)
        self._compiled = _compile(lowered)
        self.seconds_to_compile = time.perf_counter() - start
        self.epoch_seconds = 0.0  # of the last call, however many places were empty; 0: not known

    @property
    def bytes(self) -> int:
        """Memory of a device that a call takes, the table included, as XLA plans it.

        The processor's devices all have one memory, in which the table lies once.
        """
        planned = self._compiled.memory_analysis()
        of_each = planned.argument_size_in_bytes + planned.temp_size_in_bytes
        of_each += planned.output_size_in_bytes - planned.alias_size_in_bytes  # predictions
        if jax.default_backend() != "cpu":
            return int(of_each)
        table = sum(
            math.prod(shape) * np.dtype(dtype).itemsize for _, shape, dtype in self.spec.table
        )
        return int((of_each - table) * count_devices(self.spec.members) + table)

    def put_state(self, arrays: Any) -> Any:
        """Put arrays of shape (members, ...) on the devices."""
        return jax.device_put(arrays, self._over_members(0))

    def put_validation(self, rows: Any) -> Any:
        """Put validation row numbers on the devices.

        Args:
            rows: of shape (steps, members, batch), or (steps, batch) where all members share them.
        """
        return jax.device_put(rows, self._over_members(1, self.spec.shared_validation))

    def __call__(
        self,
        state: State,
        traits: Traits,
        validation: Any,
        table: DeviceTable,
        order: Any,
        stopping: EarlyStopping,
        *,
        epochs: int,
        steps: int | None = None,
    ) -> tuple[State, Any, Any]:
        """Train on, and return (state, values, predictions).

        Args:
            state: as `put_state` gives it, or as a call returned it; it is used up.
            traits: what tells the members apart; on the devices.
            validation: as `put_validation` gives it.
            table: the rows.
            order: training row numbers of shape (max_epochs, steps, members, batch), without the
                members where they share them; -1 for no row.
            stopping: when each member ends.
            epochs: how many to train.
            steps: training steps of each epoch; None: all.

        The values are of shape (max_epochs, members, curves), the curves those of
        `history.curve_names`; NaN where a metric is computed from predictions. The predictions
        after the last epoch are of shape (steps, members, batch, outputs), or None where no metric
        needs them.
        """
        return self._compiled(  # type: ignore[no-any-return]
            state,
            traits,
            validation,
            table.arrays,
            jax.device_put(order, self._over_members(2, self.spec.shared_order)),
            jax.device_put(stopping, self._over_members(0)),
            np.int32(epochs),
            np.int32(self.spec.steps if steps is None else steps),
        )

    def _lower(self, template: Template, task: Task, table: DeviceTable) -> Any:
        """Trace `TracedTraining.train_epochs` for arrays of the spec's shapes."""
        spec, model = self.spec, template.model
        training = TracedTraining(template, task, spec)
        over, whole = self._over_members, table_sharding(spec.members)

        def stacked(variables: Any) -> list[Any]:
            return [_abstract((spec.members, *v.shape), v.dtype, over(0)) for v in variables]

        members = (spec.members,)
        order = (
            spec.max_epochs,
            spec.steps,
            *(() if spec.shared_order else members),
            spec.batch_size,
        )
        validation = (
            spec.validation_steps,
            *(() if spec.shared_validation else members),
            spec.validation_batch_size,
        )
        state = (
            stacked(model.trainable_variables),
            stacked(model.non_trainable_variables),
            stacked(template.optimizers.variables),
        )
        axes = 0
        if spec.has_padded_members:
            axes = sum(len(v.shape) for v in model.trainable_variables)
        arguments = (
            state,
            Traits(
                [_abstract(members, "float32", over(0)) for _ in template.scalars.values],
                _abstract((spec.members, axes), "int32", over(0)),
                _abstract(members, "int32", over(0)),
            ),
            _abstract(validation, "int32", over(1, spec.shared_validation)),
            jax.tree.map(lambda a: _abstract(a.shape, a.dtype, whole), table.arrays),
            _abstract(order, "int32", over(2, spec.shared_order)),
            EarlyStopping(
                *[_abstract(members, t, over(0)) for t in ("int32", "float32", "int32", "int32")]
            ),
            _abstract((), "int32", whole),
            _abstract((), "int32", whole),
        )
        # Each device trains its own members, as if there were no others: left to XLA, a program that
        # is split over devices computes in another way than one that is not, and last bits differ.
        train = jax.shard_map(
            training.train_epochs,
            mesh=_member_mesh(spec.members),
            in_specs=jax.tree.map(lambda argument: argument.sharding.spec, arguments),
            out_specs=(over(0).spec, over(1).spec, over(1).spec),
            check_vma=False,
        )
        with training.replaced_layers():
            return jax.jit(train, donate_argnums=0).lower(*arguments)

    def _over_members(self, axis: int, shared: bool = False) -> Any:
        """The members' axis is split over the devices; what they share lies on each device."""
        partition = PartitionSpec() if shared else PartitionSpec(*[None] * axis, "members")
        return NamedSharding(_member_mesh(self.spec.members), partition)


class ProgramCache:
    """The programs compiled in this process, and the templates that they were compiled for."""

    def __init__(self) -> None:
        self.templates = TemplateRegistry()
        self._compiled: dict[_ProgramKey, Future[Program]] = RecentDict(_MAX_PROGRAMS)  # type: ignore[assignment]
        # Seconds lost so far by training in another program, by the one that was not compiled.
        self._lost: RecentDict[float] = RecentDict(_MAX_PROGRAMS)

    def choose_places(
        self,
        task: Task,
        template: Template,
        members: Sequence[BatchMember],
        table: tuple[Any, ...],
        *,
        fewest: int,
        most: int,
        is_used: bool,
    ) -> int:
        """For how many members the program should be that trains these.

        Where one for so many is not compiled, another one may be there: a larger one, of which
        places stay empty, or a smaller one, which trains them some at a time. It is taken until
        that has lost as much time as compiling takes: nobody knows how often so many will come.

        Args:
            table: the signature of their rows' table.
            fewest, most: places that another program may have.
            is_used: whether they will be trained now by the program that is chosen.
        """
        own = self._make_key(task, template, members, table)
        places = own.spec.members
        if own in self._compiled:
            return places
        epochs = max(member.history.epochs_left for member in members)
        others = []
        for key, compiling in self._compiled.items():
            is_one = key.is_like(own) and fewest <= key.spec.members <= most
            program = _get_compiled(compiling) if is_one else None
            if program is not None and program.epoch_seconds:
                calls = -(-len(members) // program.spec.members)
                # Twice as many places take somewhere between as long and twice as long.
                size = places / program.spec.members
                wasted = calls - (size if size < 1 else math.sqrt(size))
                others.append((epochs * program.epoch_seconds * wasted, program))
        if not others:
            return places
        loss, program = min(others, key=lambda found: found[0])
        lost = self._lost.get(own, 0.0) + loss
        if lost > program.seconds_to_compile:
            return places
        if is_used:
            self._lost[own] = lost
        return program.spec.members

    def get_program(
        self,
        task: Task,
        template: Template,
        members: Sequence[BatchMember],
        table: DeviceTable,
        places: int,
        compiler: ThreadPoolExecutor | None = None,
    ) -> Future[Program]:
        """The program for these members, compiled if there is none.

        Args:
            task: what is learned.
            template: whose structure the members have.
            members: the batch.
            table: its rows.
            places: for how many members, as `choose_places` has it.
            compiler: the threads that compile it, later; None: this one, at once.
        """
        key = self._make_key(task, template, members, table.signature, places)
        program = self._compiled.pop(key, None)
        if program is None or program.cancelled() or (program.done() and program.exception()):
            make = partial(Program, template, task, key.spec, table)
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

    def _make_key(
        self,
        task: Task,
        template: Template,
        members: Sequence[BatchMember],
        table: tuple[Any, ...],
        places: int | None = None,
    ) -> "_ProgramKey":
        spec = make_program_spec(
            task,
            members,
            table,
            has_padded_members=template.wide is not None,
            minibatches=template.minibatches,
            places=places,
        )
        losses = tuple((name, part.loss) for name, part in task.parts.items())
        shares = tuple(task.weigh_losses().values())
        described = task.recorded, task.weighted_metrics, losses, shares
        return _ProgramKey(described, template, spec)


@dataclass(frozen=True)
class _ProgramKey:
    """What tells programs apart.

    Args:
        task: what of the task is compiled in.
        template: itself, not its key: an id in a key is only unique while its object lives.
    """

    task: Hashable
    template: Template
    spec: ProgramSpec

    def is_like(self, other: "_ProgramKey") -> bool:
        """Whether it differs from the other in how many places it has, and in nothing else."""
        spec = replace(other.spec, members=self.spec.members, max_epochs=self.spec.max_epochs)
        return (self.task, self.template, self.spec) == (other.task, other.template, spec)


def _get_compiled(compiling: Future[Program]) -> Program | None:
    """The program, where it has been compiled."""
    if not compiling.done() or compiling.cancelled() or compiling.exception() is not None:
        return None
    return compiling.result()


PROGRAMS = ProgramCache()


def _compile(lowered: Any) -> Any:
    """What runs, of what was traced."""
    if jax.default_backend() != "cpu":
        return lowered.compile()
    try:
        return lowered.compile(_SUMS_ALIKE)
    except jax.errors.JaxRuntimeError as error:
        if "No such compile option" not in str(error):
            raise
        return lowered.compile()  # another version of XLA, which has no such library


def table_sharding(members: int) -> Any:
    """Where a table lies for this many members: whole, on each of their devices."""
    return NamedSharding(_member_mesh(members), PartitionSpec())


def _member_mesh(members: int) -> Any:
    """The devices that a program splits its members over."""
    return Mesh(np.array(jax.local_devices()[: count_devices(members)]), ("members",))


def _abstract(shape: tuple[int, ...], dtype: Any, sharding: Any) -> Any:
    return jax.ShapeDtypeStruct(shape, dtype, sharding=sharding)


def _compile_metrics(model: Any, task: Task, table: DeviceTable) -> None:
    """Make the model weigh rows in its metrics, which it otherwise counts all alike."""
    model.compile(
        optimizer=model.optimizer,
        loss=model.loss,
        loss_weights=task.weigh_losses() if task.has_several_outputs else None,
        weighted_metrics=metrics.make_metrics(task) or None,
        auto_scale_loss=False,
    )
    # On the host: each operation on the device would be compiled by itself.
    two = jax.tree.map(lambda a: np.zeros((2, *a.shape[1:]), a.dtype), (table.x, table.y))
    with read_as_placeholders():
        model._symbolic_build(data_batch=two)
