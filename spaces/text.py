"""Networks for sequences of word numbers: an embedding, then their mean, a convolution or an LSTM.

build=text.model(words=10_000), space=Space(kind=Choice("bag", "conv", "lstm"), units=Int(16, 64))

Rows that say which words occur, 0 or 1 each, are a table like any other: `spaces.mlp` takes these.
"""

from typing import Any

from hpsearch.core.errors import BuildError
from hpsearch.core.option_text import did_you_mean
from hpsearch.training import Build, ModelSpec
from spaces import checks, network

KINDS = ("bag", "conv", "lstm")
PARAMS = ("kind", "embedding", "units", "kernel", "dropout", "recurrent_dropout")
_ONLY = {"recurrent_dropout": "lstm", "kernel": "conv"}


def model(words: int, kind: str | None = None) -> Build:
    """A builder of networks for rows of shape (length,), numbers from 0 to `words` - 1.

    kind: "bag", whatever the words' order: the mean of their vectors; "conv": filters, of which
    each passes on its largest value; "lstm"; None: the parameter `kind` says so.
    Its parameters: kind; embedding (32), the length of a word's vector; units (32), of the LSTM, of
    filters, or of the dense layer behind a bag; kernel (5), the words that a filter sees; dropout
    (0), of the embedding and before the output; recurrent_dropout (0) of the LSTM; and those of
    `spaces.network`. Raises BuildError for any other, and for what has no effect on its kind.
    """
    checks.whole({"words": words}, "words")

    def build(spec: ModelSpec, **params: Any) -> Any:
        import keras

        network.check("text.model", spec, params, PARAMS)
        chosen = _kind(kind, params)
        layers = keras.layers
        units = checks.whole(params, "units", 32)
        rate = checks.number(params, "dropout", below=1.0)
        inputs = keras.Input(spec.input_shape, dtype="int32")
        x = layers.Embedding(words, checks.whole(params, "embedding", 32))(inputs)
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

    return build


def _kind(given: str | None, params: dict[str, Any]) -> str:
    kind = str(params.get("kind", given))
    if kind not in KINDS:
        raise BuildError(
            f"text.model needs a kind, {', '.join(KINDS)}, got {kind!r}{did_you_mean(kind, KINDS)}"
        )
    for name, only in _ONLY.items():
        if name in params and kind != only:
            raise BuildError(
                f"{name}={params[name]} has no effect on kind={kind!r}; let it exist only where it "
                f"does: when={{'kind': {only!r}}}"
            )
    return kind
