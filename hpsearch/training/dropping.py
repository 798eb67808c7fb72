"""Dropout in a wider program: of a narrow network, what it would drop by itself.

Keras draws a random number for each unit of each row, by the number of its place. In a wider
network places have other numbers, and other units would be dropped.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.random import threefry2x32_p


def dropout(inputs: Any, rate: Any, key: Any, width: Any) -> Any:
    """What `keras.random.dropout` gives for inputs of shape (rows, width), in the first columns.

    inputs: of shape (rows, units), units >= width. key: of shape (2,), as Keras's generators have
    it. Follows `jax.random.bernoulli` with jax_threefry_partitionable, JAX's default.
    """
    row, column = jnp.indices(inputs.shape, sparse=True)
    place = (row * width + column).astype("uint32")
    high, low = threefry2x32_p.bind(*jnp.broadcast_arrays(*key, jnp.zeros_like(place), place))
    mantissa = jax.lax.shift_right_logical(high ^ low, jnp.uint32(9))
    uniform = jax.lax.bitcast_convert_type(mantissa | jnp.uint32(0x3F800000), jnp.float32) - 1
    keep = 1.0 - rate
    return jnp.where(uniform < keep, inputs / keep, jnp.zeros_like(inputs))
