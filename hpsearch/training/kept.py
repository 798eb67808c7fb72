"""A folder with trained models and their preprocessing, to predict with: no pickle in it.

`model-1.keras` ... by Keras, `preprocess.skops` by skops, and `model.json`, which says how they go
together. They are read with Keras's safe mode and skops's list of trusted types.
"""

import json
import math
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from hpsearch import frames
from hpsearch.data import Array, Coding, Data, Inputs, named
from hpsearch.errors import HpsearchError, first_line
from hpsearch.task import Task
from hpsearch.training.building import without_tensorflow
from hpsearch.training.final import Trained, predict
from hpsearch.training.rows import prepared

if TYPE_CHECKING:
    import pandas as pd

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
    coding: Coding = field(default_factory=Coding)

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
        "coding": asdict(data.coding),
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
    try:
        index = json.loads((folder / _INDEX).read_text())
        weights = tuple(float(weight) for weight in index["weights"])
        shapes = {name: tuple(map(int, shape)) for name, shape in index["inputs"].items()}
        columns = tuple(map(str, index["columns"]))
        coding = _coding(index.get("coding", {}))  # folders of earlier versions have none
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


def _coding(found: Any) -> Coding:
    texts = {str(c): tuple(map(str, v)) for c, v in found.get("categories", {}).items()}
    classes = tuple(map(str, found.get("classes", ())))
    return Coding(texts, classes, float(found.get("offset", 0)), float(found.get("scale", 1)))


def untrusted(folder: Path) -> list[str]:
    """The types in a folder's preprocessing that whoever loads it must trust by name."""
    from skops import io

    path = folder / _PREPROCESS
    found = io.get_untrusted_types(file=path) if path.exists() else []
    return sorted(set(found) - set(_HARMLESS))


def read_table(path: Path, kept: Kept) -> Array:
    """The rows of a CSV file, of shape (rows, *shape of an input row).

    With a header, columns are found by name where the model knows names, and else taken in their
    order. Raises HpsearchError where they do not fit.
    """
    import pandas as pd

    if kept.coding.categories:
        return _coded(frames.read(path), path, kept)
    if list(kept.shapes) != ["x"]:
        raise HpsearchError(
            f"the model has the inputs {', '.join(kept.shapes)}, and a CSV file is one table; "
            "predict in Python: hpsearch.training.kept.load(folder)"
        )
    (shape,) = kept.shapes.values()
    try:
        with open(path, encoding="utf-8-sig") as file:
            first = file.readline().strip()
        separator = frames.separator(first)
        cells = first.split(separator)
        numbered = cells == [str(number) for number in range(len(cells))]  # as pandas writes it
        header = 0 if numbered or any(map(_is_text, cells)) else None
        frame = pd.read_csv(path, sep=separator, header=header, encoding="utf-8-sig")
    except (OSError, ValueError, UnicodeError) as error:
        raise HpsearchError(f"{path} cannot be read as CSV: {first_line(error)}") from error
    if header == 0 and kept.columns and not numbered:
        frame = _chosen(frame, path, kept)
    if frame.shape[1] != math.prod(shape):
        raise HpsearchError(
            f"{path} has {frame.shape[1]} columns, and the model wants {math.prod(shape)}"
            f"{': ' + ', '.join(kept.columns) if kept.columns else ''}"
        )
    try:
        values = frame.to_numpy(dtype=np.float64)
    except ValueError as error:
        raise HpsearchError(f"{path} must hold numbers only: {first_line(error)}") from error
    return values.reshape(len(values), *shape)


def _chosen(frame: "pd.DataFrame", path: Path, kept: Kept) -> "pd.DataFrame":
    """The model's columns, in its order."""
    if missing := [name for name in kept.columns if name not in frame.columns]:
        raise HpsearchError(
            f"{path} has no column {', '.join(missing)}; the model wants {', '.join(kept.columns)}"
        )
    return frame[list(kept.columns)]


def _coded(frame: "pd.DataFrame", path: Path, kept: Kept) -> Array:
    """Text cells as numbers, as the model knows them; what is no number is missing."""
    coded = {
        name: frames.codes(column, kept.coding.categories[str(name)])
        if name in kept.coding.categories
        else frames.numbers(column)
        for name, column in _chosen(frame, path, kept).items()
    }
    return np.column_stack(list(coded.values()))


def predict_table(kept: Kept, path: Path) -> "pd.DataFrame":
    """Predictions for the rows of a CSV file: `class` and a probability each, or the values."""
    import pandas as pd

    from hpsearch.training.scoring import predicted_classes, probabilities

    predicted = kept.mean(kept.each(kept.prepare(read_table(path, kept))))
    if kept.logits:
        predicted = probabilities(predicted)
    outputs, coding = predicted.shape[1], kept.coding
    if not kept.classifies:
        predicted = predicted * coding.scale + coding.offset
        names = ["predicted"] if outputs == 1 else [f"predicted_{i}" for i in range(outputs)]
        return pd.DataFrame(predicted, columns=names)
    named = coding.classes or tuple(map(str, range(max(outputs, 2))))
    names = [f"p_{name}" for name in (named[1:] if outputs == 1 else named)]
    frame = pd.DataFrame(predicted, columns=names)
    classes = predicted_classes(predicted)
    frame.insert(0, "class", np.array(coding.classes)[classes] if coding.classes else classes)
    return frame


def _is_text(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return bool(value.strip())
    return False


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
