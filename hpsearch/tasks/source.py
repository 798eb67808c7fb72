"""Where the files of the known data sets are found, and how they are read."""

import os
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from hpsearch.errors import DataError

_ORIGIN = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
_SHA256 = {"mnist.npz": "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"}


def find(name: str) -> Path:
    """The path of a data file: in $HPSEARCH_DATA, else Keras's cache, else downloaded into it.

    Keras checks the hash of what it downloads. Raises DataError where all three fail.
    """
    given = os.environ.get("HPSEARCH_DATA")
    keras_home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    cached = keras_home / "datasets" / name
    for path in ([Path(given) / name] if given else []) + [cached]:
        if path.is_file():
            return path
    try:
        return _download(name, cached)
    except Exception as error:  # whatever the network or its absence raises
        place = f"{given} ($HPSEARCH_DATA)" if given else "$HPSEARCH_DATA, which is not set"
        raise DataError(
            f"{name} is neither in {place}, nor in {cached.parent}, and cannot be downloaded "
            f"({_reason(error)}); put it into one of them, or run studies/digits_dropout.py, "
            "which needs no download"
        ) from error


def read_arrays(path: Path, *names: str) -> dict[str, "np.ndarray[Any, Any]"]:
    """The named arrays of an `.npz` file, never unpickling.

    Raises DataError where it is damaged, or is not the file it should be.
    """
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in names}
    except KeyError as error:
        raise DataError(f"{path} has no array {error}; it is another file: replace it") from error
    except (OSError, ValueError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise DataError(
            f"{path} is damaged ({_reason(error)}); delete it and fetch it again"
        ) from error


def _download(name: str, to: Path) -> Path:
    from hpsearch.training import backend

    backend.choose()
    import keras

    to.parent.mkdir(parents=True, exist_ok=True)
    # Under another name first: a download that breaks off must not pass for the file.
    partial = keras.utils.get_file(
        f"{name}.partial",
        _ORIGIN + name,
        file_hash=_SHA256[name],
        cache_dir=str(to.parent.parent),
    )
    os.replace(partial, to)
    return to


def _reason(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
