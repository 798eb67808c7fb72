"""Best so far, against epochs and against time."""

from typing import Any, NamedTuple

import pandas as pd

from hpsearch.report.html import clock
from hpsearch.report.html.drawing import Drawing, Section, axis, colour, dash, plain, span
from hpsearch.report.html.gathered import Comparison


class _Line(NamedTuple):
    """Of one search: epochs, seconds and the best value, where that changes and at the end."""

    study: str
    how: str
    steps: pd.DataFrame


def section(of: Comparison) -> Section:
    title = "Best so far"
    complete = of.peers[of.peers["value"].notna()]
    if complete.empty:
        return Section("anytime", title, notes=["No trial is complete yet."])
    lines = [_line(of, trials) for _, trials in complete.groupby("search")]
    unit, unit_name = clock.unit(max(float(line.steps["seconds"].max()) for line in lines))
    values = complete["value"]
    best = float(values.max() if of.sign > 0 else values.min())
    drawings = [
        Drawing(
            [_trace(lines, n, column, scale) for n in range(len(lines))],
            {
                "xaxis": axis(label, rangemode="tozero"),
                "yaxis": axis(f"best {of.metric}", range=span([float(values.median()), best])),
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
        "What each search of the task had found, of all studies that compare. The vertical axis "
        "starts at the median trial. Epochs taken over from an earlier trial count once; pauses "
        "are left out."
    )
    return Section("anytime", title, lead, drawings)


def _trace(lines: list[_Line], n: int, column: str, scale: float) -> dict[str, Any]:
    line = lines[n]
    alone = sum(other.study == line.study for other in lines) == 1
    return {
        "type": "scatter",
        "mode": "lines",
        "name": plain(line.study if alone else f"{line.study}, {line.how}"),
        "x": line.steps[column] / scale,
        "y": line.steps["best"],
        "line": {"shape": "hv", "color": colour(n), "dash": dash(n), "width": 2.5},
        "hovertemplate": "%{y:.5~g} after %{x:.4~g}",
    }


def _line(of: Comparison, complete: pd.DataFrame) -> _Line:
    first = complete.iloc[0]
    every = of.peers[(of.peers["search"] == first["search"]) & of.peers["ended"].notna()]
    every = every.sort_values("ended")
    begun = every["parent"].map(of.peers["epochs"]).astype("float64").fillna(0.0)
    time, _ = clock.running(clock.spans(every))
    steps = pd.DataFrame(
        {
            "epochs": (every["epochs"] - begun).clip(lower=0).cumsum(),
            "seconds": time(clock.seconds(every["ended"])),
            "best": of.best(every["value"]).ffill(),
        }
    )
    last = pd.Series(steps.index == steps.index[-1], index=steps.index)
    steps = steps[steps["best"].notna() & (steps["best"].diff().ne(0.0) | last)]
    how = f"{first['searcher'].partition('(')[0]}, seed {first['seed']}"
    return _Line(str(first["study"]), how, steps)
