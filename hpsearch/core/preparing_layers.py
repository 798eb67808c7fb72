"""Which of Keras's layers prepare rows outside of a model. Keras is not imported here."""

from typing import Any

PREPARING_LAYERS = (
    *("CategoryEncoding", "Discretization", "Hashing", "IntegerLookup", "Normalization"),
    *("StringLookup", "TextVectorization"),
)
"""Those that `Task(preprocess=)` takes, and that a folder of kept models may name."""


def is_layer(value: Any) -> bool:
    """Whether a value is a layer of Keras's, or of a class derived from them."""
    return any(
        kind.__module__ == "keras.src.layers.layer" and kind.__name__ == "Layer"
        for kind in type(value).__mro__
    )


def is_preparing_layer(value: Any) -> bool:
    """Whether a value is one of the layers that prepare rows, of Keras's very class."""
    kind = type(value)
    return (
        kind.__module__.startswith("keras.src.layers.preprocessing.")
        and kind.__name__ in PREPARING_LAYERS
    )


def why_not_preparing(value: Any) -> str:
    """Why a layer cannot prepare rows, in words; empty where it can, or is no layer."""
    if not is_layer(value) or is_preparing_layer(value):
        return ""
    return (
        f"a layer {type(value).__name__} prepares no rows outside of a model; preprocess= takes "
        f"Keras's {', '.join(PREPARING_LAYERS)}, or a scikit-learn transformer; adapt one of your "
        "own in build: spec.adapt(layer)"
    )
