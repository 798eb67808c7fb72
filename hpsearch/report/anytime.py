"""The best value so far, against epochs and against time."""

from typing import Any

import pandas as pd

from hpsearch.report.drawing import (
    MUTED,
    Drawing,
    Section,
    escape_markup,
    line_dash,
    make_axis,
    palette_colour,
)
from hpsearch.results.best_so_far import collect_best_so_far
from hpsearch.results.report_data import Comparison


def anytime_section(comparison: Comparison) -> Section:
    """The best value so far of all comparable searches."""
    title = "Best so far"
    best = collect_best_so_far(comparison.comparable_trials, comparison.comparable_searches)
    if best is None:
        return Section("anytime", title, notes=["No trial is complete yet."])
    drawings = [
        Drawing(
            [
                _step_line(number, best.names[search], curve, column)
                for number, (search, curve) in enumerate(best.curves.items())
            ]
            + [
                _baseline(name, value, max(float(c[column].max()) for c in best.curves.values()))
                for name, value in best.baselines.items()
            ],
            {
                "xaxis": make_axis(label, rangemode="tozero"),
                "yaxis": make_axis(f"best {comparison.metric_name}", range=best.value_range),
                "showlegend": True,
            },
            f"best {comparison.metric_name} against {label}, a line a search",
        )
        for column, label in best.axes.items()
    ]
    lead = (
        "The best value so far of each search of the task, from all studies whose values compare. "
        "The worst fifth of all trials is off the scale. Epochs that a trial took over from an "
        "earlier trial count once. Pauses are left out."
        + (" Dotted lines: what plain models reach." if best.baselines else "")
    )
    return Section("anytime", title, lead, drawings)


def _baseline(name: str, value: float, end: float) -> dict[str, Any]:
    """A line at the value of a baseline."""
    return {
        "type": "scatter",
        "mode": "lines",
        "name": escape_markup(name),
        "x": [0, end],
        "y": [value, value],
        "line": {"color": MUTED, "dash": "dot", "width": 1.5},
        "hovertemplate": "%{y:.5~g}",
    }


def _step_line(number: int, name: str, curve: pd.DataFrame, column: str) -> dict[str, Any]:
    # The corners of the steps, and the end.
    steps = pd.concat([curve.loc[curve["record"]], curve.tail(1)])
    return {
        "type": "scatter",
        "mode": "lines",
        "name": escape_markup(name),
        "x": steps[column],
        "y": steps["best"],
        "line": {
            "shape": "hv",
            "color": palette_colour(number),
            "dash": line_dash(number),
            "width": 2.5,
        },
        "hovertemplate": "%{y:.5~g} after %{x:.4~g}",
    }
