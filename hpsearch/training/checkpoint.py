"""Checkpoints from which a fit continues as if it had never stopped.

One `.npz` of plain arrays holds every variable: weights, moving statistics, the state of each
random generator, and the optimizer's. Keras's own weight files leave out the generators, and skip
the optimizer's state when the model to be restored was not trained yet. Order, not names, tells
variables apart, so that a fit begun on one backend is continued on another.
"""

import contextlib
import errno
import io
import json
import logging
import os
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from hpsearch.errors import CheckpointError, DiskFullError
from hpsearch.files import is_local
from hpsearch.training.history import History

Curves = dict[str, list[float]]

log = logging.getLogger(__name__)


def save(path: Path, values: Iterable[Any], curves: Curves) -> None:
    """Write a model's `values` and its curves so far; the file appears whole or not at all.

    Raises DiskFullError. It is not flushed to the disk itself: a file that a power cut tore is
    found out by its checksums, and its epochs are trained again.
    """
    arrays: dict[str, Any] = {f"variable_{i}": _plain(v) for i, v in enumerate(values)}
    arrays["history"] = np.frombuffer(json.dumps(curves).encode(), dtype=np.uint8)
    if not is_local(path):  # what reads it finds by its checksums whether it is whole
        whole = io.BytesIO()
        np.savez(whole, **arrays)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(whole.getvalue())
        return
    partial = path.with_suffix(".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(partial, "wb") as file:
            np.savez(file, **arrays)
        os.replace(partial, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise DiskFullError(
                f"the disk is full: {path} cannot be written; make room, and the same command "
                "continues"
            ) from error
        raise


def load(path: Path, model: Any) -> Curves | None:
    """Restore what `save` wrote into a freshly built model; returns the curves so far.

    None, and the model as it was, where there is no whole file: training is the same from the
    start, only longer. Raises CheckpointError where it is of another model.
    """
    saved = variables(model)
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
            loaded = [arrays[f"variable_{i}"] for i in range(len(arrays.files) - 1)]
            history = json.loads(arrays["history"].tobytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        log.warning("checkpoint %s cannot be read (%s); its epochs are trained again", path, error)
        return None
    shapes, expected = [v.shape for v in loaded], [tuple(v.shape) for v in saved]
    if shapes != expected:
        raise CheckpointError(
            f"checkpoint {path} is of another model than build makes now "
            f"(shapes {shapes}, expected {expected}); start over with --fresh"
        )
    for variable, value in zip(saved, loaded, strict=True):
        variable.assign(value)
    return dict(history)


def restore(history: History, model: Any) -> None:
    """Begin where this fit was interrupted, else where its parent ended, else at the start.

    Raises CheckpointError where its parent ended elsewhere than the fit is to start.
    """
    fit = history.fit
    for path in (fit.checkpoint_out, fit.checkpoint_in):
        try:
            found = load(path, model) if path is not None else None
        except CheckpointError:
            if path == fit.checkpoint_in:
                raise
            found = None  # begun before the study file was edited
        if found is None:
            continue
        history.begin(found)
        if path == fit.checkpoint_in and history.epochs != fit.start_epoch and not history.stopped:
            raise CheckpointError(
                f"checkpoint {path} is of epoch {history.epochs}, not of {fit.start_epoch}; "
                "start over with --fresh"
            )
        return


def values(model: Any) -> list[Any]:
    """The model's whole state, as arrays."""
    return [keras.ops.convert_to_numpy(variable) for variable in variables(model)]


def variables(model: Any) -> list[Any]:
    """What a checkpoint holds of a model, in its order."""
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    # A metric starts anew with every epoch: no state to keep.
    metrics = {id(variable) for variable in model.metrics_variables}
    return [v for v in model.variables if id(v) not in metrics] + list(model.optimizer.variables)


def _plain(array: Any) -> "np.ndarray[Any, Any]":
    # bfloat16 and its kin are unknown to NumPy's files; float32 holds them exactly.
    return np.asarray(array if array.dtype.kind in "biuf" else array.astype(np.float32))
