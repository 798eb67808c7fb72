"""Rows of SciPy's sparse matrices."""

from collections.abc import Sequence
from typing import Any

from hpsearch.core.array_types import Array, Indices
from hpsearch.core.errors import DataError
from hpsearch.core.reading.source import Source


class SparseRows(Source):
    """Rows of a sparse matrix. Preprocessing gets them sparse, and models get minibatches dense.

    Args:
        matrix: a sparse matrix or array of SciPy's, of shape (rows, columns).
        name: what messages call it.
    """

    def __init__(self, matrix: Any, name: str = "x") -> None:
        if matrix.ndim != 2:
            raise DataError(
                f"{name} is sparse, and needs the shape (rows, columns), got {matrix.shape}; use "
                "toarray()"
            )
        self.matrix = matrix.tocsr()

    def __len__(self) -> int:
        return int(self.matrix.shape[0])

    def rows(self, indices: Indices) -> Any:
        return self.matrix[indices]

    @property
    def arrays(self) -> Sequence[Array]:
        return self.matrix.data, self.matrix.indices, self.matrix.indptr
