"""Figures as plotly.js takes them, and what all of them share.

Colours are variables of the style sheet, as "var(--c1)". The page looks them up, so that one figure
serves the light and the dark theme. Text is escaped, because plotly.js interprets some tags in it.
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
    """One figure.

    Args:
        data, layout: as plotly.js takes them.
        alt_text: what the figure shows, for screen readers.
        height: in pixels.
        width: the least, in pixels; in a narrower window the figure scrolls.
    """

    data: Sequence[dict[str, Any]]
    layout: dict[str, Any]
    alt_text: str
    height: int = 340
    width: int = 0


@dataclass(frozen=True)
class Section:
    """One section of the page.

    Args:
        lead: a paragraph above the figures.
        drawings: none where the store has nothing to draw.
        size: of the figures, "small", "half" or "full".
        notes: lines below the figures.
    """

    id: str
    title: str
    lead: str = ""
    drawings: Sequence[Drawing] = ()
    size: str = "half"
    notes: Sequence[str] = field(default_factory=tuple)


def palette_colour(number: int) -> str:
    """A colour of the palette, which starts again after its last."""
    return f"var(--c{number % _COLOURS + 1})"


def line_dash(number: int) -> str:
    """A dash pattern, which distinguishes lines of one colour."""
    return _DASHES[number // _COLOURS % len(_DASHES)]


def escape_markup(text: object) -> str:
    """Escape a text so that plotly.js shows it as it is.

    >>> escape_markup("<b>x</b> & y")
    '&lt;b&gt;x&lt;/b&gt; &amp; y'
    """
    return str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def make_axis(title: str = "", **more: Any) -> dict[str, Any]:
    """An axis with this title. more: its other settings in plotly.js."""
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
    """Make a value plain JSON: numbers with six digits, numbers that are not finite as null.

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
    """A trace of trials as dots; pointing at a dot shows the trial's id."""
    shown = "trial %{customdata}<br>%{x}<br>%{y:.4~g}<extra></extra>"
    return {
        "type": "scatter", "mode": "markers", "x": x, "y": y, "customdata": trials,
        "hovertemplate": shown, "showlegend": False,
    } | more  # fmt: skip
