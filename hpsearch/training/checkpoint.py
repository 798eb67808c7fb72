"""Checkpoints from which a fit continues as if it had never stopped.

One `.npz` of plain arrays holds every variable: weights, moving statistics, the state of each
random generator, and the optimizer's. Keras's own weight files leave out the generators, and skip
the optimizer's state when the model to be restored was not trained yet. Order, not names, tells
variables apart, so that a fit started on one backend can be continued on another.

Beside them lie the curves so far, the states of the study's own callbacks, the fit's identity, and
a checksum of all of it. A file that is a whole checkpoint of this very fit is not used: its epochs are trained again.
"""

import contextlib
import errno
import functools
import hashlib
import io
import json
import logging
import math
import os
import shutil
import stat
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hpsearch.core.errors import BuildError, DiskFullError
from hpsearch.core.files import is_local
from hpsearch.core.seeds import canonical_json
from hpsearch.training import callback_state
from hpsearch.training.base import Fit, Split
from hpsearch.training.history import History, KeptCallbacks

Curves = dict[str, list[float]]
_Array = np.ndarray[Any, Any]

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# Bytes that a file may take beside its variables: headers, curves; and what callbacks keep.
_ROOM = 64 * 2**20
_CALLBACKS_ROOM = _ROOM // 2

log = logging.getLogger(__name__)


class UnusableError(Exception):
    """A file is not a whole checkpoint of the fit; the text says why."""


def save(history: History, values: Iterable[Any]) -> None:
    """Write the values of a model's variables to the fit's own checkpoint, whole or not at all.

    Raises DiskFullError. Where it cannot be written for another reason, the log says so and
    training goes on: a checkpoint only saves epochs. It is not flushed to the disk: the checksum
    detects a file that a power cut tore, and its epochs are trained again.
    """
    save_arrays(history, {f"variable_{i}": plain_array(v) for i, v in enumerate(values)})


def save_arrays(history: History, state: Mapping[str, _Array]) -> None:
    """Write a fit's state with its curves and identity, as `save` does."""
    path = history.fit.checkpoint_out
    assert path is not None
    arrays = dict(state)
    arrays["history"] = text_array(json.dumps(history.curves))
    arrays |= _pack_callbacks(history, arrays)
    arrays["fit"] = text_array(identify_fit(history.fit))
    arrays["checksum"] = text_array(compute_checksum(arrays))
    unwritable = OSError if is_local(path) else Exception  # a remote path may raise any
    try:
        if is_local(path):
            _write(path, arrays)
        else:
            whole = io.BytesIO()
            np.savez(whole, **arrays)  # type: ignore[arg-type]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(whole.getvalue())
    except unwritable as error:
        if isinstance(error, OSError) and error.errno in _FULL:
            raise DiskFullError(
                f"the disk is full: {path} cannot be written; make room, and the same command "
                "continues"
            ) from error
        log.warning("checkpoint %s cannot be written (%s); training goes on", path, error)
    history.note_checkpoint()


def load(path: Path, history: History, model: Any, earlier: Sequence[Any] = ()) -> Curves | None:
    """Restore a checkpoint of a history's fit into a freshly built model, and return its curves.

    Returns None, and leaves the model as it was, where there is no whole checkpoint of this fit:
    training from the start gives the same, only later.

    Args:
        earlier: the models of the phases before.
    """
    wanted = list_variables(model, earlier)
    try:
        values, curves, entry = _read(path, history, [tuple(v.shape) for v in wanted])
    except FileNotFoundError:
        return None
    except Exception as error:  # a damaged file may raise anything
        log.warning("checkpoint %s cannot be used (%s); its epochs are trained again", path, error)
        return None
    for variable, value in zip(wanted, values, strict=True):
        variable.assign(value)
    history.stopped, history.callbacks = entry.stopped, entry.callbacks
    return curves


def count_epochs(path: Path, history: History) -> int:
    """The epochs of a checkpoint, without its variables; 0 where it has none that can be read."""
    try:
        if is_local(path) and not stat.S_ISREG(path.stat().st_mode):
            return 0
        with path.open("rb") as file, zipfile.ZipFile(file) as arrays:
            entry = arrays.getinfo("history.npy")
            if entry.compress_type != zipfile.ZIP_STORED or entry.file_size > _ROOM:
                return 0
            text = arrays.read(entry)
        curves = json.loads(text[text.index(b"\n") + 1 :])  # a line of NumPy's comes first
        return len(_check_curves(curves, history)["validation"])
    except Exception:  # a damaged file may raise anything; `load` says what is wrong with it
        return 0


def identify_fit(fit: Fit) -> str:
    """A text that differs for fits that must not continue each other's checkpoints.

    The number of epochs is not in it: a promoted trial is the same fit, continued.
    """
    seeds = {"seed": fit.seed, "order": fit.order_seed}
    return canonical_json(
        {"study": fit.study, "params": fit.params, "rows": _rows_digest(fit.split), **seeds}
    )


def read_values(model: Any, earlier: Sequence[Any] = ()) -> list[Any]:
    """The model's whole state, as arrays."""
    import keras  # here: a training function of one's own may do without it

    return [keras.ops.convert_to_numpy(variable) for variable in list_variables(model, earlier)]


def list_variables(model: Any, earlier: Sequence[Any] = ()) -> list[Any]:
    """The variables that a checkpoint holds, in its order.

    earlier: the models of earlier phases, whose layers may come back in a later one.
    """
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    models = [*earlier, model]
    # A metric starts anew with every epoch: no state to keep.
    metrics = {id(variable) for each in models for variable in each.metrics_variables}
    found = {id(v): v for each in models for v in each.variables if id(v) not in metrics}
    return [*found.values(), *model.optimizer.variables]


def _write(path: Path, arrays: dict[str, _Array]) -> None:
    """Write a file beside it, then rename that; anything else in these places is removed."""
    folder, partial = path.parent, path.with_suffix(".partial")
    if not folder.is_dir():
        folder.unlink(missing_ok=True)
        folder.mkdir(parents=True)
    try:
        _remove(partial)
        with open(partial, "xb") as file:  # "x": never write through a link
            np.savez(file, **arrays)  # type: ignore[arg-type]
        if path.is_dir():
            _remove(path)
        os.replace(partial, path)
    except OSError:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class _CallbacksEntry:
    """What a checkpoint says of callbacks; files of fits without them have no such entry.

    Args:
        stopped: whether one ended the fit.
        callbacks: the states of the study's own.
    """

    stopped: bool = False
    callbacks: KeptCallbacks | None = None


def _pack_callbacks(history: History, arrays: dict[str, _Array]) -> dict[str, _Array]:
    kept = history.callbacks
    if kept is None and not history.stopped:
        return {}
    entry: dict[str, Any] = {"stopped": history.stopped, "names": [], "states": [], "arrays": 0}
    found: dict[str, _Array] = {}
    if kept is not None:
        entry |= {"names": kept.names, "states": kept.states, "arrays": len(kept.arrays)}
        found = {f"callbacks_{i}": array for i, array in enumerate(kept.arrays)}
    found["callbacks"] = text_array(json.dumps(entry))
    size, room = sum(array.nbytes for array in found.values()), _CALLBACKS_ROOM
    if size > room + 8 * sum(array.size for array in arrays.values()):
        raise BuildError(
            f"the callbacks {', '.join(entry['names'])} keep {size:,} bytes of state, more than a "
            f"checkpoint holds ({room:,} beside the model's own); write them to trial.folder"
        )
    return found


def _unpack_callbacks(arrays: dict[str, _Array]) -> _CallbacksEntry:
    """Take the entry of callbacks out of a file's arrays. A damaged one may raise any error."""
    if (text := arrays.pop("callbacks", None)) is None:
        return _CallbacksEntry()
    entry = json.loads(bytes(text))
    found = [arrays.pop(f"callbacks_{i}") for i in range(entry["arrays"])]
    kept = KeptCallbacks(list(map(str, entry["names"])), list(entry["states"]), found)
    callback_state.check(kept)
    return _CallbacksEntry(entry["stopped"] is True, kept)


def _read(
    path: Path, history: History, shapes: list[tuple[int, ...]]
) -> tuple[list[_Array], Curves, _CallbacksEntry]:
    """Read variables of these shapes, the curves, and what it says of callbacks.

    A damaged file may raise any error.
    """
    most = _ROOM + 16 * sum(math.prod(shape) for shape in shapes)
    arrays, curves = read_arrays(path, history, most)
    entry = _unpack_callbacks(arrays)
    values = [arrays[f"variable_{i}"] for i in range(len(arrays))]
    if (found := [value.shape for value in values]) != shapes:
        raise UnusableError(f"it is of another model: shapes {found}, expected {shapes}")
    return values, curves, entry


def read_arrays(path: Path, history: History, most: int) -> tuple[dict[str, _Array], Curves]:
    """Read what `save_arrays` wrote of this fit, and the curves. A damaged file may raise any error.

    Args:
        most: the most bytes that the file may have.
    """
    status = path.stat()
    if is_local(path) and not stat.S_ISREG(status.st_mode):
        raise UnusableError("it is not a file")  # opening a pipe would block for ever
    if status.st_size > most:
        raise UnusableError(f"{status.st_size:,} bytes are more than its model can have")
    arrays = unpack_arrays(path.read_bytes())
    if bytes(arrays.pop("fit")).decode() != identify_fit(history.fit):
        raise UnusableError("it is of another fit")
    curves = _check_curves(json.loads(bytes(arrays.pop("history"))), history)
    return arrays, curves


def unpack_arrays(data: bytes) -> dict[str, _Array]:
    """Read the arrays of an `.npz` as `save_arrays` writes it, and compare their checksum.

    A damaged file may raise any error.

    NumPy's own reader trusts the headers, so a small damaged file could take gigabytes of memory.
    """
    arrays: dict[str, _Array] = {}
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        entries = file.infolist()
        if sum(entry.file_size for entry in entries) > len(data):
            raise UnusableError("its contents are larger than the file")
        for entry in entries:
            if entry.compress_type != zipfile.ZIP_STORED:
                raise UnusableError(f"{entry.filename} is compressed")
            content = file.read(entry)
            header = io.BytesIO(content)  # shares the bytes
            if np.lib.format.read_magic(header) != (1, 0):
                raise UnusableError(f"{entry.filename} is of an unknown version")
            shape, by_columns, type_ = np.lib.format.read_array_header_1_0(header)
            if by_columns or type_.kind not in "biuf":
                raise UnusableError(f"{entry.filename} is of an unknown layout")
            flat = np.frombuffer(content, type_, offset=header.tell())
            arrays[entry.filename.removesuffix(".npy")] = flat.reshape(shape)
    if bytes(arrays.pop("checksum", text_array(""))).decode() != compute_checksum(arrays):
        raise UnusableError("its checksum does not match, or it is of an earlier version")
    return arrays


def _check_curves(found: Any, history: History) -> Curves:
    """Curves from a file as a history has them: of its metrics, and of its fit's epochs at most.

    Those that must have a value in every epoch are finite.
    """
    names, most = list(history.curves), history.fit.epochs
    if sorted(found) != sorted(names):
        raise UnusableError("its curves are of other metrics")
    columns = [found[name] for name in names]
    epochs = {len(column) for column in columns}
    if len(epochs) != 1 or max(epochs) > most:
        raise UnusableError(f"its curves are not of {most} epochs at most")
    if not all(type(value) is float for column in columns for value in column):
        raise UnusableError("its curves are not numbers")
    if not all(math.isfinite(value) for name in history.required for value in found[name]):
        raise UnusableError("its curves are not finite numbers")
    return dict(zip(names, columns, strict=True))


def compute_checksum(arrays: dict[str, _Array]) -> str:
    """A checksum of the names, types, shapes and values of the arrays."""
    digest = hashlib.blake2b(digest_size=16)
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype.str} {array.shape} ".encode())
        digest.update(array.reshape(-1).view(np.uint8).data)  # no copy: it may be gigabytes
    return digest.hexdigest()


@functools.lru_cache(maxsize=64)  # the splits of a search stay the same
def _rows_digest(split: Split) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for rows in (split.train, split.validation):
        digest.update(f"{len(rows)} ".encode())
        digest.update(np.asarray(rows, np.int64).tobytes())
    return digest.hexdigest()


def text_array(text: str) -> _Array:
    return np.frombuffer(text.encode(), dtype=np.uint8)


def plain_array(array: Any) -> _Array:
    # NumPy's files cannot hold bfloat16 and similar types; float32 holds their values exactly.
    plain = array if array.dtype.kind in "biuf" else array.astype(np.float32)
    return np.asarray(plain, order="C")
