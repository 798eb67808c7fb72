"""Where the files of the known data sets are found, and how they are read."""

import contextlib
import os
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from hpsearch.data import Array, Data
from hpsearch.errors import DataError
from hpsearch.task import Task

STAND_IN = "stand-in"
_KERAS = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
_UCI = "https://archive.ics.uci.edu/ml/machine-learning-databases/"

# Where each file is published, and its SHA-256; those of Keras's files as in keras.datasets.
_PUBLISHED = {
    "mnist.npz": (
        _KERAS + "mnist.npz",
        "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1",
    ),
    "imdb.npz": (
        _KERAS + "imdb.npz",
        "69664113be75683a8fe16e3ed0ab59fda8886cb3cd7ada244f7d9544e4676b9f",
    ),
    "reuters.npz": (
        _KERAS + "reuters.npz",
        "d6586e694ee56d7a4e65172e12b3e987c03096cb01eab99753921ef915959916",
    ),
    "boston_housing.npz": (
        _KERAS + "boston_housing.npz",
        "f553886a1f8d56431e820c5b82552d9d95cfcb96d1e678153f8839538947dff5",
    ),
    "winequality-white.csv": (
        _UCI + "wine-quality/winequality-white.csv",
        "76c3f809815c17c07212622f776311faeb31e87610d52c26d87d6e361b169836",
    ),
}


def task(name: str, load: Callable[[], Data], stand_in: Callable[[], Data], **options: Any) -> Task:
    """The task on its data; on what stands in for it where `HPSEARCH_DATA=stand-in`.

    A stand-in is small, comes with scikit-learn and needs no file. Its name says what it is, so
    that no ranking takes it for the real one.
    """
    if os.environ.get("HPSEARCH_DATA") == STAND_IN:
        return Task(name=f"{name}-{STAND_IN}", data=stand_in, **options)
    return Task(name=name, data=load, **options)


def find(name: str) -> Path:
    """The path of a data file: in $HPSEARCH_DATA, else Keras's cache, else downloaded into it.

    The hash of what is downloaded is checked. Raises DataError where all three fail.
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
            f"({_reason(error)}); put it into one of them, or set HPSEARCH_DATA={STAND_IN} to try "
            "the study on small data that needs no file"
        ) from error


def published_hash(name: str) -> str:
    """The SHA-256 of a data file as it is published."""
    return _PUBLISHED[name][1]


def read_arrays(path: Path, *names: str) -> dict[str, Array]:
    """The named arrays of an `.npz` file, never unpickling.

    Raises DataError where it is damaged, or is not the file it should be.
    """
    with opened(path) as arrays:
        return {name: arrays[name] for name in names}


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Any]:
    """An `.npz` file as `numpy.load` gives it; what is wrong with it is raised as DataError."""
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            yield arrays
    except KeyError as error:
        raise DataError(f"{path} has no array {error}; it is another file: replace it") from error
    except DataError:
        raise
    except (OSError, ValueError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise DataError(
            f"{path} is damaged ({_reason(error)}); delete it and fetch it again"
        ) from error


def _download(name: str, to: Path) -> Path:
    if name not in _PUBLISHED:
        raise DataError("it is published nowhere in this form")
    from hpsearch.training import backend

    backend.choose()
    import keras

    address, digest = _PUBLISHED[name]
    to.parent.mkdir(parents=True, exist_ok=True)
    # Under another name first: a download that breaks off must not pass for the file.
    partial = keras.utils.get_file(
        f"{name}.partial", address, file_hash=digest, cache_dir=str(to.parent.parent)
    )
    os.replace(partial, to)
    return to


def _reason(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
