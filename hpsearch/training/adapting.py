"""Adapt layers to the training rows of a fold. No framework is imported here."""

from collections.abc import Callable, Mapping
from typing import Any

from hpsearch.core.arrays import Inputs, count_rows
from hpsearch.core.errors import BuildError, DataError, first_line
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

    Attributes:
        was_used: whether a layer was adapted: then a model may hold values of its fold.
    """

    def __init__(self, take_rows: Callable[[], Inputs]) -> None:
        self._take_rows, self.was_used = take_rows, False

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
            layer.adapt(_read_for(layer, rows))
        except DataError as error:
            raise BuildError(str(error)) from error
        except Exception as error:  # whatever Keras, or a layer of the user's own, raises
            raise BuildError(
                f"a layer {kind} cannot be adapted to the training rows: {first_line(error)}"
            ) from error
        check_vocabulary(layer)
        return layer

    def _choose_input(self, name: str | None) -> Any:
        rows = self._take_rows()
        if not isinstance(rows, Mapping):
            if name is not None:
                raise BuildError(
                    f"the task has one input, and spec.adapt(layer, {name!r}) names one; leave the "
                    "name out"
                )
            return rows
        if name not in rows:
            raise BuildError(
                f"spec.adapt(layer, name) needs the name of an input, of {', '.join(rows)}, got "
                f"{brief(name)}"
            )
        return rows[name]


def is_lookup(layer: Any) -> bool:
    """Whether it is one of Keras's layers that look up words or numbers in a vocabulary."""
    kind = type(layer)
    return kind.__module__.startswith("keras.src.") and kind.__name__ in _LOOKUPS


def check_vocabulary(layer: Any) -> None:
    """Raise BuildError where a layer that was adapted has a vocabulary of nothing."""
    if is_lookup(layer) and not layer.get_vocabulary(include_special_tokens=False):
        raise BuildError(
            f"a layer {type(layer).__name__} found no word for its vocabulary in the training rows: "
            "they are empty, or its max_tokens holds no more than those for padding and for unknown "
            "words; give it a larger max_tokens"
        )


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
