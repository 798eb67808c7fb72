"""The first of the ranking with their errors, and accuracy against size."""

from collections.abc import Sequence
from typing import Any

from hpsearch.report.html.drawing import (
    GREY,
    WINNER,
    Drawing,
    Section,
    axis,
    colour,
    logarithmic,
    most,
    points,
)
from hpsearch.report.html.gathered import Comparison
from hpsearch.store import Ranked

FIRST = 20


def drawing(of: Comparison) -> Drawing:
    """Values and standard errors of the first trials, ties in colour."""
    rows = of.ranking[:FIRST]
    known = [row for row in rows if row.tied or row.rank == 1]
    others = [row for row in rows if row not in known]
    data = [
        {
            **points([r.value for r in some], [r.rank for r in some], [r.trial for r in some]),
            "name": name,
            "showlegend": True,
            "marker": {"color": ink, "size": 9},
            "error_x": {"array": [r.se for r in some], "color": ink, "thickness": 2, "width": 0},
            "hovertemplate": "trial %{customdata}<br>%{x:.5~g}<extra></extra>",
        }
        for some, name, ink in (
            (known, "the first, and what is not told from it", colour(0)),
            (others, "told apart, or not known", GREY),
        )
        if some
    ]
    layout: dict[str, Any] = {
        "showlegend": True,
        "xaxis": axis(f"{of.metric} ± standard error"),
        "yaxis": axis(
            autorange="reversed",
            tickvals=[row.rank for row in rows],
            ticktext=[f"#{row.rank} trial {row.trial}" for row in rows],
            showgrid=False,
            zeroline=False,
        ),
    }
    if rows[0].se is not None:
        near = [rows[0].value - rows[0].se, rows[0].value + rows[0].se]
        layout["shapes"] = [
            {
                "type": "rect", "xref": "x", "yref": "paper", "x0": near[0], "x1": near[1],
                "y0": 0, "y1": 1, "fillcolor": "var(--band)", "line": {"width": 0}, "layer": "below",
            }
        ]  # fmt: skip
    says = f"{of.metric} of the first {len(rows)} trials with standard errors"
    return Drawing(data, layout, says, height=130 + 22 * len(rows))


def pareto(of: Comparison) -> Section:
    """Value against number of weights."""
    rows = [row for row in of.ranking if row.parameters > 0]
    title = "Pareto front"
    if len({row.parameters for row in rows}) < 2:
        said = (
            "All trials have the same number of weights." if rows else "No trial is complete yet."
        )
        return Section("pareto", title, notes=[said])
    sizes = [row.parameters for row in rows]
    best = front(rows, of.sign)
    on = {row.trial for row in best}
    rest = [row for row in rows if row.trial not in on]
    errors = [row.se for row in best]
    data = [
        _dots(rest, name="other trials", marker={"color": GREY, "size": 7, "opacity": 0.55}),
        _dots(
            best,
            name="Pareto front",
            mode="lines+markers",
            line={"shape": "hv", "color": colour(0), "width": 2},
            marker={"color": colour(0), "size": 9},
            error_y={"array": errors, "color": colour(0), "thickness": 1.5, "width": 3},
        ),
        _dots(
            [of.ranking[0]],
            name="the first",
            marker={"color": WINNER, "size": 15, "symbol": "star"},
        ),
    ]
    if of.simplest and of.simplest.trial != of.ranking[0].trial:
        style = {"color": colour(2), "size": 13, "symbol": "diamond"}
        data.append(_dots([of.simplest], name="one standard error", marker=style))
    layout = {
        "xaxis": axis("weights", **logarithmic(min(sizes), max(sizes))),
        "yaxis": axis(of.metric, range=most([row.value for row in rows], of.sign)),
        "showlegend": True,
    }
    lead = (
        f"The {of.metric} against size. On the front, no trial with as few weights is better; bars are "
        "standard errors, where they are known."
    )
    return Section("pareto", title, lead, [Drawing(data, layout, lead)], notes=[_told(best)])


def front(rows: Sequence[Ranked], sign: int) -> list[Ranked]:
    """Those that no other beats with as few parameters, the smallest first."""
    found: list[Ranked] = []
    for row in sorted(rows, key=lambda row: (row.parameters, -sign * row.value)):
        if not found or sign * row.value > sign * found[-1].value:
            found.append(row)
    return found


def _dots(rows: Sequence[Ranked], **more: Any) -> dict[str, Any]:
    x, y = [row.parameters for row in rows], [row.value for row in rows]
    return points(x, y, [row.trial for row in rows], **{"showlegend": True, **more})


def _told(best: Sequence[Ranked]) -> str:
    told = ", ".join(f"trial {row.trial} ({row.parameters:,})" for row in best[:12])
    return f"On the front, by weights: {told}{' ...' if len(best) > 12 else ''}."
