"""Convolutional networks for images: blocks that halve the image and double the filters.

build=cnn.model(), space=Space(blocks=Int(2, 3), filters=Choice(16, 32), dropout=Float(0.2, 0.5))
"""

from typing import Any

from hpsearch.training import ModelSpec
from spaces import checks, network

PARAMS = ("blocks", "filters", "kernel", "convolutions", "dropout", "units")


def model() -> network.BuildWithDefault:
    """A builder of networks for rows of shape (height, width, channels).

    Its parameters, with defaults in brackets; it raises BuildError for any other:
    blocks (2): each has convolutions with batch normalisation, then a pooling that halves the image
        as long as that is possible.
    convolutions (1): of each block.
    kernel (3): the side of a convolution.
    filters (32): of the first block; each further block has twice as many.
    dropout (0): before the dense layer.
    units (128): of the dense layer.
    And those of `spaces.network`. Its `default` is what mostly works.
    """

    def build(spec: ModelSpec, **params: Any) -> Any:
        import keras

        network.check("cnn.model", spec, params, PARAMS)
        layers = keras.layers
        x = inputs = keras.Input(spec.input_shape)
        filters, kernel = checks.whole(params, "filters", 32), checks.whole(params, "kernel", 3)
        convolutions = checks.whole(params, "convolutions", 1)
        for block in range(checks.whole(params, "blocks", 2)):
            for _ in range(convolutions):
                # No bias: the normalisation that follows would remove it.
                sized = filters * 2**block
                x = layers.Conv2D(sized, kernel, padding="same", use_bias=False)(x)
                x = layers.BatchNormalization(momentum=0.9)(
                    x
                )  # its means adapt soon, even on small data
                x = layers.Activation("relu")(x)
            if min(x.shape[1:3]) >= 2:
                x = layers.MaxPooling2D()(x)
        rate = checks.number(params, "dropout", below=1.0)
        x = layers.Flatten()(x)
        x = layers.Dropout(rate)(x) if rate else x
        x = layers.Dense(checks.whole(params, "units", 128), activation="relu")(x)
        return network.compiled(inputs, x, spec, params)

    return network.with_default(
        build, blocks=2, convolutions=1, kernel=3, filters=32, dropout=0.25, units=128
    )
