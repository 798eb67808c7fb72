"""Texts in `Data(x=)`, and layers: those that prepare rows, and those that `spec.adapt` is given."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from hpsearch import Data, Task
from hpsearch.training import backend
from tests.attacks import expected, tiny
from tests.attacks.calls import JUNK
from tests.attacks.expected import Call
from tests.attacks.figures import Figures
from tests.attacks.hostile_sources import RAISES

TEXTS = [f"good word{n % 7}" if n % 2 else f"bad word{n % 5}" for n in range(40)]


def _with(text: Any, row: int = 7) -> list[Any]:
    found: list[Any] = list(TEXTS)
    found[row] = text
    return found


# In place of one of forty texts.
ROWS: dict[str, Any] = {
    "an empty text": "",
    "blanks": " \t\n",
    "a NUL": "a\0b",
    "a newline": "good\nbad",
    "a lone surrogate": "good \ud800",
    "10 MB": "word " * 2_000_000,
    "one word of 10 MB": "x" * 10_000_000,
    "a million words": " ".join(f"w{n}" for n in range(10**6)),
    "an emoji": "👩‍👩‍👧 good",
    "text from right to left": "\u202e\u05d8\u05d5\u05d1",
    "combining marks": "e" + "\u0301" * 5000,
    "escape codes": "\x1b[2J good",
    "the unknown word itself": "[UNK] [UNK]",
    "punctuation": "!!! ...",
}
NO_TEXTS: dict[str, Any] = {
    "None": None,
    "NaN": float("nan"),
    "pandas's none": pd.NA,
    "bytes": b"good",
    "a number": 5,
    "a list of words": ["good", "bad"],
    "a class": str,
    "an object": object(),
}


def _learn(x: Any, preprocess: Any = None, **given: Any) -> None:
    tiny.train(Task("t", Data(x, tiny.CLASSES), "sparse_categorical_crossentropy", "accuracy",
                    preprocess=preprocess, **given))  # fmt: skip


def _make_layer(name: str, **options: Any) -> Any:
    import keras

    return getattr(keras.layers, name)(**options)


def _vectorize(**options: Any) -> Any:
    return _make_layer("TextVectorization", **{"output_sequence_length": 4, **options})


def _by_layer(x: Any, **options: Any) -> None:
    _learn(x, _vectorize(**options))


def _texts() -> Iterator[Call]:
    for what, text in ROWS.items():
        for row in (7, 39):
            yield Call(
                f"{what} in row {row}, by words",
                partial(_learn, _with(text, row), TfidfVectorizer()),
                "works",
            )
        # TensorFlow's strings are UTF-8: a lone surrogate has none.
        expect = "clear" if what == "a lone surrogate" else "works"
        yield Call(f"{what}, by a layer", partial(_by_layer, _with(text)), expect)
    for what, value in NO_TEXTS.items():
        for row in (0, 7):
            yield Call(
                f"{what} in row {row}", partial(_learn, _with(value, row), TfidfVectorizer())
            )
    whole: dict[str, tuple[Any, str]] = {
        "texts without preprocessing": (TEXTS, "clear"),
        "an array without preprocessing": (np.array(TEXTS), "clear"),
        "two columns of texts": (np.array([TEXTS, TEXTS]).T, "clear"),
        "a text": ("good", "clear"),
        "empty texts": ([""] * 40, "clear"),
        "39 texts": (TEXTS[:39], "clear"),
        "a set of texts": (set(TEXTS), "clear"),
        "texts as bytes": (np.array(TEXTS).astype("S"), "clear"),
        "masked texts": (np.ma.masked_equal(np.array(TEXTS), TEXTS[0]), "clear"),
        "a generator": ((text for text in TEXTS), "clear"),
        "a dict of texts": ({"a": TEXTS}, "clear"),
        "categories": (pd.Categorical(TEXTS), "either"),
        "pandas's texts": (pd.Series(TEXTS, dtype="string"), "works"),
        "texts of NumPy's variable width": (np.array(TEXTS, np.dtypes.StringDType()), "works"),
        "a frame of texts": (pd.DataFrame({"a": TEXTS}), "either"),
    }
    for what, (x, expect) in whole.items():
        words = None if "without" in what else CountVectorizer()
        yield Call(what, partial(_learn, x, words), expect)
    for what, transformer in {
        "a scaler": StandardScaler(),
        "words of which none is left": CountVectorizer(min_df=41),
        "words of no length": CountVectorizer(token_pattern="zzz"),
        "more components than words": make_pipeline(TfidfVectorizer(), TruncatedSVD(10**6)),
        "hashes to 2**30 columns": HashingVectorizer(n_features=2**30),
    }.items():
        expect = "either" if "2**30" in what else "clear"
        if expect == "clear":
            yield Call(f"texts by {what}", partial(_learn, TEXTS, transformer), expect)


def _layers() -> Iterator[Call]:
    """Layers in `Task(preprocess=)`."""
    options: dict[str, dict[str, Any]] = {
        "no length": {"output_sequence_length": None},
        "no place for a word": {"max_tokens": 2},
        "a function that splits": {"split": lambda texts: texts},
        "a function that changes texts": {"standardize": lambda texts: texts},
    }
    for what, given in options.items():
        yield Call(f"a layer with {what}", partial(_by_layer, TEXTS, **given))
    for what, given in {
        "words of its own": {"vocabulary": ["good", "bad"]},
        "counts": {"output_mode": "count", "output_sequence_length": None},
        "TF-IDF": {"output_mode": "tf_idf", "output_sequence_length": None},
    }.items():
        yield Call(f"a layer with {what}", partial(_by_layer, TEXTS, **given), "works")
    yield Call("a layer for texts that gets numbers", partial(_by_layer, tiny.X))
    for name, given in {
        "Normalization": {},
        "Discretization": {"num_bins": 3},
        "IntegerLookup": {},
        "Hashing": {"num_bins": 3},
        "CategoryEncoding": {"num_tokens": 3},
        "StringLookup": {},
    }.items():
        for what, x in {
            "texts": TEXTS,
            "numbers": tiny.X,
            "numbers below 0": -np.abs(tiny.X),
        }.items():
            takes_texts = name in ("Hashing", "StringLookup")
            expect = "either" if (what == "texts") == takes_texts else "clear"
            if name in ("IntegerLookup", "Hashing", "CategoryEncoding"):
                expect = "either"
            call = partial(_learn_by, x, name, given)
            yield Call(f"{name} of {what}", call, expect)
    for name, given in {
        "Dense": {"units": 3},
        "Rescaling": {"scale": 2.0},
        "Embedding": {"input_dim": 3, "output_dim": 2},
    }.items():
        yield Call(f"preprocess=a layer {name}", partial(_learn_by, tiny.X, name, given))


def _learn_by(x: Any, name: str, options: dict[str, Any]) -> None:
    _learn(x, _make_layer(name, **options))


def _adapted(give: Callable[[Any], Any], x: Any = tiny.X) -> None:
    """Train a network whose `build` calls `give(spec)`."""

    def build(spec: Any) -> Any:
        give(spec)
        return tiny.build(spec)

    tiny.train(tiny.learn_classes(x), {}, build)


def _own(act: Callable[[], Any] | None = None) -> Any:
    import keras

    class Own(keras.layers.Layer):
        def adapt(self, data: Any) -> None:
            if act is not None:
                act()

    return Own()


def _adapting() -> Iterator[Call]:
    """What `build` may give to `spec.adapt`."""
    for what, value in JUNK.items():
        yield Call(f"spec.adapt({what})", partial(_adapted, partial(_adapt_to, value)))
        expect = "works" if what == "None" else "clear"
        named = partial(_adapted, partial(_adapt_named, value))
        yield Call(f"spec.adapt(layer, {what})", named, expect)
    for what, act in RAISES.items():
        yield Call(f"adapt {what}", partial(_adapted, partial(_adapt_own, act)))
    kinds: dict[str, tuple[str, dict[str, Any], str]] = {
        "Normalization": ("Normalization", {}, "works"),
        "Normalization of an axis that is not there": ("Normalization", {"axis": 5}, "clear"),
        "Normalization with a mean": ("Normalization", {"mean": 0.0, "variance": 1.0}, "either"),
        "Discretization": ("Discretization", {"num_bins": 3}, "works"),
        "Discretization with bounds": ("Discretization", {"bin_boundaries": [0.0]}, "either"),
        "TextVectorization": ("TextVectorization", {}, "clear"),
        "StringLookup": ("StringLookup", {}, "clear"),
        "IntegerLookup": ("IntegerLookup", {}, "clear"),
        "Dense": ("Dense", {"units": 3}, "clear"),
        "Rescaling": ("Rescaling", {"scale": 2.0}, "clear"),
    }
    for what, (name, options, expect) in kinds.items():
        call = partial(_adapted, partial(_adapt_new, name, options))
        yield Call(f"adapt a layer {what}", call, expect)
    yield Call("adapt a layer twice", partial(_adapted, _adapt_twice), "works")
    yield Call("adapt a class", partial(_adapted, lambda spec: spec.adapt(type(_own()))))
    yield Call("adapt a model", partial(_adapted, lambda spec: spec.adapt(tiny.build(spec))))
    yield Call("a layer that was never adapted", partial(_never_adapted), "either")
    for what, value in JUNK.items():
        yield Call(f"spec.get_vocabulary({what})", partial(_adapted, partial(_ask_words, value)))


def _adapt_to(value: Any, spec: Any) -> None:
    spec.adapt(value)


def _adapt_named(name: Any, spec: Any) -> None:
    spec.adapt(_make_layer("Normalization"), name)


def _adapt_own(act: Callable[[], Any], spec: Any) -> None:
    spec.adapt(_own(act))


def _adapt_new(name: str, options: dict[str, Any], spec: Any) -> None:
    spec.adapt(_make_layer(name, **options))


def _adapt_twice(spec: Any) -> None:
    layer = _make_layer("Normalization")
    assert spec.adapt(spec.adapt(layer)) is layer


def _ask_words(name: Any, spec: Any) -> None:
    spec.get_vocabulary(name)


def _never_adapted() -> None:
    """Keras takes it for one that knows mean 0 and variance 1."""

    def build(spec: Any) -> Any:
        import keras

        layers = [
            keras.Input(spec.input_shape),
            keras.layers.Normalization(),
            keras.layers.Dense(2, "softmax"),
        ]
        model = keras.Sequential(layers)
        model.compile("sgd", spec.loss, metrics=spec.metrics)
        return model

    tiny.train(tiny.learn_classes(), {}, build)


def attack_texts(sample: int | None, seed: int) -> Figures:
    return expected.attack("texts", list(_texts()), sample, seed)


def attack_layers(sample: int | None, seed: int) -> Figures:
    backend.choose()  # whose layers the cases name
    return expected.attack("layers", [*_layers(), *_adapting()], sample, seed)


ATTACKS = {"texts": attack_texts, "layers": attack_layers}
