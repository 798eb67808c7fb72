"""What a gang's program does, as JAX traces it.

Everything that Keras does in a step, it does itself, by its stateless methods: here steps are
repeated (a loop), members put side by side (`jax.vmap`), and batches filled up with rows of weight
zero where members' batches differ.
"""

import contextlib
import functools
import itertools
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import keras

from hpsearch.core.task import Metric
from hpsearch.training import metrics
from hpsearch.training.batched.padding import drop_as_if_narrow
from hpsearch.training.batched.program_spec import Limits, Shape
from hpsearch.training.batched.scalars import Numbers, loss_is_mean
from hpsearch.training.overrides import is_of_keras

State = tuple[list[Any], list[Any], list[Any]]
"""Trainable variables, others, and the optimizer's; each of shape (members, ...)."""


class Steps:
    """Epochs of `shape.members` models of the structure of one; pure functions of their state."""

    def __init__(self, model: Any, numbers: Numbers, metric: Metric, shape: Shape) -> None:
        self.shape = shape
        self._model, self._numbers, self._metric = model, numbers, metric
        self._mean = loss_is_mean(model)
        self._real: Any = None
        self._extents: Any = None

    def run(
        self,
        state: State,
        traits: Any,
        validation: Any,
        rows: Any,
        order: Any,
        limits: Limits,
        epochs: Any,
        steps: Any,
    ) -> tuple[State, Any, Any]:
        """Train `epochs` epochs of `steps` steps; arguments and results as `Program` has them."""
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
            loss = -now[:, 1] if self._metric.higher_is_better else now[:, 1]
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
        counters = [v.value for v in self._model.metrics_variables]
        members = self.shape.members
        return jax.tree.map(
            lambda array: jnp.broadcast_to(array, (members, *array.shape)), (counters, jnp.zeros(2))
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

    @contextlib.contextmanager
    def told(self) -> Iterator[None]:
        """Layers whose doing depends on the members are told, for as long as they are traced."""
        layers = self._model._flatten_layers(include_self=False)
        calls = {
            layer: functools.partial(self._normalize, layer.call)
            for layer in layers
            if isinstance(layer, keras.layers.BatchNormalization) and is_of_keras(layer)
        }
        if self.shape.narrow:
            calls |= {
                layer: functools.partial(self._drop, layer, axis)
                for layer, axis in _dropouts(self._model)
            }
        for layer, call in calls.items():
            layer.call = call
        try:
            yield
        finally:
            for layer in calls:
                del layer.call

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
        return drop_as_if_narrow(inputs, layer.rate, key, self._extents[axis])


def _taken(rows: Any, indices: Any) -> tuple[Any, Any, Any]:
    """x, y, and which of them are real."""
    x, y = jax.tree.map(lambda array: array[jnp.maximum(indices, 0)], rows)
    return x, y, indices >= 0


def _same(one: bool) -> tuple[Any, Any, Any]:
    """Over which axis x, y and real differ between members."""
    return (None, None, None) if one else (0, 0, 0)


def _dropouts(model: Any) -> list[tuple[Any, int]]:
    """A chain's layers that drop anything, and which extent is the width of each."""
    axes = itertools.accumulate((len(v.shape) for v in model.trainable_variables), initial=0)
    places = {id(v): axis for v, axis in zip(model.trainable_variables, axes, strict=False)}
    found, width = [], None
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dense):
            width = places[id(layer.kernel)] + 1
        elif isinstance(layer, keras.layers.Dropout) and layer.rate > 0 and width is not None:
            found.append((layer, width))
    return found


def _where(masks: list[Any] | None, arrays: list[Any], otherwise: list[Any]) -> list[Any]:
    if masks is None:
        return arrays
    return [jnp.where(m, a, b) for m, a, b in zip(masks, arrays, otherwise, strict=True)]


def _like(mask: Any, array: Any) -> Any:
    return mask.reshape(-1, *[1] * (array.ndim - 1))
