"""Keras's layers that prepare rows, used like transformers of scikit-learn's.

Keras is imported only to make a layer anew: whoever hands one over has imported it. What a layer was
adapted to is kept as its config, of plain values, so that no file names a type that is loaded.
"""

import inspect
import json
import math
from typing import Any

import numpy as np

from hpsearch.core.array_types import Array, are_texts
from hpsearch.core.preparing_layers import PREPARING_LAYERS
from hpsearch.training.adapting import adapt_layer, get_lookup_table, is_lookup

_CHUNK = 2**22  # numbers that a layer gives at a time, dense
_ROWS = 2048  # that it gets at a time, at most
_TEXT_LAYERS = ("Hashing", "StringLookup", "TextVectorization")


class LayerTransformer:
    """Prepares rows by a layer, outside of a model.

    Args:
        layer: one of `PREPARING_LAYERS`, which stays as it is: `fit` adapts another one like it.
    """

    def __init__(self, layer: Any) -> None:
        self.layer = layer

    def fit(self, x: Any, y: Any = None) -> "LayerTransformer":
        """Adapt a new layer to rows of shape (rows, ...), or texts of shape (rows,).

        Raises ValueError where it cannot be adapted or kept, or finds no word.
        """
        kind, config = type(self.layer).__name__, plain_config(self.layer)
        self.fitted_ = make_layer(kind, config)
        if callable(getattr(self.fitted_, "adapt", None)) and not _is_given(config):
            adapt_layer(self.fitted_, self._as_taken(x))
        return self

    def transform(self, x: Any) -> Any:
        """Rows of numbers: an array, or a sparse matrix where most of them are zero."""
        taken = self._as_taken(x)
        first = self._call(taken[:1])
        row_numbers = max(1, math.prod(first.shape[1:]))
        size = max(1, min(_ROWS, _CHUNK // row_numbers))
        parts = [self._call(taken[at : at + size]) for at in range(0, len(taken), size)]
        if not self._gives_vectors or first.ndim != 2:
            return np.concatenate(parts) if parts else first[:0]
        from scipy.sparse import csr_array, vstack

        return vstack([csr_array(part) for part in parts], format="csr")

    @property
    def _gives_vectors(self) -> bool:
        """Whether a word becomes a row of numbers, of which most are zero."""
        return bool(plain_config(self.fitted_).get("output_mode", "int") != "int")

    def _as_taken(self, x: Any) -> Array:
        """Rows as the layer takes them: each lookup of a row in an axis of its own."""
        kind, rows = type(self.layer).__name__, np.asarray(x)
        if are_texts(rows) and len(rows):
            if kind not in _TEXT_LAYERS:
                raise ValueError("it takes numbers, and x holds texts; take TextVectorization()")
        elif kind in ("StringLookup", "TextVectorization"):
            raise ValueError(f"it takes texts, and x holds {rows.dtype}")
        return rows if rows.ndim != 1 or kind == "TextVectorization" else rows.reshape(-1, 1)

    def _call(self, rows: Array) -> Array:
        found = np.asarray(self.fitted_(rows))
        if len(found) != len(rows) or found.dtype.kind not in "biuf":
            raise ValueError(
                f"it gives {found.dtype} of shape {found.shape} for {len(rows)} rows, and a row of "
                "numbers for each is wanted"
            )
        if self._gives_vectors:
            return found.astype(np.float32)
        return found.astype(np.int32) if found.dtype == np.int64 else found

    def __getstate__(self) -> dict[str, str]:
        """Plain values, as one text: Keras's lookups cannot be pickled, nor kept by skops."""
        fitted = vars(self).get("fitted_")
        config = plain_config(self.layer) if fitted is None else adapted_config(fitted)
        said = {"class": type(self.layer).__name__, "config": config, "fitted": fitted is not None}
        return {"layer": json.dumps(said)}

    def __setstate__(self, state: Any) -> None:
        """The inverse. Raises ValueError, KeyError or TypeError for anything else."""
        found = json.loads(state["layer"])
        kind, config = found["class"], found["config"]
        _check_config(kind, config)
        self.layer = make_layer(kind, config)
        if found["fitted"]:
            self.fitted_ = self.layer

    def __repr__(self) -> str:
        return describe_layer(self.layer)


def describe_layer(layer: Any) -> str:
    """A layer as the call that makes it, without what it is by default.

    As "TextVectorization(max_tokens=100)".
    """

    defaults = inspect.signature(type(layer)).parameters
    config = layer.get_config()
    said = [
        f"{name}={value!r}" if not isinstance(value, list) else f"{name}=[{len(value)} values]"
        for name, value in config.items()
        if name in defaults and name not in ("name", "dtype") and defaults[name].default != value
    ]
    return f"{type(layer).__name__}({', '.join(said)})"


def make_layer(kind: str, config: dict[str, Any]) -> Any:
    """A layer of Keras's by the name of its class, one of `PREPARING_LAYERS`, and its config."""
    import keras

    assert kind in PREPARING_LAYERS
    return getattr(keras.layers, kind).from_config(dict(config))


def plain_config(layer: Any) -> dict[str, Any]:
    """The config of a layer, of plain values alone, without its name, in which Keras counts.

    Raises ValueError where it holds a function, or words of a file, or would give no array.
    """
    config = {n: _untrack(value) for n, value in layer.get_config().items() if n != "name"}
    config["dtype"] = layer.dtype_policy.name
    for name, value in config.items():
        if not _is_plain(value):
            raise ValueError(
                f"a function in {name}= cannot be kept without pickle; take one of Keras's own by "
                "name, or TfidfVectorizer(tokenizer=FUNCTION) of a module"
            )
    for name in ("sparse", "ragged", "invert"):
        if config.get(name):
            raise ValueError(f"leave out {name}=True: what it gives is no array of numbers")
    if type(layer).__name__ == "TextVectorization" and config["output_mode"] == "int":
        if config["output_sequence_length"] is None:
            raise ValueError("its rows would have several lengths; give output_sequence_length=")
    if is_lookup(layer):
        config["vocabulary_size"] = None  # Keras notes how many there are now
        table = get_lookup_table(layer)
        if getattr(table, "_has_input_vocabulary", False) and config["vocabulary"] is None:
            raise ValueError("words of a file are not kept; give vocabulary= a list of them")
    return config


def adapted_config(layer: Any) -> dict[str, Any]:
    """The config of a layer that holds what it was adapted to."""
    config = plain_config(layer)
    if type(layer).__name__ == "Normalization" and layer.input_mean is None:
        config["mean"] = np.asarray(layer.adapt_mean).tolist()
        config["variance"] = np.asarray(layer.adapt_variance).tolist()
    if is_lookup(layer):
        words = [_to_plain(word) for word in layer.get_vocabulary()]
        config["vocabulary"] = words
        if config.get("output_mode") == "tf_idf":
            table = get_lookup_table(layer)
            config["idf_weights"] = np.asarray(table.idf_weights)[: len(words)].tolist()
    return config


def _is_given(config: dict[str, Any]) -> bool:
    """Whether the user gave what a layer would be adapted to."""
    return any(config.get(name) is not None for name in ("vocabulary", "mean")) or (
        config.get("bin_boundaries") is not None and config.get("num_bins") is None
    )


def _to_plain(word: Any) -> Any:
    return str(word) if isinstance(word, str) else int(word)


def _untrack(value: Any) -> Any:
    """A value without the lists in which Keras tracks changes."""
    return list(map(_untrack, value)) if isinstance(value, list | tuple) else value


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float | str)


def _check_config(kind: Any, config: Any) -> None:
    """Raise ValueError where a file says what no layer of ours says."""
    if kind not in PREPARING_LAYERS:
        raise ValueError(f"it names {kind!r}, which is no layer that prepares rows")
    if not isinstance(config, dict) or not all(
        isinstance(name, str) and _is_plain(value) for name, value in config.items()
    ):
        raise ValueError(f"its {kind} has no config of plain values")
    if isinstance(config.get("vocabulary"), str):
        raise ValueError(f"its {kind} names a file of words")
