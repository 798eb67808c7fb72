"""Read published files that hold pickles: Keras's imdb.npz and reuters.npz, CIFAR-10's archive.

Unpickling a file can run any code. So a file is opened only if its bytes are those that are
published, and then by an unpickler that makes nothing but arrays of numbers.
"""

import hashlib
import io
import pickle
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from hpsearch.core.arrays import Array
from hpsearch.core.errors import DataError
from hpsearch.tasks import source

_ARRAYS = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("numpy.core.multiarray", "_reconstruct"),  # as NumPy 1 calls it
    ("numpy._core.multiarray", "_reconstruct"),
}


def read_rows(path: Path, key: str) -> list[Array]:
    """The rows of one array, each of shape (words,).

    Raises DataError where the file is not, byte for byte, the one that Keras publishes.
    """
    content = _read_published(path, path.name, by="Keras")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        member = io.BytesIO(archive.read(f"{key}.npy"))
    source.read_header(member)  # the pickle begins behind it
    return [np.asarray(row, np.int32) for row in _ArrayUnpickler(member).load()]


def read_batches(path: Path, published: str) -> dict[str, tuple[Array, Array]]:
    """The batches of CIFAR-10's archive by name: bytes of shape (n, 3072), and labels (n,).

    Args:
        path: of the archive.
        published: the name under which it is published.

    Raises DataError where the file is not, byte for byte, the published one.
    """
    batches = {}
    content = io.BytesIO(_read_published(path, published, by="Krizhevsky"))
    with tarfile.open(fileobj=content, mode="r:gz") as archive:
        for member in archive:
            name = Path(member.name).name
            if "_batch" not in name or (file := archive.extractfile(member)) is None:
                continue
            found = _ArrayUnpickler(file, encoding="bytes").load()
            batches[name] = np.asarray(found[b"data"]), np.asarray(found[b"labels"], np.int64)
    return batches


def _read_published(path: Path, name: str, *, by: str) -> bytes:
    content = source.read_bytes(path)
    digest, known = hashlib.sha256(content).hexdigest(), source.published_hash(name)
    if digest != known:
        raise DataError(
            f"{path} holds pickled objects, which are opened only in the file that {by} publishes "
            f"(SHA-256 {known[:12]}..., got {digest[:12]}...); delete it, so that it is downloaded"
        )
    return content


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ARRAYS:
            raise DataError(
                f"a data file asks for {module}.{name}, which is not opened; replace it"
            )
        return super().find_class(module, name)
