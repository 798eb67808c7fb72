"""What preprocessing made of the splits that were used last: fitted transformers, and rows."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from hpsearch.core.array_types import is_sparse
from hpsearch.core.arrays import Array, inputs_by_name
from hpsearch.core.data import Data
from hpsearch.core.memory import most_bytes_of_rows
from hpsearch.training.base import Split

_MOST_FITTED = 128  # splits whose transformers are kept; their rows are limited by bytes


@dataclass(slots=True, eq=False)
class PreparedSplit:
    """A split's rows as preprocessing gives them.

    Args:
        fitted: the transformer, fitted on the training rows; a dict of them by input.
        x: the training rows, an array or a sparse matrix, or a dict of these by input. None where
            they are read, or prepared again, when they are needed; so are the others.
        x_validation: the rows to validate on.
    """

    fitted: Any
    x: Any = None
    x_validation: Any = None

    @property
    def bytes(self) -> int:
        """Of memory that the rows take."""
        both = [part for part in (self.x, self.x_validation) if part is not None]
        return sum(_count_bytes(each) for part in both for each in inputs_by_name(part).values())


class PreparedCache:
    """Keeps what trials with equal preprocessing share: each fold is fitted and prepared once.

    Where points choose how rows are preprocessed, each (fold, its parameters) is a Split of its
    own. What is kept goes with the data, or the split; of the rest, the rows go first that were
    used longest ago, then transformers.

    Args:
        most_bytes: of rows, at most; None: a thirty-second of the memory, as each worker keeps its
            own.
    """

    def __init__(self, most_bytes: int | None = None) -> None:
        self.most_bytes = most_bytes
        self._kept: WeakKeyDictionary[Data, WeakKeyDictionary[Split, _Entry]]
        self._kept = WeakKeyDictionary()
        self._clock = itertools.count()

    def find(self, preprocess: Any, data: Data, split: Split) -> PreparedSplit | None:
        """What was kept of this split; None where nothing was, or by another preprocessing."""
        of_data = self._kept.get(data)
        entry = None if of_data is None else of_data.get(split)
        if entry is None or entry.preprocess is not preprocess:
            return None
        entry.used = next(self._clock)
        return entry.rows

    def keep(self, preprocess: Any, data: Data, split: Split, rows: PreparedSplit) -> None:
        """Keep what preprocessing made of a split.

        Args:
            preprocess: the task's, as the task has it.
            data: the task's.
            split: the fold, with the parameters of its preprocessing.
            rows: what is kept; those that take more than the cache holds are dropped from it.
        """
        of_data = self._kept.setdefault(data, WeakKeyDictionary())
        of_data[split] = _Entry(preprocess, rows, next(self._clock))
        most = most_bytes_of_rows() // 4 if self.most_bytes is None else self.most_bytes
        oldest = sorted(self._entries(), key=lambda found: found[2].used)
        bytes_ = sum(entry.rows.bytes for _, _, entry in oldest)
        for _, _, entry in oldest:
            if bytes_ <= most:
                break
            bytes_ -= entry.rows.bytes
            entry.rows = PreparedSplit(entry.rows.fitted)
        for of_data, split, _ in oldest[:-_MOST_FITTED]:
            del of_data[split]

    def _entries(self) -> Iterator[tuple[WeakKeyDictionary[Split, "_Entry"], Split, "_Entry"]]:
        for of_data in list(self._kept.values()):
            for split, entry in list(of_data.items()):
                yield of_data, split, entry


@dataclass(slots=True, eq=False)
class _Entry:
    preprocess: Any
    rows: PreparedSplit
    used: int


def _count_bytes(part: Any) -> int:
    if is_sparse(part):
        held: list[Array] = [part.data, part.indices, part.indptr] if part.format == "csr" else []
        return sum(array.nbytes for array in held) or int(part.nnz) * 16
    return int(part.nbytes)
