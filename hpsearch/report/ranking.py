"""The best trials with their standard errors, and value against number of weights."""

from typing import Any

import pandas as pd

from hpsearch.report.drawing import (
    GREY,
    WINNER,
    Drawing,
    Section,
    escape_markup,
    make_axis,
    palette_colour,
    scaled_axis,
    trial_markers,
)
from hpsearch.results.baseline_gain import find_best_baseline
from hpsearch.results.report_data import Comparison
from hpsearch.results.scales import add_margin, log_scale, value_range
from hpsearch.results.trial_filters import pareto_front

_MOST_RANKED = 20
_MOST_NAMED = 12  # trials of the front that are named below the figure


def draw_ranking(comparison: Comparison) -> Drawing:
    """Values and standard errors of the best trials, ties and baselines in colour.

    The best baseline is drawn also where it ranks below the others.
    """
    rows = list(comparison.whole_ranking[:_MOST_RANKED])
    best_baseline = find_best_baseline(comparison.whole_ranking)
    if best_baseline is not None and best_baseline not in rows:
        rows.append(best_baseline)
    baselines = [row for row in rows if row.baseline is not None]
    tied = [row for row in rows if (row.tied or row.rank == 1) and row.baseline is None]
    others = [row for row in rows if row not in tied and row.baseline is None]
    places = {row.trial: place for place, row in enumerate(rows, 1)}
    data = [
        {
            **trial_markers(
                [r.value for r in some], [places[r.trial] for r in some], [r.trial for r in some]
            ),
            "name": name,
            "showlegend": True,
            "marker": {"color": ink, "size": 9, "symbol": symbol},
            "error_x": {"array": [r.se for r in some], "color": ink, "thickness": 2, "width": 0},
            "hovertemplate": "trial %{customdata}<br>%{x:.5~g}<extra></extra>",
        }
        for some, name, ink, symbol in (
            (tied, "the best, and trials not significantly different", palette_colour(0), "circle"),
            (others, "significantly different, or not known", GREY, "circle"),
            (baselines, "baselines", palette_colour(1), "square"),
        )
        if some
    ]
    layout: dict[str, Any] = {
        "showlegend": True,
        "xaxis": make_axis(f"{comparison.metric_name} ± standard error"),
        "yaxis": make_axis(
            autorange="reversed",
            tickvals=list(places.values()),
            ticktext=[
                f"#{row.rank} {escape_markup(row.baseline or f'trial {row.trial}')}" for row in rows
            ],
            showgrid=False,
            zeroline=False,
        ),
    }
    if rows[0].se is not None:  # a band of one standard error around the best
        layout["shapes"] = [
            {
                "type": "rect", "xref": "x", "yref": "paper", "x0": rows[0].value - rows[0].se,
                "x1": rows[0].value + rows[0].se, "y0": 0, "y1": 1, "fillcolor": "var(--band)",
                "line": {"width": 0}, "layer": "below",
            }
        ]  # fmt: skip
    alt_text = f"{comparison.metric_name} of the first {len(rows)} trials with standard errors"
    return Drawing(data, layout, alt_text, height=130 + 22 * len(rows))


def pareto_section(comparison: Comparison) -> Section:
    """Value against number of weights."""
    title = "Pareto front"
    trials = comparison.ranked_trials[comparison.ranked_trials["parameters"] > 0]
    if trials["parameters"].nunique() < 2:
        note = (
            "No trial is complete yet."
            if trials.empty
            else "All trials have the same number of weights."
        )
        return Section("pareto", title, notes=[note])
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
                "array": front["se"], "color": palette_colour(0), "thickness": 1.5, "width": 3,
            },
        ),
        _trial_dots(
            comparison.ranked_trials.head(1),
            name="the best",
            marker={"color": WINNER, "size": 15, "symbol": "star"},
        ),
    ]  # fmt: skip
    if comparison.simplest and comparison.simplest.trial != comparison.ranking[0].trial:
        style = {"color": palette_colour(2), "size": 13, "symbol": "diamond"}
        simplest = trials[trials.index == comparison.simplest.trial]
        data.append(
            _trial_dots(simplest, name="the simplest within one standard error", marker=style)
        )
    sizes = trials["parameters"]
    layout = {
        "xaxis": make_axis("weights", **scaled_axis(log_scale(sizes.min(), sizes.max()))),
        "yaxis": make_axis(comparison.metric_name, range=add_margin(*value_range(trials))),
        "showlegend": True,
    }
    lead = (
        f"The {comparison.metric_name} against the number of weights. A trial is on the front if no trial with "
        "as few weights is better. Bars: standard errors, where they are known."
    )
    named = [f"trial {trial} ({size:,})" for trial, size in front["parameters"].items()]
    more = " ..." if len(named) > _MOST_NAMED else ""
    note = f"On the front, by weights: {', '.join(named[:_MOST_NAMED])}{more}."
    return Section("pareto", title, lead, [Drawing(data, layout, lead)], notes=[note])


def _trial_dots(trials: pd.DataFrame, **more: Any) -> dict[str, Any]:
    return trial_markers(
        trials["parameters"], trials["value"], trials.index, **{"showlegend": True, **more}
    )
