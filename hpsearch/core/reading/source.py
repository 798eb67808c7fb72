"""What users derive from for rows of their own."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hpsearch.core.array_types import Array, Indices

if TYPE_CHECKING:
    _told_if_known = property
else:

    class _told_if_known:
        """A property that a source may also set in itself, as `self.targets = y`.

        Args:
            get: the value where it does not.
        """

        def __init__(self, get: Callable[[Any], Any]) -> None:
            self._get, self.__doc__ = get, get.__doc__

        def __get__(self, source: Any, owner: Any) -> Any:
            return self if source is None else self._get(source)


class Source(ABC):
    """Rows that need not fit into memory: derive from it for rows of your own.

        class Pictures(Source):
            def __len__(self):
                return len(self.paths)

            def rows(self, indices):
                return np.stack([read(self.paths[i]) for i in indices])

    A row has the same values whenever it is read, whatever is read with it, and in whichever thread
    or process: several threads read at once. So draw nothing at random; augment in the model.
    """

    @abstractmethod
    def __len__(self) -> int:
        """The number of rows, which never changes."""

    @abstractmethod
    def rows(self, indices: Indices) -> Array | Mapping[str, Array]:
        """The rows with these numbers, in this order.

        Args:
            indices: numbers from 0 on, shape (n,), in any order; one may come twice.

        Returns an array of shape (n, ...), or a dict of such arrays for a model with several
        inputs; always of the same types and shapes. Arrays hold numbers, or texts (dtype object),
        which `Task(preprocess=)` must turn into numbers. SciPy's sparse matrices of shape
        (n, columns) are taken too: preprocessing gets them as they are, a model gets them dense.
        """

    @_told_if_known
    def targets(self) -> Any:
        """y where the source knows it, shape (rows, ...); None where `Data(y=)` says it."""
        return None

    @_told_if_known
    def classes(self) -> Sequence[str]:
        """The names that 0, 1, 2... in `targets` stand for; empty where they have none."""
        return ()

    @_told_if_known
    def times(self) -> Any:
        """When each row is known, shape (rows,), as `Data(times=)` has it; None: in no order."""
        return None

    @_told_if_known
    def target_times(self) -> Any:
        """When each row's target is known, where that is later than the row; else None."""
        return None

    @_told_if_known
    def is_in_memory(self) -> bool:
        """Whether rows are made of arrays in memory so fast that none need be read ahead."""
        return False

    @_told_if_known
    def files(self) -> Sequence[Path]:
        """The files that rows are read from: by their sizes and times a change is noticed."""
        return ()

    @_told_if_known
    def arrays(self) -> Sequence[Array]:
        """The arrays in memory that rows are made of: by their bytes a change is noticed."""
        return ()


class ArraySource(Source):
    """Rows of an array in memory: views of them copy nothing.

    Args:
        array: of shape (rows, ...).
    """

    def __init__(self, array: Array) -> None:
        self.array = array

    def __len__(self) -> int:
        return len(self.array)

    def rows(self, indices: Indices) -> Array:
        return np.asarray(self.array[indices])

    @property
    def is_in_memory(self) -> bool:
        return True
