"""Networks for sequences of word numbers: an embedding, then a mean, a convolution or an LSTM.

build=text.model(words=10_000), space=Space(kind=Choice("bag", "conv", "lstm"), units=Int(16, 64))

Rows of 0 and 1 that say which words occur are an ordinary table: use `spaces.mlp` for these.
"""

from typing import Any

from hpsearch.core.errors import BuildError
from hpsearch.training import ModelSpec
from spaces import checks, network

KINDS = ("bag", "conv", "lstm")
PARAMS = ("kind", "embedding", "units", "kernel", "dropout", "recurrent_dropout")
_ONLY = {"recurrent_dropout": ("lstm",), "kernel": ("conv",)}


def model(words: int | str, kind: str | None = None) -> network.BuildWithDefault:
    """A builder of networks for rows of shape (length,), numbers from 0 to `words` - 1.

    Args:
        words: how many there are; or the name of the parameter that says it to `Task(preprocess=)`,
            as "vocabulary".
        kind: "bag", the mean of the words' vectors, whatever their order; "conv", filters, of
            which each passes on its largest value; "lstm"; None for the parameter `kind`.

    Its parameters, with defaults in brackets; it raises BuildError for any other, and for those
    that have no effect on its kind:
    kind: as above.
    embedding (32): the length of a word's vector.
    units (32): of the LSTM or of the dense layer behind a bag, or the number of filters.
    kernel (5): how many words a filter sees.
    dropout (0): of the embedding, and before the output.
    recurrent_dropout (0): of the LSTM.
    And those of `spaces.network`. Its `default` is what mostly works.
    """
    if not isinstance(words, str):
        checks.whole({"words": words}, "words")

    def build(spec: ModelSpec, **params: Any) -> Any:
        import keras

        network.check("text.model", spec, params, PARAMS)
        chosen = network.choose_kind("text.model", kind, params, KINDS, _ONLY)
        layers = keras.layers
        units = checks.whole(params, "units", 32)
        rate = checks.number(params, "dropout", below=1.0)
        inputs = keras.Input(spec.input_shape, dtype="int32")
        x = layers.Embedding(_count_words(words, spec), checks.whole(params, "embedding", 32))(
            inputs
        )
        x = layers.Dropout(rate)(x) if rate else x
        if chosen == "lstm":
            recurrent = checks.number(params, "recurrent_dropout", below=1.0)
            x = layers.LSTM(units, recurrent_dropout=recurrent)(x)
        elif chosen == "bag":
            x = layers.GlobalAveragePooling1D()(x)
            x = layers.Dense(units, activation="relu")(x)
        else:
            x = layers.Conv1D(units, checks.whole(params, "kernel", 5), activation="relu")(x)
            x = layers.GlobalMaxPooling1D()(x)
        x = layers.Dropout(rate)(x) if rate else x
        return network.compiled(inputs, x, spec, params)

    return network.with_default(
        build,
        kind=kind or "bag",
        embedding=32,
        units=32,
        kernel=5,
        dropout=0.2,
        recurrent_dropout=0.0,
    )


def _count_words(words: int | str, spec: ModelSpec) -> int:
    if not isinstance(words, str):
        return words
    if words not in spec.preprocessing:
        raise BuildError(
            f"text.model(words={words!r}) names a parameter of Task(preprocess=), which takes "
            f"{', '.join(spec.preprocessing) or 'none'}; name one that it takes, or a number"
        )
    return checks.whole(spec.preprocessing, words)
