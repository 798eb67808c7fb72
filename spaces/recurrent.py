"""Networks for sequences of numbers: LSTM, GRU, convolutions, or a temporal convolutional network.

build=recurrent.model("lstm"), space=Space(layers=Int(1, 2), units=Int(16, 64, log=True))
build=recurrent.model(), space=Space(recurrent.kinds("gru", "tcn"), units=Choice(32, 64))

Sequences of word numbers are for `spaces.text`, which embeds them.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hpsearch import Choice
from hpsearch.core.errors import BuildError
from hpsearch.core.option_text import did_you_mean
from hpsearch.core.rules import brief
from hpsearch.training import ModelSpec
from spaces import checks, network

RECURRENT = ("lstm", "gru")
CONVOLUTIONAL = ("conv", "tcn")
KINDS = (*RECURRENT, *CONVOLUTIONAL)
_ONLY = {
    "recurrent_dropout": RECURRENT,
    "bidirectional": RECURRENT,
    "kernel": CONVOLUTIONAL,
    "normalization": CONVOLUTIONAL,
}
PARAMS = ("kind", "layers", "units", "dropout", "dense", "output_activation", *_ONLY)


def kinds(*names: str) -> dict[str, Choice]:
    """Which of these kinds, or of all; and the kernel of those that have one.

    >>> kinds("lstm", "tcn")["kernel"].when
    {'kind': ('tcn',)}
    """
    chosen = names or KINDS
    for name in chosen:
        if not isinstance(name, str) or name not in KINDS:
            raise ValueError(
                f"recurrent.kinds takes {', '.join(KINDS)}, got {brief(name)}"
                f"{did_you_mean(str(name), KINDS)}"
            )
    piece = {"kind": Choice(*chosen)}
    if having := tuple(name for name in chosen if name in CONVOLUTIONAL):
        piece["kernel"] = Choice(2, 3, 5, when={"kind": having})
    return piece


def model(kind: str | None = None) -> network.BuildWithDefault:
    """A builder of networks for rows of shape (steps, channels), numbers, the latest step last.

    Args:
        kind: "lstm" (Hochreiter and Schmidhuber, Neural Computation 9, 1997) or "gru" (Cho et al.,
            arXiv:1406.1078, 2014); "conv", convolutions that each halve the steps; "tcn", a
            temporal convolutional network: dilated causal convolutions in residual blocks (Bai,
            Kolter and Koltun, arXiv:1803.01271, 2018, section 3); None for the parameter `kind`.

    Its parameters, with defaults in brackets; it raises BuildError for any other, and for those
    that have no effect on its kind:
    kind: as above.
    layers (1; conv: 2; tcn: as many as see all steps): layers, or residual blocks of the tcn, of
        which the i-th looks back 2^i times as far as the first.
    units (32): of each layer, or its number of filters.
    kernel (3): steps that a filter sees.
    dropout (0): of what each layer passes on. Convolutions drop whole filters.
    recurrent_dropout (0): of the state, with one mask for all steps (Gal and Ghahramani,
        arXiv:1512.05287, 2016). Such networks do not train side by side, so they take longer.
    bidirectional (False): whether each layer also reads the steps backwards; the output then has
        twice the units.
    normalization ("none"): "batch" or "layer", between each convolution and its activation. The
        tcn's authors normalize weights instead, which Keras has no layer for.
    dense (0): units of a dense layer before the output; 0 for no such layer.
    output_activation ("linear"): "tanh" where targets were scaled to -1..1, as by
        `preprocess_y=MinMaxScaler((-1, 1))`: no prediction is then beyond those of the training rows.
    And those of `spaces.network`. Its `default` is what mostly works.
    """
    if kind is not None:
        network.choose_kind("recurrent.model", kind, {}, KINDS, _ONLY)

    def build(spec: ModelSpec, **params: Any) -> Any:
        import keras

        network.check("recurrent.model", spec, params, PARAMS)
        if len(spec.input_shape) != 2:
            raise BuildError(
                "recurrent.model takes rows of shape (steps, channels), and this task's have "
                f"{brief(spec.input_shape)}; one channel needs x[..., None]"
            )
        chosen = network.choose_kind("recurrent.model", kind, params, KINDS, _ONLY)
        inputs = keras.Input(spec.input_shape)
        x = _LAYERS[chosen](inputs, params)
        if units := checks.whole(params, "dense", 0, least=0):
            x = keras.layers.Dense(units, activation="relu")(x)
        return network.compiled(inputs, x, _with_output_activation(spec, params), params)

    return network.with_default(
        build,
        kind=kind or "lstm",
        layers={"conv": 2, "tcn": 3}.get(kind or "", 1),
        units=32,
        kernel=3,
        dropout=0.1,
        recurrent_dropout=0.0,
        bidirectional=False,
        normalization="none",
        dense=0,
        output_activation="linear",
    )


def _with_output_activation(spec: ModelSpec, params: dict[str, Any]) -> ModelSpec:
    """The spec with the activation that the point asks for, in place of the task's."""
    if "output_activation" not in params:
        return spec
    if spec.activation not in (None, "linear"):
        raise BuildError(
            f"output_activation={brief(params['output_activation'])} is for one number that is "
            f"predicted, and this task's output has the activation {brief(spec.activation)}; leave it "
            "out of the space"
        )
    chosen = checks.one_of(params, "output_activation", ("linear", "tanh"), "linear")
    return replace(spec, activation=chosen)


def _recurrent(kind: str) -> Callable[[Any, dict[str, Any]], Any]:
    """Makes the layers of an LSTM or a GRU: of the last one, the output of the last step goes on."""

    def apply(x: Any, params: dict[str, Any]) -> Any:
        import keras

        layer = keras.layers.LSTM if kind == "lstm" else keras.layers.GRU
        units, rate = _units_and_rate(params)
        inner = checks.number(params, "recurrent_dropout", below=1.0)
        both_ways = checks.switch(params, "bidirectional")
        layers = checks.whole(params, "layers", 1)
        for number in range(1, layers + 1):
            made = layer(units, return_sequences=number < layers, recurrent_dropout=inner)
            x = keras.layers.Bidirectional(made)(x) if both_ways else made(x)
            x = keras.layers.Dropout(rate)(x) if rate else x
        return x

    return apply


def _convolutions(x: Any, params: dict[str, Any]) -> Any:
    """Convolutions, each with a pooling that halves the steps as long as that is possible.

    What is left of the steps goes on in their order: a forecast needs to know which came last. Of an
    odd number of them the last one goes on by itself.
    """
    import keras

    _, rate = _units_and_rate(params)
    for _ in range(checks.whole(params, "layers", 2)):
        x = _convolve(x, params, padding="same")
        if x.shape[1] >= 2:
            x = keras.layers.MaxPooling1D(padding="same")(x)
        x = keras.layers.SpatialDropout1D(rate)(x) if rate else x
    return keras.layers.Flatten()(x)


def _temporal(x: Any, params: dict[str, Any]) -> Any:
    """Residual blocks of two dilated causal convolutions (Bai et al., 2018, figure 1).

    The last step, which saw all others that the blocks reach back to, goes on.
    """
    import keras

    units, rate = _units_and_rate(params)
    kernel = checks.whole(params, "kernel", 3)
    layers = checks.whole(params, "layers", blocks_that_see(x.shape[1], kernel))
    for block in range(layers):
        before = x
        for _ in range(2):
            x = _convolve(x, params, padding="causal", dilation_rate=2**block)
            x = keras.layers.SpatialDropout1D(rate)(x) if rate else x
        if before.shape[-1] != units:
            before = keras.layers.Conv1D(units, 1)(before)
        x = keras.layers.Activation("relu")(keras.layers.Add()([before, x]))
    return keras.layers.Flatten()(keras.layers.Cropping1D((x.shape[1] - 1, 0))(x))


def blocks_that_see(steps: int, kernel: int) -> int:
    """The fewest blocks of a temporal convolutional network whose last step sees all steps.

    The i-th block, from 0, has two convolutions that each reach (kernel - 1) * 2^i steps back.

    >>> [blocks_that_see(steps, 3) for steps in (1, 5, 6, 13, 14)]
    [1, 1, 2, 2, 3]
    """
    blocks = 1
    while kernel > 1 and 1 + 2 * (kernel - 1) * (2**blocks - 1) < steps:
        blocks += 1
    return blocks


def _convolve(x: Any, params: dict[str, Any], **options: Any) -> Any:
    """A convolution, its normalization where one is asked for, and its activation."""
    import keras

    kernel, normalize = checks.whole(params, "kernel", 3), network.make_normalizer(params)
    units, _ = _units_and_rate(params)
    if normalize is None:
        return keras.layers.Conv1D(units, kernel, activation="relu", **options)(x)
    # No bias: the normalization that follows has one, or would remove it.
    x = keras.layers.Conv1D(units, kernel, use_bias=False, **options)(x)
    return keras.layers.Activation("relu")(normalize()(x))


def _units_and_rate(params: dict[str, Any]) -> tuple[int, float]:
    return checks.whole(params, "units", 32), checks.number(params, "dropout", below=1.0)


_LAYERS: dict[str, Callable[[Any, dict[str, Any]], Any]] = {
    "lstm": _recurrent("lstm"),
    "gru": _recurrent("gru"),
    "conv": _convolutions,
    "tcn": _temporal,
}
