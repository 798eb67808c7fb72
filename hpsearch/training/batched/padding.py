"""Networks of dense layers one after the other: widths and depth need no program of their own.

In a wider network, the units that a narrow one has not got have weights of zero, which stay so; in
a deeper one, the layers that it has not got pass on what they get.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import keras
from jax.extend.random import threefry2x32_p

from hpsearch.training.batched.scalars import (
    PENALTIES,
    Numbers,
    anonymous,
    described_compilation,
    unique,
)
from hpsearch.training.building import without_tensorflow
from hpsearch.training.overrides import is_described_fully

# Each unit is for itself; and twice is as good as once.
_IDEMPOTENT = ("linear", "relu")
_ELEMENTWISE = (
    *_IDEMPOTENT,
    *("tanh", "sigmoid", "elu", "selu", "gelu", "silu", "softplus", "softsign", "leaky_relu"),
    *("relu6", "hard_sigmoid", "mish", "exponential"),
)
_BESIDE_DENSE = (keras.layers.Dropout, keras.layers.BatchNormalization, keras.layers.Activation)

Label = tuple[Any, ...]


@dataclass(frozen=True, eq=False)
class Chain:
    """The layers of such a network. blocks: each a hidden dense layer and what follows it."""

    before: list[Any]
    blocks: list[list[Any]]
    output: list[Any]

    @cached_property
    def width(self) -> int:
        return max(int(block[0].units) for block in self.blocks)

    @cached_property
    def ends(self) -> int:
        """Units at the two ends: of what comes in, and of what goes out."""
        return int(self.blocks[0][0].kernel.shape[0]) + int(self.output[0].units)

    def labels(self) -> dict[int, Label]:
        """A label for each layer, by its id; equal in two chains for layers that correspond."""
        parts = [self.before, *self.blocks, self.output]
        names = ["before", *range(len(self.blocks)), "output"]
        return {
            id(layer): (name, index)
            for name, layers in zip(names, parts, strict=True)
            for index, layer in enumerate(layers)
        }


def parse(model: Any) -> Chain | None:
    """The chain that a model is, if it is one."""
    if not is_described_fully(model) or len(model.inputs) != 1 or len(model.outputs) != 1:
        return None
    layers = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    if any(len(layer._inbound_nodes) != 1 for layer in layers):
        return None  # one of them is used twice
    if any(after.input is not before.output for before, after in pairwise(layers)):
        return None
    dense = [index for index, layer in enumerate(layers) if type(layer) is keras.layers.Dense]
    if len(dense) < 2 or model.inputs[0] is not layers[0].input:
        return None
    *hidden, last = dense
    blocks = [layers[begin:end] for begin, end in pairwise(dense)]
    if not all(_may_be_wider(block) for block in blocks):
        return None
    return Chain(layers[: hidden[0]], blocks, layers[last:])


def family(model: Any, chain: Chain, numbers: Numbers) -> str:
    """Equal for two chains that differ in widths, and in depth where that is possible."""
    with numbers.blank(), without_tensorflow():
        blocks = [_described(block) for block in chain.blocks]
        alike = all(block == blocks[0] for block in blocks) and _may_be_deeper(chain)
        described = {
            "input": [model.input_shape[1:], str(model.inputs[0].dtype)],
            "before": _described(chain.before),
            "blocks": ["any number of", blocks[0]] if alike else blocks,
            "output": [chain.output[0].units, *_described(chain.output)],
            "compiled": described_compilation(model),
            "numbers": [place.name for place in numbers.places if place.layer is None],
        }
    return json.dumps(described, sort_keys=True, default=unique)


def widened(model: Any, chain: Chain, width: int) -> Any:
    """A compiled network like this one, with all hidden layers of a width; it was never trained."""
    with without_tensorflow():
        x = inputs = keras.Input(model.input_shape[1:], dtype=model.inputs[0].dtype)
        for layer in chain.before:
            x = _copied(layer)(x)
        for block in chain.blocks:
            for layer in block:
                x = _copied(layer, **({"units": width} if layer is block[0] else {}))(x)
        for layer in chain.output:
            x = _copied(layer)(x)
        wide = keras.Model(inputs, x)
        optimizer = type(model.optimizer).from_config(model.optimizer.get_config())
        wide.compile(optimizer=optimizer, loss=model.loss, auto_scale_loss=False)
        wide.optimizer.build(wide.trainable_variables)
    return wide


def variable_labels(model: Any, chain: Chain) -> tuple[list[Label], list[Label], list[Label]]:
    """A label for each variable: of the weights, the others, and the optimizer's."""
    layers = chain.labels()
    labels = {
        id(variable): (*layers[id(layer)], index)
        for layer in (*chain.before, *(a for block in chain.blocks for a in block), *chain.output)
        for index, variable in enumerate(layer.variables)
    }
    weights = [labels[id(variable)] for variable in model.trainable_variables]
    others = [labels[id(variable)] for variable in model.non_trainable_variables]
    prefixes = [variable.path.replace("/", "_") for variable in model.trainable_variables]
    return weights, others, list(_slot_labels(model.optimizer, prefixes, weights))


def _slot_labels(optimizer: Any, prefixes: list[str], weights: list[Label]) -> Iterator[Label]:
    for variable in optimizer.variables:
        found = [i for i, prefix in enumerate(prefixes) if variable.name.startswith(f"{prefix}_")]
        if found:  # Keras names them so: dense_kernel_momentum
            index = max(found, key=lambda i: len(prefixes[i]))
            yield (*weights[index], variable.name.removeprefix(prefixes[index]))
        else:
            yield ("optimizer", variable.name)


def _may_be_wider(block: list[Any]) -> bool:
    dense, *rest = block
    return (
        _elementwise(dense, _ELEMENTWISE)
        and dense.kernel_constraint is None
        and dense.bias_constraint is None
        and dense.activity_regularizer is None
        and all(_penalized(r) for r in (dense.kernel_regularizer, dense.bias_regularizer))
        and all(type(layer) in _BESIDE_DENSE for layer in rest)
        and all(_elementwise(layer, _ELEMENTWISE) for layer in rest if hasattr(layer, "activation"))
        and not any(getattr(layer, "noise_shape", None) for layer in rest)
        and not any(getattr(layer, "renorm", False) for layer in rest)
    )


def _may_be_deeper(chain: Chain) -> bool:
    """Whether a block can be made to pass on what it gets."""
    penalties = [
        id(block[0].kernel_regularizer) for block in chain.blocks if block[0].kernel_regularizer
    ]
    return len(set(penalties)) == len(penalties) and not any(
        isinstance(layer, keras.layers.BatchNormalization)
        or (hasattr(layer, "activation") and not _elementwise(layer, _IDEMPOTENT))
        or getattr(layer, "bias_regularizer", None) is not None
        for block in chain.blocks
        for layer in block
    )


def _elementwise(layer: Any, names: tuple[str, ...]) -> bool:
    return any(layer.activation is getattr(keras.activations, name) for name in names)


def _penalized(regularizer: Any) -> bool:
    return regularizer is None or type(regularizer) in PENALTIES


def _described(layers: list[Any]) -> list[Any]:
    described = []
    for layer in layers:
        config = {k: v for k, v in layer.get_config().items() if k not in ("name", "units")}
        described.append([type(layer).__qualname__, anonymous(config)])
    return described


def _copied(layer: Any, **changes: Any) -> Any:
    config = {key: value for key, value in layer.get_config().items() if key != "name"}
    return type(layer).from_config({**config, **changes})


def drop_as_if_narrow(inputs: Any, rate: Any, key: Any, width: Any) -> Any:
    """What `keras.random.dropout` gives for inputs of shape (rows, width), in the first columns.

    Keras draws a random number for each unit of each row by the number of its place. In a wider
    network places have other numbers, and other units would be dropped.

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
