"""What each device trained when, and how busy it was.

Time is running time: pauses of more than a minute without any training are left out.
"""

import heapq
from dataclasses import dataclass

import numpy as np
import pandas as pd

from hpsearch.results.running_time import running_clock, time_unit, training_spans

_MOST_LANES = 32  # of a device; with more, bars would be too thin to see, so some share a lane
_DEVICE_HEIGHT = 0.84  # of the distance between two devices
_BAR_HEIGHT = 0.92  # of a lane

STATES = ("complete", "repeat", "failed")  # of a bar


@dataclass(frozen=True)
class Timeline:
    """Everything that is drawn of devices in time.

    Args:
        bars: a row a training that has ended, by begin. Columns: trial, repeat (0: the first
            training), search, device, state (one of STATES), begin and end (seconds of running
            time), lane (of its device, from 0; trainings at the same time have different lanes),
            y and height (device number n, in the order of `use`, reaches from n - 0.42 to
            n + 0.42).
        pauses: where pauses were left out, in seconds of running time.
        use: how busy each device was, as `device_use` has it.
        unit: seconds in a unit of the time axis; unit_name: its name.
    """

    bars: pd.DataFrame
    pauses: list[float]
    use: pd.DataFrame
    unit: float
    unit_name: str

    @property
    def states(self) -> list[str]:
        """The states that any bar has, in the order of the legend."""
        return [state for state in STATES if (self.bars["state"] == state).any()]

    @property
    def devices(self) -> list[str]:
        """Their names, in the order of their numbers."""
        return [str(device) for device in self.use.index]

    @property
    def most_lanes(self) -> int:
        """The lanes of the device that has most."""
        return int(self.bars["lane"].max()) + 1


def build_timeline(trials: pd.DataFrame, repeats: pd.DataFrame) -> Timeline | None:
    """The timeline of all trainings that have ended; None where no device or time is known.

    Args:
        trials, repeats: as `StoreFrames` has them.
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
    bars = training_spans(known).join(known[names[:5]])
    clock, pauses = running_clock(bars)
    bars = bars.assign(begin=clock(bars["begin"]), end=clock(bars["end"]), lane=0)
    for _, own in bars.groupby("device"):
        bars.loc[own.index, "lane"] = np.array(assign_lanes(own)) % _MOST_LANES
    use = device_use(bars)
    lane_height = _DEVICE_HEIGHT / (bars.groupby("device")["lane"].transform("max") + 1)
    top = bars["device"].map(list(use.index).index) - _DEVICE_HEIGHT / 2
    bars = bars.assign(y=top + (bars["lane"] + 0.5) * lane_height, height=_BAR_HEIGHT * lane_height)
    unit, unit_name = time_unit(float(bars["end"].max()))
    return Timeline(bars, pauses, use, unit, unit_name)


def device_use(bars: pd.DataFrame) -> pd.DataFrame:
    """How busy each device was, in seconds; it is idle while others train for one of its searches.

    Columns: trials, repeats, busy, idle, share (of the time that it was busy), together (how many
    trainings ran at a time, while any did).
    """
    found = {}
    for device, own in bars.groupby("device"):
        searches = bars[bars["search"].isin(own["search"])].groupby("search")
        whole = busy_seconds(
            pd.DataFrame({"begin": searches["begin"].min(), "end": searches["end"].max()})
        )
        busy = busy_seconds(own)
        found[device] = {
            "trials": int((own["repeat"] == 0).sum()),
            "repeats": int((own["repeat"] > 0).sum()),
            "busy": busy,
            "idle": max(0.0, whole - busy),
            "share": busy / whole if whole else 1.0,
            "together": float((own["end"] - own["begin"]).sum()) / busy if busy else 1.0,
        }
    return pd.DataFrame.from_dict(found, orient="index")


def busy_seconds(spans: pd.DataFrame) -> float:
    """Seconds in which at least one of these was running.

    >>> busy_seconds(pd.DataFrame({"begin": [0.0, 1.0, 5.0], "end": [2.0, 3.0, 6.0]}))
    4.0
    """
    total, until = 0.0, -np.inf
    for begin, end in spans[["begin", "end"]].sort_values("begin").itertuples(index=False):
        total += max(0.0, end - max(begin, until))
        until = max(until, end)
    return float(total)


def assign_lanes(spans: pd.DataFrame) -> list[int]:
    """Give each span the lowest lane that is free, so that no two overlap in one lane.

    Args:
        spans: sorted by begin.

    >>> assign_lanes(pd.DataFrame({"begin": [0.0, 1.0, 2.0], "end": [2.0, 3.0, 4.0]}))
    [0, 1, 0]
    """
    taken: list[tuple[float, int]] = []  # heap of (end, lane)
    free: list[int] = []  # heap of lanes
    lanes = []
    for begin, end in spans[["begin", "end"]].itertuples(index=False):
        while taken and taken[0][0] <= begin:
            heapq.heappush(free, heapq.heappop(taken)[1])
        lane = heapq.heappop(free) if free else len(taken)
        heapq.heappush(taken, (end, lane))
        lanes.append(lane)
    return lanes
