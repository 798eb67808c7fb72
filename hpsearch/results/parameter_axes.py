"""Positions of parameters' values on axes, labels of these axes, and how points differ."""

import math
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hpsearch.core.parameters import Choice, Float, Int, short_text, typed_key
from hpsearch.core.space import Space
from hpsearch.results.scales import AxisScale, log_scale
from hpsearch.results.trial_filters import PARAMS, parameter_names

Parameter = Float | Int | Choice
Positions = NDArray[np.float64]

_FEW_INTEGERS = 12  # with fewer values than this, trials that share one are drawn apart


def varying_parameters(trials: pd.DataFrame, space: Space) -> list[str]:
    """The parameters that differ between trials, in the space's order."""
    present = set(parameter_names(trials))
    return [n for n in space if n in present and trials[PARAMS + n].nunique(dropna=False) > 1]


def axis_position(parameter: Parameter, value: Any) -> float:
    """A value's position on its axis: an option's is its number; NaN where there is no value.

    >>> axis_position(Choice(True, 1), 1), axis_position(Int(1, 9), 3)
    (1.0, 3.0)
    >>> axis_position(Float(0.0, 1.0), None)
    nan
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return math.nan
    return float(option_index(parameter, value) if isinstance(parameter, Choice) else value)


def option_index(parameter: Choice, value: Any) -> int:
    """The number of an option, also where a frame's column turned a whole number into a float."""
    keys = [typed_key(option) for option in parameter.options]
    return (
        keys.index(typed_key(value)) if typed_key(value) in keys else parameter.options.index(value)
    )


def unit_position(parameter: Parameter, value: Any) -> float:
    """A value's position on its axis scaled to [0, 1]; NaN where there is no value.

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
    """Labels of an axis scaled to [0, 1]: all options, or the ends and the middle.

    >>> axis_labels(Float(0.01, 1.0, log=True))
    [(0.0, '0.01'), (0.5, '0.1'), (1.0, '1')]
    """
    if isinstance(parameter, Choice):
        return [(unit_position(parameter, each), short_text(each)) for each in parameter.options]
    low, high = float(parameter.low), float(parameter.high)
    middle = math.sqrt(low * high) if parameter.log else (low + high) / 2
    return [(0.0, f"{low:.3g}"), (0.5, f"{middle:.3g}"), (1.0, f"{high:.3g}")]


def parameter_scale(parameter: Parameter) -> AxisScale | None:
    """How a parameter's axis is labelled; None: as the plotting library labels a linear axis.

    >>> parameter_scale(Choice("a", "b"))
    AxisScale(ticks={0: 'a', 1: 'b'}, range=(-0.6, 1.6), is_log=False)
    """
    if isinstance(parameter, Choice):
        ticks: dict[float, str] = {
            number: short_text(option) for number, option in enumerate(parameter.options)
        }
        return AxisScale(ticks, (-0.6, len(ticks) - 0.4))
    return log_scale(parameter.low, parameter.high) if parameter.log else None


def has_few_integers(parameter: Parameter) -> TypeGuard[Int]:
    """Whether it is a linear range of so few whole numbers that many trials share each."""
    return (
        isinstance(parameter, Int)
        and not parameter.log
        and parameter.high - parameter.low < _FEW_INTEGERS
    )


def jittered_positions(parameter: Parameter, values: "pd.Series[Any]") -> Positions:
    """Positions of trials' values on an axis; where many trials share one, spread a little."""
    at = np.array([axis_position(parameter, value) for value in values])
    shared = isinstance(parameter, Choice) or has_few_integers(parameter)
    return at + 0.4 * _jitter(values.index) if shared else at


def parallel_positions(trials: pd.DataFrame, space: Space, names: Sequence[str]) -> Positions:
    """Positions of trials on parallel axes scaled to [0, 1]; options are spread a little.

    Shape (trials, parameters); NaN where a trial lacks the parameter.
    """
    columns = [
        jittered_unit_positions(space[name], trials[PARAMS + name])
        if PARAMS + name in trials
        else np.full(len(trials), np.nan)
        for name in names
    ]
    return np.array(columns).reshape(len(names), len(trials)).T


def jittered_unit_positions(parameter: Parameter, values: "pd.Series[Any]") -> Positions:
    """Positions of trials' values on an axis scaled to [0, 1]; options are spread a little."""
    at = np.array([unit_position(parameter, value) for value in values])
    return at + 0.06 * _jitter(values.index) if isinstance(parameter, Choice) else at


def _jitter(trials: "pd.Index[Any]") -> Positions:
    """A number from -0.5 to 0.5 for each trial, always the same."""
    return np.array([zlib.crc32(str(trial).encode()) / 2**32 - 0.5 for trial in trials])


def describe_differences(points: Mapping[int, Mapping[str, Any]]) -> dict[int, str]:
    """The parameters in which points differ, one line a trial; empty where none do.

    >>> describe_differences({1: {"units": 8, "l2": 0.1, "bias": 1}, 2: {"units": 9, "bias": 1}})
    {1: 'units=8 l2=0.1', 2: 'units=9'}
    """
    names = dict.fromkeys(name for point in points.values() for name in point)
    differing = [
        name
        for name in names
        if len({typed_key(point[name]) if name in point else None for point in points.values()}) > 1
    ]
    return {
        trial: " ".join(f"{name}={short_text(point[name])}" for name in differing if name in point)
        for trial, point in points.items()
    }
