"""Multilayer perceptrons: hidden layers of any width, dropout, L1 and L2.

build=mlp.model(hidden=(512, 256, 128))       the widths are fixed
build=mlp.model(), space=Space(mlp.widths(3)) the widths are searched
"""

import math
from collections.abc import Sequence
from typing import Any, Literal

from hpsearch import Float, Int
from hpsearch.core.errors import BuildError
from hpsearch.core.rules import brief
from hpsearch.training import Build, ModelSpec
from spaces import checks, network


def widths(layers: int, low: int = 16, high: int = 512) -> dict[str, Float | Int]:
    """1 to `layers` hidden layers, each with its own width, which exists only if the layer does."""
    each = {
        f"units_{i}": Int(low, high, log=True, when=_at_least(i, layers))
        for i in range(1, layers + 1)
    }
    return {"layers": Int(1, layers), **each}


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


def _at_least(layer: int, layers: int) -> dict[str, range]:
    return {"layers": range(layer, layers + 1)}


def model(
    hidden: Sequence[int] | None = None,
    *,
    dropout_on: Literal["all", "first"] = "all",
    activation: str = "relu",
    initializer: str = "glorot_uniform",
) -> Build:
    """A builder of dense networks, with the output layer that suits the task.

    Args:
        hidden: the widths; where None, they are parameters: `layers` with `units_1`, `units_2`...,
            or with `units` and `funnel`.
        dropout_on: the layers that the parameter `dropout` acts on.

    Its parameters; it raises BuildError for any other:
    dropout, or dropout_1, dropout_2... for single layers; l1 and l2 (factors of every hidden
    kernel); activation; initializer; and those of `spaces.network` (loss, optimizer...).
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
        network.check("mlp.model", spec, params, _known(hidden, len(sizes)))
        rates = _rates(len(sizes), params, dropout_on)
        inputs = keras.Input(spec.input_shape)
        x = keras.layers.Flatten()(inputs) if len(spec.input_shape) > 1 else inputs
        for units, rate in zip(sizes, rates, strict=True):
            x = keras.layers.Dense(
                units,
                activation=params.get("activation", activation),
                kernel_initializer=params.get("initializer", initializer),
                kernel_regularizer=_penalty(params),
            )(x)
            if rate:
                x = keras.layers.Dropout(rate)(x)
        return network.compiled(inputs, x, spec, params)

    return build


def _sizes(hidden: Sequence[int] | None, params: dict[str, Any]) -> list[int]:
    if hidden is not None:
        return [int(width) for width in hidden]
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


def _penalty(params: dict[str, Any]) -> Any:
    """The regularizer, without parts whose factor is 0, which would make another program."""
    from keras import regularizers

    l1, l2 = checks.number(params, "l1"), checks.number(params, "l2")
    if l1 and l2:
        return regularizers.L1L2(l1, l2)
    if l1:
        return regularizers.L1(l1)
    return regularizers.L2(l2) if l2 else None


def _known(hidden: Sequence[int] | None, layers: int) -> list[str]:
    names = ["dropout", *(f"dropout_{i}" for i in range(1, layers + 1)), "l1", "l2"]
    names += ["activation", "initializer"]
    if hidden is None:
        names += ["layers", "units", "funnel", *(f"units_{i}" for i in range(1, layers + 1))]
    return names
