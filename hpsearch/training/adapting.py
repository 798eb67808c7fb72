"""Adapt layers to the training rows of a fold. No framework is imported here."""

from collections.abc import Callable, Mapping
from typing import Any

from hpsearch.core.arrays import Inputs, count_rows
from hpsearch.core.errors import BuildError, HpsearchError, TrialFailed, first_line
from hpsearch.core.reading.lazy_rows import LazyRows
from hpsearch.core.rules import brief
from hpsearch.training import backend

_MOST_AT_ONCE = 2**28  # bytes of a source's rows to which a layer is adapted in one go
_LOOKUPS = ("StringLookup", "IntegerLookup", "TextVectorization")
"""Keras's layers that compute by TensorFlow on every backend."""


class LayerAdapter:
    """Adapts layers to the training rows of a fold.

    Args:
        take_rows: gives these rows, preprocessed.
        take_transformer: gives what preprocessed them, fitted; a dict by input where there are
            several; None where nothing did.

    Attributes:
        was_used: whether it was asked for anything of the fold: then a model may hold values of it.
    """

    def __init__(
        self,
        take_rows: Callable[[], Inputs],
        take_transformer: Callable[[], Any] = lambda: None,
    ) -> None:
        self._take_rows, self._take_transformer = take_rows, take_transformer
        self.was_used = False

    def adapt(self, layer: Any, name: str | None) -> Any:
        """As `ModelSpec.adapt`."""
        kind = type(layer).__name__
        if isinstance(layer, type) or not callable(getattr(layer, "adapt", None)):
            raise BuildError(
                "spec.adapt takes a layer with a method adapt(data), as keras.layers.Normalization(), "
                f"got {brief(layer)}"
            )
        if is_lookup(layer) and backend.choose() == "jax":
            raise BuildError(
                f"a layer {kind} computes by TensorFlow, and cannot be a part of a model on the "
                f"backend jax; let it prepare the rows: Task(..., preprocess={kind}(...)), or use "
                "--backend tensorflow"
            )
        rows = self._choose_input(name)
        if not count_rows(rows):
            raise BuildError(
                f"spec.adapt cannot adapt a layer {kind} where a model only predicts: there are no "
                f"training rows; Task(preprocess={kind}(...)) keeps what was adapted"
            )
        self.was_used = True
        try:
            adapt_layer(layer, _read_for(layer, rows))
        except (HpsearchError, TrialFailed, KeyboardInterrupt):
            raise
        except BaseException as error:  # whatever Keras, or a layer of the user's own, raises
            raise BuildError(
                f"a layer {kind} cannot be adapted to the training rows: {first_line(error)}"
            ) from error
        return layer

    def get_vocabulary(self, name: str | None) -> list[str]:
        """As `ModelSpec.get_vocabulary`."""
        fitted = self._take_transformer()
        if isinstance(fitted, Mapping):
            fitted = _choose(fitted, name, "spec.get_vocabulary(name)")
        layer: Any = getattr(fitted, "fitted_", None)
        if not is_lookup(layer) or type(layer).__name__ == "IntegerLookup":
            raise BuildError(
                "spec.get_vocabulary needs rows that a layer of Keras's has looked up, as "
                "Task(preprocess=keras.layers.TextVectorization(output_sequence_length=100)), and "
                f"these are prepared by {brief(fitted)}"
            )
        self.was_used = True
        return list(map(str, layer.get_vocabulary()))

    def _choose_input(self, name: str | None) -> Any:
        rows = self._take_rows()
        if isinstance(rows, Mapping):
            return _choose(rows, name, "spec.adapt(layer, name)")
        if name is not None:
            raise BuildError(
                f"the task has one input, and spec.adapt(layer, {name!r}) names one; leave the "
                "name out"
            )
        return rows


def _choose(by_input: Mapping[str, Any], name: str | None, call: str) -> Any:
    """What is of this input. Raises BuildError, which names the call, where there is none."""
    if name is None or name not in by_input:
        raise BuildError(
            f"{call} needs the name of an input, of {', '.join(by_input)}, got {brief(name)}"
        )
    return by_input[name]


def is_lookup(layer: Any) -> bool:
    """Whether it is one of Keras's layers that look up words or numbers in a vocabulary."""
    kind = type(layer)
    return kind.__module__.startswith("keras.src.") and kind.__name__ in _LOOKUPS


def get_lookup_table(layer: Any) -> Any:
    """The layer that holds the vocabulary: TextVectorization has one inside."""
    return getattr(layer, "_lookup_layer", layer)


def adapt_layer(layer: Any, rows: Any) -> None:
    """Adapt a layer to rows. Raises ValueError where it would have a vocabulary of nothing."""
    if not is_lookup(layer):
        layer.adapt(rows)
        return
    table = get_lookup_table(layer)
    has_padding = table.mask_token is not None and table.output_mode == "int"
    reserved = table.num_oov_indices + has_padding
    if table.max_tokens is not None and table.max_tokens <= reserved:
        raise ValueError(
            f"max_tokens={table.max_tokens} leaves no place for a word beside the {reserved} for "
            "padding and for unknown words; give it more"
        )
    layer.adapt(rows)
    if layer.vocabulary_size() <= reserved:
        raise ValueError("its vocabulary is empty: the training rows hold nothing to look up")


def _read_for(layer: Any, rows: Any) -> Any:
    """The rows as a layer takes them: an array, or chunk after chunk of a large source."""
    if not isinstance(rows, LazyRows):
        return rows
    if rows.nbytes <= _MOST_AT_ONCE or (rows.is_in_memory and rows.dtype.kind == "O"):
        return rows.read()
    if not type(layer).__module__.startswith("keras.src."):
        raise BuildError(
            f"a layer {type(layer).__name__} is adapted to an array, and the training rows take "
            f"{rows.nbytes / 2**30:.1f} GiB; adapt it to some of them yourself"
        )
    return rows.chunks()
