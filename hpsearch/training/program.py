"""One compiled program that trains a gang: many models of one structure, side by side.

Everything that Keras does in a step, it does itself, by its stateless methods: the program only
repeats steps (a loop), puts members side by side (`jax.vmap`), and fills up batches with rows of
weight zero where members' batches differ.
"""

import contextlib
import functools
import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import keras
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from hpsearch.task import Task
from hpsearch.training import metrics
from hpsearch.training.dropping import dropout
from hpsearch.training.numbers import Numbers, loss_is_mean
from hpsearch.training.table import Table

State = tuple[list[Any], list[Any], list[Any]]
"""Trainable variables, others, and the optimizer's; each of shape (members, ...)."""


@dataclass(frozen=True)
class Shape:
    """All that a program was compiled for, beside the models' structure.

    members: models side by side. batch, steps: rows of a training step, and steps of an epoch, at
    most. chunk: epochs of a call, at most. validation_batch, validation_steps: likewise.
    filled: whether some training batches hold rows of no weight; uneven: whether some members have
    fewer steps than others; validation_filled: as filled.
    one_order: all members train on the same rows in each step. one_validation: all validate on the
    same rows. table: as `Table.shape`. predicts: whether predictions come back, of the train and
    validation rows, from which the metric is computed outside. narrow: whether members' weights
    may be of less extent than the program's.
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


class Program:
    """Trains `shape.members` models for some epochs a call.

    model: the one that lends its structure; it must not be used for anything else.
    """

    def __init__(
        self, model: Any, numbers: Numbers, task: Task, shape: Shape, table: Table
    ) -> None:
        self.shape = shape
        self._model, self._numbers, self._metric = model, numbers, task.objective
        self._mean = loss_is_mean(model)
        self._real: Any = None
        self._extents: Any = None
        _compile_metrics(model, task, table)
        for layer in model._flatten_layers(include_self=False):
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.call = functools.partial(self._normalize, layer.call)
        for layer, axis in (shape.narrow and _dropouts(model)) or ():
            layer.call = functools.partial(self._drop, layer, axis)
        start = time.perf_counter()
        self._compiled = self._compile(table)
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
        limits: "Limits",
        *,
        epochs: int,
        steps: int | None = None,
    ) -> tuple[State, Any, Any]:
        """Train on; returns the state, values of shape (chunk, members, 4) and predictions.

        traits: the members' numbers and extents, of shape (members, n) each.

        order: row numbers of shape (chunk, steps, members, batch), without members where they
        share them, -1 for no row. steps: of each epoch; None: all. `state` is used up.
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

    # What follows is traced by JAX, once.

    def _run(
        self,
        state: State,
        traits: Any,
        validation: Any,
        rows: Any,
        order: Any,
        limits: "Limits",
        epochs: Any,
        steps: Any,
    ) -> tuple[State, Any, Any]:
        shape = self.shape
        left, best, since, patience = limits

        def more(carry: Any) -> Any:
            epoch, _, alive, *_ = carry
            return (epoch < epochs) & jnp.any(alive)

        def train(carry: Any) -> Any:
            epoch, state, alive, best, since, values = carry
            new = self._train_epoch(state, traits, rows, order[epoch], steps)
            now, _ = self._validate(new[0], traits, rows, validation, new[1])
            # Who has ended stays as it was, to the end of the chunk.
            state = jax.tree.map(lambda a, b: jnp.where(_like(alive, a), a, b), new[0], state)
            loss = -now[:, 1] if self._metric.direction == "max" else now[:, 1]
            since = jnp.where(loss < best, 0, since + 1)
            best = jnp.minimum(loss, best)
            finite = jnp.isfinite(now[:, 2:] if shape.predicts else now).all(axis=1)
            alive &= finite & (since < patience) & (epoch + 1 < left)
            return epoch + 1, state, alive, best, since, values.at[epoch].set(now)

        values = jnp.full((shape.chunk, shape.members, 4), jnp.nan)
        begin = (0, state, left > 0, best, since, values)
        _, state, _, _, _, values = jax.lax.while_loop(more, train, begin)
        predictions = None
        if shape.predicts:
            nothing = (jnp.zeros(shape.members), jnp.zeros(shape.members))
            _, predictions = self._validate(state, traits, rows, validation, nothing)
        return state, values, predictions

    def _train_epoch(
        self, state: State, traits: Any, rows: Any, order: Any, steps: Any
    ) -> tuple[State, tuple[Any, Any]]:
        """The state after an epoch, and the metric and loss over its batches, by member."""
        one = self.shape.one_order
        each = jax.vmap(self._train_step, in_axes=(0, 0, 0, *_same(one)))

        def step(number: Any, carry: Any) -> Any:
            return each(*carry, traits, *_taken(rows, order[number]))

        begin = state, self._fresh()
        state, counted = jax.lax.fori_loop(0, steps, step, begin)
        return state, jax.vmap(self._result)(counted)

    def _validate(
        self, state: State, traits: Any, rows: Any, validation: Any, trained: tuple[Any, Any]
    ) -> tuple[Any, Any]:
        """The values of an epoch, of shape (members, 4), and the predictions if wanted."""
        one = self.shape.one_validation
        each = jax.vmap(self._test_step, in_axes=(0, 0, 0, *_same(one), None))

        def step(counted: Any, inputs: Any) -> Any:
            number, indices = inputs
            counts = number >= self.shape.predicts  # before that, training rows are predicted
            counted, predicted = each(state, counted, traits, *_taken(rows, indices), counts)
            return counted, predicted if self.shape.predicts else None

        inputs = jnp.arange(self.shape.validation_steps), validation
        counted, predictions = jax.lax.scan(step, self._fresh(), inputs)
        metric, loss = jax.vmap(self._result)(counted)
        return jnp.stack([trained[0], metric, trained[1], loss], axis=1), predictions

    def _train_step(
        self, state: State, counted: Any, traits: Any, x: Any, y: Any, real: Any
    ) -> tuple[State, Any]:
        """A step of one member."""
        model, (weights, others, slots) = self._model, state
        filled = self.shape.filled
        with self._given(traits, real if filled else None):
            loss_and_gradients = jax.value_and_grad(model.compute_loss_and_updates, has_aux=True)
            (_, (loss, predicted, new_others, _)), gradients = loss_and_gradients(
                weights,
                others,
                counted[0],
                x,
                y,
                self._weights_of_rows(real) if filled else None,
                training=True,
                optimizer_variables=slots,
            )
            masks = self._masks(traits[1])
            gradients = _where(masks, gradients, [jnp.zeros_like(g) for g in gradients])
            new_weights, new_slots = model.optimizer.stateless_apply(slots, gradients, weights)
            new_weights = _where(masks, new_weights, weights)  # a decay must not reach the others
        new = new_weights, new_others, new_slots
        if self.shape.uneven:  # its epoch may be over while others go on
            new = jax.tree.map(lambda a, b: jnp.where(real[0], a, b), new, state)
        return new, self._count(counted, loss, x, y, predicted, real, filled)

    def _test_step(
        self, state: State, counted: Any, traits: Any, x: Any, y: Any, real: Any, counts: Any
    ) -> tuple[Any, Any]:
        filled = self.shape.validation_filled or self.shape.predicts > 0
        real = real & counts
        with self._given(traits, None):
            weights = self._weights_of_rows(real) if filled else None
            _, (loss, predicted, _, _) = self._model.compute_loss_and_updates(
                state[0], state[1], counted[0], x, y, weights, training=False
            )
        return self._count(counted, loss, x, y, predicted, real, filled), predicted

    def _weights_of_rows(self, real: Any) -> Any:
        """With which the loss of a batch is the mean over its real rows."""
        weights = self._ones_and_zeros(real)
        return weights * len(real) / jnp.maximum(weights.sum(), 1) if self._mean else weights

    def _ones_and_zeros(self, real: Any) -> Any:
        return real.astype("float32").reshape(-1, *[1] * (len(self._model.output_shape) - 2))

    def _fresh(self) -> Any:
        """Metrics before an epoch, and the sums of losses and rows; of all members."""
        metrics = [v.value for v in self._model.metrics_variables]
        members = self.shape.members
        return jax.tree.map(
            lambda array: jnp.broadcast_to(array, (members, *array.shape)), (metrics, jnp.zeros(2))
        )

    def _count(
        self, counted: Any, loss: Any, x: Any, y: Any, predicted: Any, real: Any, filled: bool
    ) -> Any:
        counters, sums = counted
        rows = real.sum()
        weights = self._ones_and_zeros(real) if filled else None
        with self._counters(counters) as scope:
            self._model.compute_metrics(x, y, predicted, weights)
        new = [scope.get_current_value(v) for v in self._model.metrics_variables]
        counters = [b if a is None else a for a, b in zip(new, counters, strict=True)]
        return counters, sums + jnp.stack([jnp.where(rows > 0, loss * rows, 0.0), rows])

    def _result(self, counted: Any) -> tuple[Any, Any]:
        counters, sums = counted
        loss = sums[0] / sums[1]
        if self._metric.name == "roc_auc":
            return jnp.nan * loss, loss
        with self._counters(counters):
            logs = self._model.get_metrics_result()
        return metrics.read({**logs, "loss": loss}, self._metric.name), loss

    def _masks(self, extents: Any) -> list[Any] | None:
        """Where the member has weights; nothing else is trained."""
        if not self.shape.narrow:
            return None
        masks, given = [], iter(list(extents))
        for variable in self._model.trainable_variables:
            places = jnp.indices(variable.shape, sparse=True)
            mine = [place < next(given) for place in places]
            masks.append(functools.reduce(jnp.logical_and, mine, jnp.array(True)))
        return masks

    def _counters(self, values: Any) -> Any:
        mapping = list(zip(self._model.metrics_variables, values, strict=True))
        return keras.StatelessScope(state_mapping=mapping)

    @contextlib.contextmanager
    def _given(self, traits: Any, real: Any) -> Iterator[None]:
        numbers, self._extents = traits
        self._real = real
        with self._numbers.replaced(list(numbers)):
            yield
        self._real = self._extents = None

    def _normalize(self, call: Any, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        """BatchNormalization over the real rows alone."""
        if training and self._real is not None:
            rows = self._real.reshape(-1, *[1] * (len(inputs.shape) - 2))
            mask = rows if mask is None else rows & mask
        return call(inputs, training=training, mask=mask)

    def _drop(self, layer: Any, axis: int, inputs: Any, training: Any = None) -> Any:
        """Dropout by the places that units have in the member's own network."""
        if not training:
            return inputs
        key = layer.seed_generator.next()
        return dropout(inputs, layer.rate, key, self._extents[axis])

    def _compile(self, table: Table) -> Any:
        shape, model = self.shape, self._model
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
        state = tuple(
            stacked(variables)
            for variables in (
                model.trainable_variables,
                model.non_trainable_variables,
                model.optimizer.variables,
            )
        )
        axes = sum(len(v.shape) for v in model.trainable_variables) if shape.narrow else 0
        arguments = (
            state,
            (
                _abstract((shape.members, len(self._numbers.values)), "float32", over(0)),
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
        jitted = jax.jit(self._run, donate_argnums=0, out_shardings=out)
        return jitted.lower(*arguments).compile()

    def _over_members(self, axis: int, one: bool = False) -> Any:
        """Members are dealt to the devices; what is one for all lies on each."""
        spec = PartitionSpec() if one else PartitionSpec(*[None] * axis, "members")
        return NamedSharding(_mesh(self.shape.members), spec)


class Limits(NamedTuple):
    """When members end; arrays of shape (members,).

    left, patience: epochs at most, and at most without a better value. best: the lowest loss by
    the metric so far; since: epochs since then.
    """

    left: Any
    best: Any
    since: Any
    patience: Any


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


def _taken(rows: Any, indices: Any) -> tuple[Any, Any, Any]:
    """x, y, and which of them are real."""
    x, y = jax.tree.map(lambda array: array[jnp.maximum(indices, 0)], rows)
    return x, y, indices >= 0


def _same(one: bool) -> tuple[Any, Any, Any]:
    """Over which axis x, y and real differ between members."""
    return (None, None, None) if one else (0, 0, 0)


def _dropouts(model: Any) -> list[tuple[Any, int]]:
    """A chain's layers of dropout, and which extent is the width of each."""
    axes = itertools.accumulate((len(v.shape) for v in model.trainable_variables), initial=0)
    places = {id(v): axis for v, axis in zip(model.trainable_variables, axes, strict=False)}
    found, width = [], None
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dense):
            width = places[id(layer.kernel)] + 1
        elif isinstance(layer, keras.layers.Dropout) and width is not None:
            found.append((layer, width))
    return found


def _where(masks: list[Any] | None, arrays: list[Any], otherwise: list[Any]) -> list[Any]:
    if masks is None:
        return arrays
    return [jnp.where(m, a, b) for m, a, b in zip(masks, arrays, otherwise, strict=True)]


def _like(mask: Any, array: Any) -> Any:
    return mask.reshape(-1, *[1] * (array.ndim - 1))


def _compile_metrics(model: Any, task: Task, table: Table) -> None:
    """Let the model count the task's metric by rows' weights; by itself it would count all alike."""
    model.compile(
        optimizer=model.optimizer,
        loss=model.loss,
        weighted_metrics=metrics.to_compile(task) or None,
        auto_scale_loss=False,
    )
    two = jax.tree.map(lambda array: array[:2], (table.x, table.y))
    model._symbolic_build(data_batch=two)
