"""Networks for sequences of word numbers: an embedding, then a mean, convolutions or LSTMs.

build=text.model(words=10_000), space=Space(kind=Choice("bag", "conv", "lstm"), units=Int(16, 64))
build=text.model("vocabulary", "conv", vectors=word_vectors.glove),
space=Space(vectors=Choice("frozen", "trained"), layers=Int(1, 3), ...)

Rows of 0 and 1 that say which words occur are an ordinary table: use `spaces.mlp` for these.
"""

from collections.abc import Callable
from typing import Any

from hpsearch.core.errors import BuildError
from hpsearch.core.rules import brief
from hpsearch.training import ModelSpec
from spaces import checks, network
from spaces.embeddings import PretrainedVectors, Vectors, make_embedding

KINDS = ("bag", "conv", "lstm")
_IN_ORDER = ("conv", "lstm")
_ONLY = {
    "recurrent_dropout": ("lstm",),
    "kernel": ("conv",),
    "pooling": ("conv",),
    "layers": _IN_ORDER,
    "dense": _IN_ORDER,
}
PARAMS = ("kind", "vectors", "embedding", "units", "dropout", *_ONLY)


def model(
    words: int | str,
    kind: str | None = None,
    *,
    vectors: Callable[[], Vectors] | None = None,
    unknown: str = "zeros",
) -> network.BuildWithDefault:
    """A builder of networks for rows of shape (length,), numbers from 0 to `words` - 1.

    Args:
        words: how many there are; or the name of the parameter that says it to
            `Task(preprocess=)`, as "vocabulary".
        kind: "bag", the mean of the words' vectors, whatever their order; "conv", filters, of
            which each passes on its largest value; "lstm"; None for the parameter `kind`.
        vectors: returns vectors of other texts, by word, with which the embedding of the fold's own
            vocabulary begins: `hpsearch.tasks.word_vectors.glove`, or a function of your own. The
            rows must be prepared by a TextVectorization. Kept models hold the vectors themselves.
        unknown: what words without such a vector get: "zeros", or "drawn" at random.

    Its parameters, with defaults in brackets; it raises BuildError for any other, and for those
    that have no effect on its kind:
    kind: as above.
    vectors ("frozen"): whether vectors of other texts stay as they are ("frozen"), are trained on
        ("trained"), or are not used ("learned"); only where the builder has some.
    embedding (32): the length of a word's vector; only where it is learned.
    layers (1): convolutions, or LSTMs, one after the other.
    units (32): of each LSTM, or of the dense layer behind a bag, or the number of filters.
    kernel (5): how many words, or what the filters before gave for them, a filter sees.
    pooling (5): of how many places in a row only the largest value passes on to the next convolution.
    dense (0): units of a dense layer before the output; 0 for no such layer.
    dropout (0): of the embedding, and before the output.
    recurrent_dropout (0): of each LSTM.
    And those of `spaces.network`. Its `default` is what mostly works.
    """
    if not isinstance(words, str):
        checks.whole({"words": words}, "words")
    if vectors is None and not (isinstance(unknown, str) and unknown == "zeros"):
        raise BuildError(f"unknown={brief(unknown)} has no effect without vectors=; leave it out")
    pretrained = None if vectors is None else PretrainedVectors(vectors, unknown)

    def build(spec: ModelSpec, **params: Any) -> Any:
        import keras

        network.check("text.model", spec, params, PARAMS)
        if len(spec.input_shape) != 1:
            raise BuildError(
                "text.model takes rows of shape (length,), numbers of words, and this task's have "
                f"{brief(spec.input_shape)}"
            )
        chosen = network.choose_kind("text.model", kind, params, KINDS, _ONLY)
        rate = checks.number(params, "dropout", below=1.0)
        inputs = keras.Input(spec.input_shape, dtype="int32")
        x = make_embedding(_count_words(words, spec), pretrained, spec, params)(inputs)
        x = keras.layers.Dropout(rate)(x) if rate else x
        x = _LAYERS[chosen](x, params)
        if units := checks.whole(params, "dense", 0, least=0):
            x = keras.layers.Dense(units, activation="relu")(x)
        x = keras.layers.Dropout(rate)(x) if rate else x
        return network.compiled(inputs, x, spec, params)

    return network.with_default(
        build,
        kind=kind or "bag",
        vectors="frozen",
        embedding=32,
        layers=1,
        units=32,
        kernel=5,
        pooling=5,
        dense=0,
        dropout=0.2,
        recurrent_dropout=0.0,
    )


def _average(x: Any, params: dict[str, Any]) -> Any:
    import keras

    x = keras.layers.GlobalAveragePooling1D()(x)
    return keras.layers.Dense(checks.whole(params, "units", 32), activation="relu")(x)


def _convolve(x: Any, params: dict[str, Any]) -> Any:
    import keras

    units, kernel = checks.whole(params, "units", 32), checks.whole(params, "kernel", 5)
    pooling, layers = checks.whole(params, "pooling", 5), checks.whole(params, "layers", 1)
    if "pooling" in params and layers == 1:
        raise BuildError(
            f"pooling={pooling} has no effect on a single convolution; let it exist only where there "
            "are more: when={'layers': range(2, 4)}"
        )
    if x.shape[1] < (least := fewest_words(layers, kernel, pooling)):
        raise BuildError(
            f"layers={layers}, kernel={kernel} and pooling={pooling} need rows of at least {least} "
            f"words, and these have {x.shape[1]}; make the rows longer, or one of these smaller"
        )
    for layer in range(layers):
        if layer:
            x = keras.layers.MaxPooling1D(pooling)(x)
        x = keras.layers.Conv1D(units, kernel, activation="relu")(x)
    return keras.layers.GlobalMaxPooling1D()(x)


def fewest_words(layers: int, kernel: int, pooling: int) -> int:
    """The shortest row that leaves something to see for the last convolution.

    >>> fewest_words(1, 5, 5), fewest_words(3, 5, 5)
    (5, 149)
    """
    words = kernel
    for _ in range(layers - 1):
        words = words * pooling + kernel - 1
    return words


def _remember(x: Any, params: dict[str, Any]) -> Any:
    import keras

    units, layers = checks.whole(params, "units", 32), checks.whole(params, "layers", 1)
    rate = checks.number(params, "recurrent_dropout", below=1.0)
    for layer in range(1, layers + 1):
        x = keras.layers.LSTM(units, return_sequences=layer < layers, recurrent_dropout=rate)(x)
    return x


def _count_words(words: int | str, spec: ModelSpec) -> int:
    if not isinstance(words, str):
        return words
    if words not in spec.preprocessing:
        raise BuildError(
            f"text.model(words={words!r}) names a parameter of Task(preprocess=), which takes "
            f"{', '.join(spec.preprocessing) or 'none'}; name one that it takes, or a number"
        )
    return checks.whole(spec.preprocessing, words)


_LAYERS = {"bag": _average, "conv": _convolve, "lstm": _remember}
