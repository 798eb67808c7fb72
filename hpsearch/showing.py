"""Pieces of HTML in which objects show themselves in notebooks; the standard library is enough."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

_LEFT = "text-align:left;vertical-align:top;padding:2px 12px 2px 0"


def table(names: Sequence[str], rows: Iterable[Sequence[Any]], caption: str = "") -> str:
    """A table; every text in it is escaped.

    >>> table(["a"], [["<b>"]])
    '<table><thead>...<td style="...">&lt;b&gt;</td></tr></tbody></table>'
    """
    head = "".join(f'<th style="{_LEFT}">{escape(name)}</th>' for name in names)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    title = f'<caption style="{_LEFT}">{escape(caption)}</caption>' if caption else ""
    first = f"<thead><tr>{head}</tr></thead>" if names else ""
    return f"<table>{title}{first}<tbody>{body}</tbody></table>"


def _cell(value: Any) -> str:
    return f'<td style="{_LEFT}">{escape(str(value))}</td>'


def curve(values: Sequence[float], best: int, *, width: int = 240, height: int = 60) -> str:
    """A small curve as inline SVG, its point number `best` (from 0) marked.

    >>> curve([1.0, 0.0], 1).count("<circle")
    1
    """
    low, high, room = min(values), max(values), 5
    across, up = width - 2 * room, height - 2 * room

    def at(place: int) -> tuple[float, float]:
        x = room + across * place / max(1, len(values) - 1)
        return x, room + up * (high - values[place]) / ((high - low) or 1.0)

    line = " ".join("{:.1f},{:.1f}".format(*at(place)) for place in range(len(values)))
    x, y = at(best)
    return (
        f'<svg width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{len(values)} epochs, best at {best + 1}">'
        f'<polyline points="{line}" fill="none" stroke="#0072B2" stroke-width="1.5"/>'
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="#D55E00"/></svg>'
    )
