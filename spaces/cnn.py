"""Convolutional networks for images: blocks that halve the image and double the filters.

build=cnn.model(), space=Space(blocks=Int(2, 3), filters=Choice(16, 32), dropout=Float(0.2, 0.5))
"""

from typing import Any

from hpsearch.training import Build, ModelSpec
from spaces import checks, network

PARAMS = ("blocks", "filters", "kernel", "convolutions", "dropout", "units")


def model() -> Build:
    """A builder of networks for rows of shape (height, width, channels).

    Its parameters: blocks (2), each of `convolutions` (1) convolutions of side `kernel` (3), with
    batch normalisation, and a pooling that halves the image as long as it can be halved; filters
    (32) in the first block, twice as many in each further one; then a dense layer of `units` (128)
    behind `dropout` (0); and those of `spaces.network`. Raises BuildError for any other.
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
                # The normalisation that follows takes any bias away.
                sized = filters * 2**block
                x = layers.Conv2D(sized, kernel, padding="same", use_bias=False)(x)
                x = layers.BatchNormalization(momentum=0.9)(x)  # soon true, on small data too
                x = layers.Activation("relu")(x)
            if min(x.shape[1:3]) >= 2:
                x = layers.MaxPooling2D()(x)
        rate = checks.number(params, "dropout", below=1.0)
        x = layers.Flatten()(x)
        x = layers.Dropout(rate)(x) if rate else x
        x = layers.Dense(checks.whole(params, "units", 128), activation="relu")(x)
        return network.compiled(inputs, x, spec, params)

    return build
