"""Find what of a model stays the same while it trains, so that it is computed once for all rows.

A network that is trained on top of a frozen one, as in transfer learning, sees the same features of
a row in every epoch and in every trial: they depend on the row alone.
"""

import hashlib
import json
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import keras
import numpy as np

from hpsearch.core.arrays import Array, Inputs
from hpsearch.training.batched.scalars import strip_names
from hpsearch.training.minibatches import predict_rows
from hpsearch.training.overrides import describe_network, is_of_keras

_BATCH = 256
# Layers whose state is set before training, and used in the same way whether they train or not.
_FIXED = (keras.layers.Normalization, keras.layers.Discretization)
_CHEAP = (*_FIXED, keras.layers.Embedding)  # to compute: a table of what they give costs more


@dataclass(frozen=True, eq=False)
class FrozenPart:
    """The first layers of a model, whose output for a row never changes while the rest trains.

    Args:
        features: a model from the whole model's input to their output.
        head: a compiled model of all that follows; it shares its layers, and the optimizer, with
            the whole.
    """

    features: Any
    head: Any

    @cached_property
    def digest(self) -> str:
        """Equal for frozen parts that give the same features."""
        digest = hashlib.blake2b(digest_size=16)
        described = strip_names(describe_network(self.features))
        digest.update(json.dumps(described, sort_keys=True, default=str).encode())
        for variable in self.features.variables:
            array = np.ascontiguousarray(keras.ops.convert_to_numpy(variable))
            digest.update(f"{array.dtype} {array.shape} ".encode())
            digest.update(array.reshape(-1).view(np.uint8).data)
        return digest.hexdigest()

    @property
    def row_bytes(self) -> int:
        """The bytes of a row's features."""
        return 4 * int(math.prod(size or 1 for size in self.features.output_shape[1:]))

    def compute_features(self, x: Inputs) -> Array:
        """The features of rows: what the layers that train get for them."""
        features = np.asarray(predict_rows(self.features, x, _BATCH))
        # NumPy's files cannot hold bfloat16; float32 holds its values exactly.
        return features if features.dtype.kind in "biuf" else features.astype(np.float32)


def find_frozen_part(model: Any) -> FrozenPart | None:
    """The frozen part of a compiled model; None where it has none, or where that is not certain.

    It begins at the input, has weights, none of which is trained, and draws nothing at random:
    augmentation or dropout in front of a frozen network make its features new in each epoch. Weights
    of layers that only scale numbers, sort them into bins or look vectors up do not count: to
    compute these anew costs less than a table of features for each fold.
    """
    if type(model) not in (keras.Sequential, keras.src.models.functional.Functional):
        return None
    if len(model.inputs) != 1:
        return None
    metrics = model._compile_metrics
    if metrics is not None and metrics._user_weighted_metrics:
        return None
    losses = model._compile_loss
    end = None if losses is None or losses._user_loss_weights else _find_end(model)
    if end is None:
        return None
    features, head = (
        keras.Model(model.inputs[0], end),
        keras.Model(end, model.outputs[0] if len(model.outputs) == 1 else model.output),
    )
    trained = [id(variable) for variable in model.trainable_variables]
    if not trained or [id(variable) for variable in head.trainable_variables] != trained:
        return None
    head.compile(
        optimizer=model.optimizer,
        loss=model.loss,
        metrics=None if metrics is None else metrics._user_metrics,
        jit_compile=model.jit_compile,
        run_eagerly=model.run_eagerly,
    )
    return FrozenPart(features, head)


def _find_end(model: Any) -> Any:
    """The last symbolic tensor that the frozen layers give; None where there are none."""
    graph = keras.Model(model.inputs, model.outputs)
    nodes = [node for level in graph._nodes_by_depth.values() for node in level]
    results = {id(tensor) for tensor in model.outputs}
    (tensor,) = model.inputs
    has_weights = False
    end = None
    while True:
        users = [n for n in nodes if any(t is tensor for t in n.input_tensors)]
        if len(users) != 1 or not _is_fixed(users[0]) or id(users[0].outputs[0]) in results:
            return end
        (tensor,) = users[0].outputs
        layer = users[0].operation
        has_weights = has_weights or (bool(layer.weights) and not isinstance(layer, _CHEAP))
        end = tensor if has_weights else None


def _is_fixed(node: Any) -> bool:
    """Whether a call of a layer gives the same for a row whenever it is computed in training."""
    layer = node.operation
    if not isinstance(layer, keras.layers.Layer) or layer.trainable_variables:
        return False
    if len(node.input_tensors) != 1 or len(node.outputs) != 1:
        return False
    return all(map(_is_fixed_layer, layer._flatten_layers()))


def _is_fixed_layer(layer: Any) -> bool:
    # How it is called says nothing: in `fit`, Keras overrides the training=False of a call.
    if not is_of_keras(layer) or isinstance(layer, keras.layers.Lambda):
        return False
    if getattr(layer, "stateful", False) is True or getattr(layer, "activity_regularizer", None):
        return False
    # A mask goes beside the features, to the layers that follow.
    if getattr(layer, "mask_zero", False) or isinstance(layer, keras.layers.Masking):
        return False
    if any(isinstance(value, keras.random.SeedGenerator) for value in vars(layer).values()):
        return False
    if layer._non_trainable_variables:  # a state, which other layers change in training
        rests = isinstance(layer, keras.layers.BatchNormalization) and not layer.trainable
        return rests or isinstance(layer, _FIXED)
    return not (layer._trainable_variables and layer.trainable)
