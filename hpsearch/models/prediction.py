"""Kept models predict the rows of a CSV file."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hpsearch.core.data import Array, Coding
from hpsearch.core.errors import HpsearchError, first_line
from hpsearch.models.kept import Kept
from hpsearch.tasks import csv_tables

if TYPE_CHECKING:
    import pandas as pd


def read_table(path: Path, kept: Kept) -> Array:
    """The rows of a CSV file, of shape (rows, *shape of an input row).

    With a header, columns are found by name where the model knows names, and else taken in their
    order. Raises HpsearchError where they do not fit.
    """
    import pandas as pd

    if kept.coding is not None:
        return _coded(csv_tables.read_table(path), path, kept, kept.coding)
    if list(kept.shapes) != ["x"]:
        raise HpsearchError(
            f"the model has the inputs {', '.join(kept.shapes)}, and a CSV file is one table; "
            "predict in Python: hpsearch.models.kept.load(folder)"
        )
    (shape,) = kept.shapes.values()
    try:
        with open(path, encoding="utf-8-sig") as file:
            first = file.readline().strip()
        separator = csv_tables.guess_separator(first)
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
        what = f"column{'s' if len(missing) > 1 else ''} {', '.join(missing)}"
        raise HpsearchError(
            f"{path} lacks the {what}; it has {', '.join(map(str, frame.columns))}, and the model "
            f"wants {', '.join(kept.columns)}"
        )
    return frame[list(kept.columns)]


def _coded(frame: "pd.DataFrame", path: Path, kept: Kept, coding: Coding) -> Array:
    """Text cells as numbers, as the model knows them; what is no number is missing."""
    coded = {
        name: csv_tables.to_codes(column, coding.categories[str(name)])
        if name in coding.categories
        else csv_tables.to_numbers(column)
        for name, column in _chosen(frame, path, kept).items()
    }
    return np.column_stack(list(coded.values()))


def predict_table(kept: Kept, path: Path) -> "pd.DataFrame":
    """Predictions for the rows of a CSV file: `class` and a probability each, or the values.

    Of several labels a row: 1 or 0 and a probability each.
    """
    import pandas as pd

    from hpsearch.models.scoring import predicted_classes, probabilities

    predicted = _predicted(kept, read_table(path, kept))
    if kept.logits:
        link = kept.link or ("sigmoid" if predicted.shape[1] == 1 else "softmax")
        predicted = probabilities(predicted, link)
    outputs, coding = predicted.shape[1], kept.coding or Coding()
    if not kept.classifies:
        predicted = coding.in_own_unit(predicted)
        names = ["predicted"] if outputs == 1 else [f"predicted_{i}" for i in range(outputs)]
        return pd.DataFrame(predicted, columns=names)
    named = coding.classes or tuple(map(str, range(max(outputs, 2))))
    if len(named) != max(outputs, 2):
        raise HpsearchError(
            f"the model tells {max(outputs, 2)} classes apart, and its folder names {len(named)}; "
            "it was changed since `hpsearch refit` wrote it"
        )
    names = [f"p_{name}" for name in (named[1:] if outputs == 1 else named)]
    frame = pd.DataFrame(predicted, columns=names)
    if kept.labels:
        found = pd.DataFrame((predicted > 0.5).astype(np.int64), columns=list(named))
        return pd.concat([found, frame], axis=1)
    classes = predicted_classes(predicted)
    frame.insert(0, "class", np.array(coding.classes)[classes] if coding.classes else classes)
    return frame


def _predicted(kept: Kept, x: Array) -> Array:
    """What the models predict together, of shape (rows, outputs)."""
    try:
        return kept.mean(kept.each(kept.prepare(x)))
    except HpsearchError:
        raise
    except Exception as error:  # of scikit-learn, Keras or numpy
        raise HpsearchError(
            f"the model cannot take the rows as its folder describes them ({first_line(error)}); it "
            "was changed since `hpsearch refit` wrote it"
        ) from error


def _is_text(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return bool(value.strip())
    return False
