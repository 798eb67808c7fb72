"""What the target of a table is: classes, of which one may be rare, or a number."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from hpsearch.core.arrays import Array
from hpsearch.core.errors import DataError
from hpsearch.starter.columns import Column
from hpsearch.tasks.table import symmetric_log

TargetKind = Literal["classification", "regression"]

_MOST_CLASSES = 30
_MOST_NUMERIC_CLASSES = 10  # a target with more different whole numbers is no classification
_SKEWED = 1.5  # a more skewed target is learned by its logarithm; an exponential one's is 2
_RARE = 0.2  # of two classes; of more, a third of an even share


@dataclass(frozen=True, slots=True)
class TargetDescription:
    """What the target is.

    Args:
        name: its column.
        classes: in the order of their numbers; of two, a rare one is the last. Empty: a number.
        rarest: how many rows the rarest class has.
        is_imbalanced: whether that is so few that always predicting another one looks good.
        is_skewed: whether the target is a number that is better learned by its logarithm.
        markers: the cells that are no numbers, where the target is a number.
    """

    name: str
    classes: tuple[str, ...] = ()
    rarest: int = 0
    is_imbalanced: bool = False
    is_skewed: bool = False
    markers: tuple[str, ...] = ()


def describe_target(column: Column, kind: TargetKind | None) -> TargetDescription:
    """What the target is; kind: what the user says, None: guess it.

    Raises DataError where it is neither a number nor classes.
    """
    distinct = len(column.distinct)
    if distinct < 2:
        raise DataError(
            f"{column.name!r} is {column.texts[0]!r} in all rows; there is nothing to predict"
        )
    if (kind or _guess_kind(column)) == "regression":
        return _describe_number(column)
    if distinct > min(_MOST_CLASSES, len(column.texts) // 2):
        raise DataError(
            f"{column.name!r} has {distinct} values in {len(column.texts)} rows, too many for "
            "classes; name another --target, or add --kind regression where the values are numbers"
        )
    names, counts = np.unique(column.texts.astype(str), return_counts=True)
    rows_of = dict(zip(map(str, names), map(int, counts), strict=True))
    classes, rarest = sorted(rows_of, key=_sort_key), min(rows_of.values())
    is_rare = rarest < len(column.texts) * (_RARE if distinct == 2 else 1 / (3 * distinct))
    if is_rare and distinct == 2:
        classes.sort(key=lambda name: -rows_of[name])  # average precision is that of the last
    return TargetDescription(column.name, tuple(classes), rarest, is_rare)


def _describe_number(column: Column) -> TargetDescription:
    numbers = column.values[np.isfinite(column.values)]
    if not len(numbers):
        raise DataError(f"{column.name!r} holds no numbers; a regression needs a target of numbers")
    return TargetDescription(
        column.name, is_skewed=is_skewed_target(numbers), markers=column.markers
    )


def _guess_kind(column: Column) -> TargetKind:
    numbers = column.values[np.isfinite(column.values)]
    if len(numbers) < 0.9 * len(column.texts):
        if column.dates is not None and len(column.distinct) > _MOST_NUMERIC_CLASSES:
            raise DataError(
                f"{column.name!r} holds times; to predict one, make a number of it, as days from now"
            )
        return "classification"
    whole = len(numbers) == len(column.texts) and (numbers == numbers.round()).all()
    few = len(column.distinct) <= min(_MOST_NUMERIC_CLASSES, len(column.texts) // 2)
    return "classification" if whole and few else "regression"


def is_skewed_target(values: Array) -> bool:
    """Whether values are skewed, and their logarithms at most half as much."""
    before = compute_skewness(values)
    after = compute_skewness(symmetric_log(values, np.median(np.abs(values))))
    return abs(before) > _SKEWED and abs(after) < abs(before) / 2


def compute_skewness(values: Array) -> float:
    """The third standardised moment; 0 where all values are equal."""
    centred = values - values.mean()
    spread = float(np.sqrt((centred**2).mean()))
    return float((centred**3).mean()) / spread**3 if spread > 0 else 0.0


def _sort_key(value: str) -> tuple[bool, float, str]:
    """Numbers by size, and text after them."""
    try:
        return False, float(value), value
    except ValueError:
        return True, 0.0, value
