"""Pairs of row numbers that a user, or a splitter, gives; and the checks of them."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np

from hpsearch.core.arrays import Array
from hpsearch.core.errors import DataError
from hpsearch.core.rules import brief
from hpsearch.training.base import Split

_MOST = 10_000  # pairs, as many as folds of a KFold


@dataclass(frozen=True, slots=True)
class GivenPairs:
    """Checked splits, shown by a digest of their rows: stores know by it whether they are the same.

    Args:
        mask_rows: how many rows the masks are of that they were given by; None: by numbers.
        independent_folds: as `count_independent_folds` has it.
    """

    splits: tuple[Split, ...] = field(compare=False)
    digest: str
    mask_rows: int | None
    independent_folds: float | None

    def __repr__(self) -> str:
        count = len(self.splits)
        return f"{count} pair{'s' if count > 1 else ''}, {self.digest}"

    def check_rows(self, label: str, rows: int) -> None:
        """Raise DataError where data of so many rows has not all of these. label: the evaluator's."""
        if self.mask_rows not in (None, rows):
            raise DataError(
                f"{label} has masks of {self.mask_rows} rows, and the data has {rows}; a mask needs "
                "a value for each row"
            )
        highest = max(int(part.max()) for s in self.splits for part in (s.train, s.validation))
        if highest >= rows:
            raise DataError(
                f"{label} names row {highest}, and the data has {rows} rows: 0 to {rows - 1}"
            )


def read_pairs(pairs: Iterable[Any]) -> GivenPairs:
    """Splits from (train, validation) pairs of row numbers, or of masks, each of shape (n,).

    Raises DataError where there is no pair, where one of its sides is empty or names no rows, and
    where a row is named twice in a pair.

    >>> read_pairs([([0, 1], [2]), ([1, 2], [0])])
    2 pairs, f6e3a3844df82f6b
    """
    splits, masks = [], set()
    for fold, pair in enumerate(_list_pairs(pairs)):
        sides = [np.asarray(_to_array(fold, side)) for side in pair]
        masks |= {len(side) if side.dtype == bool else None for side in sides}
        split = Split(
            *(np.flatnonzero(s) if s.dtype == bool else s.astype(np.int64) for s in sides)
        )
        _check_split(fold, split)
        splits.append(split)
    if not splits:
        raise DataError("no split is given at all; give at least one pair of (train, validation)")
    if len(masks) > 1:
        kinds = ", ".join(sorted("numbers" if n is None else f"a mask of {n} rows" for n in masks))
        raise DataError(f"all pairs must be given by numbers, or by masks of all rows, got {kinds}")
    return GivenPairs(tuple(splits), _digest(splits), masks.pop(), count_independent_folds(splits))


def count_independent_folds(splits: Iterable[Split]) -> float | None:
    """By how many folds the variance of the folds' mean is that of a fold.

    Where no row is validated twice, as many as there are. Where each validated row is so r times,
    as in repeated k-fold, a r-th: repeats bring no new rows. None where some rows are validated
    more often than others, as by random splits: no simple rule gives the error of their mean.

    >>> halves = [Split(np.array([0]), np.array([1])), Split(np.array([1]), np.array([0]))]
    >>> count_independent_folds(halves), count_independent_folds(halves * 3)
    (2.0, 2.0)
    """
    parts = [split.validation for split in splits]
    times = np.unique(np.concatenate(parts), return_counts=True)[1]
    return len(parts) / int(times[0]) if (times == times[0]).all() else None


def describe_rows_left_out(label: str, splits: Iterable[Split], rows: int) -> str:
    """What the user should know of rows that no split uses, or none validates on; else "".

    Args:
        label: the evaluator's.
        rows: of the data.
    """
    splits = list(splits)
    validated, trained = np.zeros(rows, bool), np.zeros(rows, bool)
    for split in splits:
        validated[split.validation] = True
        trained[split.train] = True
    unused = int((~validated & ~trained).sum())
    only_trained = int((~validated).sum()) - unused if len(splits) > 1 else 0
    found = [f"{unused} are not used at all"] if unused else []
    if only_trained:
        found.append(f"{only_trained} are in no validation part")
    return f"{label}: of {rows} rows, {' and '.join(found)}" if found else ""


def _list_pairs(pairs: Iterable[Any]) -> list[tuple[Any, Any]]:
    is_list = isinstance(pairs, Iterable) and getattr(pairs, "ndim", 1) != 0
    # Reading them may raise errors of their own; and some have no end.
    found = list(islice(pairs, _MOST + 1)) if is_list else [pairs]
    if len(found) > _MOST:
        raise DataError(f"give at most {_MOST:,} pairs (train, validation), got more")
    try:
        return [(train, validation) for train, validation in found]
    except (TypeError, ValueError) as error:
        raise DataError(
            "give a list of pairs (train, validation), each a list of row numbers or a mask, or a "
            f"scikit-learn splitter, got {brief(pairs)}"
        ) from error


def _to_array(fold: int, side: Any) -> Array:
    try:
        at = np.asarray(side)
    except (TypeError, ValueError):  # ragged
        at = np.zeros(())
    if at.ndim == 1 and at.size == 0:
        return np.zeros(0, np.int64)
    if at.ndim != 1 or at.dtype.kind not in "biu":
        raise DataError(
            f"fold {fold}: each side is a list of row numbers, or a mask of booleans, got "
            f"{brief(side)}; of a single pair: Given(train, validation)"
        )
    return at


def _check_split(fold: int, split: Split) -> None:
    train, validation = split.train, split.validation
    if not len(train) or not len(validation):
        raise DataError(
            f"fold {fold} has {len(train)} rows to train on and {len(validation)} to validate on; "
            "both need at least one"
        )
    for does, rows in (("trains", train), ("validates", validation)):
        if (lowest := int(rows.min())) < 0:
            raise DataError(f"fold {fold} {does} on row {lowest}; rows count from 0")
        values, times = np.unique(rows, return_counts=True)
        if (times > 1).any():
            raise DataError(
                f"fold {fold} {does} on row {values[times > 1][0]} more than once; name each row "
                "once, and let Data(sample_weight=) make it weigh more"
            )
    both = np.intersect1d(train, validation, assume_unique=True)
    if len(both):
        raise DataError(
            f"fold {fold} trains on row {both[0]} and validates on it too"
            + (f", and so on {len(both) - 1} more" if len(both) > 1 else "")
            + "; no row may be on both sides"
        )


def _digest(splits: Iterable[Split]) -> str:
    digest = hashlib.sha256()
    for split in splits:
        for rows in (split.train, split.validation):
            digest.update(f"{len(rows)};".encode())
            digest.update(np.ascontiguousarray(rows, np.int64).data)
    return digest.hexdigest()[:16]
