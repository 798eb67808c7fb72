"""Networks for tables: numbers and categories are embedded, then go through dense layers.

columns = tabular.Columns.of(frame)
Task(..., preprocess=tabular.preprocess(columns))
Study(..., space=Space(tabular.SPACE), build=tabular.model(columns))

After Gorishniy et al., Revisiting deep learning models for tabular data (NeurIPS 2021) and On
embeddings for numerical features in tabular deep learning (NeurIPS 2022), and Holzmüller et al.,
Better by default (NeurIPS 2024), which describes RealMLP. All layers are Keras's own, so that trials
train side by side, and kept models load without any type of ours.
"""

import math
from collections.abc import Sequence
from typing import Any

from hpsearch import Choice, Float, Int
from hpsearch.core.errors import BuildError
from hpsearch.core.rules import brief
from hpsearch.core.task_kinds import loss_name
from hpsearch.training import ModelSpec
from spaces import checks, network, schedules
from spaces.table_columns import BINS, EMBEDDING, EMBEDDINGS, check_embedding, code_offsets
from spaces.table_columns import Columns as Columns
from spaces.table_columns import preprocess as preprocess

PARAMS = (
    *("frequency", "embedding_size", "category_size", "layers", "units", "residual"),
    *("activation", "dropout", "label_smoothing"),
)
WAVES = 16  # of each number, in periodic embeddings (Holzmüller et al., 2024, appendix A.2)
_SCALE_RATE = 6.0  # how much faster the learned scale of an input moves (ibid.)
_ONLY = {
    "bins": ("piecewise",),
    "frequency": ("periodic",),
    "embedding_size": ("piecewise", "periodic"),
}
_TRAINING = {"optimizer": "adamw", "learning_rate": 4e-3, "schedule": "cosine"}
_WEIGHT_DECAY = 0.01

SPACE = {
    "embedding": Choice(*EMBEDDINGS),
    "frequency": Float(0.02, 1.0, log=True, when={"embedding": "periodic"}),
    "layers": Int(2, 3),
    "dropout": Float(0.0, 0.5),
    "weight_decay": Float(1e-4, 1e-1, log=True),
    "learning_rate": Float(5e-4, 2e-2, log=True),
    **schedules.cosine(),
}
"""What mostly is worth searching: six programs, in which points that differ in numbers alone train
side by side."""


def structure(*units: int, bins: Sequence[int] = (8, 16, 32)) -> dict[str, Choice]:
    """Widths, bins, and whether blocks are residual. Each combination is a program of its own.

    Args:
        units: widths of the hidden layers; by default 64, 128 and 256.
        bins: of piecewise-linear embeddings.
    """
    return {
        "units": Choice(*(units or (64, 128, 256))),
        "bins": Choice(*bins, when={"embedding": "piecewise"}),
        "residual": Choice(False, True),
    }


def smoothing(high: float = 0.2) -> dict[str, Float]:
    """How much of each label goes to all classes alike (Szegedy et al., CVPR 2016, section 7).

    It needs the loss categorical_crossentropy (y one-hot) or binary_crossentropy.
    """
    return {"label_smoothing": Float(0.0, high)}


def model(columns: Columns) -> network.BuildWithDefault:
    """A builder of networks for the rows that `preprocess(columns)` prepares.

    Its parameters, with defaults in brackets; it raises BuildError for any other, and for those
    that have no effect:
    embedding ("periodic"): of each number. "piecewise": its place within `bins` (8) bins between
        quantiles of the training rows, then a linear layer of its own and a ReLU (Gorishniy et al.,
        2022, 3.1); the number is passed on beside it. "periodic": the cosine of 16 learned
        frequencies, drawn with the standard deviation `frequency` (0.1), then a linear layer of its
        own, beside the number (RealMLP's PBLD). "none": the number, smoothly clipped to ±3.
    embedding_size (4): numbers that each number becomes.
    category_size (8): length of the embedding of a category of more than 8 values.
    layers (3), units (128): of the hidden layers, or of the residual blocks.
    residual (False): whether blocks are residual, with layer normalization (ResNet of Gorishniy et
        al., 2021, 3.2).
    activation: "mish" for numbers, "selu" for classes, as in RealMLP.
    dropout (0.15).
    label_smoothing (0): see `smoothing`. It changes what training minimises; the metric "loss"
        remains the task's.
    And those of `spaces.network`; where the space has no optimizer it is AdamW, with weight decay
    0.01, and where it has no schedule, a cosine.
    """
    if not isinstance(columns, Columns):
        raise BuildError(
            f"tabular.model takes Columns, as tabular.Columns.of(frame), got {brief(columns)}"
        )

    def build(
        spec: ModelSpec, embedding: str = EMBEDDING, bins: int | None = None, **params: Any
    ) -> Any:
        import keras

        network.check("tabular.model", spec, params, PARAMS)
        check_embedding(embedding)
        _check_effects(embedding, params if bins is None else {**params, "bins": bins})
        _check_rows(columns, spec)
        bins = checks.whole({"bins": BINS if bins is None else bins}, "bins", least=2)

        inputs = keras.Input(spec.input_shape)
        parts = []
        numbers, flags = len(columns.numbers), columns.flags
        if numbers:
            parts.append(_embed_numbers(_take(inputs, 0, numbers), embedding, bins, params))
        if flags:
            parts.append(_take(inputs, numbers, numbers + flags))
        if columns.many:
            codes = _take(inputs, numbers + flags, columns.width)
            parts.append(_embed_categories(codes, columns, params))
        x = keras.layers.Concatenate()(parts) if len(parts) > 1 else parts[0]
        x = _hidden_layers(_learn_scale(x), spec, params)
        return network.compiled(inputs, x, spec, _training_params(spec, params))

    return network.with_default(
        build,
        **_TRAINING,
        weight_decay=_WEIGHT_DECAY,
        embedding=EMBEDDING,
        bins=BINS,
        frequency=0.1,
        embedding_size=4,
        category_size=8,
        layers=3,
        units=128,
        residual=False,
        dropout=0.15,
        label_smoothing=0.0,
        warmup=0.0,
        final_share=1e-3,
    )


def _check_effects(embedding: str, given: dict[str, Any]) -> None:
    """Raise BuildError for numbers that the embedding ignores."""
    for name, kinds in _ONLY.items():
        if name in given and embedding not in kinds:
            raise BuildError(
                f"{name}={brief(given[name])} has no effect on embedding={embedding!r}; let it exist "
                f"only where it does: when={{'embedding': {kinds[0] if len(kinds) == 1 else kinds!r}}}"
            )


def _check_rows(columns: Columns, spec: ModelSpec) -> None:
    """Raise BuildError for rows that `preprocess(columns)` did not make, as far as one can see."""
    if tuple(spec.input_shape) != (columns.width,):
        raise BuildError(
            f"tabular.model takes rows of shape ({columns.width},), as tabular.preprocess(columns) "
            f"makes them, got {tuple(spec.input_shape)}; say Task(preprocess=...) so"
        )


def _take(inputs: Any, first: int, last: int) -> Any:
    """Some of the columns. A slice would do, but is no layer: minibatches could not be filled up."""
    from keras import layers

    width = inputs.shape[1]
    if (first, last) == (0, width):
        return inputs
    x = layers.Cropping1D((first, width - last))(layers.Reshape((width, 1))(inputs))
    return layers.Flatten()(x)


def _embed_numbers(x: Any, embedding: str, bins: int, params: dict[str, Any]) -> Any:
    """Numbers, each beside what a small network of its own makes of it."""
    import keras

    layers, columns = keras.layers, x.shape[1]
    size = checks.whole(params, "embedding_size", 4)
    if embedding == "piecewise":
        # Of x from 0 to 1, bin i is filled as far as bins * x is beyond i.
        filled = layers.RepeatVector(bins)(x)
        filled = layers.Rescaling(float(bins), offset=[[-float(i)] for i in range(bins)])(filled)
        filled = layers.Permute((2, 1))(keras.ops.clip(filled, 0.0, 1.0))
        embedded = _apply_each(filled, size, activation="relu")
        x = layers.Rescaling(math.sqrt(12.0), offset=-math.sqrt(3.0))(x)  # of variance 1
        return layers.Concatenate()([x, embedded])

    x = x / keras.ops.sqrt(1.0 + keras.ops.square(x / 3.0))  # between -3 and 3
    if embedding == "none":
        return x
    spread = 2 * math.pi * checks.number(params, "frequency", 0.1, above=0.0)
    phases = layers.EinsumDense(
        "bc,cw->bcw",
        (columns, WAVES),
        bias_axes="cw",
        kernel_initializer=keras.initializers.RandomNormal(stddev=spread),
        bias_initializer=keras.initializers.RandomUniform(-math.pi, math.pi),
    )(x)
    return layers.Concatenate()([x, _apply_each(keras.ops.cos(phases), size)])


def _apply_each(x: Any, units: int, activation: str | None = None) -> Any:
    """A dense layer for each column of shape (features,), drawn as for one column alone."""
    import keras

    _, columns, features = x.shape
    most = features**-0.5
    made = keras.layers.EinsumDense(
        "bcf,cfu->bcu",
        (columns, units),
        bias_axes="cu",
        activation=activation,
        kernel_initializer=keras.initializers.RandomUniform(-most, most),
        bias_initializer=keras.initializers.RandomUniform(-most, most),
    )
    return keras.layers.Flatten()(made(x))


def _embed_categories(codes: Any, columns: Columns, params: dict[str, Any]) -> Any:
    """The embeddings of categories of many values, all rows of one table."""
    from keras import layers

    offsets, rows = code_offsets(columns)
    places = layers.Rescaling(1.0, offset=offsets)(codes)
    size = checks.whole(params, "category_size", 8)
    return layers.Flatten()(layers.Embedding(rows, size)(places))


def _learn_scale(x: Any) -> Any:
    """A learned factor for each input, 1 at first: those of no use are soon left out (RealMLP)."""
    import keras

    first = keras.initializers.Constant(1 / _SCALE_RATE)
    scale = keras.layers.EinsumDense("bc,c->bc", (x.shape[1],), kernel_initializer=first)
    return keras.layers.Rescaling(_SCALE_RATE)(scale(x))


def _hidden_layers(x: Any, spec: ModelSpec, params: dict[str, Any]) -> Any:
    from keras import activations, layers

    count, units = checks.whole(params, "layers", 3), checks.whole(params, "units", 128)
    rate = checks.number(params, "dropout", 0.15, below=1.0)
    learns_numbers = spec.activation in (None, "linear")
    named = params.get("activation", "mish" if learns_numbers else "selu")
    activation = checks.find_in_keras(activations, "activation", named)
    residual = checks.switch(params, "residual")

    def hide(x: Any) -> Any:
        x = layers.Dense(units, activation=activation)(x)
        return layers.Dropout(rate)(x) if rate else x

    if not residual:
        for _ in range(count):
            x = hide(x)
        return x
    x = layers.Dense(units)(x)
    for _ in range(count):
        x = layers.Add()([x, layers.Dense(units)(hide(layers.LayerNormalization()(x)))])
    return layers.Activation(activation)(layers.LayerNormalization()(x))


def _training_params(spec: ModelSpec, params: dict[str, Any]) -> dict[str, Any]:
    """The point with the optimizer, schedule and loss that it gets where it says nothing."""
    found = dict(params)
    if "optimizer" not in params:
        found = {"weight_decay": _WEIGHT_DECAY, **found, "optimizer": "adamw"}
    found.setdefault("learning_rate", _TRAINING["learning_rate"])
    found.setdefault("schedule", _TRAINING["schedule"])
    if amount := checks.number(params, "label_smoothing", below=1.0):
        found["loss"] = _smooth_labels(spec.loss, amount, params)
    return found


def _smooth_labels(loss: Any, amount: float, params: dict[str, Any]) -> Any:
    """The task's loss with smoothed labels; BuildError where it has none of them."""
    import keras

    kinds = {
        "categorical_crossentropy": keras.losses.CategoricalCrossentropy,
        "binary_crossentropy": keras.losses.BinaryCrossentropy,
    }
    asked = f"label_smoothing={amount:g}"
    if "loss" in params:
        raise BuildError(f"{asked} smooths the task's loss, and loss replaces it; leave one out")
    if isinstance(loss, dict) or loss_name(loss) not in kinds:
        name = ", ".join(loss) if isinstance(loss, dict) else loss_name(loss)
        raise BuildError(
            f"{asked} needs the loss {' or '.join(kinds)}, and the task has {name}; "
            "make y one-hot for the first, or leave label_smoothing out"
        )
    options = loss.get_config() if isinstance(loss, keras.losses.Loss) else {}
    if options.get("label_smoothing"):
        raise BuildError(f"{asked}, and the task's loss smooths labels itself; leave one out")
    return kinds[loss_name(loss)](**{**options, "label_smoothing": amount})
