"""Scales of axes: which range an axis shows, and where and how it is labelled."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from hpsearch.results.trial_filters import is_maximised

_NARROW = 60  # highest / lowest; with a wider range, ticks are at powers of ten only
_LOG_MARGIN = 0.05  # at both ends of a logarithmic axis, as a part of it


@dataclass(frozen=True, slots=True)
class AxisScale:
    """How an axis is labelled, for any plotting library.

    Args:
        ticks: labels by their positions.
        range: the first and last position that is shown.
        is_log: whether the axis is logarithmic.
    """

    ticks: Mapping[float, str]
    range: tuple[float, float]
    is_log: bool = False


def log_scale(low: float, high: float) -> AxisScale:
    """A logarithmic axis that shows values from low to high, both above 0."""
    margin = (high / low) ** _LOG_MARGIN if high > low else 1.5
    return AxisScale(log_ticks(low, high), (low / margin, high * margin), is_log=True)


def value_range(trials: pd.DataFrame) -> tuple[float, float]:
    """The lowest and highest value that an axis shows: all but those far worse than the others.

    Far worse is more than three times the distance between the quartiles beyond the worse quartile.
    """
    values = trials["value"]
    lower, upper = values.quantile([0.25, 0.75])
    reach = 3 * (upper - lower)
    if is_maximised(trials):
        return float(values[values >= lower - reach].min()), float(values.max())
    return float(values.min()), float(values[values <= upper + reach].max())


def is_off_scale(trials: pd.DataFrame) -> "pd.Series[bool]":
    """For each trial, whether its value is outside `value_range`."""
    return ~trials["value"].between(*value_range(trials))


def best_so_far_range(trials: pd.DataFrame) -> tuple[float, float]:
    """The range of an axis for the best so far: all but the worst fifth of the values."""
    low, high = trials["value"].quantile([0.2, 1.0] if is_maximised(trials) else [0.0, 0.8])
    return float(low), float(high)


def curve_range(
    curves: Iterable[Sequence[float]], marked: Iterable[float], *, rising: bool
) -> tuple[float, float]:
    """The range of an axis for learning curves, most of which begin badly.

    It leaves out the first fifth of each curve and the worst 4 % of the remaining values.

    Args:
        curves: a value an epoch.
        marked: values that the axis shows in any case.
        rising: whether the highest value is best.
    """
    late = sorted(v for curve in curves for v in curve[len(curve) // 5 :] if math.isfinite(v))
    cut = len(late) // 25
    return finite_range([*(late[cut:] if rising else late[: len(late) - cut]), *marked])


def finite_range(values: Iterable[float]) -> tuple[float, float]:
    """The lowest and highest finite value.

    >>> finite_range([2.0, math.nan, 1.0])
    (1.0, 2.0)
    """
    finite = [value for value in values if math.isfinite(value)]
    return min(finite), max(finite)


def add_margin(low: float, high: float, part: float = 0.06) -> tuple[float, float]:
    """Widen a range at both ends by a part of it.

    >>> add_margin(0.0, 1.0, 0.1), add_margin(2.0, 2.0, 0.5)
    ((-0.1, 1.1), (1.0, 3.0))
    """
    margin = part * (high - low) or part * abs(high) or 1.0
    return low - margin, high + margin


def value_labels(trials: pd.DataFrame) -> list[tuple[float, str]]:
    """Labels of `value_range` scaled to [0, 1]; "≤" or "≥" where some values are beyond an end."""
    low, high = value_range(trials)
    labels = [(at, f"{low + at * (high - low):.4g}") for at in (0.0, 0.25, 0.5, 0.75, 1.0)]
    if trials["value"].min() < low:
        labels[0] = 0.0, f"≤ {labels[0][1]}"
    if trials["value"].max() > high:
        labels[-1] = 1.0, f"≥ {labels[-1][1]}"
    return labels


def scale_values(trials: pd.DataFrame) -> "np.ndarray[Any, np.dtype[np.float64]]":
    """Values scaled so that `value_range` is [0, 1]; values beyond an end are put on it."""
    low, high = value_range(trials)
    values = trials["value"].to_numpy(dtype=np.float64)
    return np.asarray((np.clip(values, low, high) - low) / ((high - low) or 1.0))


def log_ticks(low: float, high: float) -> dict[float, str]:
    """Ticks of a logarithmic axis: at most five powers of ten; on a narrow one, at 2 and 5 too.

    >>> list(log_ticks(0.001, 0.01).values())
    ['0.001', '0.002', '0.005', '0.01']
    >>> list(log_ticks(1e-5, 0.1).values())
    ['1e-5', '0.0001', '0.001', '0.01', '0.1']
    """
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    factors = (1, 2, 5) if high / low < _NARROW else (1,)
    powers = range(first, last + 1, -(-(last - first) // 4) or 1)
    candidates = [factor * 10.0**power for power in powers for factor in factors]
    margin = (high / low) ** _LOG_MARGIN
    return {
        at: format_round(at)
        for at in candidates
        if low / margin <= at * 1.001 and at * 0.999 <= high * margin
    }


def format_round(number: float) -> str:
    """A round number in few characters.

    >>> [format_round(number) for number in (0.001, 200.0, 20000.0, 5e6, 1e-05)]
    ['0.001', '200', '20k', '5M', '1e-5']
    """
    for least, size, letter in ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if abs(number) >= least:
            return f"{number / size:g}{letter}"
    return f"{number:g}".replace("e-0", "e-")
