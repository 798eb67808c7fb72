"""HTML by which objects show themselves in notebooks, by the standard library alone."""

import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from hpsearch.core.curves import mean_curve

_LEFT = "text-align:left;vertical-align:top;padding:2px 12px 2px 0"


def table(names: Sequence[str], rows: Iterable[Sequence[Any]], caption: str = "") -> str:
    """An HTML table; every text in it is escaped.

    >>> table(["a"], [["<b>"]])  # doctest: +ELLIPSIS
    '<table><thead>...<td ...>&lt;b&gt;</td></tr></tbody></table>'
    """
    head = "".join(f'<th style="{_LEFT}">{escape(name)}</th>' for name in names)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    title = f'<caption style="{_LEFT}">{escape(caption)}</caption>' if caption else ""
    first = f"<thead><tr>{head}</tr></thead>" if names else ""
    return f"<table>{title}{first}<tbody>{body}</tbody></table>"


def _cell(value: Any) -> str:
    return f'<td style="{_LEFT}">{escape(str(value))}</td>'


def curves_svg(folds: Sequence[Sequence[float]], best: int) -> str:
    """Curves and their mean, as inline SVG. Point number `best` of the mean, from 0, is marked.

    All end where the shortest ends. The scale leaves out the first tenth of the points, but no more
    than ten.

    >>> curves_svg([[1.0, 0.0], [2.0, 1.0]], 1).count("<polyline")
    3
    """
    width, height, room = 280, 72, 5
    mean = mean_curve(folds)
    lines = [fold[: len(mean)] for fold in folds if len(folds) > 1]
    late = min(10, len(mean) // 10)
    shown = [value for line in (mean, *lines) for value in line[late:] if math.isfinite(value)]
    low, high = (min(shown), max(shown)) if shown else (0.0, 1.0)

    def at(place: int, value: float) -> tuple[float, float]:
        x = room + (width - 2 * room) * place / max(1, len(mean) - 1)
        y = room + (height - 2 * room) * (high - value) / ((high - low) or 1.0)
        return x, max(-10.0, min(height + 10.0, y))

    def drawn(line: Sequence[float], style: str) -> str:
        finite = [at(place, value) for place, value in enumerate(line) if math.isfinite(value)]
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in finite)
        return f'<polyline points="{points}" fill="none" stroke="#0072B2" {style}/>'

    x, y = at(best, mean[best])
    return (
        f'<svg width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="validation by epoch: {len(mean)} epochs, best at {best + 1}">'
        + "".join(drawn(line, 'stroke-opacity="0.3"') for line in lines)
        + drawn(mean, 'stroke-width="2"')
        + f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="#D55E00"/></svg>'
    )
