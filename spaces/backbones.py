"""Trained networks of one's own, to put a new head on: `transfer.model(backbones.from_file(...))`.

from_file("models/eight", layer="features")                   what `hpsearch refit -o` kept
from_file("eight.keras", layer="features", make=train_eight)  trained now, where it is not there
"""

import os
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Any

from hpsearch.core.errors import BuildError, HpsearchError, first_line
from hpsearch.core.files import temporary_beside
from hpsearch.core.option_text import did_you_mean
from hpsearch.core.rules import brief
from hpsearch.core.user_locks import one_at_a_time


def from_file(
    path: str | Path, *, layer: str | int = -2, make: Callable[[], Any] | None = None
) -> Callable[[], Any]:
    """A function that loads a trained Keras model, and cuts it off behind a layer.

    Args:
        path: of a `.keras` file, or of a folder that `hpsearch refit` wrote, with one model of rows
            that were not preprocessed.
        layer: whose output the features are, by its name or by its place among the model's
            layers; -2: the one in front of the output layer.
        make: returns the trained model where there is no such file yet. It is then called once,
            in one process while others wait, and its model is kept. Delete the file to train anew.

    The function raises BuildError where there is no such file or layer. Files are read in Keras's
    safe mode: no code in them is run.
    """
    if not isinstance(path, str | PathLike):
        raise BuildError(f"backbones.from_file takes the path of a model, got {brief(path)}")
    place = Path(path)
    if make is not None and not callable(make):
        raise BuildError(f"make= is a function that returns the trained model, got {brief(make)}")
    if make is not None and place.suffix != ".keras":
        raise BuildError(f"make= needs a path that ends with .keras, got {brief(str(place))}")

    def load() -> Any:
        if make is None:
            return _cut(_read(place), layer, place)
        with one_at_a_time(f"backbone {place.resolve()}"):
            if not place.exists():
                _keep(make(), place)
            return _cut(_read(place), layer, place)

    return load


def _keep(model: Any, place: Path) -> None:
    """Write a model whole or not at all."""
    import keras

    if not isinstance(model, keras.Model):
        raise BuildError(f"make= must return the trained Keras model, got {brief(model)}")
    place.parent.mkdir(parents=True, exist_ok=True)
    partial = temporary_beside(place).with_suffix(".keras")
    try:
        model.save(partial)
        os.replace(partial, place)
    finally:
        partial.unlink(missing_ok=True)


def _read(place: Path) -> Any:
    from hpsearch.models import kept

    try:
        if not place.is_dir():
            return kept.load_model(place)
        found = kept.load(place)
    except HpsearchError as error:
        raise BuildError(f"the backbone: {error}") from error
    except OSError as error:  # as a name that is too long
        raise BuildError(f"the backbone cannot be read: {first_line(error)}") from error
    if len(found.models) > 1:
        raise BuildError(
            f"{place} has {len(found.models)} models, and a backbone is one; name its file, as "
            f"{place / 'model-1.keras'}"
        )
    if any(each is not None for each in found.transformers):
        raise BuildError(
            f"the model in {place} is of preprocessed rows; give this task the same preprocess= "
            f"and name the model's file, {place / 'model-1.keras'}"
        )
    return found.models[0]


def _cut(model: Any, layer: str | int, place: Path) -> Any:
    """A model from the same inputs to what a layer gives."""
    import keras

    inputs = model.inputs[0] if len(model.inputs) == 1 else model.inputs
    names = [each.name for each in model.layers]
    if isinstance(layer, str) and layer in names:
        return keras.Model(inputs, model.get_layer(layer).output)
    if isinstance(layer, int) and not isinstance(layer, bool) and -len(names) <= layer < len(names):
        return keras.Model(inputs, model.layers[layer].output)
    raise BuildError(
        f"the model in {place} has no layer {brief(layer)}{did_you_mean(str(layer), names)}; it has "
        f"{', '.join(names)}"
    )
