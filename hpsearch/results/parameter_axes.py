"""Where points lie: the places of parameters' values on axes, and what tells points apart."""

import math
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from hpsearch.core.parameters import Choice, Float, Int, short, typed
from hpsearch.core.space import Space
from hpsearch.results.trial_filters import PARAMS, parameter_names

Parameter = Float | Int | Choice


def varying_parameters(trials: pd.DataFrame, space: Space) -> list[str]:
    """The parameters that differ between trials, in the space's order."""
    there = set(parameter_names(trials))
    return [n for n in space if n in there and trials[PARAMS + n].nunique(dropna=False) > 1]


def axis_position(parameter: Parameter, value: Any) -> float:
    """Where a value lies on its axis: an option by its number; NaN where there is none.

    >>> axis_position(Choice(True, 1), 1), axis_position(Int(1, 9), 3), axis_position(Float(0.0, 1.0), None)
    (1.0, 3.0, nan)
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return math.nan
    return float(option_index(parameter, value) if isinstance(parameter, Choice) else value)


def option_index(parameter: Choice, value: Any) -> int:
    """The number of an option. A frame's column may have made a float of a whole number."""
    keys = [typed(option) for option in parameter.options]
    return keys.index(typed(value)) if typed(value) in keys else parameter.options.index(value)


def unit_position(parameter: Parameter, value: Any) -> float:
    """Where a value lies on its axis, from 0 to 1; NaN where there is none.

    >>> unit_position(Choice("a", "b", "c"), "b"), unit_position(Float(0.01, 1.0, log=True), 0.1)
    (0.5, 0.5)
    """
    at = axis_position(parameter, value)
    if isinstance(parameter, Choice):
        low, high = 0.0, len(parameter.options) - 1.0
    else:
        low, high = float(parameter.low), float(parameter.high)
        if parameter.log:
            at, low, high = math.log(at), math.log(low), math.log(high)
    return (at - low) / (high - low) if high > low else 0.5 + 0.0 * at


def axis_labels(parameter: Parameter) -> list[tuple[float, str]]:
    """Where an axis from 0 to 1 is labelled, and how: each option, or the ends and the middle.

    >>> axis_labels(Float(0.01, 1.0, log=True))
    [(0.0, '0.01'), (0.5, '0.1'), (1.0, '1')]
    """
    if isinstance(parameter, Choice):
        return [(unit_position(parameter, each), short(each)) for each in parameter.options]
    low, high = float(parameter.low), float(parameter.high)
    middle = math.sqrt(low * high) if parameter.log else (low + high) / 2
    return [(0.0, f"{low:.3g}"), (0.5, f"{middle:.3g}"), (1.0, f"{high:.3g}")]


def jittered_positions(
    parameter: Parameter, values: "pd.Series[Any]"
) -> "np.ndarray[Any, np.dtype[np.float64]]":
    """The places of trials' values; where many share one, they are spread a little, by their ids."""
    at = np.array([axis_position(parameter, value) for value in values])
    few = isinstance(parameter, Choice) or (
        isinstance(parameter, Int) and not parameter.log and parameter.high - parameter.low < 12
    )
    return at + 0.4 * _spread(values.index) if few else at


def jittered_unit_positions(
    parameter: Parameter, values: "pd.Series[Any]"
) -> "np.ndarray[Any, np.dtype[np.float64]]":
    """The same from 0 to 1: as `unit_position` has them, options spread a little."""
    at = np.array([unit_position(parameter, value) for value in values])
    return at + 0.06 * _spread(values.index) if isinstance(parameter, Choice) else at


def _spread(trials: "pd.Index[Any]") -> "np.ndarray[Any, np.dtype[np.float64]]":
    """A number from -0.5 to 0.5 for each trial, always the same."""
    return np.array([zlib.crc32(str(trial).encode()) / 2**32 - 0.5 for trial in trials])


def describe_differences(points: Mapping[int, Mapping[str, Any]]) -> dict[int, str]:
    """What tells trials' points from each other, in one line each; maybe empty.

    >>> describe_differences({1: {"units": 8, "l2": 0.1}, 2: {"units": 9, "l2": 0.1}, 3: {"units": 9}})
    {1: 'units=8 l2=0.1', 2: 'units=9 l2=0.1', 3: 'units=9'}
    """
    names = dict.fromkeys(name for point in points.values() for name in point)
    unlike = [
        name
        for name in names
        if len({typed(point[name]) if name in point else None for point in points.values()}) > 1
    ]
    return {
        trial: " ".join(f"{name}={short(point[name])}" for name in unlike if name in point)
        for trial, point in points.items()
    }
