"""What layers hold of the fold that they were adapted to, where models of several folds train together.

Keras's Normalization computes by constants that it makes of its variables, and a layer of the
user's own may hold any values. A program that is compiled for one member would give them to all.
"""

import functools
import hashlib
from collections.abc import Callable
from typing import Any

import jax
import keras
import numpy as np

from hpsearch.training.base import ModelSpec
from hpsearch.training.building import replaced_calls


def scale_by_own_means(model: Any) -> dict[Any, Callable[..., Any]]:
    """Calls of the model's Normalization layers, by layer, that compute by their variables' values.

    Inside a scope these are the member's own.
    """
    return {
        layer: functools.partial(_scale, layer, layer.call)
        for layer in model._flatten_layers(include_self=False)
        if isinstance(layer, keras.layers.Normalization) and layer.input_mean is None
    }


def _scale(layer: Any, call: Callable[..., Any], inputs: Any) -> Any:
    before = layer.mean, layer.variance
    layer.finalize_state()  # Keras's own: it makes the constants of the variables' values
    try:
        return call(inputs)
    finally:
        layer.mean, layer.variance = before


def digest_constants(model: Any, spec: ModelSpec) -> str:
    """A text that is equal for models of one origin that compute alike, given their variables.

    Keras does not describe what a layer of the user's own computes, which may depend on the rows
    that it was adapted to. So this is a digest of the compiled form, with all its constants.
    """

    def compute(weights: Any, others: Any, x: Any) -> Any:
        return model.stateless_call(weights, others, x, training=True)[0]

    def abstract(variables: Any) -> Any:
        return [jax.ShapeDtypeStruct(v.shape, v.dtype) for v in variables]

    with replaced_calls(scale_by_own_means(model)):
        lowered = jax.jit(compute).lower(
            abstract(model.trainable_variables),
            abstract(model.non_trainable_variables),
            _abstract_rows(model, spec),
        )
    return hashlib.blake2b(lowered.as_text().encode(), digest_size=16).hexdigest()


def _abstract_rows(model: Any, spec: ModelSpec) -> Any:
    """Two rows of what the model takes: features, where it follows a frozen part."""
    if not isinstance(spec.input_shape, dict) and len(getattr(model, "inputs", None) or ()) == 1:
        (tensor,) = model.inputs
        return jax.ShapeDtypeStruct((2, *tensor.shape[1:]), tensor.dtype)
    shapes, dtypes = spec.input_shape, spec.dtype
    if not isinstance(shapes, dict):
        return jax.ShapeDtypeStruct((2, *shapes), np.dtype(dtypes))
    return {
        name: jax.ShapeDtypeStruct((2, *shape), np.dtype(dtypes[name]))
        for name, shape in shapes.items()
    }
