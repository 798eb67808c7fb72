"""The ranges that a space consists of: Float, Int and Choice."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

from hpsearch.core.errors import SpaceError
from hpsearch.core.rules import brief, can_be_written, to_builtin, why_no_name, why_no_number

Value = float | int | str | bool
GRID_LIMIT = 100_000  # the most values of one range, and the most combinations of all
When = Mapping[str, Any] | None

_EXACT = 2**53  # floats hold all whole numbers up to here, and points are made from floats
_KINDS = (bool, int, float, str)


class Parameter(Protocol):
    """What every range can do. A unit value u lies in [0, 1]."""

    @property
    def when(self) -> When: ...
    def decode(self, u: float) -> Value:
        """The value at u. Each value of a discrete range has an interval of equal length."""

    def encode(self, value: Any) -> float:
        """The inverse of `decode`; for a discrete range, the middle of the value's interval."""

    def contains(self, value: Any) -> bool: ...
    def nearest(self, value: Any) -> Value | None:
        """The value of the range that is nearest to another; None where none is near."""

    def grid(self, points: int | None) -> list[Value]:
        """At most `points` values, spread over the range; None: all of a discrete range."""


@dataclass(frozen=True, slots=True)
class Float:
    """A real number in [low, high].

    Args:
        log: uniform in the logarithm.
        step: only low, low + step, low + 2 * step...
        when: `{"optimizer": "sgd"}` makes it exist only where `optimizer` is `"sgd"`; a tuple or
            range names several values.
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None
    when: When = None

    def __post_init__(self) -> None:
        _check_range(self)
        if self.step is not None:
            last = self._at(self._steps - 1)
            if self.high - last > 1e-6 * self.step:
                raise SpaceError(
                    f"{range_text(self)}: high - low is not a whole number of steps; "
                    f"use high={last}"
                )

    @property
    def _steps(self) -> int:
        assert self.step is not None
        return math.floor((self.high - self.low) / self.step + 1e-9) + 1

    def _at(self, index: int) -> float:
        # By Decimal, so that 0.1 + 2 * 0.1 is shown as 0.3.
        return float(Decimal(str(self.low)) + index * Decimal(str(self.step)))

    def decode(self, u: float) -> float:
        if self.step is not None:
            return self._at(_index(u, self._steps))
        if self.log and 0.0 < u < 1.0:  # not at the ends, which logarithms would not give exactly
            a, b = math.log(self.low), math.log(self.high)
            return _clip(math.exp(a + u * (b - a)), self.low, self.high)
        return _clip(self.low + u * (self.high - self.low), self.low, self.high)

    def encode(self, value: Any) -> float:
        if self.step is not None:
            return float(round((value - self.low) / self.step) + 0.5) / self._steps
        if self.low == self.high:
            return 0.5
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return float(value - self.low) / (self.high - self.low)

    def contains(self, value: Any) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        if not self.low <= value <= self.high:
            return False
        return self.step is None or math.isclose(self.decode(self.encode(value)), value)

    def nearest(self, value: Any) -> Value | None:
        if why_no_number(value):
            return None
        inside = _clip(value, self.low, self.high)
        return inside if self.step is None else self._at(round((inside - self.low) / self.step))

    def grid(self, points: int | None) -> list[Value]:
        if self.step is not None:
            return [self._at(index) for index in _pick_spread(self, range(self._steps), points)]
        if self.low == self.high:
            return [float(self.low)]
        if points is None:
            raise SpaceError(
                f"a grid over {range_text(self)} needs a number of points: Grid(points=5), "
                "or a step"
            )
        _check_grid(self, points)
        return [self.decode(i / (points - 1) if points > 1 else 0.5) for i in range(points)]


@dataclass(frozen=True, slots=True)
class Int:
    """A whole number in [low, high].

    Args:
        log: uniform in the logarithm.
        step: only low, low + step, low + 2 * step...
        when: as for `Float`.
    """

    low: int
    high: int
    log: bool = False
    step: int | None = None
    when: When = None

    def __post_init__(self) -> None:
        _check_range(self)
        if (self.high - self.low) % (self.step or 1):
            raise SpaceError(
                f"{range_text(self)}: high - low is not a whole number of steps; "
                f"use high={self.decode(1.0)}"
            )

    @property
    def _values(self) -> range:
        return range(self.low, self.high + 1, self.step or 1)

    def decode(self, u: float) -> int:
        if not self.log:
            return self._values[_index(u, len(self._values))]
        # Half a unit beyond each end, so that both ends get the share of other values.
        a, b = math.log(self.low - 0.5), math.log(self.high + 0.5)
        return int(_clip(round(math.exp(a + u * (b - a))), self.low, self.high))

    def encode(self, value: Any) -> float:
        if not self.log:
            return (self._values.index(value) + 0.5) / len(self._values)
        a, b = math.log(self.low - 0.5), math.log(self.high + 0.5)
        return (math.log(value) - a) / (b - a)

    def contains(self, value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and value in self._values

    def nearest(self, value: Any) -> Value | None:
        if why_no_number(value):
            return None
        inside = _clip(value, self.low, self.high)
        return self._values[round((inside - self.low) / (self.step or 1))]

    def grid(self, points: int | None) -> list[Value]:
        if points is None or not self.log:
            return list(_pick_spread(self, self._values, points))
        ends = Float(self.low, self.high, log=True).grid(points)
        return list(dict.fromkeys(round(float(value)) for value in ends))


@dataclass(frozen=True, slots=True, init=False)
class Choice:
    """One of several options, without an order: strings, numbers or booleans.

    Args:
        when: as for `Float`.
    """

    options: tuple[Value, ...]
    when: When = None

    def __init__(self, *options: Value, when: When = None) -> None:
        object.__setattr__(self, "options", tuple(map(to_builtin, options)))
        object.__setattr__(self, "when", when)
        if not options:
            raise SpaceError("a Choice needs at least one option: Choice('adam', 'sgd')")
        for option in self.options:
            if why := _why_no_option(option):
                raise SpaceError(
                    f"Choice takes {why}, got {brief(option)}; name it by a string and "
                    "look it up in build"
                )
        _check_condition(self)
        if len({typed_key(option) for option in self.options}) < len(options):
            raise SpaceError(f"{brief(self)}: an option occurs twice")

    def decode(self, u: float) -> Value:
        return self.options[_index(u, len(self.options))]

    def encode(self, value: Any) -> float:
        index = [typed_key(option) for option in self.options].index(typed_key(value))
        return (index + 0.5) / len(self.options)

    def contains(self, value: Any) -> bool:
        return type(value) in _KINDS and typed_key(value) in {
            typed_key(option) for option in self.options
        }

    def nearest(self, value: Any) -> Value | None:
        """The value itself where it is an option: other options are not nearer than others."""
        return to_builtin(value) if self.contains(to_builtin(value)) else None

    def grid(self, points: int | None) -> list[Value]:
        return list(self.options)


def _check_range(parameter: Float | Int) -> None:
    kind = type(parameter).__name__
    for name in ("low", "high", "step"):
        value = to_builtin(getattr(parameter, name))
        object.__setattr__(parameter, name, value)
        if name == "step" and value is None:
            continue
        if kind == "Int" and (isinstance(value, bool) or not isinstance(value, int)):
            raise SpaceError(f"Int: {name} must be a whole number, got {brief(value)}")
        if kind == "Int" and abs(value) > _EXACT:
            raise SpaceError(f"Int: {name} must lie within 2**53 of 0, got {brief(value)}")
        if why := why_no_number(value):
            raise SpaceError(f"{kind}: {name} must be {why}, got {brief(value)}")
    if not isinstance(parameter.log, bool):
        raise SpaceError(f"{kind}: log is True or False, got {brief(parameter.log)}")
    _check_condition(parameter)
    text, low, high, step = range_text(parameter), parameter.low, parameter.high, parameter.step
    if low > high:
        raise SpaceError(f"{text}: low must not be above high; swap them")
    if parameter.log and low <= 0:
        raise SpaceError(f"{text}: a log range needs low > 0; raise low, or drop log=True")
    if math.isinf(float(high) - float(low)) or (parameter.log and math.isinf(high / low)):
        raise SpaceError(f"{text}: the range is too wide for floats; narrow it")
    if step is not None and step <= 0:
        raise SpaceError(f"{text}: step must be above 0; drop it for a continuous range")
    if step is not None and parameter.log:
        raise SpaceError(f"{text}: log and step cannot be combined; drop one, or use Choice")
    if step is not None and (high - low) / step > _EXACT:
        raise SpaceError(f"{text}: more than 2**53 steps; drop step for a continuous range")


def _check_condition(parameter: "Float | Int | Choice") -> None:
    when = parameter.when
    if when is not None and not isinstance(when, Mapping):
        raise SpaceError(f"when= is a dict, as {{'optimizer': 'sgd'}}, got {brief(when)}")
    for parent in when or {}:
        if why := why_no_name(parent):
            raise SpaceError(f"when= names a parameter by {why}, got {brief(parent)}")


def _why_no_option(option: Any) -> str:
    if type(option) is str:
        return "" if can_be_written(option) else "strings without surrogates"
    if type(option) in (bool, int):
        return "whole numbers of 64 bits" if abs(option) >= 2**63 else ""
    finite = type(option) is float and math.isfinite(option)
    return "" if finite else "strings, finite numbers and booleans"


def _index(u: float, count: int) -> int:
    return min(int(u * count), count - 1)


def _clip(value: float, low: float, high: float) -> float:
    return float(min(max(value, low), high))


def _check_grid(parameter: Float | Int, count: int) -> None:
    if count > GRID_LIMIT:
        raise SpaceError(
            f"a grid over {range_text(parameter)} would have {count:,} values; give "
            f"Grid(points=...) of at most {GRID_LIMIT:,}, or use Random"
        )


def _pick_spread(parameter: Float | Int, values: range, points: int | None) -> Sequence[int]:
    """At most so many values of a discrete range, with both of its ends."""
    if points is None or points >= len(values):
        _check_grid(parameter, len(values))
        return values
    _check_grid(parameter, points)
    if points == 1:
        return [values[len(values) // 2]]
    return [values[round(i * (len(values) - 1) / (points - 1))] for i in range(points)]


def typed_key(value: Any) -> tuple[str, Any]:
    """A key that differs for True, 1 and 1.0, which are equal in Python."""
    return type(value).__name__, value


def range_text(parameter: Float | Int | Choice, *, condition: bool = True) -> str:
    """A range as a user writes it: `Float(0.1, 0.5)`.

    Args:
        condition: whether to show when it exists.
    """
    shown = parameter.when if condition else None
    if isinstance(parameter, Choice):
        when = f", when={shown!r}" if shown else ""
        return f"Choice({', '.join(repr(o) for o in parameter.options)}{when})"
    values: dict[str, Any] = {"log": parameter.log or None, "step": parameter.step}
    values["when"] = shown
    rest = "".join(f", {name}={value!r}" for name, value in values.items() if value is not None)
    return f"{type(parameter).__name__}({parameter.low}, {parameter.high}{rest})"


def point_text(params: Mapping[str, Any]) -> str:
    """A point in one line: numbers to four digits, names in alphabetical order.

    >>> point_text({"optimizer": "adam", "dropout": 0.123456})
    'dropout=0.1235 optimizer=adam'
    """
    return " ".join(f"{name}={short_text(value)}" for name, value in sorted(params.items()))


def short_text(value: Any) -> str:
    """A value as text; a float to four digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
