"""Trials in time: the best so far, what each device did when, and how busy it was.

Time is running time: pauses of more than a minute, in which nothing trained, are left out.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from hpsearch.results.trial_filters import is_maximised

_PAUSE = 60.0  # seconds in which nothing trains
_LANES = 32  # of a device; of more, bars would be too thin to be seen, and some share one

Clock = Callable[[ArrayLike], NDArray[np.float64]]


@dataclass(frozen=True)
class Timeline:
    """bars: a row a training that has ended, by begin. Columns: trial, repeat (0: the first),
    search, device, state (complete, failed, repeat), begin and end (seconds of running), lane (of
    its device, from 0: those side by side have lanes of their own). pauses: when they were left out.
    """

    bars: pd.DataFrame
    pauses: list[float]


def best_so_far(trials: pd.DataFrame) -> pd.DataFrame:
    """The best value so far of one search, a row a trial that ended, in their order.

    Columns: epochs (trained until then, of all trials; what was continued counts once), seconds (of
    running), value, best, record (whether it is a new best).
    """
    ended = trials.loc[trials["ended"].notna()].sort_values("ended", kind="stable")
    clock, _ = running_clock(_spans(ended))
    best = ended["value"].cummax() if is_maximised(ended) else ended["value"].cummin()
    frame = pd.DataFrame(
        {
            "epochs": own_epochs(trials)[ended.index].cumsum(),
            "seconds": clock(_seconds(ended["ended"])),
            "value": ended["value"],
            "best": best.ffill(),
        }
    )
    frame["record"] = frame["best"].notna() & (frame["best"] != frame["best"].shift())
    return frame


def own_epochs(trials: pd.DataFrame) -> "pd.Series[float]":
    """The epochs that each trial trained itself, without those of the trial that it continued."""
    before = trials["parent"].map(trials["epochs"]).astype("float64").fillna(0.0)
    return (trials["epochs"] - before).clip(lower=0.0)


def build_timeline(trials: pd.DataFrame, repeats: pd.DataFrame) -> Timeline | None:
    """What ran where and when, of what has ended; None where the store does not know it.

    Both as `StoreFrames` has them.
    """
    if trials.empty and repeats.empty:
        return None
    first = trials.reset_index().assign(repeat=0)
    again = repeats.assign(
        state=repeats["value"].notna().map({True: "repeat", False: "failed"}),
        search=repeats["trial"].map(trials["search"]),
    )
    names = ["trial", "repeat", "search", "device", "state", "seconds", "started", "ended"]
    both = pd.concat([part[names] for part in (first, again) if len(part)], ignore_index=True)
    known = both[both["started"].notna() & both["ended"].notna() & both["device"].ne("")]
    if known.empty:
        return None
    bars = _spans(known).join(known[names[:5]])
    clock, pauses = running_clock(bars)
    bars = bars.assign(begin=clock(bars["begin"]), end=clock(bars["end"]), lane=0)
    for _, own in bars.groupby("device"):
        bars.loc[own.index, "lane"] = np.array(assign_lanes(own)) % _LANES
    return Timeline(bars, pauses)


def device_use(bars: pd.DataFrame) -> pd.DataFrame:
    """How busy each device was, in seconds; a device is idle while others work for a search of its.

    Columns: trials, repeats, busy, idle, share (of the time that was busy), together (how many
    trained at a time, while any did).
    """
    found = {}
    for device, own in bars.groupby("device"):
        searches = bars[bars["search"].isin(own["search"])].groupby("search")
        whole = busy_seconds(
            pd.DataFrame({"begin": searches["begin"].min(), "end": searches["end"].max()})
        )
        worked = busy_seconds(own)
        found[device] = {
            "trials": int((own["repeat"] == 0).sum()),
            "repeats": int((own["repeat"] > 0).sum()),
            "busy": worked,
            "idle": max(0.0, whole - worked),
            "share": worked / whole if whole else 1.0,
            "together": float((own["end"] - own["begin"]).sum()) / worked if worked else 1.0,
        }
    return pd.DataFrame.from_dict(found, orient="index")


def busy_seconds(spans: pd.DataFrame) -> float:
    """Seconds in which at least one ran.

    >>> busy_seconds(pd.DataFrame({"begin": [0.0, 1.0, 5.0], "end": [2.0, 3.0, 6.0]}))
    4.0
    """
    total, until = 0.0, -np.inf
    for begin, end in spans[["begin", "end"]].sort_values("begin").itertuples(index=False):
        total += max(0.0, end - max(begin, until))
        until = max(until, end)
    return float(total)


def assign_lanes(spans: pd.DataFrame) -> list[int]:
    """The lowest lane for each, sorted by begin, such that none overlap in one.

    >>> assign_lanes(pd.DataFrame({"begin": [0.0, 1.0, 2.0], "end": [2.0, 3.0, 4.0]}))
    [0, 1, 0]
    """
    taken: list[tuple[float, int]] = []
    free: list[int] = []
    found = []
    for begin, end in spans[["begin", "end"]].itertuples(index=False):
        while taken and taken[0][0] <= begin:
            heapq.heappush(free, heapq.heappop(taken)[1])
        lane = heapq.heappop(free) if free else len(taken)
        heapq.heappush(taken, (end, lane))
        found.append(lane)
    return found


def running_clock(spans: pd.DataFrame) -> tuple[Clock, list[float]]:
    """From seconds since 1970 to seconds in which something ran; and where pauses were left out.

    spans: sorted by begin.

    >>> clock, pauses = running_clock(pd.DataFrame({"begin": [0.0, 500.0], "end": [10.0, 520.0]}))
    >>> clock([5.0, 520.0]).tolist(), pauses
    ([5.0, 30.0], [10.0])
    """
    blocks: list[list[float]] = []
    for begin, end in spans[["begin", "end"]].itertuples(index=False):
        if blocks and begin <= blocks[-1][1] + _PAUSE:
            blocks[-1][1] = max(blocks[-1][1], end)
        else:
            blocks.append([begin, end])
    lengths = np.cumsum([end - begin for begin, end in blocks])
    knots = [0.0, *np.repeat(lengths, 2)[:-1]]
    at = np.ravel(blocks)
    return (lambda wanted: np.interp(wanted, at, knots)), [float(x) for x in lengths[:-1]]


def time_unit(most: float) -> tuple[float, str]:
    """The unit of an axis of so many seconds: how many it has, and its name.

    >>> time_unit(50), time_unit(5000)
    ((1.0, 'seconds'), (60.0, 'minutes'))
    """
    if most < 180:
        return 1.0, "seconds"
    return (60.0, "minutes") if most < 3 * 3600 else (3600.0, "hours")


def _spans(ended: pd.DataFrame) -> pd.DataFrame:
    """begin and end in seconds since 1970, the earliest first.

    Where a store does not know when a training began, its own seconds are counted back.
    """
    end = _seconds(ended["ended"])
    begin = _seconds(ended["started"]).fillna(end - ended["seconds"])
    return pd.DataFrame({"begin": begin, "end": end}).sort_values("begin", kind="stable")


def _seconds(times: "pd.Series[pd.Timestamp]") -> "pd.Series[float]":
    return (times - pd.Timestamp(0, tz="UTC")).dt.total_seconds()
