"""A compiled step of gradient descent, for loops of the study's own, on JAX and on TensorFlow."""

from collections.abc import Callable
from typing import Any

import numpy as np

from hpsearch.core.errors import BuildError, FatalError
from hpsearch.core.rules import brief

TrainingStep = Callable[..., Any]
"""Arrays -> the loss of this step, as a tensor of the backend."""


def make_training_step(loss: Callable[..., Any], optimizer: Any, model: Any) -> TrainingStep:
    """A function of arrays that takes one step of an optimizer down a loss, compiled.

        def loss(x, y):
            return keras.ops.mean(keras.losses.mean_squared_error(y, model(x, training=True)))

        step = make_training_step(loss, optimizer, model)
        state = run.restore({"model": model, "optimizer": optimizer})
        ...
            step(x[rows], y[rows])

    The weights of `model` are trained. Whatever other Keras variables the loss reads or assigns,
    of other models too, are not trained, but keep what is assigned to them: statistics of
    BatchNormalization, seeds of dropout.

    Args:
        loss: arrays -> a number, by operations of `keras.ops`, layers and models. It is traced, as
            `jax.jit` and `tf.function` do: Python in it runs once for each shape of arrays.
        optimizer: a Keras optimizer; it is built here, where it was not yet.
        model: the Keras model that is trained.

    Raises BuildError where the model has no weights or, in the first step, the loss reads none of
    them; FatalError on another backend.
    """
    import keras

    _check_arguments(loss, optimizer, model)
    weights = list(model.trainable_variables)
    if not weights:
        raise BuildError(
            "make_training_step got a model without weights to train; begin a Sequential with "
            "keras.Input(...), and leave some layers trainable"
        )
    if not optimizer.built:
        optimizer.build(weights)
    backend = keras.backend.backend()
    if backend == "tensorflow":
        step = _make_tensorflow_step(loss, optimizer, weights)
    elif backend == "jax":
        step = _make_jax_step(loss, optimizer, weights)
    else:
        raise FatalError(
            f"make_training_step trains on jax and tensorflow, not on {backend}; use --backend jax"
        )

    def take_step(*arrays: Any) -> Any:
        return step(*map(_to_tensor, arrays))

    return take_step


def _check_arguments(loss: Any, optimizer: Any, model: Any) -> None:
    """Raise BuildError for what is no loss, no optimizer, or no model."""
    import keras

    for what, given, is_one in (
        ("loss= a function of arrays", loss, callable(loss)),
        (
            "optimizer= a Keras optimizer, as keras.optimizers.Adam(1e-3)",
            optimizer,
            isinstance(optimizer, keras.optimizers.Optimizer),
        ),
        ("model= a Keras model", model, isinstance(model, keras.layers.Layer)),
    ):
        if not is_one:
            raise BuildError(f"make_training_step needs {what}, got {brief(given)}")


def _check_value(value: Any) -> None:
    """Raise BuildError where a loss is no number. value: of any backend, maybe traced."""
    if tuple(getattr(value, "shape", (0,))) != ():
        raise BuildError(
            "the loss of make_training_step must return one number, by keras.ops, as "
            f"keras.ops.mean(...), got {brief(value)}"
        )


def _make_tensorflow_step(loss: Callable[..., Any], optimizer: Any, weights: list[Any]) -> Any:
    import tensorflow as tf

    @tf.function(autograph=False)  # type: ignore[untyped-decorator]
    def step(*arrays: Any) -> Any:
        with tf.GradientTape() as tape:
            value = loss(*arrays)
            _check_value(value)
            scaled = optimizer.scale_loss(value)  # as the optimizer unscales gradients
        gradients = tape.gradient(scaled, [weight.value for weight in weights])
        if all(gradient is None for gradient in gradients):
            raise _unread_error()
        optimizer.apply(gradients, weights)
        return value

    return step


def _make_jax_step(loss: Callable[..., Any], optimizer: Any, weights: list[Any]) -> Any:
    import jax
    import keras

    others: list[Any] | None = None  # known once the loss was called

    def compute_loss(values: Any, other_values: Any, slots: Any, arrays: Any) -> Any:
        assert others is not None
        known = *zip(weights, values, strict=True), *zip(others, other_values, strict=True)
        mapping = [*known, *zip(optimizer.variables, slots, strict=True)]
        with keras.StatelessScope(state_mapping=mapping) as scope:
            value = loss(*arrays)
            scaled = optimizer.scale_loss(value)  # as the optimizer unscales gradients
        return scaled, (value, [scope.get_current_value(variable) for variable in others])

    @jax.jit  # type: ignore[untyped-decorator]
    def compute_step(values: Any, other_values: Any, slots: Any, arrays: Any) -> Any:
        find = jax.value_and_grad(compute_loss, has_aux=True)
        (_, (value, other_values)), gradients = find(values, other_values, slots, arrays)
        values, slots = optimizer.stateless_apply(slots, gradients, values)
        return value, (values, other_values, slots)

    def step(*arrays: Any) -> Any:
        nonlocal others
        if others is None:
            others = _find_others(loss, weights, arrays)
        parts = weights, others, optimizer.variables
        values = [[variable.value for variable in part] for part in parts]
        value, new_values = compute_step(*values, arrays)
        for part, new in zip(parts, new_values, strict=True):
            for variable, new_value in zip(part, new, strict=True):
                variable.assign(new_value)
        return value

    return step


def _find_others(loss: Callable[..., Any], weights: list[Any], arrays: Any) -> list[Any]:
    """The variables that the loss reads or assigns, besides the weights that are trained.

    To JAX, those that it is not given would be constants.
    """
    import jax
    import keras

    used: dict[int, Any] = {}

    class Watch(keras.StatelessScope):  # type: ignore[misc]
        """Keras calls the two methods for each variable that is read or assigned."""

        def get_current_value(self, variable: Any) -> Any:
            used[id(variable)] = variable
            return super().get_current_value(variable)

        def add_update(self, update: tuple[Any, Any]) -> None:
            used[id(update[0])] = update[0]
            super().add_update(update)

    def call(*arrays: Any) -> Any:
        with Watch():
            value = loss(*arrays)
        _check_value(value)
        return value

    jax.eval_shape(call, *arrays)
    trained = {id(weight) for weight in weights}
    if not trained & used.keys():
        raise _unread_error()
    return [variable for number, variable in used.items() if number not in trained]


def _unread_error() -> BuildError:
    return BuildError(
        "the loss of make_training_step reads no weights of the model that it trains; call the "
        "model in it: model(x, training=True)"
    )


def _to_tensor(array: Any) -> Any:
    """An array as a tensor; float64, which is NumPy's default, as the type that Keras trains in."""
    import keras

    is_double = isinstance(array, np.ndarray) and array.dtype == np.float64
    return keras.ops.convert_to_tensor(array, dtype=keras.config.floatx() if is_double else None)
