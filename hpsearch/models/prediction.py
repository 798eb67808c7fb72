"""Predict the rows of a table in a file by kept models."""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hpsearch.core.arrays import Array, Inputs, check_inputs, inputs_by_name, targets_by_name
from hpsearch.core.coding import Coding
from hpsearch.core.errors import HpsearchError, first_line
from hpsearch.core.frames.types import MISSING_TEXTS
from hpsearch.core.reading.foreign_rows import as_source
from hpsearch.core.row_scores import pick_classes
from hpsearch.core.scores import apply_link
from hpsearch.models.frame_tables import name_texts, parse_table
from hpsearch.models.kept import KeptModels
from hpsearch.models.output_types import OutputType
from hpsearch.models.text_files import read_texts
from hpsearch.tasks import csv_tables, table_files

if TYPE_CHECKING:
    import pandas as pd

_TRUTHS = {"True": 1, "False": 0}


def read_table(path: Path, kept: KeptModels) -> Any:
    """Read the rows of a CSV or Parquet file, of shape (rows, *shape of an input row).

    If the file has a header and the model knows names, columns are found by name; else they are
    taken in their order. Raises HpsearchError where they do not fit. The rows are a frame where
    the model's preprocessing takes one, and texts where it takes these: see `read_texts`.
    """

    if list(kept.frames) == list(kept.shapes) == ["x"]:
        types = kept.frames["x"]
        cells = table_files.read_cells(path, name_texts(types, kept.coding))
        return parse_table(cells, path, types, kept.coding)
    if kept.coding is not None and kept.columns:
        return _encode_cells(table_files.read_cells(path), path, kept, kept.coding)
    if list(kept.shapes) != ["x"]:
        raise HpsearchError(
            f"the model has the inputs {', '.join(kept.shapes)}, and a CSV file is one table; "
            "predict in Python: hpsearch.models.kept.load(folder)"
        )
    (shape,) = kept.shapes.values()
    if shape == ():
        return read_texts(path)
    frame, has_names = _read_plain(path)
    if has_names and kept.columns:
        frame = _select_columns(frame, path, kept)
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


def _read_plain(path: Path) -> tuple["pd.DataFrame", bool]:
    """The rows of a file of numbers, with a header or without, and whether it names columns."""
    import pandas as pd

    if table_files.is_parquet(path):
        return table_files.read_cells(path), True
    try:
        with csv_tables.open_text(path) as file:
            first = file.readline().strip()
        separator = csv_tables.guess_separator(first)
        cells = first.split(separator)
        # A header as pandas writes it where columns have no names.
        numbered = cells == [str(number) for number in range(len(cells))]
        header = 0 if numbered or any(map(_is_text, cells)) else None
        with csv_tables.open_text(path) as file:
            return pd.read_csv(file, sep=separator, header=header), header == 0 and not numbered
    except csv_tables.READING_ERRORS as error:
        raise HpsearchError(f"{path} cannot be read as CSV: {first_line(error)}") from error


def _select_columns(frame: "pd.DataFrame", path: Path, kept: KeptModels) -> "pd.DataFrame":
    """Select the model's columns, in its order."""
    if missing := [name for name in kept.columns if name not in frame.columns]:
        what = f"column{'s' if len(missing) > 1 else ''} {', '.join(missing)}"
        raise HpsearchError(
            f"{path} lacks the {what}; it has {', '.join(map(str, frame.columns))}, and the model "
            f"wants {', '.join(kept.columns)}"
        )
    return frame[list(kept.columns)]


def _encode_cells(frame: "pd.DataFrame", path: Path, kept: KeptModels, coding: Coding) -> Array:
    """Encode text cells by the model's categories; a cell that is no number becomes missing."""
    coded = {
        name: csv_tables.to_codes(column, coding.categories[str(name)])
        if name in coding.categories
        else csv_tables.to_numbers(_truths_to_numbers(column))
        for name, column in _select_columns(frame, path, kept).items()
    }
    return np.column_stack(list(coded.values()))


def _truths_to_numbers(column: "pd.Series") -> "pd.Series":
    """Cells that are True or False, or the text of these, as 1 and 0; all others as they are."""
    return column.astype(object).map(lambda cell: _TRUTHS.get(str(cell), cell))


def predict_table(kept: KeptModels, path: Path) -> "pd.DataFrame":
    """Predictions for the rows of a CSV file.

    For a classification: `class`, and a probability for each class. Where a row may have several
    labels: 1 or 0, and a probability, for each label. For a sequence: the class of each step,
    `class_0`, `class_1`..., and its probability, `p_0`, `p_1`.... For a regression: the values. Of
    several outputs, the names of all columns begin with the output's, as in `age/predicted`.
    """
    import pandas as pd

    predicted = targets_by_name(_predict_together(kept, read_table(path, kept)))
    coding = kept.coding or Coding()
    frames = []
    for name, output in kept.outputs.items():
        frame = _make_frame(predicted[name], output, coding)
        frames.append(frame.add_prefix(f"{name}/") if name else frame)
    return pd.concat(frames, axis=1)


def predict_rows(kept: KeptModels, x: Any) -> Any:
    """Predictions for rows of inputs, as the task has them: arrays, or a dict of them by input.

    They may be whatever `Data(x=)` takes: rows of a source are read some at a time. Of shape
    (rows, units): probabilities of classes, or numbers in the target's own unit; of sequences
    (rows, steps, classes). A dict by output where there are several. A pandas frame is a table
    whose columns are found by their names.
    """
    columns = None if as_source(x) is not None else getattr(x, "columns", None)
    if isinstance(columns, Iterable) and not kept.frames:  # a pandas frame
        missing = [name for name in kept.columns if name not in list(columns)]
        if missing:
            raise HpsearchError(
                f"the rows lack the column{'s' if len(missing) > 1 else ''} {', '.join(missing)}; "
                f"the model wants {', '.join(kept.columns)}"
            )
        if kept.coding is not None and kept.columns:
            x = _encode_cells(x, Path("x"), kept, kept.coding)
        else:
            x = (x[list(kept.columns)] if kept.columns else x).to_numpy()
    predicted = _predict_together(kept, _check_rows(kept, x))
    coding = kept.coding or Coding()

    def finish(name: str, found: Array) -> Array:
        output = kept.outputs[name]
        found = to_probabilities(found, output)
        return found if output.classifies else coding.in_own_unit(found)

    if isinstance(predicted, Mapping):
        return {name: finish(name, found) for name, found in predicted.items()}
    return finish(next(iter(kept.outputs)), predicted)


def to_probabilities(predicted: Array, output: OutputType) -> Array:
    """Predictions of an output, with logits made probabilities."""
    if not output.logits:
        return predicted
    link = output.link or ("sigmoid" if predicted.shape[-1] == 1 else "softmax")
    return apply_link(predicted, link)


def _make_frame(predicted: Array, output: OutputType, coding: Coding) -> "pd.DataFrame":
    """The table of one output's predictions."""
    import pandas as pd

    predicted = to_probabilities(predicted, output)
    units = predicted.shape[-1]
    if not output.classifies:
        predicted = coding.in_own_unit(predicted)
        names = ["predicted"] if units == 1 else [f"predicted_{i}" for i in range(units)]
        return pd.DataFrame(predicted, columns=names)
    named = coding.classes or tuple(map(str, range(max(units, 2))))
    if len(named) != max(units, 2):
        raise HpsearchError(
            f"the model tells {max(units, 2)} classes apart, and its folder names {len(named)}; "
            "it was changed since `hpsearch refit` wrote it"
        )
    classes = pick_classes(predicted)
    shown = np.array(coding.classes)[classes] if coding.classes else classes
    if output.is_sequence:
        steps = range(predicted.shape[1])
        likely = pd.DataFrame(predicted.max(axis=2), columns=[f"p_{step}" for step in steps])
        found = pd.DataFrame(shown, columns=[f"class_{step}" for step in steps])
        return pd.concat([found, likely], axis=1)
    names = [f"p_{name}" for name in (named[1:] if units == 1 else named)]
    frame = pd.DataFrame(predicted, columns=names)
    if output.labels:
        found = pd.DataFrame((predicted > 0.5).astype(np.int64), columns=list(named))
        return pd.concat([found, frame], axis=1)
    frame.insert(0, "class", shown)
    return frame


def _predict_together(kept: KeptModels, x: Inputs) -> Any:
    """The models' weighted mean prediction; a dict by output where there are several."""
    try:
        return kept.average(kept.predict_each(kept.prepare_inputs(x)))
    except HpsearchError:
        raise
    except Exception as error:  # scikit-learn, Keras and NumPy raise their own
        raise HpsearchError(
            f"the model cannot take these rows ({first_line(error)}): cells are missing that never "
            "were in training, or its folder was changed since `hpsearch refit` wrote it"
        ) from error


def _check_rows(kept: KeptModels, x: Any) -> Inputs:
    """Inputs as arrays or rows of sources; what the preprocessing takes as a frame stays as it is.

    Raises HpsearchError where rows have other shapes than the model's.
    """
    is_one = not isinstance(x, Mapping)
    found = {
        name: rows if name in kept.frames else check_inputs("x" if is_one else f"x[{name!r}]", rows)
        for name, rows in inputs_by_name(x).items()
    }
    if is_one and isinstance(found["x"], Mapping):  # a source of several inputs
        is_one, found = False, dict(found["x"])
    shapes = {
        name: kept.shapes.get(name, ()) if name in kept.frames else tuple(rows.shape[1:])
        for name, rows in found.items()
    }
    if shapes != kept.shapes:
        raise HpsearchError(
            f"the model wants rows of {_describe_shapes(kept.shapes)}, got rows of "
            f"{_describe_shapes(shapes)}"
        )
    return found["x"] if is_one else found


def _describe_shapes(shapes: Mapping[str, tuple[int, ...]]) -> str:
    """The shapes of a row's inputs, in words."""
    if list(shapes) == ["x"]:
        return f"shape {shapes['x']}"
    return "the inputs " + ", ".join(f"{name} of shape {shape}" for name, shape in shapes.items())


def _is_text(value: str) -> bool:
    """Whether a cell can only be a name: it is neither a number nor what stands for a missing one."""
    try:
        float(value)
    except ValueError:
        return value.strip().strip('"') not in MISSING_TEXTS
    return False
