"""Figures as plotly.js takes them, and what all of them have in common.

Colours are names of the style sheet's variables ("var(--c1)"), which the page looks up, so that one
figure serves light and dark. Text is escaped: plotly.js would take some tags in it for markup.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

import pandas as pd

from hpsearch.results.scales import AxisScale

GREY, MUTED, WINNER = "var(--grey)", "var(--muted)", "var(--c2)"
COLOUR_SCALE = [[0, "var(--s0)"], [0.5, "var(--s1)"], [1, "var(--s2)"]]
_COLOURS, _DASHES = 6, ("solid", "dash", "dot", "dashdot")


@dataclass(frozen=True)
class Drawing:
    """One figure. height, width: pixels; where the window is narrower than width, it scrolls.

    alt_text: what is to be seen, for who cannot.
    """

    data: Sequence[dict[str, Any]]
    layout: dict[str, Any]
    alt_text: str
    height: int = 340
    width: int = 0


@dataclass(frozen=True)
class Section:
    """size: of its figures, "small", "half" or "full". notes: lines below; alone where the store has
    nothing to draw.
    """

    id: str
    title: str
    lead: str = ""
    drawings: Sequence[Drawing] = ()
    size: str = "half"
    notes: Sequence[str] = field(default_factory=tuple)


def palette_colour(number: int) -> str:
    """Of the palette, which starts again after its last."""
    return f"var(--c{number % _COLOURS + 1})"


def line_dash(number: int) -> str:
    """Tells lines of one colour apart."""
    return _DASHES[number // _COLOURS % len(_DASHES)]


def escape_markup(text: object) -> str:
    """A text that plotly.js shows as it is.

    >>> escape_markup("<b>x</b> & y")
    '&lt;b&gt;x&lt;/b&gt; &amp; y'
    """
    return str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def make_axis(title: str = "", **more: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"title": {"text": escape_markup(title)}} if title else {}
    return made | more


def scaled_axis(scale: AxisScale) -> dict[str, Any]:
    """An axis with these ticks and this range."""
    made: dict[str, Any] = {
        "tickvals": list(scale.ticks),
        "ticktext": [escape_markup(label) for label in scale.ticks.values()],
        "range": scale.range,
    }
    if scale.is_log:  # plotly.js takes the range of such an axis as powers of ten
        return made | {"type": "log", "range": [math.log10(end) for end in scale.range]}
    return made | {"zeroline": False}


def to_plain_numbers(value: Any) -> Any:
    """The value as JSON has it: numbers to six digits, what is not finite as null.

    >>> to_plain_numbers({"x": [1 / 3, float("nan"), 2]})
    {'x': [0.333333, None, 2]}
    """
    if isinstance(value, dict):
        return {key: to_plain_numbers(item) for key, item in value.items()}
    if isinstance(value, str | bool) or value is None:
        return value
    if value is pd.NA:
        return None
    if isinstance(value, Real):
        number = float(value)
        if not math.isfinite(number):
            return None
        return (
            int(number) if number.is_integer() and abs(number) < 2**53 else float(f"{number:.6g}")
        )
    return [to_plain_numbers(item) for item in value]


def trial_markers(x: Any, y: Any, trials: Any, **more: Any) -> dict[str, Any]:
    """A trace of trials, each told by its id when pointed at."""
    shown = "trial %{customdata}<br>%{x}<br>%{y:.4~g}<extra></extra>"
    return {
        "type": "scatter", "mode": "markers", "x": x, "y": y, "customdata": trials,
        "hovertemplate": shown, "showlegend": False,
    } | more  # fmt: skip
