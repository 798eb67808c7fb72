"""Arrays that lie in files: memory maps, and those of h5py and Zarr, neither of which is imported."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hpsearch.core.array_types import Array, Indices
from hpsearch.core.errors import DataError, first_line
from hpsearch.core.reading.memory_maps import MapPlace, find_place
from hpsearch.core.reading.source import Source


class MappedRows(Source):
    """Rows of a NumPy memory map, or of a view of one.

    Args:
        array: of shape (rows, ...).
    """

    def __init__(self, array: Any) -> None:
        self.array = array

    def __len__(self) -> int:
        return len(self.array)

    def rows(self, indices: Indices) -> Array:
        return np.asarray(self.array[indices])

    def __getstate__(self) -> dict[str, Any]:
        return {"array": find_place(self.array) or self.array}

    def __setstate__(self, state: dict[str, Any]) -> None:
        found = state["array"]
        self.array = found.open() if isinstance(found, MapPlace) else found

    @property
    def files(self) -> Sequence[Path]:
        return () if self.array.filename is None else (Path(self.array.filename),)

    @property
    def arrays(self) -> Sequence[Array]:
        # What is written into a map of mode "c" is in memory alone.
        return () if find_place(self.array) else (np.asarray(self.array),)


class Hdf5Rows(Source):
    """Rows of an h5py dataset, whose file must stay open. h5py lets one thread at a time read.

    Args:
        dataset: of shape (rows, ...).
    """

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset
        self._check_open()

    def __len__(self) -> int:
        self._check_open()
        return int(self.dataset.shape[0])

    def rows(self, indices: Indices) -> Array:
        self._check_open()
        # h5py takes sorted numbers only, each once.
        numbers, places = np.unique(indices, return_inverse=True)
        return np.asarray(self.dataset[numbers])[places]

    def __getstate__(self) -> dict[str, Any]:
        """The place in the file, which a worker opens again; h5py sends no dataset."""
        if not self.files:
            raise DataError("an HDF5 file in memory cannot be sent to workers; write it to a disk")
        return {"file": self.files[0].resolve(), "name": self.dataset.name}

    def __setstate__(self, state: dict[str, Any]) -> None:
        import h5py

        try:
            self.dataset = h5py.File(state["file"], "r")[state["name"]]
        except (OSError, KeyError) as error:
            raise DataError(f"{state['file']} cannot be opened: {first_line(error)}") from error

    @property
    def files(self) -> Sequence[Path]:
        file = self.dataset.file
        return () if file.driver in ("core", "fileobj") else (Path(file.filename),)

    def _check_open(self) -> None:
        if not self.dataset:
            raise DataError(
                "the HDF5 file of a dataset is closed; keep it open while its rows are used"
            )


class ZarrRows(Source):
    """Rows of a Zarr array, of version 2 or 3.

    Args:
        array: of shape (rows, ...).
    """

    def __init__(self, array: Any) -> None:
        self.array = array

    def __len__(self) -> int:
        return int(self.array.shape[0])

    def rows(self, indices: Indices) -> Array:
        # Sorted and each once, so that a chunk is read once in either version.
        numbers, places = np.unique(indices, return_inverse=True)
        return np.asarray(self.array.oindex[numbers])[places]

    @property
    def files(self) -> Sequence[Path]:
        store = self.array.store
        root = getattr(store, "root", None) or getattr(store, "path", None)
        if not isinstance(root, str | Path):  # in memory, or on another machine
            return ()
        path = Path(root, self.array.path)
        if not path.is_dir():
            return (Path(root),) if Path(root).is_file() else ()
        found = (Path(folder, name) for folder, _, names in os.walk(path) for name in names)
        return sorted(found)
