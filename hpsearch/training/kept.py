"""A folder with trained models and their preprocessing, to predict with: no pickle in it.

`model-1.keras` ... by Keras, `preprocess.skops` by skops, and `model.json`, which says how they go
together. They are read with Keras's safe mode and skops's list of trusted types.
"""

import json
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from hpsearch.data import Array, Coding, Data, Inputs, named
from hpsearch.errors import HpsearchError, first_line
from hpsearch.task import Task
from hpsearch.training.building import without_tensorflow
from hpsearch.training.final import Trained, predict
from hpsearch.training.rows import prepared

_FORMAT = 1
_HARMLESS = ("numpy.dtype",)  # beside those that skops knows to be so
_INDEX, _PREPROCESS = "model.json", "preprocess.skops"


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """Models that predict together, by the weighted mean of their outputs.

    classifies: outputs are of classes. logits: they are no probabilities yet. shapes: of a row of
    each input; "x" where there is one. columns: of a table x, if named. coding: of its
    cells.
    """

    classifies: bool
    logits: bool
    shapes: dict[str, tuple[int, ...]]
    columns: tuple[str, ...]
    weights: tuple[float, ...]
    models: tuple[Any, ...]
    transformer: Any
    coding: Coding | None = None

    def prepare(self, x: Inputs) -> Inputs:
        """Rows as they come, as the models take them; DataError where NaN or infinity is left."""
        return prepared(self.transformer, x)

    def each(self, x: Inputs) -> Iterator[Array]:
        """Each model's predictions, of shape (rows, outputs), for prepared rows."""
        for model in self.models:
            yield predict(model, x)

    def mean(self, predictions: Iterable[Array]) -> Array:
        """What the models predict together."""
        pairs = zip(self.weights, predictions, strict=True)
        return np.asarray(sum(weight * each for weight, each in pairs))


def save(folder: Path, task: Task, data: Data, models: Iterable[tuple[float, Trained]]) -> None:
    """Write a folder of models, each with its weight; it appears whole or not at all.

    Raises HpsearchError where the preprocessing cannot be saved without pickle.
    """
    check_folder(folder)
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    weights: list[float] = []
    for number, (weight, trained) in enumerate(models, 1):
        weights.append(weight)
        with without_tensorflow():
            trained.model.save(partial / f"model-{number}.keras")
        if number == 1 and trained.transformer is not None:
            _save_transformer(partial / _PREPROCESS, trained.transformer)
    index = {
        "format": _FORMAT,
        "task": task.name,
        "classifies": task.classifies,
        "logits": task.from_logits,
        "inputs": {name: array.shape[1:] for name, array in named(data.x).items()},
        "columns": data.columns,
        "coding": data.coding and asdict(data.coding),
        "weights": weights,
    }
    (partial / _INDEX).write_text(json.dumps(index, indent=1))
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(partial, folder)


def check_folder(folder: Path) -> None:
    """Raise HpsearchError where the folder is there and holds something else than models."""
    if folder.exists() and not (folder / _INDEX).exists() and any(folder.iterdir()):
        raise HpsearchError(
            f"{folder} is there and no model folder, and writing would replace it; name a new one by "
            "--output"
        )


def load(folder: Path, trusted: Iterable[str] = ()) -> Kept:
    """Read a folder; trusted: names of types beside those that skops knows to be harmless.

    Raises HpsearchError where it is none, or holds what is not safe to load.
    """
    if not folder.exists():
        raise HpsearchError(f"there is no model folder {folder}; `hpsearch refit` writes one")
    try:
        index = json.loads((folder / _INDEX).read_text())
        weights = tuple(float(weight) for weight in index["weights"])
        shapes = {name: tuple(map(int, shape)) for name, shape in index["inputs"].items()}
        columns = tuple(map(str, index["columns"]))
        coding = _coding(index.get("coding"))  # folders of earlier versions have none
        classifies, logits = bool(index["classifies"]), bool(index["logits"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise HpsearchError(
            f"{folder} is no model folder ({first_line(error)}); name one that `hpsearch refit` wrote"
        ) from error
    return Kept(
        classifies,
        logits,
        shapes,
        columns,
        weights,
        tuple(_load_model(folder / f"model-{n}.keras") for n in range(1, len(weights) + 1)),
        _load_transformer(folder / _PREPROCESS, trusted),
        coding,
    )


def _coding(found: Any) -> Coding | None:
    if found is None:
        return None
    texts = {str(c): tuple(map(str, v)) for c, v in found.get("categories", {}).items()}
    classes = tuple(map(str, found.get("classes", ())))
    offset, scale = float(found.get("offset", 0)), float(found.get("scale", 1))
    return Coding(texts, classes, offset, scale, str(found.get("target", "")))


def untrusted(folder: Path) -> list[str]:
    """The types in a folder's preprocessing that whoever loads it must trust by name."""
    from skops import io

    path = folder / _PREPROCESS
    found = io.get_untrusted_types(file=path) if path.exists() else []
    return sorted(set(found) - set(_HARMLESS))


def _save_transformer(path: Path, transformer: Any) -> None:
    from skops import io

    try:
        io.dump(transformer, path)
    except Exception as error:  # whatever a transformer of the user's own raises
        raise HpsearchError(
            f"preprocess={transformer!r} cannot be saved without pickle ({first_line(error)}); use "
            "scikit-learn's own transformers, or functions of a module"
        ) from error


def _load_transformer(path: Path, trusted: Iterable[str]) -> Any:
    if not path.exists():
        return None
    from skops import io

    try:
        unknown = sorted(set(io.get_untrusted_types(file=path)) - {*_HARMLESS, *trusted})
        if not unknown:
            return io.load(path, trusted=[*_HARMLESS, *trusted])
    except Exception as error:  # a damaged or foreign file
        raise HpsearchError(f"{path} cannot be read: {first_line(error)}") from error
    raise HpsearchError(
        f"{path} holds the types {', '.join(unknown)}, which could run any code when loaded; if you "
        f"know where it comes from: {' '.join(f'--trust {name}' for name in unknown)}"
    )


def _load_model(path: Path) -> Any:
    try:
        with without_tensorflow():
            return keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # a damaged file, a Lambda layer, a layer that is not Keras's
        raise HpsearchError(
            f"{path} cannot be loaded in Keras's safe mode: {first_line(error)}"
        ) from error
