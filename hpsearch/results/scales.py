"""Scales of axes: which values are worth one, where it is labelled, and how."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from hpsearch.results.trial_filters import is_maximised

_FEW = 60  # times the lowest: with a wider range, ticks are at powers of ten alone


def value_range(trials: pd.DataFrame) -> tuple[float, float]:
    """The lowest and highest value worth a scale: not those far worse than the others.

    Far is more than three times the distance between the quartiles beyond the worse of them.
    """
    values = trials["value"]
    lower, upper = values.quantile([0.25, 0.75])
    reach = 3 * (upper - lower)
    if is_maximised(trials):
        return float(values[values >= lower - reach].min()), float(values.max())
    return float(values.min()), float(values[values <= upper + reach].max())


def best_so_far_range(trials: pd.DataFrame) -> tuple[float, float]:
    """The scale for the best so far: the worst fifth of the values is left outside."""
    low, high = trials["value"].quantile([0.2, 1.0] if is_maximised(trials) else [0.0, 0.8])
    return float(low), float(high)


def curve_range(
    curves: Iterable[Sequence[float]], marked: Iterable[float], *, rising: bool
) -> tuple[float, float]:
    """The scale for curves that begin badly: without their first fifth, and the worst of the rest.

    marked: values that are on it in any case. rising: whether the highest value is best.
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
    """With room at both ends.

    >>> add_margin(0.0, 1.0, 0.1), add_margin(2.0, 2.0, 0.5)
    ((-0.1, 1.1), (1.0, 3.0))
    """
    room = part * (high - low) or part * abs(high) or 1.0
    return low - room, high + room


def value_labels(trials: pd.DataFrame) -> list[tuple[float, str]]:
    """Labels along `value_range`, as it lies on [0, 1]; where values are beyond an end, it says so."""
    low, high = value_range(trials)
    made = [(at, f"{low + at * (high - low):.4g}") for at in (0.0, 0.25, 0.5, 0.75, 1.0)]
    if trials["value"].min() < low:
        made[0] = 0.0, f"≤ {made[0][1]}"
    if trials["value"].max() > high:
        made[-1] = 1.0, f"≥ {made[-1][1]}"
    return made


def scale_values(trials: pd.DataFrame) -> "np.ndarray[Any, np.dtype[np.float64]]":
    """Values as they lie on `value_range`, [0, 1]; those beyond its ends at them."""
    low, high = value_range(trials)
    values = trials["value"].to_numpy(dtype=np.float64)
    return np.asarray((np.clip(values, low, high) - low) / ((high - low) or 1.0))


def log_ticks(low: float, high: float) -> dict[float, str]:
    """Of a logarithmic axis: powers of ten, five at most, and where there is room 2 and 5 too.

    >>> list(log_ticks(0.001, 0.01).values())
    ['0.001', '0.002', '0.005', '0.01']
    >>> list(log_ticks(1e-5, 0.1).values())
    ['1e-5', '0.0001', '0.001', '0.01', '0.1']
    """
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    steps = (1, 2, 5) if high / low < _FEW else (1,)
    made = [n * 10.0**power for power in range(first, last + 1, -(-(last - first) // 4) or 1)
            for n in steps]  # fmt: skip
    room = (high / low) ** 0.05
    return {
        at: format_round(at)
        for at in made
        if low / room <= at * 1.001 and at * 0.999 <= high * room
    }


def format_round(number: float) -> str:
    """A round number as briefly as it can be read.

    >>> format_round(0.001), format_round(200.0), format_round(20000.0), format_round(5e6), format_round(1e-05)
    ('0.001', '200', '20k', '5M', '1e-5')
    """
    for least, size, letter in ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if abs(number) >= least:
            return f"{number / size:g}{letter}"
    return f"{number:g}".replace("e-0", "e-")
