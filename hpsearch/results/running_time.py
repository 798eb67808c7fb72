"""Running time: seconds in which something trained, pauses left out."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

_PAUSE = 60.0  # seconds without any training before a pause is left out

Clock = Callable[[ArrayLike], NDArray[np.float64]]
"""From seconds since 1970 to seconds of running time."""


def running_clock(spans: pd.DataFrame) -> tuple[Clock, list[float]]:
    """Make the clock of running time, and list where it leaves out pauses.

    Args:
        spans: begin and end of each training in seconds, sorted by begin.

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
    # Each block runs as fast as the wall clock; between two blocks running time stands still.
    running = [0.0, *np.repeat(lengths, 2)[:-1]]
    since_1970 = np.ravel(blocks)
    return (lambda at: np.interp(at, since_1970, running)), [float(x) for x in lengths[:-1]]


def time_unit(longest: float) -> tuple[float, str]:
    """Choose the unit of a time axis that reaches this many seconds: its seconds, and its name.

    >>> time_unit(50), time_unit(5000)
    ((1.0, 'seconds'), (60.0, 'minutes'))
    """
    if longest < 180:
        return 1.0, "seconds"
    return (60.0, "minutes") if longest < 3 * 3600 else (3600.0, "hours")


def training_spans(ended: pd.DataFrame) -> pd.DataFrame:
    """When each training began and ended, in seconds since 1970, the earliest first.

    Where the store does not hold the begin, the training's own seconds are subtracted from its end.
    """
    end = seconds_since_1970(ended["ended"])
    begin = seconds_since_1970(ended["started"]).fillna(end - ended["seconds"])
    return pd.DataFrame({"begin": begin, "end": end}).sort_values("begin", kind="stable")


def seconds_since_1970(times: "pd.Series[pd.Timestamp]") -> "pd.Series[float]":
    """Timestamps in UTC as seconds since 1970."""
    return (times - pd.Timestamp(0, tz="UTC")).dt.total_seconds()
