"""The step that a program compiles: Keras's own, repeated, and side by side for many models.

Everything that Keras does in a step, it does itself, by its stateless methods. Here steps are
repeated (a loop), models are put side by side (`jax.vmap`), and minibatches are filled up with
rows of weight zero where the members' sizes differ.
"""

import contextlib
import functools
import itertools
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import keras

from hpsearch.core.task import Task
from hpsearch.training import metrics
from hpsearch.training.batched.adapted import scale_by_own_means
from hpsearch.training.batched.dropout import draws_by_place, drop_units
from hpsearch.training.batched.program_spec import EarlyStopping, ProgramSpec, Traits
from hpsearch.training.batched.scalars import has_mean_loss
from hpsearch.training.batched.template import Template
from hpsearch.training.building import output_shapes, replaced_calls
from hpsearch.training.overrides import is_of_keras
from hpsearch.training.rows import spread_weights

State = tuple[list[Any], list[Any], list[Any]]
"""Trainable variables, others, and the optimizer's; each of shape (members, ...)."""


class TracedTraining:
    """Training of `spec.members` models side by side, as pure functions that JAX traces.

    Args:
        template: whose structure all members have.
        task: says which metrics are recorded.
        spec: what the program is compiled for.
    """

    def __init__(self, template: Template, task: Task, spec: ProgramSpec) -> None:
        self.spec, self._task = spec, task
        self._model, self._scalars = template.model, template.scalars
        self._optimizers = template.optimizers
        self._metrics = task.recorded
        self._counted = {metric.name for metric in metrics.counted_metrics(task)}
        self._loss_is_mean = has_mean_loss(self._model)
        # Of the member that is being traced, for layers that need them (`replaced_layers`).
        self._real_rows: Any = None
        self._extents: Any = None

    def train_epochs(
        self,
        state: State,
        traits: Traits,
        validation: Any,
        rows: Any,
        order: Any,
        stopping: EarlyStopping,
        epochs: Any,
        steps: Any,
    ) -> tuple[State, Any, Any]:
        """Train `epochs` epochs of `steps` steps; arguments and results as `Program.__call__`.

        The members are those of one device: a share of the program's.
        """
        spec = self.spec
        left, best, since, patience = stopping
        members = len(left)

        def must_go_on(carry: Any) -> Any:
            epoch, _, alive, *_ = carry
            return (epoch < epochs) & jnp.any(alive)

        def train_one(carry: Any) -> Any:
            epoch, state, alive, best, since, values = carry

            # Train all members for an epoch, then validate them.
            new, trained = self._train_epoch(state, traits, rows, order[epoch], steps)
            now, _ = self._validate(new, traits, rows, validation, trained)

            # A member that has ended keeps its state until the end of the call.
            state = jax.tree.map(lambda a, b: jnp.where(_like(alive, a), a, b), new, state)

            # Early stopping, as `History` has it: count the epochs since the best.
            loss = -now[:, 1] if self._metrics[0].higher_is_better else now[:, 1]
            since = jnp.where(loss < best, 0, since + 1)
            best = jnp.minimum(loss, best)

            # A member goes on while it has not diverged, has patience, and has epochs left.
            # Where the metric is not known here (columns 0 and 1), only losses can diverge.
            is_counted = self._metrics[0].name in self._counted
            finite = jnp.isfinite(now[:, 0 if is_counted else 2 : 4]).all(axis=1)
            alive &= finite & (since < patience) & (epoch + 1 < left)
            return epoch + 1, state, alive, best, since, values.at[epoch].set(now)

        values = jnp.full((spec.max_epochs, members, 2 + 2 * len(self._metrics)), jnp.nan)
        start = (0, state, left > 0, best, since, values)
        _, state, _, _, _, values = jax.lax.while_loop(must_go_on, train_one, start)

        # Predict once more where a metric is computed from predictions, outside the program.
        predictions = None
        if spec.train_predict_steps:
            nothing = (jnp.zeros((members, len(self._metrics))), jnp.zeros(members))
            _, predictions = self._validate(state, traits, rows, validation, nothing)
        return state, values, predictions

    def _train_epoch(
        self, state: State, traits: Traits, rows: Any, order: Any, steps: Any
    ) -> tuple[State, tuple[Any, Any]]:
        """The state after an epoch, and each member's metrics and loss over its minibatches."""
        data_axes = _axes_of_rows(self.spec.shared_order)
        train_all = jax.vmap(self._train_step, in_axes=(0, 0, 0, *data_axes))

        def step(number: Any, carry: Any) -> Any:
            return train_all(*carry, traits, *_take_rows(rows, order[number]))

        start = state, self._new_counters(len(traits.kinds))
        state, counted = jax.lax.fori_loop(0, steps, step, start)
        return state, jax.vmap(self._metrics_and_loss)(counted)

    def _validate(
        self, state: State, traits: Traits, rows: Any, validation: Any, trained: tuple[Any, Any]
    ) -> tuple[Any, Any]:
        """The values of an epoch, of shape (members, curves), and the predictions if wanted."""
        data_axes = _axes_of_rows(self.spec.shared_validation)
        test_all = jax.vmap(self._test_step, in_axes=(0, 0, 0, *data_axes, None))
        train_predict_steps = self.spec.train_predict_steps

        def step(counted: Any, inputs: Any) -> Any:
            number, indices = inputs
            counts = number >= train_predict_steps  # the first ones only predict training rows
            batch = _take_rows(rows, indices)
            counted, predicted = test_all(state, counted, traits, *batch, counts)
            return counted, predicted if train_predict_steps else None

        inputs = jnp.arange(self.spec.validation_steps), validation
        counted, predictions = jax.lax.scan(step, self._new_counters(len(traits.kinds)), inputs)
        found, loss = jax.vmap(self._metrics_and_loss)(counted)
        # In the order of `curve_names`: the losses stand between the first metric and the others.
        pairs = jnp.stack([trained[0], found], axis=2)
        losses = jnp.stack([trained[1], loss], axis=1)
        others = pairs[:, 1:].reshape(len(loss), -1)
        return jnp.concatenate([pairs[:, 0], losses, others], axis=1), predictions

    def _train_step(
        self, state: State, counted: Any, traits: Traits, x: Any, y: Any, own: Any, real: Any
    ) -> tuple[State, Any]:
        """One training step of one member.

        Args:
            own: the rows' own weights in the loss; None where all weigh 1.
            real: which rows do not only fill up the minibatch.
        """
        model, spec = self._model, self.spec
        weights, others, slots = state
        with self._traced_as(traits, real if spec.fills_batches else None):
            # Forward and backward, by Keras; rows that only fill up weigh nothing.
            loss_and_gradients = jax.value_and_grad(model.compute_loss_and_updates, has_aux=True)
            (_, (loss, predicted, new_others, _)), gradients = loss_and_gradients(
                weights,
                others,
                counted[0],
                x,
                y,
                self._weights_of_rows(own, real if spec.fills_batches else None),
                training=True,
                optimizer_variables=self._optimizers.of_first(slots),
            )

            # Padding of a wider network is not trained; nor may weight decay reach it.
            masks = self._weight_masks(traits.extents)
            gradients = _where(masks, gradients, [jnp.zeros_like(g) for g in gradients])
            new_weights, new_slots = self._optimizers.apply(traits.kinds, slots, gradients, weights)
            new_weights = _where(masks, new_weights, weights)
        new = new_weights, new_others, new_slots

        # A member whose epoch is over, while others go on, gets an empty minibatch.
        if spec.uneven_steps:
            new = jax.tree.map(lambda a, b: jnp.where(real[0], a, b), new, state)
        return new, self._count(counted, loss, x, y, predicted, real, spec.fills_batches)

    def _test_step(
        self,
        state: State,
        counted: Any,
        traits: Traits,
        x: Any,
        y: Any,
        own: Any,
        real: Any,
        counts: Any,
    ) -> tuple[Any, Any]:
        """One validation step of one member; counts: whether its rows count for the metrics.

        Its rows' own weights are for training only.
        """
        filled = self.spec.fills_validation or self.spec.train_predict_steps > 0
        real = real & counts
        with self._traced_as(traits, None):
            weights = self._weights_of_rows(None, real if filled else None)
            _, (loss, predicted, _, _) = self._model.compute_loss_and_updates(
                state[0], state[1], counted[0], x, y, weights, training=False
            )
        return self._count(counted, loss, x, y, predicted, real, filled), predicted

    def _weights_of_rows(self, own: Any, real: Any) -> Any:
        """Sample weights that make the loss of a minibatch the one of its real rows.

        Args:
            own: the rows' own weights; None where all weigh 1.
            real: which rows are real; None where all are.

        None where all rows weigh the same.
        """
        if real is None:
            return own if own is None else self._by_row(own)
        weights = real.astype("float32")
        if self._loss_is_mean:
            weights = weights * len(real) / jnp.maximum(weights.sum(), 1)
        if own is not None:
            weights = own * weights.reshape(-1, *[1] * (own.ndim - 1))
        return self._by_row(weights)

    def _by_row(self, values: Any) -> Any:
        """A number a row, in shapes that broadcast over the losses of a row's parts."""
        return spread_weights(values, output_shapes(self._model))

    # -- Metrics: Keras's own counters, and the sums of losses and rows

    def _new_counters(self, members: int) -> Any:
        """The counters of this many members before an epoch."""
        counters = [v.value for v in self._model.metrics_variables]
        return jax.tree.map(
            lambda array: jnp.broadcast_to(array, (members, *array.shape)), (counters, jnp.zeros(2))
        )

    def _count(
        self, counted: Any, loss: Any, x: Any, y: Any, predicted: Any, real: Any, filled: bool
    ) -> Any:
        """A member's counters after one more minibatch."""
        counters, sums = counted
        rows = real.sum()
        weights = self._by_row(real.astype("float32")) if filled else None
        with self._counters_set_to(counters) as scope:
            self._model.compute_metrics(x, y, predicted, weights)
        new = [scope.get_current_value(v) for v in self._model.metrics_variables]
        counters = [b if a is None else a for a, b in zip(new, counters, strict=True)]
        return counters, sums + jnp.stack([jnp.where(rows > 0, loss * rows, 0.0), rows])

    def _metrics_and_loss(self, counted: Any) -> tuple[Any, Any]:
        """A member's metrics, of shape (metrics,), and its loss, from its counters."""
        counters, sums = counted
        loss = sums[0] / sums[1]
        with self._counters_set_to(counters):
            logs = {**self._model.get_metrics_result(), "loss": loss}
        # Others are computed from predictions, outside the program.
        found = [
            metrics.read(logs, self._task, metric)
            if metric.name in self._counted
            else jnp.nan * loss
            for metric in self._metrics
        ]
        return jnp.stack(found), loss

    def _counters_set_to(self, values: Any) -> Any:
        mapping = list(zip(self._model.metrics_variables, values, strict=True))
        return keras.StatelessScope(state_mapping=mapping)

    # -- What differs between members of one structure

    def _weight_masks(self, extents: Any) -> list[Any] | None:
        """For each weight, where it is the member's own; None where no member is padded."""
        if not self.spec.has_padded_members:
            return None
        masks, remaining = [], iter(list(extents))
        for variable in self._model.trainable_variables:
            places = jnp.indices(variable.shape, sparse=True)
            inside = [place < next(remaining) for place in places]
            masks.append(functools.reduce(jnp.logical_and, inside, jnp.array(True)))
        return masks

    @contextlib.contextmanager
    def _traced_as(self, traits: Traits, real_rows: Any) -> Iterator[None]:
        """The model has the scalars of the member that is traced, and layers see its rows."""
        self._extents, self._real_rows = traits.extents, real_rows
        with self._scalars.replaced_by(traits.scalars):
            yield
        self._real_rows = self._extents = None

    @contextlib.contextmanager
    def replaced_layers(self) -> Iterator[None]:
        """While traced, layers that mix rows or draw by place are called in our own way."""
        layers = self._model._flatten_layers(include_self=False)
        calls = {
            layer: functools.partial(self._normalize, layer.call)
            for layer in layers
            if isinstance(layer, keras.layers.BatchNormalization) and is_of_keras(layer)
        }
        widths = _find_widths(self._model) if self.spec.has_padded_members else {}
        calls |= scale_by_own_means(self._model)
        calls |= {
            layer: functools.partial(self._drop, layer, widths.get(layer))
            for layer in layers
            if draws_by_place(layer)
        }
        with replaced_calls(calls):
            yield

    def _normalize(self, call: Any, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        """BatchNormalization over the real rows alone."""
        if training and self._real_rows is not None:
            rows = self._real_rows.reshape(-1, *[1] * (len(inputs.shape) - 2))
            mask = rows if mask is None else rows & mask
        return call(inputs, training=training, mask=mask)

    def _drop(self, layer: Any, axis: int | None, inputs: Any, training: Any = None) -> Any:
        """Dropout of the units that the member's own, maybe narrower network would drop.

        axis: which of the extents is the layer's width; None: it is never narrower.
        """
        if not training:
            return inputs
        key = layer.seed_generator.next()
        return drop_units(inputs, layer.rate, key, None if axis is None else self._extents[axis])


def _take_rows(rows: Any, indices: Any) -> tuple[Any, Any, Any, Any]:
    """x, y, weights, and which of them are real: an index of -1 only fills up."""
    x, y, weights = jax.tree.map(lambda array: array[jnp.maximum(indices, 0)], rows)
    return x, y, weights, indices >= 0


def _axes_of_rows(shared: bool) -> tuple[Any, ...]:
    """The axis of these four over which `vmap` goes; none where all members share them."""
    return (None,) * 4 if shared else (0,) * 4


def _find_widths(model: Any) -> dict[Any, int]:
    """For each layer that follows a chain's first dense one, which of the extents is its width."""
    axes = itertools.accumulate((len(v.shape) for v in model.trainable_variables), initial=0)
    places = {id(v): axis for v, axis in zip(model.trainable_variables, axes, strict=False)}
    widths: dict[Any, int] = {}
    width = None
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dense):
            width = places[id(layer.kernel)] + 1
        elif width is not None:
            widths[layer] = width
    return widths


def _where(masks: list[Any] | None, arrays: list[Any], otherwise: list[Any]) -> list[Any]:
    if masks is None:
        return arrays
    return [jnp.where(m, a, b) for m, a, b in zip(masks, arrays, otherwise, strict=True)]


def _like(mask: Any, array: Any) -> Any:
    return mask.reshape(-1, *[1] * (array.ndim - 1))
