"""What each device trained when, and how busy it was."""

from typing import Any

import pandas as pd

from hpsearch.report.drawing import (
    MUTED,
    Drawing,
    Section,
    escape_markup,
    make_axis,
    palette_colour,
)
from hpsearch.results.formatting import format_duration
from hpsearch.results.report_data import Comparison
from hpsearch.results.timeline import Timeline, build_timeline

_STATE_COLOURS = {
    "complete": palette_colour(0),
    "repeat": palette_colour(5),
    "failed": palette_colour(1),
}


def workers_section(comparison: Comparison) -> Section:
    """What each device trained when, and how busy it was."""
    title = "Workers"
    found = build_timeline(comparison.trials, comparison.repeats)
    if found is None:
        note = (
            "The store does not hold on which devices these trials ran."
            if comparison.trials["ended"].notna().any()
            else "No trial has ended yet."
        )
        return Section("workers", title, notes=[note])
    lead = (
        "A bar is one training. Trainings at the same time lie above one another. Pauses of more "
        "than a minute in which nothing ran are cut out (dotted lines). A device is idle in "
        "shorter pauses, and while other devices work for a search that used it."
    )
    notes = [_describe_use(str(device), use) for device, use in found.use.iterrows()]
    return Section("workers", title, lead, [_draw_timeline(found)], "full", notes)


def _describe_use(device: str, use: "pd.Series[Any]") -> str:
    """How busy a device was, in one sentence."""
    trials, repeats = int(use["trials"]), int(use["repeats"])
    trained = f"{trials} trial{'' if trials == 1 else 's'}"
    trained += f" and {repeats} repeat{'' if repeats == 1 else 's'}" if repeats else ""
    together = f", {use['together']:.1f} at a time" if use["together"] > 1.05 else ""
    busy, idle = format_duration(use["busy"]), format_duration(use["idle"])
    return f"{device}: {trained}, busy {busy}{together}, idle {idle}: {use['share']:.0%} used."


def _draw_timeline(found: Timeline) -> Drawing:
    devices = found.devices
    layout = {
        "barmode": "overlay",
        "xaxis": make_axis(f"{found.unit_name} of running", rangemode="tozero"),
        "yaxis": {
            "tickvals": list(range(len(devices))),
            "ticktext": [escape_markup(device) for device in devices],
            "range": [len(devices) - 0.5, -0.5], "showgrid": False, "zeroline": False,
            "automargin": True,
        },
        "showlegend": len(found.states) > 1,
        "shapes": [
            {"type": "line", "x0": at / found.unit, "x1": at / found.unit, "y0": 0, "y1": 1,
             "yref": "paper", "line": {"color": MUTED, "dash": "dot", "width": 1}}
            for at in found.pauses
        ],
    }  # fmt: skip
    data = [_draw_bars(found, state) for state in found.states]
    alt_text = f"when each of {len(devices)} devices trained"
    height = 150 + max(70, 5 * found.most_lanes) * len(devices)
    return Drawing(data, layout, alt_text, height=height)


def _draw_bars(found: Timeline, state: str) -> dict[str, Any]:
    bars = found.bars[found.bars["state"] == state]
    repeat = bars["repeat"].map(lambda repeat: f", repeat {repeat}" if repeat else "")
    return {
        "type": "bar",
        "orientation": "h",
        "name": state,
        "base": bars["begin"] / found.unit,
        "x": (bars["end"] - bars["begin"]) / found.unit,
        "y": bars["y"],
        "width": bars["height"],
        "customdata": bars["trial"].astype(str) + repeat,
        "marker": {"color": _STATE_COLOURS[state], "line": {"color": "var(--card)", "width": 1}},
        "hovertemplate": f"trial %{{customdata}}<br>%{{x:.3~g}} {found.unit_name}<extra></extra>",
    }
