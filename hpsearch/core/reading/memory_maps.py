"""NumPy's memory maps on their way to another process: the place in a file, not a copy of rows."""

import mmap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hpsearch.core.errors import DataError, first_line


@dataclass(frozen=True, slots=True)
class MapPlace:
    """Where in a file the values of a memory map are.

    Args:
        file: the file. size: its bytes.
        offset: of the first value, in bytes.
        shape, dtype, strides: of the array; strides in bytes.
    """

    file: Path
    size: int
    offset: int
    shape: tuple[int, ...]
    dtype: str
    strides: tuple[int, ...]

    def open(self) -> Any:
        """Map the file again, to read. Raises DataError where it is gone or has another size."""
        try:
            whole = np.memmap(self.file, np.uint8, "r")
        except (OSError, ValueError) as error:
            raise DataError(f"{self.file} cannot be read: {first_line(error)}") from error
        if whole.size != self.size:
            raise DataError(
                f"{self.file} had {self.size} bytes when it was mapped, and has {whole.size} now; "
                "it must not change while a search reads it"
            )
        dtype = np.dtype(self.dtype)
        first = whole[self.offset : self.offset + dtype.itemsize].view(dtype)
        return np.lib.stride_tricks.as_strided(
            first, self.shape, self.strides, subok=True, writeable=False
        )


def find_place(array: Any) -> MapPlace | None:
    """Where a memory map, or a part of one, is in its file; None where its values are not there."""
    if not isinstance(array, np.memmap):
        return None
    mapped, file = getattr(array, "_mmap", None), array.filename
    if mapped is None or file is None or not array.size or array.mode == "c":
        return None  # what is written into a map of mode "c" never reaches the file
    # `offset` is of the whole map, of which the array may be a part; a map begins at a page.
    start = array.offset - array.offset % mmap.ALLOCATIONGRANULARITY
    within = array.ctypes.data - np.frombuffer(mapped, np.uint8).ctypes.data
    return MapPlace(
        Path(file),
        Path(file).stat().st_size,
        start + within,
        array.shape,
        array.dtype.str,
        array.strides,
    )
