"""Dropout with the numbers that Keras draws on JAX, computed in one pass.

`jax.random` computes its Threefry generator on a CPU in a loop of small steps, each of which writes
its numbers to memory. That took as long as all matrix products of a small network, and a second to
compile. Written out, XLA makes a single vectorized loop of it.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np

from hpsearch.training.overrides import is_of_keras

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = np.uint32(0x1BD11BDA)


def draws_by_place(layer: Any) -> bool:
    """Whether a layer's dropout is the one of this module: a generator, a key and a place for each.

    It is not where JAX is set to draw otherwise, nor where Keras computes in half precision.
    """
    return (
        type(layer) is keras.layers.Dropout
        and is_of_keras(layer)
        and layer.rate > 0
        and layer.noise_shape is None
        and layer.compute_dtype == "float32"
        and bool(jax.config.jax_threefry_partitionable)
        and jax.config.jax_default_prng_impl == "threefry2x32"
    )


def drop_units(inputs: Any, rate: Any, key: Any, width: Any = None) -> Any:
    """Dropout as `keras.random.dropout` computes it, or would for the first `width` columns alone.

    The random number of each unit of each row depends on its place, counted row by row. In a wider
    network a unit has another place, and other units would be dropped: so places are counted in rows
    of `width`. Follows `jax.random.bernoulli` with jax_threefry_partitionable, JAX's default.

    Args:
        inputs: of shape (rows, ...); (rows, units), with units >= width, where a width is given.
        rate: the share of units to drop.
        key: of shape (2,), as Keras's generators have it.
        width: units of the narrow network; None: all.
    """
    if width is None:
        place = jnp.arange(math.prod(inputs.shape), dtype="uint32").reshape(inputs.shape)
    else:
        row, column = jnp.indices(inputs.shape, sparse=True)
        place = (row * width + column).astype("uint32")
    # A random number in [0, 1) by key and place, from 23 bits: the mantissa of a float in [1, 2).
    high, low = _threefry(key, place)
    mantissa = jax.lax.shift_right_logical(high ^ low, jnp.uint32(9))
    uniform = jax.lax.bitcast_convert_type(mantissa | jnp.uint32(0x3F800000), jnp.float32) - 1
    # Drop units, and scale up the others, as Keras does.
    keep = 1.0 - rate
    return jnp.where(uniform < keep, inputs / keep, jnp.zeros_like(inputs))


def _threefry(key: Any, place: Any) -> tuple[Any, Any]:
    """Threefry-2x32 of (0, place), with 20 rounds (Salmon et al., SC 2011)."""
    first, second = key[0], key[1]
    keys = first, second, first ^ second ^ _PARITY
    a, b = jnp.broadcast_to(first, place.shape), place + second
    for group in range(5):
        for turn in _ROTATIONS[group % 2]:
            a = a + b
            b = a ^ ((b << np.uint32(turn)) | (b >> np.uint32(32 - turn)))
        a = a + keys[(group + 1) % 3]
        b = b + (keys[(group + 2) % 3] + np.uint32(group + 1))
    return a, b
