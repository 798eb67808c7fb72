"""The previous value, and that of one season before: what a series' own past says of a target."""

import numpy as np

from hpsearch.core.array_types import Array, Indices
from hpsearch.core.data import Data
from hpsearch.core.task import Task
from hpsearch.core.task_kinds import is_column

_DAY = 86_400.0
_SEASONS = ((1, 1, 7), (7, 7, 52), (28, 31, 12), (90, 92, 4))
"""Of rows that are so many days apart, from and to: the rows that a season has."""


def why_no_previous(task: Task, data: Data) -> str:
    """Why the targets of earlier rows cannot predict a row's; "" where they can.

    Args:
        task: its kind is known.
    """
    if data.times is None:
        return "rows have no times"
    if task.classifies or not is_column(np.asarray(data.y)):
        return "it predicts one number a row"
    if (data.times[1:] == data.times[:-1]).any():
        return "several rows have one time, so that they are of several series"
    return ""


def guess_season(times: Array | None) -> int | None:
    """The rows of a season, from how far apart rows are: a day of hours, a week of days, a year.

    None for times that are numbers, and where rows are further apart, or nobody can tell. So have
    it the libraries of forecasting (GluonTS, `get_seasonality`).

    >>> guess_season(np.arange("2026-01-01", "2026-02-01", dtype="datetime64[h]"))
    24
    """
    if times is None or times.dtype.kind != "M" or len(times) < 3:
        return None
    if np.datetime_data(times.dtype)[0] in ("Y", "M"):  # of which none is so many seconds
        times = times.astype("datetime64[D]")
    steps = np.diff(times) / np.timedelta64(1, "s")
    step = float(np.median(steps))
    if 0 < step < _DAY:
        rows = _DAY / step
        return round(rows) if rows >= 2 and abs(rows - round(rows)) < 1e-6 else None
    days = step / _DAY
    return next((rows for low, high, rows in _SEASONS if low <= days <= high), None)


def find_earlier_rows(data: Data, steps: int, rows: Indices) -> Indices:
    """For each of these rows, the row whose target predicts its own.

    It is the one `steps` rows before, or twice as many, or three times...: the latest whose target
    is known when the row is. Rows at the beginning, which have none, get the first row.
    """
    times = data.times
    assert times is not None
    # Without target times, a target is known with its row, and a row's own does not predict it.
    known = times if data.target_times is None else data.target_times
    found = np.asarray(rows, np.int64) - steps
    for _ in range(len(times) // steps + 1):
        too_early = (found > 0) & (known[np.maximum(found, 0)] > times[rows])
        if not too_early.any():
            break
        found = np.where(too_early, found - steps, found)
    return np.maximum(found, 0)
