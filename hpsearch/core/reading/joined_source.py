"""Rows of several parts, one after the other."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hpsearch.core.array_types import Array, Indices, to_dense
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
        return self._join(found)[np.argsort(np.concatenate(places))]

    def _join(self, found: Sequence[Any]) -> Any:
        """Rows of several parts as one, sparse where those of the first part are."""
        first = self.parts[0]
        if not (isinstance(first, LazyRows) and first.is_sparse):
            return np.concatenate([to_dense(rows) for rows in found])
        from scipy.sparse import csr_array, vstack

        return vstack([csr_array(rows) for rows in found], format="csr")
