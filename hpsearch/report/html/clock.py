"""Time as trials spent it: pauses, in which nothing ran, are left out."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

_PAUSE = 60.0  # seconds without a running trial

Clock = Callable[[ArrayLike], NDArray[np.float64]]


def seconds(times: "pd.Series[pd.Timestamp]") -> "pd.Series[float]":
    """Since 1970."""
    return (times - pd.Timestamp(0, tz="UTC")).dt.total_seconds()


def spans(trials: pd.DataFrame) -> pd.DataFrame:
    """begin and end of each trial that has ended, in seconds since 1970, the earliest first.

    Where a store does not know when a trial began, its own seconds are counted back.
    """
    ended = trials[trials["ended"].notna()]
    end = seconds(ended["ended"])
    begin = seconds(ended["started"]).fillna(end - ended["seconds"])
    return pd.DataFrame({"begin": begin, "end": end}).sort_values("begin")


def running(times: pd.DataFrame) -> tuple[Clock, list[float]]:
    """From seconds since 1970 to seconds in which something ran; and where pauses were cut out.

    >>> clock, pauses = running(pd.DataFrame({"begin": [0.0, 500.0], "end": [10.0, 520.0]}))
    >>> clock([5.0, 520.0]).tolist(), pauses
    ([5.0, 30.0], [10.0])
    """
    blocks: list[list[float]] = []
    for begin, end in times[["begin", "end"]].itertuples(index=False):
        if blocks and begin <= blocks[-1][1] + _PAUSE:
            blocks[-1][1] = max(blocks[-1][1], end)
        else:
            blocks.append([begin, end])
    lengths = np.cumsum([end - begin for begin, end in blocks])
    knots = [0.0, *np.repeat(lengths, 2)[:-1]]
    at = np.ravel(blocks)
    return (lambda wanted: np.interp(wanted, at, knots)), [float(x) for x in lengths[:-1]]


def unit(most: float) -> tuple[float, str]:
    """Seconds in the unit that suits so many of them, and its name.

    >>> unit(50), unit(5000)
    ((1.0, 'seconds'), (60.0, 'minutes'))
    """
    if most < 180:
        return 1.0, "seconds"
    return (60.0, "minutes") if most < 3 * 3600 else (3600.0, "hours")
