"""One compiled program that trains a gang: many models of one structure, side by side."""

import time
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from hpsearch.core.task import Task
from hpsearch.training import metrics
from hpsearch.training.batched.device_data import Table
from hpsearch.training.batched.program_spec import Limits, Shape
from hpsearch.training.batched.scalars import Numbers
from hpsearch.training.batched.traced_step import State, Steps
from hpsearch.training.building import parts
from hpsearch.training.deferred import placeholders


class Program:
    """Trains `shape.members` models for some epochs a call.

    model: the one that lends its structure; it must not be used for anything else.
    """

    def __init__(
        self, model: Any, numbers: Numbers, task: Task, shape: Shape, table: Table
    ) -> None:
        self.shape = shape
        _compile_metrics(model, task, table)
        steps = Steps(model, numbers, task.objective, shape)
        start = time.perf_counter()
        self._compiled = self._compile(steps, model, numbers, table)
        self.seconds_to_compile = time.perf_counter() - start

    @property
    def bytes(self) -> int:
        """Memory that a call takes, the table included; as XLA planned it."""
        planned = self._compiled.memory_analysis()
        return int(planned.argument_size_in_bytes + planned.temp_size_in_bytes)

    def put_state(self, arrays: Any) -> Any:
        """Arrays of shape (members, ...) on the devices."""
        return jax.device_put(arrays, self._over_members(0))

    def put_validation(self, rows: Any) -> Any:
        """Row numbers of shape (steps, members, batch), or (steps, batch) where all have the same."""
        return jax.device_put(rows, self._over_members(1, self.shape.one_validation))

    def __call__(
        self,
        state: State,
        traits: Any,
        validation: Any,
        table: Table,
        order: Any,
        limits: Limits,
        *,
        epochs: int,
        steps: int | None = None,
    ) -> tuple[State, Any, Any]:
        """Train on; returns the state, values of shape (chunk, members, 4) and predictions.

        traits: the members' numbers and extents, of shape (members, n) each. order: row numbers of
        shape (chunk, steps, members, batch), without members where they share them, -1 for no row.
        steps: of each epoch; None: all. `state` is used up.
        The values are those of `history.CURVES`; of shape (steps, members, batch, outputs) are the
        predictions, after the last epoch, where `shape.predicts`.
        """
        return self._compiled(  # type: ignore[no-any-return]
            state,
            traits,
            validation,
            (table.x, table.y),
            jax.device_put(order, self._over_members(2, self.shape.one_order)),
            jax.device_put(limits, self._over_members(0)),
            np.int32(epochs),
            np.int32(self.shape.steps if steps is None else steps),
        )

    def _compile(self, steps: Steps, model: Any, numbers: Numbers, table: Table) -> Any:
        shape = self.shape
        over, whole = self._over_members, NamedSharding(_mesh(shape.members), PartitionSpec())

        def stacked(variables: Any) -> list[Any]:
            return [_abstract((shape.members, *v.shape), v.dtype, over(0)) for v in variables]

        members = (shape.members,)
        order = (shape.chunk, shape.steps, *(() if shape.one_order else members), shape.batch)
        validation = (
            shape.validation_steps,
            *(() if shape.one_validation else members),
            shape.validation_batch,
        )
        state = tuple(stacked(part) for part in parts(model))
        axes = sum(len(v.shape) for v in model.trainable_variables) if shape.narrow else 0
        arguments = (
            state,
            (
                _abstract((shape.members, len(numbers.values)), "float32", over(0)),
                _abstract((shape.members, axes), "int32", over(0)),
            ),
            _abstract(validation, "int32", over(1, shape.one_validation)),
            jax.tree.map(lambda a: _abstract(a.shape, a.dtype, whole), (table.x, table.y)),
            _abstract(order, "int32", over(2, shape.one_order)),
            Limits(
                *[_abstract(members, t, over(0)) for t in ("int32", "float32", "int32", "int32")]
            ),
            _abstract((), "int32", whole),
            _abstract((), "int32", whole),
        )
        out = (over(0), whole, whole)
        with steps.told():
            lowered = jax.jit(steps.run, donate_argnums=0, out_shardings=out).lower(*arguments)
        return lowered.compile()

    def _over_members(self, axis: int, one: bool = False) -> Any:
        """Members are dealt to the devices; what is one for all lies on each."""
        spec = PartitionSpec() if one else PartitionSpec(*[None] * axis, "members")
        return NamedSharding(_mesh(self.shape.members), spec)


def whole_table(members: int) -> Any:
    """Where a table lies for a gang of so many: on each of its devices."""
    return NamedSharding(_mesh(members), PartitionSpec())


def _mesh(members: int) -> Any:
    """The devices that a gang is dealt to: as many as can have equal shares of two or more.

    XLA computes a single one in another way than many, and its last bits then differ; so a fit
    ends the same, whoever trains beside it.
    """
    devices = jax.local_devices()
    while len(devices) > 1 and (members % len(devices) or members < 2 * len(devices)):
        devices = devices[:-1]
    return Mesh(np.array(devices), ("members",))


def _abstract(shape: tuple[int, ...], dtype: Any, sharding: Any) -> Any:
    return jax.ShapeDtypeStruct(shape, dtype, sharding=sharding)


def _compile_metrics(model: Any, task: Task, table: Table) -> None:
    """Let the model count the task's metric by rows' weights; by itself it would count all alike."""
    model.compile(
        optimizer=model.optimizer,
        loss=model.loss,
        weighted_metrics=metrics.to_compile(task) or None,
        auto_scale_loss=False,
    )
    two = jax.tree.map(lambda array: array[:2], (table.x, table.y))
    with placeholders():
        model._symbolic_build(data_batch=two)
