"""Train narrow, shallow dense networks inside a wider, deeper one, so that they share a program.

The weights of the added units are zero, and stay so. The added layers pass on what they get.
`DenseChain` says which networks this is done for, and `PaddedLayout` where a narrow network's
variables lie in the wide one.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import keras
import numpy as np

from hpsearch.training.batched.dropout import draws_by_place
from hpsearch.training.batched.optimizer_mix import Label, OptimizerMix, label_slots, may_be_mixed
from hpsearch.training.batched.scalars import (
    PENALTIES,
    ModelScalars,
    describe_by_identity,
    describe_loss,
    describe_optimizer,
    find_undecayed_weights,
    strip_names,
)
from hpsearch.training.building import state_variables, without_tensorflow
from hpsearch.training.overrides import is_described_fully

# Activations that may be applied twice with the same result, as an added layer does.
_IDEMPOTENT = ("linear", "relu")
# Activations of each unit by itself, so that added units do not change the others.
_ELEMENTWISE = (
    *_IDEMPOTENT,
    *("tanh", "sigmoid", "elu", "selu", "gelu", "silu", "softplus", "softsign", "leaky_relu"),
    *("relu6", "hard_sigmoid", "mish", "exponential"),
)
# Optimizers that treat each element of a weight by itself. Others, as Muon and Adafactor, take means
# or products over a whole weight, which added units would change.
_ELEMENTWISE_OPTIMIZERS = (
    *(keras.optimizers.SGD, keras.optimizers.RMSprop, keras.optimizers.Adadelta),
    *(keras.optimizers.Adam, keras.optimizers.AdamW, keras.optimizers.Nadam),
    *(keras.optimizers.Adamax, keras.optimizers.Adagrad, keras.optimizers.Lion),
    keras.optimizers.Ftrl,
)
_BESIDE_DENSE = (keras.layers.Dropout, keras.layers.BatchNormalization, keras.layers.Activation)

Arrays = list[np.ndarray[Any, Any]]
StateArrays = tuple[Arrays, Arrays, Arrays]
"""Weights, other variables, and the optimizer's; of one member."""


@dataclass(frozen=True, eq=False)
class DenseChain:
    """A network of dense layers one after the other.

    Args:
        before: the layers before the first dense one.
        blocks: for each hidden dense layer, it and the layers that follow it.
        output: the last dense layer, and the layers that follow it.
    """

    before: list[Any]
    blocks: list[list[Any]]
    output: list[Any]

    @cached_property
    def widths(self) -> tuple[int, ...]:
        """Units of the hidden layers."""
        return tuple(int(block[0].units) for block in self.blocks)

    @cached_property
    def ends(self) -> tuple[int, int]:
        """Inputs of the first dense layer, and units of the last."""
        return int(self.blocks[0][0].kernel.shape[0]), int(self.output[0].units)

    @property
    def depth(self) -> int:
        """Hidden dense layers."""
        return len(self.blocks)

    def label_layers(self) -> dict[int, Label]:
        """A label for each layer, by its id; equal in two chains for layers that correspond."""
        parts = [self.before, *self.blocks, self.output]
        names = ["before", *range(len(self.blocks)), "output"]
        return {
            id(layer): (name, index)
            for name, layers in zip(names, parts, strict=True)
            for index, layer in enumerate(layers)
        }


def parse_chain(model: Any) -> DenseChain | None:
    """A model as a chain of dense layers; None where it is not one, or may not be padded."""
    if not is_described_fully(model) or len(model.inputs) != 1 or len(model.outputs) != 1:
        return None
    if type(model.optimizer) not in _ELEMENTWISE_OPTIMIZERS:
        return None
    if find_undecayed_weights(
        model.optimizer, model.trainable_variables
    ):  # a copy of it would decay them
        return None
    layers = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    if any(len(layer._inbound_nodes) != 1 for layer in layers):
        return None  # a layer is used twice
    if any(layer._flatten_layers(include_self=False) for layer in layers):
        return None  # as a recurrent layer has a cell, whose weights are joined for all its gates
    if any(after.input is not before.output for before, after in pairwise(layers)):
        return None
    dense = [index for index, layer in enumerate(layers) if type(layer) is keras.layers.Dense]
    if len(dense) < 2 or model.inputs[0] is not layers[0].input:
        return None
    *hidden, last = dense
    # Its kernel is padded too, and a penalty of Keras's own may divide by its shape.
    of_output = layers[last].kernel_regularizer, layers[last].bias_regularizer
    if not all(map(_is_known_penalty, of_output)):
        return None
    blocks = [layers[begin:end] for begin, end in pairwise(dense)]
    if not all(_can_be_widened(block) for block in blocks):
        return None
    return DenseChain(layers[: hidden[0]], blocks, layers[last:])


def _can_be_widened(block: list[Any]) -> bool:
    """Whether added units of a block stay zero, and change no other unit."""
    dense, *rest = block
    return (
        _has_activation(dense, _ELEMENTWISE)
        and dense.kernel_constraint is None
        and dense.bias_constraint is None
        and dense.activity_regularizer is None
        and all(_is_known_penalty(r) for r in (dense.kernel_regularizer, dense.bias_regularizer))
        and all(type(layer) in _BESIDE_DENSE for layer in rest)
        and all(
            _has_activation(layer, _ELEMENTWISE) for layer in rest if hasattr(layer, "activation")
        )
        and all(draws_by_place(layer) for layer in rest if _drops(layer))
        and not any(getattr(layer, "renorm", False) for layer in rest)
    )


def _can_be_deepened(chain: DenseChain) -> bool:
    """Whether a block can pass on what it gets, so that chains of other depths fit in.

    A batch normalization, an activation that is not idempotent or a penalty of its bias would
    change it.
    """
    return not any(
        isinstance(layer, keras.layers.BatchNormalization)
        or (hasattr(layer, "activation") and not _has_activation(layer, _IDEMPOTENT))
        or getattr(layer, "bias_regularizer", None) is not None
        for block in chain.blocks
        for layer in block
    )


def _has_activation(layer: Any, names: tuple[str, ...]) -> bool:
    return any(layer.activation is getattr(keras.activations, name) for name in names)


def _drops(layer: Any) -> bool:
    return isinstance(layer, keras.layers.Dropout) and layer.rate > 0


def _is_known_penalty(regularizer: Any) -> bool:
    return regularizer is None or type(regularizer) in PENALTIES


def describe_family(model: Any, chain: DenseChain, scalars: ModelScalars) -> str:
    """A text that is equal for chains that one wide network can hold.

    They differ in widths, and in depth where that is possible.
    """
    with scalars.blanked_out(), without_tensorflow():
        blocks = [_describe_layers(block) for block in chain.blocks]
        alike = all(block == blocks[0] for block in blocks) and _can_be_deepened(chain)
        described = {
            "input": [model.input_shape[1:], str(model.inputs[0].dtype), chain.ends[0]],
            "before": _describe_layers(chain.before),
            "blocks": ["any number of", blocks[0]] if alike else blocks,
            "output": [chain.output[0].units, *_describe_layers(chain.output)],
            "loss": describe_loss(model.loss),
            "scalars of the loss": [f.name for f in scalars.fields if f.owner is None],
        }
        if not may_be_mixed(model.optimizer):
            described["optimizer"] = describe_kind(model, scalars)
    return json.dumps(described, sort_keys=True, default=describe_by_identity)


def describe_kind(model: Any, scalars: ModelScalars) -> str:
    """A text that is equal for optimizers that differ in their scalars alone."""
    with scalars.blanked_out():
        described = describe_optimizer(model.optimizer, model.trainable_variables)
    described.append([field.name for field in scalars.fields if field.owner is model.optimizer])
    return json.dumps(described, sort_keys=True, default=describe_by_identity)


def _describe_layers(layers: list[Any]) -> list[Any]:
    described = []
    for layer in layers:
        is_hidden = layer is layers[0] and type(layer) is keras.layers.Dense
        without = ("name", "units") if is_hidden else ("name",)
        config = {k: v for k, v in layer.get_config().items() if k not in without}
        described.append([type(layer).__qualname__, strip_names(config)])
    return described


def build_wide_model(
    model: Any, chain: DenseChain, widths: Sequence[int], optimizers: Sequence[Any]
) -> tuple[Any, list[Any]]:
    """A compiled, untrained network like this one, with hidden layers of these widths.

    Also returns copies of the optimizers, built for it; it is compiled with the first of them.
    """
    with without_tensorflow():
        x = inputs = keras.Input(model.input_shape[1:], dtype=model.inputs[0].dtype)
        for layer in chain.before:
            x = _copy_layer(layer)(x)
        for block, width in zip(chain.blocks, widths, strict=True):
            for layer in block:
                x = _copy_layer(layer, **({"units": width} if layer is block[0] else {}))(x)
        for layer in chain.output:
            x = _copy_layer(layer)(x)
        wide = keras.Model(inputs, x)
        copies = [type(each).from_config(each.get_config()) for each in optimizers]
        wide.compile(optimizer=copies[0], loss=model.loss, auto_scale_loss=False)
        for copy in copies:
            copy.build(wide.trainable_variables)
    return wide, copies


def label_weights(model: Any, chain: DenseChain) -> list[Label]:
    """A label for each trainable variable; equal in two chains for those that correspond."""
    return _label_variables(model, chain)[0]


def _copy_layer(layer: Any, **changes: Any) -> Any:
    config = {key: value for key, value in layer.get_config().items() if key != "name"}
    return type(layer).from_config({**config, **changes})


class OwnLayout:
    """How a member's variables lie in a program of its very structure: as they are.

    Args:
        scalars: of the member.
    """

    def __init__(self, scalars: ModelScalars) -> None:
        self.scalars = scalars.values
        self.extents: list[int] = []
        self.kind = 0

    def pad_state(self, state: StateArrays) -> StateArrays:
        return state

    def unpad_state(self, state: StateArrays) -> StateArrays:
        return state


class PaddedLayout:
    """How a member's variables lie in a program of a wider, deeper network.

    Its `scalars` are in the order of the wide network, 0 where the member has no such layer. Its
    `extents` say, along each axis of each weight, how much of it is the member's own; `kind`, which
    of the program's optimizers it has.

    Args:
        model: of the member.
        chain: this model as a chain.
        scalars: of this model.
        wide: the wide model.
        wide_chain: the wide model as a chain.
        wide_scalars: of the wide model.
        mix: the optimizers that the wide model is trained by.
        kind: the number of the member's own among these.
    """

    def __init__(
        self,
        model: Any,
        chain: DenseChain,
        scalars: ModelScalars,
        wide: Any,
        wide_chain: DenseChain,
        wide_scalars: ModelScalars,
        mix: OptimizerMix,
        kind: int,
    ) -> None:
        wide_state = wide.trainable_variables, wide.non_trainable_variables, mix.variables
        self._shapes = [[tuple(v.shape) for v in part] for part in state_variables(model)]
        self._wide_shapes = [[tuple(v.shape) for v in part] for part in wide_state]
        self._dtypes = [[str(v.dtype) for v in part] for part in wide_state]
        self.kind = kind

        # For each variable of the wide network, the index of the member's own, if it has one.
        own_weights, own_others = _label_variables(model, chain)
        own_slots = label_slots(model.optimizer, model.trainable_variables, own_weights)
        labels = own_weights, own_others, own_slots
        wide_labels = *_label_variables(wide, wide_chain), mix.labels
        self._sources = [
            [own.index(label) if label in own else None for label in wanted]
            for own, wanted in zip(labels, wide_labels, strict=True)
        ]

        # What the optimizers that are not its own compute is not used, whatever their numbers.
        keys = _label_scalars(scalars, chain, {id(model.optimizer): self.kind})
        values = dict(zip(keys, scalars.values, strict=True))
        wanted = _label_scalars(wide_scalars, wide_chain, mix.numbers)
        self.scalars = [values.get(key, 0.0) for key in wanted]
        self.extents = [
            0 if index is None else self._shapes[0][index][axis]
            for index, shape in zip(self._sources[0], self._wide_shapes[0], strict=True)
            for axis in range(len(shape))
        ]

    def pad_state(self, state: StateArrays) -> StateArrays:
        """The member's state as the wide network's: zeros, and identities for added layers."""
        weights, others, slots = (
            [
                self._pad_array(part, None if index is None else arrays[index], place)
                for place, index in enumerate(self._sources[part])
            ]
            for part, arrays in enumerate(state)
        )
        return weights, others, slots

    def unpad_state(self, state: StateArrays) -> StateArrays:
        """The member's own part of the wide network's state."""
        weights, others, slots = (
            self._unpad_arrays(part, arrays) for part, arrays in enumerate(state)
        )
        return weights, others, slots

    def _pad_array(self, part: int, array: Any, place: int) -> Any:
        shape, dtype = self._wide_shapes[part][place], self._dtypes[part][place]
        if array is None:
            is_kernel = part == 0 and len(shape) == 2
            return np.eye(*shape).astype(dtype) if is_kernel else np.zeros(shape, dtype)
        if array.shape == shape:
            return array
        return np.pad(array, [(0, n - m) for n, m in zip(shape, array.shape, strict=True)])

    def _unpad_arrays(self, part: int, arrays: Arrays) -> Arrays:
        own: Arrays = [np.empty(0)] * len(self._shapes[part])
        for array, index in zip(arrays, self._sources[part], strict=True):
            if index is not None:
                own[index] = array[tuple(slice(n) for n in self._shapes[part][index])]
        return own


def _label_variables(model: Any, chain: DenseChain) -> tuple[list[Label], list[Label]]:
    """A label for each variable: of the weights, and of the others that are not the optimizer's."""
    layers = chain.label_layers()
    labels = {
        id(variable): (*layers[id(layer)], index)
        for layer in (*chain.before, *(a for block in chain.blocks for a in block), *chain.output)
        for index, variable in enumerate(layer.variables)
    }
    weights = [labels[id(variable)] for variable in model.trainable_variables]
    others = [labels[id(variable)] for variable in model.non_trainable_variables]
    return weights, others


def _label_scalars(
    scalars: ModelScalars, chain: DenseChain, optimizers: dict[int, int]
) -> list[Any]:
    """A label for each scalar; optimizers: numbers that stand for them, by their ids."""
    labels: dict[int, Any] = {**chain.label_layers(), **optimizers}
    return [
        (labels[id(field.owner)] if field.owner is not None else None, field.name)
        for field in scalars.fields
    ]
