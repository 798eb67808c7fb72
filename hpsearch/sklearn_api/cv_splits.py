"""An evaluator from anything that scikit-learn takes as `cv`."""

import hashlib
import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np

from hpsearch.core.arrays import Array
from hpsearch.core.data import Data
from hpsearch.core.errors import DataError
from hpsearch.core.metric import Metric
from hpsearch.core.rules import brief
from hpsearch.core.task import Task
from hpsearch.evaluators import Evaluator, KFold
from hpsearch.training.base import Split


class SplitPairs(tuple[Split, ...]):
    """Splits, shown by a digest of their rows: stores know by it whether a search has the same."""

    def __repr__(self) -> str:
        digest = hashlib.sha256()
        for split in self:
            for rows in (split.train, split.validation):
                digest.update(f"{len(rows)};".encode())
                digest.update(np.ascontiguousarray(rows, np.int64).data)
        return f"{len(self)} given, {digest.hexdigest()[:16]}"


@dataclass(frozen=True, slots=True, eq=False)
class FixedSplits(Evaluator):
    """Train and validate on these rows of one table; study files cannot name it."""

    pairs: SplitPairs
    shared_batches: bool = False

    @property
    def fits(self) -> int:
        return len(self.pairs)

    def splits(self, task: Task, data: Data, *, seed: int) -> list[Split]:
        """The splits as they are; the seed has no effect."""
        return list(self.pairs)

    def standard_error(self, values: Sequence[float], metric: Metric, rows: int) -> float | None:
        """The splits' standard deviation by the root of their number; None for a single split."""
        return statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None


def make_evaluator(cv: Any, x: Array, y: Array, groups: Any, *, classes: bool) -> Evaluator:
    """The evaluator for a `cv`: an evaluator, a number of folds, a splitter, or pairs of rows.

    Args:
        classes: whether y holds classes, so that a splitter may stratify.

    Raises ValueError where cv is none of these, or where groups would have no effect.
    """
    if cv is None or isinstance(cv, bool | str):
        raise ValueError(_refusal(cv))
    evaluator = KFold(int(cv)) if isinstance(cv, Integral) else cv
    if isinstance(evaluator, Evaluator):
        if groups is not None and not (isinstance(evaluator, KFold) and evaluator.groups):
            raise ValueError(
                f"groups have no effect with cv={cv!r}; use cv=KFold(5, groups=True), or a "
                "scikit-learn splitter for groups"
            )
        return evaluator
    from sklearn.model_selection import check_cv

    splitter = cv if callable(getattr(cv, "split", None)) else _list_pairs(cv)
    return fixed_splits(check_cv(splitter, y, classifier=classes).split(x, y, groups))


def _refusal(cv: Any) -> str:
    return (
        "cv is a number of folds, an evaluator, a splitter, or pairs of (train, test) rows, got "
        f"{brief(cv)}"
    )


def _list_pairs(cv: Any) -> list[tuple[Any, Any]]:
    try:
        return [(train, test) for train, test in cv]
    except (TypeError, ValueError) as error:
        raise ValueError(_refusal(cv)) from error


def fixed_splits(
    pairs: Iterable[tuple[Sequence[int] | Array, Sequence[int] | Array]],
) -> FixedSplits:
    """Splits from (train, validation) pairs of row indices, or of masks, each of shape (n,).

    Raises DataError where there is no pair, or where one of its sides is empty.

    >>> fixed_splits([([0, 1], [2]), ([1, 2], [0])]).fits
    2
    """
    splits = SplitPairs(
        Split(_row_indices(train), _row_indices(validation)) for train, validation in pairs
    )
    if not splits:
        raise DataError("cv gives no split at all; give at least one pair of (train, test) rows")
    for fold, split in enumerate(splits):
        if not len(split.train) or not len(split.validation):
            raise DataError(
                f"fold {fold} of cv has {len(split.train)} rows to train on and "
                f"{len(split.validation)} to validate on; both need at least one"
            )
    return FixedSplits(splits)


def _row_indices(rows: Sequence[int] | Array) -> Array:
    at = np.asarray(rows)
    return np.flatnonzero(at) if at.dtype == bool else at.astype(np.int64)
