"""Checkpoints from which a fit continues as if it had never stopped.

One `.npz` of plain arrays holds every variable: weights, moving statistics, the state of each
random generator, and the optimizer's. Keras's own weight files leave out the generators, and skip
the optimizer's state when the model to be restored was not trained yet. Order, not names, tells
variables apart, so that a fit begun on one backend is continued on another.
"""

import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np

from hpsearch.errors import CheckpointError


def save(path: Path, model: Any, history: dict[str, list[float]]) -> None:
    """Write the model's whole state and its curves so far; the file appears whole or not at all."""
    arrays: dict[str, Any] = {f"variable_{i}": _plain(v) for i, v in enumerate(_variables(model))}
    arrays["history"] = np.frombuffer(json.dumps(history).encode(), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    with open(partial, "wb") as file:
        np.savez(file, **arrays)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


def load(path: Path, model: Any) -> dict[str, list[float]]:
    """Restore what `save` wrote into a freshly built model; returns the curves so far."""
    variables = _variables(model)
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
            values = [arrays[f"variable_{i}"] for i in range(len(arrays.files) - 1)]
            history = json.loads(arrays["history"].tobytes())
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"checkpoint {path} cannot be read: {error}") from error
    shapes, expected = [v.shape for v in values], [tuple(v.shape) for v in variables]
    if shapes != expected:
        raise CheckpointError(
            f"checkpoint {path} is of another model than build makes now "
            f"(shapes {shapes}, expected {expected}); start over with --fresh"
        )
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
    return dict(history)


def _variables(model: Any) -> list[Any]:
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    # A metric starts anew with every epoch: no state to keep.
    metrics = {id(variable) for variable in model.metrics_variables}
    return [v for v in model.variables if id(v) not in metrics] + list(model.optimizer.variables)


def _plain(variable: Any) -> "np.ndarray[Any, Any]":
    array = keras.ops.convert_to_numpy(variable)
    # bfloat16 and its kin are unknown to NumPy's files; float32 holds them exactly.
    return np.asarray(array if array.dtype.kind in "biuf" else array.astype(np.float32))
