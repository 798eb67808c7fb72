"""What each device did when, and how busy it was."""

import heapq
from typing import Any

import pandas as pd

from hpsearch.report.html import clock
from hpsearch.report.html.drawing import MUTED, Drawing, Section, axis, colour, plain
from hpsearch.report.html.gathered import Comparison

_LANES = 12  # of a device that are drawn apart


def section(of: Comparison) -> Section:
    title = "Workers"
    known = of.trials[of.trials["device"].fillna("").ne("") & of.trials["started"].notna()]
    if known.empty:
        said = (
            "The store does not know on which devices these trials ran."
            if of.trials["ended"].notna().any()
            else "No trial has ended yet."
        )
        return Section("workers", title, notes=[said])
    times = clock.spans(known)
    time, pauses = clock.running(times)
    times = times.assign(
        begin=time(times["begin"]), end=time(times["end"]),
        device=known["device"], state=known["state"], search=known["search"],
    )  # fmt: skip
    unit, name = clock.unit(float(times["end"].max()))
    devices = sorted(times["device"].unique())
    lead = (
        "A bar a trial; those that trained side by side lie above one another. Times in which "
        "nothing ran at all are cut out (dotted lines); a trial's repeats are not drawn. A device "
        "is idle while others work for a search that used it."
    )
    notes = [use(device, times) for device in devices]
    return Section(
        "workers", title, lead, [_drawing(times, devices, pauses, unit, name)], "full", notes
    )


def lanes(times: pd.DataFrame) -> list[int]:
    """For each trial, sorted by begin, the lowest lane that is free then."""
    busy: list[tuple[float, int]] = []
    free: list[int] = []
    found = []
    for begin, end in times[["begin", "end"]].itertuples(index=False):
        while busy and busy[0][0] <= begin:
            heapq.heappush(free, heapq.heappop(busy)[1])
        lane = heapq.heappop(free) if free else len(busy)
        heapq.heappush(busy, (end, lane))
        found.append(lane)
    return found


def busy(times: pd.DataFrame) -> float:
    """Seconds in which at least one trial ran."""
    total, until = 0.0, 0.0
    for begin, end in times[["begin", "end"]].sort_values("begin").itertuples(index=False):
        total += max(0.0, end - max(begin, until))
        until = max(until, end)
    return total


def use(device: str, times: pd.DataFrame) -> str:
    """How busy a device was while the searches ran that used it."""
    own = times[times["device"] == device]
    searches = times[times["search"].isin(own["search"])].groupby("search")
    whole = busy(pd.DataFrame({"begin": searches["begin"].min(), "end": searches["end"].max()}))
    worked = busy(own)
    unit, name = clock.unit(worked)
    together = float((own["end"] - own["begin"]).sum()) / worked if worked else 0.0
    side = f", {together:.1f} trials at a time" if together > 1.05 else ""
    idle = max(0.0, whole - worked)
    return (
        f"{device}: {len(own)} trial{'s' if len(own) > 1 else ''}, busy {worked / unit:.3g} {name}{side}, idle "
        f"{idle / unit:.3g} {name}: {worked / whole if whole else 1:.0%} used."
    )


def _drawing(
    times: pd.DataFrame, devices: list[str], pauses: list[float], unit: float, name: str
) -> Drawing:
    bars: dict[str, list[pd.DataFrame]] = {}
    for row, device in enumerate(devices):
        own = times[times["device"] == device].sort_values("begin")
        lane = [n % _LANES for n in lanes(own)]
        height = 0.84 / (max(lane) + 1)
        own = own.assign(y=[row - 0.42 + (n + 0.5) * height for n in lane], width=0.9 * height)
        for state, some in own.groupby("state"):
            bars.setdefault(str(state), []).append(some)
    inks = {"complete": colour(0), "failed": colour(1), "running": colour(4)}
    data = [_bars(state, pd.concat(some), inks[state], unit, name) for state, some in bars.items()]
    layout = {
        "barmode": "overlay",
        "xaxis": axis(f"{name} of running", rangemode="tozero"),
        "yaxis": {
            "tickvals": list(range(len(devices))), "ticktext": [plain(d) for d in devices],
            "range": [len(devices) - 0.5, -0.5], "showgrid": False, "zeroline": False,
            "automargin": True,
        },
        "showlegend": len(bars) > 1,
        "shapes": [
            {"type": "line", "x0": at / unit, "x1": at / unit, "y0": 0, "y1": 1, "yref": "paper",
             "line": {"color": MUTED, "dash": "dot", "width": 1}}
            for at in pauses
        ],
    }  # fmt: skip
    says = f"when each of {len(devices)} devices trained"
    return Drawing(data, layout, says, height=150 + 70 * len(devices))


def _bars(state: str, trials: pd.DataFrame, ink: str, unit: float, name: str) -> dict[str, Any]:
    return {
        "type": "bar",
        "orientation": "h",
        "name": state,
        "base": trials["begin"] / unit,
        "x": (trials["end"] - trials["begin"]) / unit,
        "y": trials["y"],
        "width": trials["width"],
        "customdata": trials.index,
        "marker": {"color": ink, "line": {"color": "var(--card)", "width": 1}},
        "hovertemplate": f"trial %{{customdata}}<br>%{{x:.3~g}} {name}<extra></extra>",
    }
