"""Rows of several parts, one after the other."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hpsearch.core.array_types import Array, Indices, is_sparse
from hpsearch.core.reading.lazy_rows import LazyRows
from hpsearch.core.reading.source import Source


class JoinedSource(Source):
    """The rows of several arrays or rows of sources, one after the other.

    Args:
        parts: of equal types and shapes of a row.
    """

    def __init__(self, parts: Sequence[Any]) -> None:
        self.parts = parts
        self.ends = np.cumsum([len(part) for part in parts])

    def __len__(self) -> int:
        return sum(len(part) for part in self.parts)

    @property
    def files(self) -> Sequence[Path]:
        return [
            file
            for part in self.parts
            if isinstance(part, LazyRows)
            for file in part.reader.source.files
        ]

    @property
    def arrays(self) -> Sequence[Array]:
        found: list[Array] = []
        for part in self.parts:
            if not isinstance(part, LazyRows):
                found.append(part)
                continue
            found += part.reader.source.arrays
            if part.indices is not None:
                found.append(part.indices)
        return found

    def rows(self, indices: Indices) -> Any:
        which = np.searchsorted(self.ends, indices, side="right")
        found, places = [], []
        for number, part in enumerate(self.parts):
            here = np.flatnonzero(which == number)
            if len(here):
                local = indices[here] - (self.ends[number] - len(part))
                found.append(part.fetch(local) if isinstance(part, LazyRows) else part[local])
                places.append(here)
        return _join(found)[np.argsort(np.concatenate(places))]


def _join(parts: Sequence[Any]) -> Any:
    """Rows of several arrays, one after the other; sparse where these are."""
    if not is_sparse(parts[0]):
        return np.concatenate(parts)
    from scipy.sparse import vstack

    return vstack(parts, format="csr")
