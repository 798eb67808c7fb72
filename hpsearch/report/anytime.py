"""Best so far, against epochs and against time."""

from typing import Any

import pandas as pd

from hpsearch.report.drawing import (
    Drawing,
    Section,
    escape_markup,
    line_dash,
    make_axis,
    palette_colour,
)
from hpsearch.results.report_data import Comparison
from hpsearch.results.running_time import best_so_far, time_unit
from hpsearch.results.scales import add_margin, best_so_far_range
from hpsearch.results.trial_filters import name_searches


def anytime_section(of: Comparison) -> Section:
    title = "Best so far"
    complete = of.peers[of.peers["value"].notna()]
    if complete.empty:
        return Section("anytime", title, notes=["No trial is complete yet."])
    groups = of.peers[of.peers["search"].isin(complete["search"])].groupby("search")
    curves = {int(str(search)): best_so_far(trials) for search, trials in groups}
    names = name_searches([search for search in of.rivals if search.id in curves])
    unit, unit_name = time_unit(max(float(c["seconds"].max()) for c in curves.values()))
    drawings = [
        Drawing(
            [
                _trace(n, names[search], _steps(curve), column, scale)
                for n, (search, curve) in enumerate(curves.items())
            ],
            {
                "xaxis": make_axis(label, rangemode="tozero"),
                "yaxis": make_axis(
                    f"best {of.metric}", range=add_margin(*best_so_far_range(complete))
                ),
                "showlegend": True,
            },
            f"best {of.metric} against {label}, a line a search",
        )
        for column, label, scale in (
            ("epochs", "epochs trained", 1.0),
            ("seconds", f"{unit_name} of running", unit),
        )
    ]
    lead = (
        "What each search of the task had found, of all studies that compare. The worst fifth of all "
        "trials is off the scale. Epochs taken over from an earlier trial count once; pauses are "
        "left out."
    )
    return Section("anytime", title, lead, drawings)


def _steps(curve: pd.DataFrame) -> pd.DataFrame:
    """Where the best changes, and the end."""
    return pd.concat([curve.loc[curve["record"]], curve.tail(1)])


def _trace(n: int, name: str, steps: pd.DataFrame, column: str, scale: float) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": escape_markup(name),
        "x": steps[column] / scale,
        "y": steps["best"],
        "line": {"shape": "hv", "color": palette_colour(n), "dash": line_dash(n), "width": 2.5},
        "hovertemplate": "%{y:.5~g} after %{x:.4~g}",
    }
