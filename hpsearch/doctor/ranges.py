"""Lines of a study: a range made wider, narrower, or a constant."""

import itertools
import math
import re
from dataclasses import replace
from typing import Any, Literal

from hpsearch.core.errors import SpaceError
from hpsearch.core.parameters import Choice, Float, Int, range_text
from hpsearch.core.space import Space
from hpsearch.doctor.surface import Parameter, ordered_options

Side = Literal["low", "high"]

# Of numbers by these names, 1 is a limit: a share of units, or of the past. So there is a most.
_SHARES = (
    (re.compile(r"drop", re.IGNORECASE), 0.8),
    (re.compile(r"momentum|beta|rho\b|^warmup$", re.IGNORECASE), 0.99),
    (re.compile(r"share|^decay$", re.IGNORECASE), 1.0),
)


def list_deciding(space: Space) -> set[str]:
    """The parameters by which others exist.

    Their ranges are written twice, in the conditions too, so that no line alone changes them.
    """
    return {parent for name in space for parent in space.conditions(name)}


def study_line(name: str, parameter: Parameter) -> str:
    """A parameter as a study's space has it.

    >>> study_line("units", Int(8, 64, log=True))
    'units=Int(8, 64, log=True)'
    """
    return f"{name}={range_text(parameter)}"


def widen(name: str, parameter: Parameter, side: Side) -> Parameter | None:
    """A range that goes on at one side; None where it cannot.

    A logarithmic Float goes on by a factor of 10, a logarithmic Int by one of 4, any other by its
    own length; numbers that are not negative stay so, and counts stay positive.

    >>> widen("learning_rate", Float(1e-4, 1e-2, log=True), "high")
    Float(low=0.0001, high=0.1, log=True, step=None, when=None)
    >>> widen("dropout", Float(0.0, 0.5), "low"), widen("units", Int(1, 4), "low")
    (None, None)
    >>> widen("batch_size", Choice(32, 64, 128), "low").options
    (16, 32, 64, 128)
    """
    if isinstance(parameter, Choice):
        return _extend_options(name, parameter, side)
    end = _next_end(name, parameter, side)
    if end == getattr(parameter, side):
        return None
    try:
        return replace(parameter, low=end) if side == "low" else replace(parameter, high=end)  # type: ignore[arg-type]
    except SpaceError:  # too wide for floats
        return None


def _next_end(name: str, parameter: Float | Int, side: Side) -> float:
    low, high = parameter.low, parameter.high
    whole = isinstance(parameter, Int)
    if parameter.log:
        factor = 4 if whole else 10
        end = high * factor if side == "high" else (low / factor if not whole else low // factor)
    else:
        length = high - low
        step = parameter.step or (1 if whole else 0)
        end = high + length if side == "high" else low - length
        least = 0 if low == 0 or not whole else 1
        if side == "low" and low >= 0 and end < least:
            # In whole steps, as the range has them.
            end = low - math.floor((low - least) / step + 1e-9) * step if step else least
    if whole:
        return max(int(end), 1) if low >= 1 else int(end)
    most = _find_most(name)
    if side == "high" and most is not None and 0 <= low and high < 1 and end > most:
        steps = parameter.step
        end = most if steps is None else high + math.floor((most - high) / steps) * steps
        end = max(high, end)
    return float(f"{end:.6g}")


def _find_most(name: str) -> float | None:
    """The most that a number of this name can be; None where it has no such limit."""
    return next((share for names, share in _SHARES if names.search(name)), None)


def _extend_options(name: str, parameter: Choice, side: Side) -> Parameter | None:
    """The options of numbers with one more, by their ratio where that is the same, else distance."""
    options: list[Any] | None = ordered_options(parameter)
    if options is None:
        return None
    first, second = (options[0], options[1]) if side == "low" else (options[-1], options[-2])
    ratios = {round(b / a, 6) for a, b in itertools.pairwise(options) if a > 0}
    if len(ratios) == 1 and options[0] > 0:
        new = float(f"{first * first / second:.6g}")
    else:
        new = 2 * first - second
    if all(isinstance(option, int) for option in options):
        if new != int(new):
            return None
        new = int(new)
    most = _find_most(name)
    if side == "high" and most is not None and 0 <= options[0] and options[-1] < 1:
        new = min(new, most)
        if new <= options[-1]:
            return None
    if new <= 0 < options[0] or new < 0 <= options[0] or new in options:
        return None
    return replace_options(parameter, [new, *options] if side == "low" else [*options, new])


def replace_options(parameter: Choice, options: list[Any]) -> Choice:
    """The same choice of other options."""
    return Choice(*options, when=parameter.when)


def cut(parameter: Parameter, side: Side, at: Any) -> Parameter | None:
    """A range without what lies beyond a value of it; None where nothing would be left of it.

    Args:
        side: which part goes.
        at: the value that stays, and ends the range.

    >>> cut(Int(8, 1024), "high", 512), cut(Choice(1, 2, 4), "low", 2).options
    (Int(low=8, high=512, log=False, step=None, when=None), (2, 4))
    """
    if isinstance(parameter, Choice):
        options: list[Any] | None = ordered_options(parameter)
        if options is None:
            return None
        kept = [o for o in options if (o <= at if side == "high" else o >= at)]
        return replace_options(parameter, kept) if kept else None
    end = at if isinstance(parameter, Int) else _round_inwards(float(at), side)
    low, high = (parameter.low, end) if side == "high" else (end, parameter.high)
    if parameter.step is not None:
        end = at
        low, high = (parameter.low, end) if side == "high" else (end, parameter.high)
    try:
        return replace(parameter, low=low, high=high)  # type: ignore[arg-type]
    except SpaceError:
        return None


def _round_inwards(value: float, side: Side) -> float:
    """A value to two digits, towards the part that stays."""
    if value == 0:
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(abs(value))) - 1)
    steps = math.floor(value / unit) if side == "high" else math.ceil(value / unit)
    return float(f"{steps * unit:.6g}")
