"""Models of a study's own training function: what they keep, and how they predict again.

No code is kept: a model is the state that the function saved, and predicts by the function of the
study that its user names.
"""

import json
import shutil
import tempfile
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hpsearch.core.arrays import Inputs
from hpsearch.core.errors import HpsearchError, first_line
from hpsearch.core.files import read_regular_file
from hpsearch.core.space import Space
from hpsearch.core.task import Task
from hpsearch.training.base import Fit, Split, TrainFunction
from hpsearch.training.checkpoint import compute_checksum, text_array, unpack_arrays
from hpsearch.training.fold_preprocessing import choose_split
from hpsearch.training.own_state import MOST_BYTES, SavedState, unpack_state
from hpsearch.training.own_trainer import empty_rows, find_saved, load_predict
from hpsearch.training.rows import SplitRows

_MOST_ROWS = 2**40  # that a model is said to be trained on


@dataclass(frozen=True, slots=True, eq=False)
class OwnTraining:
    """How models of a study's own training function are loaded.

    Args:
        task: the study's.
        space: in which the models' points lie.
        train: the study's function.
    """

    task: Task
    space: Space
    train: TrainFunction


class OwnModel:
    """A model that a training function left: it predicts, and can be saved, as a Keras model can.

    Args:
        task: its kind is known.
        fit: the fit that it is of.
        rows: no rows, of the shapes and types that the function gets.
        saved: the state that the function saved.
    """

    def __init__(self, task: Task, fit: Fit, rows: SplitRows, saved: SavedState) -> None:
        self._task, self._fit, self._rows, self._saved = task, fit, rows, saved
        # It lives as long as the model, which may read files from it.
        folder = tempfile.mkdtemp(prefix="hpsearch-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        self._predict = load_predict(task, fit, rows, saved, Path(folder))

    @property
    def task(self) -> Task:
        """The study's, whose kind is known."""
        return self._task

    @property
    def state(self) -> Any:
        """The state that the function saved. BuildError where Keras objects are in it."""
        return self._saved.to_value()

    def predict(self, x: Inputs, *, batch_size: int = 32, verbose: int = 0) -> Any:
        """Predictions for preprocessed rows, as Keras models have them; the function may cut them.

        Args:
            batch_size, verbose: have no effect.
        """
        return self._predict(x)

    def predict_on_batch(self, x: Inputs) -> Any:
        """The same, of some of the rows."""
        return self._predict(x)

    def __reduce__(self) -> Any:
        # What `restore` and `predict` made of the state may hold anything; they make it again.
        return OwnModel, (self._task, self._fit, self._rows, self._saved)

    def save(self, path: Path) -> None:
        """Write the state, and what the function is called with, to an `.npz` file."""
        fit, rows = self._fit, self._rows
        about = {
            "params": dict(fit.params),
            "seed": fit.seed,
            "fold": fit.fold,
            "epochs": fit.epochs,
            "most_epochs": fit.most_epochs,
            "rows": len(fit.split.train),
            "kind": self._task.kind,
            "outputs": self._task.outputs,
            "x": _describe_arrays(rows.x),
            "y": _describe_arrays(rows.y),
            "weights": None if rows.weights is None else _describe_arrays(rows.weights),
        }
        arrays = {**self._saved.to_arrays(), "run": text_array(json.dumps(about))}
        arrays["checksum"] = text_array(compute_checksum(arrays))
        with open(path, "xb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]


def restore_own_model(task: Task, fit: Fit, rows: SplitRows) -> OwnModel:
    """The model that a fit's function saved last. Raises HpsearchError where it saved none.

    Args:
        task: its kind is known.
        rows: of the fit.
    """
    saved = find_saved(task, fit)
    if saved is None:
        raise HpsearchError(
            f"the checkpoint {fit.checkpoint_out} could not be written or read; see the log"
        )
    return OwnModel(task, fit, empty_rows(rows), saved)


def load_own_model(path: Path, training: OwnTraining) -> OwnModel:
    """A model that `OwnModel.save` wrote; HpsearchError for any other file, or another study's."""
    try:
        arrays = unpack_arrays(read_regular_file(path, 2 * MOST_BYTES))
        about = json.loads(bytes(arrays.pop("run")))
        params, saved = dict(about["params"]), unpack_state(arrays)
        training.space.check(params)
        task = replace(training.task, kind=about["kind"], outputs=about["outputs"])
        x, y = _make_empty(about["x"]), _make_empty(about["y"])
        weights = None if about["weights"] is None else _make_empty(about["weights"])
        numbers = [about[name] for name in ("seed", "fold", "epochs", "rows")]
        most = about["most_epochs"]
        numbers += [] if most is None else [most]
        if not all(type(number) is int and 0 <= number < _MOST_ROWS for number in numbers):
            raise ValueError("its numbers are none")
    except Exception as error:  # a damaged file may raise anything
        raise HpsearchError(
            f"{path} is no model of this study ({first_line(error)}); name the folder that "
            "`hpsearch refit` wrote, and the study as it was then"
        ) from error
    split = Split(np.broadcast_to(np.int64(0), (about["rows"],)), np.zeros(1, np.int64))
    fit = Fit(
        training.train,
        params,
        choose_split(task, split, params),
        about["seed"],
        about["epochs"],
        most_epochs=most,
        fold=about["fold"],
    )
    return OwnModel(task, fit, SplitRows(x, y, x, y, weights=weights), saved)


def _describe_arrays(arrays: Any) -> Any:
    """The shape of a row and the type of arrays, as plain JSON."""
    if isinstance(arrays, Mapping):
        return {name: _describe_arrays(array) for name, array in arrays.items()}
    return [list(arrays.shape[1:]), arrays.dtype.str]


def _make_empty(described: Any) -> Any:
    """Arrays without rows, as `_describe_arrays` has them."""
    if isinstance(described, Mapping):
        return {name: _make_empty(each) for name, each in described.items()}
    shape, name = described
    if not all(type(size) is int and 0 <= size < _MOST_ROWS for size in shape):
        raise ValueError(f"its rows have no shape: {shape}")
    dtype = np.dtype(name)
    if dtype.kind not in "biuf":
        raise ValueError(f"its rows are of the type {dtype}")
    return np.zeros((0, *shape), dtype)
