"""What each device did when, and how busy it was."""

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
from hpsearch.results.running_time import Timeline, build_timeline, device_use, time_unit

_STATE_COLOURS = {
    "complete": palette_colour(0),
    "repeat": palette_colour(5),
    "failed": palette_colour(1),
}


def workers_section(of: Comparison) -> Section:
    title = "Workers"
    found = build_timeline(of.trials, of.repeats)
    if found is None:
        said = (
            "The store does not know on which devices these trials ran."
            if of.trials["ended"].notna().any()
            else "No trial has ended yet."
        )
        return Section("workers", title, notes=[said])
    use = device_use(found.bars)
    lead = (
        "A bar a training; those side by side lie above one another. More than a minute in which "
        "nothing ran at all is cut out (dotted lines). A device is idle while others work for a "
        "search that used it, and in shorter pauses."
    )
    notes = [_describe_use(str(device), row) for device, row in use.iterrows()]
    return Section("workers", title, lead, [_drawing(found, list(use.index))], "full", notes)


def _describe_use(device: str, use: "pd.Series[Any]") -> str:
    """How busy a device was."""
    count, again = int(use["trials"]), int(use["repeats"])
    many = f"{count} trial{'' if count == 1 else 's'}"
    many += f" and {again} repeat{'' if again == 1 else 's'}" if again else ""
    side = f", {use['together']:.1f} at a time" if use["together"] > 1.05 else ""
    busy, idle = format_duration(use["busy"]), format_duration(use["idle"])
    return f"{device}: {many}, busy {busy}{side}, idle {idle}: {use['share']:.0%} used."


def _drawing(found: Timeline, devices: list[str]) -> Drawing:
    unit, name = time_unit(float(found.bars["end"].max()))
    height = 0.84 / (found.bars.groupby("device")["lane"].transform("max") + 1)
    middle = found.bars["device"].map(devices.index) - 0.42 + (found.bars["lane"] + 0.5) * height
    bars = found.bars.assign(y=middle, width=0.9 * height)
    shown = [state for state in _STATE_COLOURS if (bars["state"] == state).any()]
    layout = {
        "barmode": "overlay",
        "xaxis": make_axis(f"{name} of running", rangemode="tozero"),
        "yaxis": {
            "tickvals": list(range(len(devices))), "ticktext": [escape_markup(d) for d in devices],
            "range": [len(devices) - 0.5, -0.5], "showgrid": False, "zeroline": False,
            "automargin": True,
        },
        "showlegend": len(shown) > 1,
        "shapes": [
            {"type": "line", "x0": at / unit, "x1": at / unit, "y0": 0, "y1": 1, "yref": "paper",
             "line": {"color": MUTED, "dash": "dot", "width": 1}}
            for at in found.pauses
        ],
    }  # fmt: skip
    data = [_bars(state, bars[bars["state"] == state], unit, name) for state in shown]
    alt_text = f"when each of {len(devices)} devices trained"
    high = max(70, 5 * int(bars["lane"].max() + 1))
    return Drawing(data, layout, alt_text, height=150 + high * len(devices))


def _bars(state: str, bars: pd.DataFrame, unit: float, name: str) -> dict[str, Any]:
    again = bars["repeat"].map(lambda repeat: f", repeat {repeat}" if repeat else "")
    return {
        "type": "bar",
        "orientation": "h",
        "name": state,
        "base": bars["begin"] / unit,
        "x": (bars["end"] - bars["begin"]) / unit,
        "y": bars["y"],
        "width": bars["width"],
        "customdata": bars["trial"].astype(str) + again,
        "marker": {"color": _STATE_COLOURS[state], "line": {"color": "var(--card)", "width": 1}},
        "hovertemplate": f"trial %{{customdata}}<br>%{{x:.3~g}} {name}<extra></extra>",
    }
