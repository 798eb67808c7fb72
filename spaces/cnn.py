"""Convolutional networks for images: blocks of convolutions, each with a pooling; dense layers.

build=cnn.model(), space=Space(blocks=Int(2, 3), filters=Choice(16, 32), dropout=Float(0.2, 0.5))
build=cnn.model(filters=(64, 32), units=(512, 256))              the widths are fixed
build=cnn.model(), space=Space(cnn.filters(3), cnn.dense(2))     each is searched
space=Space(kernel=Choice(3, 5), padding=Choice("same", "valid"), augmentation.SPACE)
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hpsearch import Choice, Float, Int, Space
from hpsearch.core.errors import BuildError
from hpsearch.core.rules import brief
from hpsearch.training import ModelSpec
from spaces import augmentation, checks, network

PARAMS = (
    *("blocks", "convolutions", "filters", "kernel", "padding", "pooling"),
    *("normalization", "norm_momentum", "dense", "units"),
    *("dropout", "block_dropout", "dense_dropout"),
    *augmentation.PARAMS,
)
NORMALIZATIONS = ("none", "batch", "batch_after")
_COUNTED = range(5)  # blocks and dense layers whose widths the default point has


_DEFAULT: dict[str, Any] = {
    "blocks": 2,
    "convolutions": 1,
    "kernel": 3,
    "padding": "same",
    "pooling": "all",
    "filters": 32,
    **{f"filters_{i + 1}": 32 * 2**i for i in _COUNTED},
    "normalization": "batch",
    "norm_momentum": 0.9,
    "dropout": 0.25,
    "block_dropout": 0.1,
    "dense_dropout": 0.25,
    "dense": 1,
    "units": 128,
    **{f"units_{i + 1}": 128 for i in _COUNTED},
    **augmentation.DEFAULT,
}


def filters(blocks: int, low: int = 16, high: int = 128) -> dict[str, Float | Int | Choice]:
    """1 to `blocks` blocks, each with a number of filters of its own."""
    return Space.repeated("filters", Int(low, high, log=True), blocks, count="blocks")


def dense(layers: int, low: int = 32, high: int = 512) -> dict[str, Float | Int | Choice]:
    """1 to `layers` dense layers, each with a width of its own."""
    return Space.repeated("units", Int(low, high, log=True), layers, count="dense")


def model(
    filters: Sequence[int] | None = None, units: Sequence[int] | None = None
) -> network.BuildWithDefault:
    """A builder of networks for rows of shape (height, width, channels).

    Args:
        filters: of each block; where None, they are parameters: `blocks` with `filters`, or with
            filters_1, filters_2... for each.
        units: of each dense layer; where None, they are parameters: `dense` with `units`, or with
            units_1, units_2... for each.

    Its parameters, with defaults in brackets; it raises BuildError for any other:
    blocks (2): each has convolutions, then a pooling that halves the image as long as that is
        possible.
    convolutions (1): of each block.
    filters (32): of the first block; each further block has twice as many.
    kernel (3): the side of a convolution.
    padding ("same"): "valid" lets a convolution cut the edge off, by kernel - 1 in all.
    pooling ("all"): "between" leaves it out after the last block.
    normalization ("batch"): before the activation of each convolution; "batch_after": behind it;
        "none".
    norm_momentum (0.9): the share of its means and deviations that a batch normalization keeps in a
        step: they adapt soon, even on small data. Keras's own is 0.99.
    dense (1): how many dense layers there are. units (128): of each.
    dropout (0): before the dense layers; block_dropout (0): behind each block; dense_dropout (0):
        behind each dense layer.
    Those of `spaces.augmentation.make_layers`, and of `spaces.network`. Its `default` is what
    mostly works.
    """
    _check_widths(filters=filters, units=units)

    def build(spec: ModelSpec, **params: Any) -> Any:
        import keras

        sizes = _list_sizes("blocks", "filters", filters, params)
        widths = _list_sizes("dense", "units", units, params)
        network.check("cnn.model", spec, params, _list_known(params, filters, units, sizes, widths))
        x = inputs = keras.Input(spec.input_shape)
        for layer in augmentation.make_layers(params):
            x = layer(x)
        x = _add_blocks(x, sizes, params)
        x = _add_dropout(keras.layers.Flatten()(x), "dropout", params)
        for width in widths:
            x = keras.layers.Dense(width, activation="relu")(x)
            x = _add_dropout(x, "dense_dropout", params)
        return network.compiled(inputs, x, spec, params)

    return network.with_default(build, **_DEFAULT)


def _list_sizes(
    count: str, name: str, fixed: Sequence[int] | None, params: Mapping[str, Any]
) -> list[int]:
    """The filters of each block, or the units of each dense layer, whichever `name` says."""
    if fixed is not None:
        return [int(size) for size in fixed]
    number = checks.whole(params, count, _DEFAULT[count])
    if f"{name}_1" in params:
        return [checks.whole(params, f"{name}_{i + 1}") for i in range(number)]
    first = checks.whole(params, name, _DEFAULT[name])
    return [first * 2**i if name == "filters" else first for i in range(number)]


def _list_known(
    params: Mapping[str, Any],
    filters: Sequence[int] | None,
    units: Sequence[int] | None,
    sizes: Sequence[int],
    widths: Sequence[int],
) -> list[str]:
    """The parameters that have an effect on such a network."""
    known = list(PARAMS)
    parts = ("blocks", "filters", filters, sizes), ("dense", "units", units, widths)
    for count, name, fixed, found in parts:
        if fixed is not None:
            known = [each for each in known if each not in (count, name)]
        elif f"{name}_1" in params:
            known.remove(name)
            known += [f"{name}_{i + 1}" for i in range(len(found))]
    return known


def _check_widths(**given: Sequence[int] | None) -> None:
    for name, sizes in given.items():
        if sizes is None:
            continue
        if not isinstance(sizes, Sequence) or isinstance(sizes, str | bytes) or not sizes:
            raise BuildError(f"{name} is a tuple of whole numbers, as (64, 32), got {brief(sizes)}")
        for size in sizes:
            checks.whole({name: size}, name)


def _add_blocks(x: Any, sizes: Sequence[int], params: Mapping[str, Any]) -> Any:
    import keras

    pooling = checks.one_of(params, "pooling", ("all", "between"), "all")
    make_convolution = _convolution_maker(params)
    convolutions = checks.whole(params, "convolutions", 1)
    for block, size in enumerate(sizes, 1):
        for _ in range(convolutions):
            x = make_convolution(x, size, block)
        pools = pooling == "all" or block < len(sizes)
        if pools and min(x.shape[1:3]) >= 2:
            x = keras.layers.MaxPooling2D()(x)
        x = _add_dropout(x, "block_dropout", params)
    return x


def _convolution_maker(params: Mapping[str, Any]) -> Callable[[Any, int, int], Any]:
    """A function that adds a convolution of so many filters, with its normalization, to a block."""
    from keras import layers

    kernel = checks.whole(params, "kernel", 3)
    padding = checks.one_of(params, "padding", ("same", "valid"), "same")
    normalization = checks.one_of(params, "normalization", NORMALIZATIONS, "batch")
    if "norm_momentum" in params and normalization == "none":
        raise BuildError(
            f"norm_momentum={params['norm_momentum']} has no effect with normalization='none'; let "
            "it exist only where it does: when={'normalization': ('batch', 'batch_after')}"
        )
    momentum = checks.number(params, "norm_momentum", 0.9, below=1.0)

    def add(x: Any, size: int, block: int) -> Any:
        if padding == "valid" and min(x.shape[1:3]) < kernel:
            raise BuildError(
                f"block {block} gets images of {x.shape[1]} x {x.shape[2]}, too small for "
                f"kernel={kernel} with padding='valid'; search fewer blocks, smaller kernels, or "
                "padding='same'"
            )
        options = {"kernel_size": kernel, "padding": padding}
        if normalization != "batch":
            x = layers.Conv2D(size, activation="relu", **options)(x)
            is_last = normalization == "batch_after"
            return layers.BatchNormalization(momentum=momentum)(x) if is_last else x
        # No bias: the normalization that follows would remove it.
        x = layers.Conv2D(size, use_bias=False, **options)(x)
        x = layers.BatchNormalization(momentum=momentum)(x)
        return layers.Activation("relu")(x)

    return add


def _add_dropout(x: Any, name: str, params: Mapping[str, Any]) -> Any:
    import keras

    rate = checks.number(params, name, below=1.0)
    return keras.layers.Dropout(rate)(x) if rate else x
