"""Find and read the files of the known data sets.

Nothing in them is unpickled, and reading takes no more memory than the published files need,
whatever sizes a file claims.
"""

import contextlib
import gzip
import io
import math
import os
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hpsearch.core.arrays import Array
from hpsearch.core.data import Data
from hpsearch.core.errors import DataError, short_reason
from hpsearch.core.task import Task

STAND_IN = "stand-in"
_KERAS = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
_LARGEST = 2**28  # bytes of an array, or of a file read as a whole: five times the largest one
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
    "cifar-10-python.tar.gz": (
        "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
        "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
    ),
}


def make_task(
    name: str, load: Callable[[], Data], stand_in: Callable[[], Data], **options: Any
) -> Task:
    """Make a task on its data, or on its stand-in where `HPSEARCH_DATA=stand-in`.

    A stand-in is small, comes with scikit-learn and needs no file. The task then has another name,
    so that no ranking mixes the two.
    """
    if os.environ.get("HPSEARCH_DATA") == STAND_IN:
        return Task(name=f"{name}-{STAND_IN}", data=stand_in, **options)
    return Task(name=name, data=load, **options)


def find_file(name: str) -> Path:
    """The path of a data file: in $HPSEARCH_DATA, else in Keras's cache, else downloaded into it.

    The hash of a downloaded file is checked. Raises DataError where all three fail.
    """
    if (found := find_existing(name)) is not None:
        return found
    *given, cached = _list_places(name)
    try:
        return _download(name, cached)
    except Exception as error:  # whatever the network or its absence raises
        place = (
            f"{given[0].parent} ($HPSEARCH_DATA)" if given else "$HPSEARCH_DATA, which is not set"
        )
        raise DataError(
            f"{name} is neither in {place}, nor in {cached.parent}, and cannot be downloaded "
            f"({short_reason(error)}); put it into one of them, or set HPSEARCH_DATA={STAND_IN} to "
            "try the study on small data that needs no file"
        ) from error


def find_existing(name: str) -> Path | None:
    """The path of a data file that is here; None where none is. DataError for what is no file."""
    for path in _list_places(name):
        if os.path.isfile(path):
            return path
        if os.path.lexists(path):
            raise DataError(f"{path} is not a regular file, nor a link to one; replace it")
    return None


def _list_places(name: str) -> list[Path]:
    """Where a data file may lie: in $HPSEARCH_DATA, where that is set, and in Keras's cache."""
    given = os.environ.get("HPSEARCH_DATA")
    keras_home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    return [*([Path(given) / name] if given else []), keras_home / "datasets" / name]


def published_hash(name: str) -> str:
    """The SHA-256 of a data file, as published."""
    return _PUBLISHED[name][1]


@dataclass(frozen=True, slots=True)
class NpzArrays:
    """The arrays of an `.npz` file, each read when it is needed."""

    archive: zipfile.ZipFile

    def __contains__(self, name: str) -> bool:
        return f"{name}.npy" in self.archive.namelist()

    def __getitem__(self, name: str) -> Array:
        """Raises KeyError for a missing array, ValueError for one that is too large or pickled."""
        if name not in self:
            raise KeyError(name)
        info = self.archive.getinfo(f"{name}.npy")
        with self.archive.open(info) as member:
            shape, dtype = read_header(member)
        if dtype.hasobject:
            raise ValueError(f"the array {name} holds pickled objects")
        size = math.prod(shape) * dtype.itemsize
        # NumPy would reserve as much memory as the header claims, before it reads anything.
        if min(shape, default=1) < 0 or not size < info.file_size <= _LARGEST:
            raise ValueError(f"the array {name} has {info.file_size:,} bytes, and says {size:,}")
        content = io.BytesIO(self.archive.read(info))
        return np.asarray(np.lib.format.read_array(content, allow_pickle=False))


def read_arrays(path: Path, *names: str, **shapes: tuple[str | int, ...]) -> dict[str, Array]:
    """Read arrays of an `.npz` file, without unpickling.

    Args:
        names: of arrays of any shape.
        shapes: the shapes that other arrays must have; `x=("n", 13), y=("n",)` means that x has 13
            columns, and as many rows as y.

    Raises DataError where the file is damaged, or another one.
    """
    with open_arrays(path) as arrays:
        found = {name: arrays[name] for name in (*names, *shapes)}
    lengths: dict[str, int] = {}
    for name, shape in shapes.items():
        actual = found[name].shape
        fits = len(actual) == len(shape) and all(
            length == (want if isinstance(want, int) else lengths.setdefault(want, length))
            for want, length in zip(shape, actual, strict=True)
        )
        if not fits or 0 in actual:
            raise DataError(
                f"{path} has the array {name} of shape {actual}, where "
                f"({', '.join(map(str, shape))}) is expected; it is not the right file; replace it"
            )
    return found


def check_numbers(
    path: Path, array: Array, least: float, most: float, *, whole: bool = False
) -> Array:
    """Return the array. DataError if it has anything but numbers from `least` to `most`."""
    known = array.dtype.kind in ("biu" if whole else "biuf")
    if not known or not (array.min() >= least and array.max() <= most):
        ends = f" from {array.min()} to {array.max()}" if known else ""
        raise DataError(
            f"{path} has values of type {array.dtype}{ends} where {'whole ' if whole else ''}"
            f"numbers from {least:g} to {most:g} are expected; it is not the right file; replace it"
        )
    return array


def read_bytes(path: Path) -> bytes:
    """Read a whole file. Raises DataError where it cannot be read, or is too large."""
    with _explain_read_errors(path):
        if os.path.getsize(path) > _LARGEST:
            raise DataError(
                f"{path} has more than {_LARGEST:,} bytes; it is not the right file; replace it"
            )
        return path.read_bytes()


def read_gzip(path: Path) -> bytes:
    """Read a whole file that gzip packed. Raises DataError as `read_bytes` does."""
    packed = io.BytesIO(read_bytes(path))
    with _explain_read_errors(path), gzip.GzipFile(fileobj=packed) as file:
        content = file.read(_LARGEST + 1)
        if len(content) > _LARGEST:
            raise ValueError(f"it unpacks to more than {_LARGEST:,} bytes")
        return content


def read_table(
    path: Path, content: bytes, header: str, separator: str, shape: tuple[int, int]
) -> Array:
    """The numbers of a CSV file, which must have this header and shape.

    Args:
        path: for messages.
        content: the file's, unpacked.

    Raises DataError where it is another file, or damaged.
    """
    with _explain_read_errors(path):
        first, *lines = content.decode().splitlines() or [""]
        if first != header:
            raise DataError(
                f"{path} begins with {first[:60]!r}; it is not the right file; replace it"
            )
        table = np.array([[float(cell) for cell in line.split(separator)] for line in lines])
        if table.shape != shape:
            raise ValueError(f"it has the shape {table.shape} instead of {shape}")
        return table


@contextlib.contextmanager
def open_arrays(path: Path) -> Iterator[NpzArrays]:
    """Open the arrays of an `.npz` file. Errors in the block are raised as DataError."""
    with _explain_read_errors(path), open(path, "rb") as file, zipfile.ZipFile(file) as archive:
        yield NpzArrays(archive)


def read_header(member: Any) -> tuple[tuple[int, ...], "np.dtype[Any]"]:
    """Read the header of an `.npy` file, up to its values: their shape and type."""
    version = np.lib.format.read_magic(member)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(member)
    else:
        shape, _, dtype = np.lib.format.read_array_header_2_0(member)
    return shape, dtype


@contextlib.contextmanager
def _explain_read_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except KeyError as error:
        raise DataError(
            f"{path} has no array {short_reason(error)}; it is not the right file; replace it"
        ) from error
    except DataError:
        raise
    except PermissionError as error:
        raise DataError(
            f"{path} cannot be read ({short_reason(error)}); change its permissions"
        ) from error
    except Exception as error:  # a damaged file can raise anything in zipfile, zlib or NumPy
        raise DataError(
            f"{path} is damaged ({short_reason(error)}); delete it and fetch it again"
        ) from error


def _download(name: str, to: Path) -> Path:
    if name not in _PUBLISHED:
        raise DataError("it is not published in this form")
    from hpsearch.training import backend

    backend.choose()
    import keras

    address, digest = _PUBLISHED[name]
    to.parent.mkdir(parents=True, exist_ok=True)
    # Under another name first, so that a broken download is not taken for the file.
    partial = keras.utils.get_file(
        f"{name}.partial", address, file_hash=digest, cache_dir=str(to.parent.parent)
    )
    os.replace(partial, to)
    return to
