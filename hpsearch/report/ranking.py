"""The first of the ranking with their errors, and accuracy against size."""

from typing import Any

import pandas as pd

from hpsearch.report.drawing import (
    GREY,
    WINNER,
    Drawing,
    Section,
    log_axis,
    make_axis,
    palette_colour,
    trial_markers,
)
from hpsearch.results.report_data import Comparison
from hpsearch.results.scales import add_margin, value_range
from hpsearch.results.trial_filters import pareto_front

FIRST = 20


def draw_ranking(of: Comparison) -> Drawing:
    """Values and standard errors of the first trials, ties in colour."""
    rows = of.ranking[:FIRST]
    known = [row for row in rows if row.tied or row.rank == 1]
    others = [row for row in rows if row not in known]
    data = [
        {
            **trial_markers(
                [r.value for r in some], [r.rank for r in some], [r.trial for r in some]
            ),
            "name": name,
            "showlegend": True,
            "marker": {"color": ink, "size": 9},
            "error_x": {"array": [r.se for r in some], "color": ink, "thickness": 2, "width": 0},
            "hovertemplate": "trial %{customdata}<br>%{x:.5~g}<extra></extra>",
        }
        for some, name, ink in (
            (known, "the first, and what is not told from it", palette_colour(0)),
            (others, "told apart, or not known", GREY),
        )
        if some
    ]
    layout: dict[str, Any] = {
        "showlegend": True,
        "xaxis": make_axis(f"{of.metric} ± standard error"),
        "yaxis": make_axis(
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
    alt_text = f"{of.metric} of the first {len(rows)} trials with standard errors"
    return Drawing(data, layout, alt_text, height=130 + 22 * len(rows))


def pareto_section(of: Comparison) -> Section:
    """Value against number of weights."""
    trials = of.ranked[of.ranked["parameters"] > 0]
    title = "Pareto front"
    if trials["parameters"].nunique() < 2:
        said = (
            "No trial is complete yet."
            if trials.empty
            else "All trials have the same number of weights."
        )
        return Section("pareto", title, notes=[said])
    front = pareto_front(trials)
    data = [
        _trial_dots(
            trials.drop(front.index),
            name="other trials",
            marker={"color": GREY, "size": 7, "opacity": 0.55},
        ),
        _trial_dots(
            front,
            name="Pareto front",
            mode="lines+markers",
            line={"shape": "hv", "color": palette_colour(0), "width": 2},
            marker={"color": palette_colour(0), "size": 9},
            error_y={
                "array": front["se"],
                "color": palette_colour(0),
                "thickness": 1.5,
                "width": 3,
            },
        ),
        _trial_dots(
            of.ranked.head(1),
            name="the first",
            marker={"color": WINNER, "size": 15, "symbol": "star"},
        ),
    ]
    if of.simplest and of.simplest.trial != of.ranking[0].trial:
        style = {"color": palette_colour(2), "size": 13, "symbol": "diamond"}
        simplest = trials[trials.index == of.simplest.trial]
        data.append(_trial_dots(simplest, name="one standard error", marker=style))
    sizes = trials["parameters"]
    layout = {
        "xaxis": make_axis("weights", **log_axis(int(sizes.min()), int(sizes.max()))),
        "yaxis": make_axis(of.metric, range=add_margin(*value_range(trials))),
        "showlegend": True,
    }
    lead = (
        f"The {of.metric} against size. On the front, no trial with as few weights is better; bars are "
        "standard errors, where they are known."
    )
    return Section(
        "pareto", title, lead, [Drawing(data, layout, lead)], notes=[_describe_front(front)]
    )


def _trial_dots(trials: pd.DataFrame, **more: Any) -> dict[str, Any]:
    shown = {"showlegend": True, **more}
    return trial_markers(trials["parameters"], trials["value"], trials.index, **shown)


def _describe_front(front: pd.DataFrame) -> str:
    told = ", ".join(
        f"trial {trial} ({size:,})" for trial, size in front["parameters"][:12].items()
    )
    return f"On the front, by weights: {told}{' ...' if len(front) > 12 else ''}."
