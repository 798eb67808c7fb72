"""Multilayer perceptrons: hidden layers of any width, dropout, L1 and L2, normalization...

build=mlp.model(hidden=(512, 256, 128))       the widths are fixed
build=mlp.model(), space=Space(mlp.widths(3)) the widths are searched
space=Space(mlp.widths(3), mlp.normalization(), mlp.residual(3), mlp.max_norm())
"""

import math
import random
from collections.abc import Callable, Sequence
from typing import Any, Literal

from hpsearch import Choice, Float, Int, Space
from hpsearch.core.errors import BuildError
from hpsearch.core.rules import brief
from hpsearch.training import ModelSpec
from spaces import checks, network
from spaces import penalties as penalties_of

LAYERS = range(1, 11)  # whose widths and dropout rates the default point has
_OF_HIDDEN = (
    *("dropout", *penalties_of.PARAMS, "max_norm", "activation", "initializer"),
    *("normalization", "residual"),
)


def widths(
    layers: int, low: int = 16, high: int = 512, *, least: int = 1
) -> dict[str, Float | Int | Choice]:
    """`least` to `layers` hidden layers, each with its own width, which exists only if the layer does.

    Args:
        least: 1, or 0 where a linear model is among them.
    """
    piece = Space.repeated("units", Int(low, high, log=True), layers)
    return {**piece, "layers": Int(least, layers)}


def funnel(layers: int, low: int = 16, high: int = 512) -> dict[str, Float | Int]:
    """1 to `layers` hidden layers; each width is `funnel` times the one before."""
    return {
        "layers": Int(1, layers),
        "units": Int(low, high, log=True),
        **({"funnel": Float(0.25, 1.0, when=_at_least(2, layers))} if layers > 1 else {}),
    }


def dropouts(layers: int, high: float = 0.5, *, fixed: bool = False) -> dict[str, Float | Int]:
    """A dropout rate for each of up to `layers` layers, for use with `widths` or `funnel`.

    Args:
        fixed: there are always `layers` layers, as in `model(hidden=...)`.
    """
    return {
        f"dropout_{i}": Float(0.0, high, when=None if fixed else _at_least(i, layers))
        for i in range(1, layers + 1)
    }


def input_dropout(high: float = 0.3) -> dict[str, Float]:
    """The share of each row's inputs that are dropped (Srivastava et al., JMLR 15, 2014)."""
    return {"input_dropout": Float(0.0, high)}


def penalties(
    l1: penalties_of.Range | None = None, l2: penalties_of.Range | None = None
) -> dict[str, Choice | Float]:
    """Whether each hidden kernel has an L1 or L2 penalty, and its factor; see `spaces.penalties`."""
    return penalties_of.choices(l1, l2)


def max_norm(low: float = 1.0, high: float = 5.0) -> dict[str, Float]:
    """The length that the weights of a hidden unit have at most (Srivastava et al., 2014)."""
    return {"max_norm": Float(low, high, log=True)}


def normalization() -> dict[str, Choice]:
    """Whether each hidden layer is normalized before its activation: by batch, by row, or not."""
    return {"normalization": Choice(*network.NORMALIZATIONS)}


def residual(layers: int, *, fixed: bool = False) -> dict[str, Choice]:
    """Whether what goes into a hidden layer is added to what comes out, from the second one on.

    Args:
        fixed: there are always `layers` layers, as in `model(hidden=...)`.
    """
    if layers < 2:
        raise ValueError(f"residual needs at least 2 layers, got {layers}; leave it out")
    return {"residual": Choice(False, True, when=None if fixed else _at_least(2, layers))}


def activations(*names: str) -> dict[str, Choice]:
    """The activation of the hidden layers: of these, or of some usual ones."""
    return {"activation": Choice(*(names or ("relu", "elu", "gelu", "silu", "tanh")))}


def initializers(*names: str) -> dict[str, Choice]:
    """How the first weights of the hidden layers are drawn: of these, or of some usual ones."""
    usual = ("glorot_uniform", "he_normal", "lecun_normal", "orthogonal")
    return {"initializer": Choice(*(names or usual))}


def _at_least(layer: int, layers: int) -> dict[str, range]:
    return {"layers": range(layer, layers + 1)}


def model(
    hidden: Sequence[int] | None = None,
    *,
    dropout_on: Literal["all", "first"] = "all",
    activation: str = "relu",
    initializer: str = "glorot_uniform",
) -> network.BuildWithDefault:
    """A builder of dense networks, with the output layer that suits the task.

    Args:
        hidden: the widths; where None, they are parameters: `layers` with `units_1`, `units_2`...,
            or with `units` and `funnel`.
        dropout_on: the layers that the parameter `dropout` acts on.

    Its parameters, with defaults in brackets; it raises BuildError for any other, and for those
    that have no effect:
    dropout (0), or dropout_1, dropout_2... for single layers; input_dropout (0).
    l1, l2 (0): factors of every hidden kernel; penalty: which of them there are ("none", "l1",
        "l2", "l1_l2"). max_norm: what no hidden unit's weights exceed.
    activation, initializer: of the hidden layers.
    normalization ("none"): "batch" or "layer", between a hidden layer and its activation.
    residual (False): whether what goes into a hidden layer, from the second one on, is added to
        what comes out of it; a dense layer without activation fits it where the widths differ.
    And those of `spaces.network` (loss, optimizer...).

    layers=0 has no hidden layer, and so none of their parameters: a linear model.
    Its `default` is what mostly works: two layers of 64 units, dropout 0.2, Adam at 0.001...
    """
    if dropout_on not in ("all", "first"):
        raise ValueError(f"dropout_on is 'all' or 'first', got {brief(dropout_on)}")
    if hidden is not None and (not isinstance(hidden, Sequence) or isinstance(hidden, str | bytes)):
        raise ValueError(f"hidden is a tuple of widths, as (64, 64), got {brief(hidden)}")
    for width in hidden or ():
        checks.whole({"hidden": width}, "hidden")

    def build(spec: ModelSpec, **params: Any) -> Any:
        import keras

        sizes = _sizes(hidden, params)
        network.check("mlp.model", spec, params, _known(hidden, len(sizes), params))
        if not sizes:
            _check_linear(params)
        rates = _rates(len(sizes), params, dropout_on)
        make_dense = _dense_maker(params, initializer)
        act = checks.find_in_keras(
            keras.activations, "activation", params.get("activation", activation)
        )
        normalize, is_residual = network.make_normalizer(params), _is_residual(params, len(sizes))

        inputs = keras.Input(spec.input_shape)
        x = keras.layers.Flatten()(inputs) if len(spec.input_shape) > 1 else inputs
        if rate := checks.number(params, "input_dropout", below=1.0):
            x = keras.layers.Dropout(rate)(x)
        for index, (units, rate) in enumerate(zip(sizes, rates, strict=True)):
            before = x
            if normalize is None:
                x = make_dense(units, activation=act)(x)
            else:
                # No bias: the normalization that follows has one, or would remove it.
                x = normalize()(make_dense(units, use_bias=False)(x))
                x = keras.layers.Activation(act)(x)
            if rate:
                x = keras.layers.Dropout(rate)(x)
            if is_residual and index > 0:
                if before.shape[-1] != units:
                    before = make_dense(units, use_bias=False)(before)
                x = keras.layers.Add()([before, x])
        return network.compiled(inputs, x, spec, params)

    each = {f"units_{i}": 64 for i in LAYERS} | {f"dropout_{i}": 0.2 for i in LAYERS}
    return network.with_default(
        build,
        layers=2,
        units=64,
        funnel=1.0,
        dropout=0.2,
        input_dropout=0.0,
        penalty="none",
        l1=1e-6,
        l2=1e-4,
        max_norm=3.0,
        activation=activation,
        initializer=initializer,
        normalization="none",
        residual=False,
        **each,
    )


def _dense_maker(params: dict[str, Any], initializer: str) -> Callable[..., Any]:
    """Makes the dense layers: all have the initializer, the penalty and the constraint."""
    import keras

    options: dict[str, Any] = {"kernel_initializer": params.get("initializer", initializer)}
    # Looking it up makes one, which draws a seed: the layers' own must stay what they were.
    state = random.getstate()
    checks.find_in_keras(keras.initializers, "initializer", options["kernel_initializer"])
    random.setstate(state)
    if "max_norm" in params:
        longest = checks.number(params, "max_norm", above=0.0)
        options["kernel_constraint"] = keras.constraints.MaxNorm(longest, axis=0)

    def make(units: int, **more: Any) -> Any:
        return keras.layers.Dense(
            units, kernel_regularizer=penalties_of.make(params), **options, **more
        )

    return make


def _is_residual(params: dict[str, Any], layers: int) -> bool:
    residual = checks.switch(params, "residual")
    if residual and layers < 2:
        raise BuildError(
            "residual=True has no effect on one hidden layer; let it exist only where it does: "
            "mlp.residual(layers), or when={'layers': range(2, 4)}"
        )
    return residual


def _sizes(hidden: Sequence[int] | None, params: dict[str, Any]) -> list[int]:
    if hidden is not None:
        return [int(width) for width in hidden]
    if params.get("layers") == 0 and not any(name.startswith("units") for name in params):
        return []
    layers = checks.whole(params, "layers", 1)
    if "units_1" in params:
        return [checks.whole(params, f"units_{i}") for i in range(1, layers + 1)]
    if "units" not in params:
        raise BuildError(
            "mlp.model() needs widths: hidden=(64, 64), or units, or units_1, units_2... "
            "(mlp.widths) in the space"
        )
    units = checks.whole(params, "units")
    share = checks.number(params, "funnel", 1.0, above=0.0)
    # A power of a tiny share may round to 0, but a layer needs a unit.
    return [max(1, math.ceil(units * share**i)) for i in range(layers)]


def _check_linear(params: dict[str, Any]) -> None:
    """Raise BuildError for what has no effect without hidden layers."""
    for name in _OF_HIDDEN:
        if name in params:
            raise BuildError(
                f"{name}={brief(params[name])} has no effect without hidden layers; let it exist only "
                "where there are some: when={'layers': range(1, 3)}"
            )


def _rates(layers: int, params: dict[str, Any], dropout_on: str) -> list[float]:
    common = checks.number(params, "dropout", below=1.0)
    return [
        checks.number(
            params,
            f"dropout_{i + 1}",
            common if i == 0 or dropout_on == "all" else 0.0,
            below=1.0,
        )
        for i in range(layers)
    ]


def _known(hidden: Sequence[int] | None, layers: int, params: dict[str, Any]) -> list[str]:
    """The parameters that have an effect on such a network."""
    names = [*_OF_HIDDEN, "input_dropout", *(f"dropout_{i}" for i in range(1, layers + 1))]
    if hidden is not None:
        return names
    one_each = [f"units_{i}" for i in range(1, layers + 1)]
    return [*names, "layers", *(one_each if "units_1" in params else ["units", "funnel"])]
