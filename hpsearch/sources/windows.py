"""Windows over a series, or over many: each row is the last values up to an instant."""

from collections.abc import Sequence
from copy import copy
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from hpsearch.core.array_types import Array, Indices
from hpsearch.core.data import Data
from hpsearch.core.errors import DataError
from hpsearch.core.reading.source import Source
from hpsearch.core.rules import brief
from hpsearch.core.times import find_past, number_instants
from hpsearch.sources.series import name_series, read_series


class Windows(Source):
    """The last `lags` values of a series up to each instant, and what comes `horizon` later.

        windows = Windows(prices, lags=48, target="close", times=prices.index)
        task = Task("prices", windows.data(test=0.2), loss="mse")

    x has the shape (lags, channels) a row, the last value last, in the type of the series, which is
    not copied; y is the value `horizon` instants later. Rows are in the order of time, over all
    series, and know their `times` and `target_times`, so that `Forward` trains on no row whose
    target is not known yet. Horizons and lags count instants of the series, however long it is
    from one to the next: fill gaps before, as by pandas's `asfreq` and `ffill`.

    Args:
        series: of shape (instants,) or (instants, channels): an array, a frame of numbers, or
            whatever `Data(x=)` reads when needed, as a memory map.
        lags: how many values a window has.
        horizon: how many instants after the window's last value its target lies, 1 for the next.
        target: the channel to predict, by its column's name or its number from 0, or a list of
            them; None: the only channel.
        steps: how many targets a row has, one after the other: those 24 to 47 instants ahead are
            `horizon=24, steps=24`. y then has the shape (rows, steps).
        groups: which series each instant belongs to, shape (instants,), numbers or names. Each is
            in the order of time, and others may lie between; no window has values of two.
        times: of the instants, shape (instants,), numbers or datetime64, increasing in each series.
            None: they are numbered. Several series need them.

    Raises DataError where a series is shorter than lags + horizon + steps - 1, for values that are
    no finite numbers (of a series that lies in a file: when it is read), and for times that are not
    in order.
    """

    def __init__(
        self,
        series: Any,
        *,
        lags: int,
        horizon: int = 1,
        target: str | int | Sequence[str | int] | None = None,
        steps: int = 1,
        groups: Any = None,
        times: Any = None,
    ) -> None:
        for name, value in (("lags", lags), ("horizon", horizon), ("steps", steps)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise DataError(
                    f"Windows needs {name}= a whole number from 1 on, got {brief(value)}"
                )
        self.lags, self.horizon, self.steps = lags, horizon, steps
        self._series = read_series(series, groups, times)
        self._channels = self._series.number_channels(target)
        if steps > 1 and len(self._channels) > 1:
            raise DataError(
                f"Windows takes steps > 1 with one target, got {steps} steps of "
                f"{len(self._channels)} channels; make a task for each"
            )
        self._ends = self._find_ends()
        ahead = horizon + np.arange(steps)
        found = self._series.read_channels(self._channels, self._ends[:, None] + ahead)
        self._targets = found.reshape(len(found), -1)

    def __len__(self) -> int:
        return len(self._ends)

    def rows(self, indices: Indices) -> Array:
        return self._series.read_windows(self._ends[indices], self.lags)

    @property
    def targets(self) -> Array:
        """What is to be predicted: shape (rows,), (rows, targets) or (rows, steps)."""
        return self._targets[:, 0] if self._targets.shape[1] == 1 else self._targets

    @property
    def times(self) -> Array:
        """The time of each window's last instant, shape (rows,)."""
        return self._series.times[self._ends]

    @property
    def target_times(self) -> Array:
        """The time of each row's target; of several steps, of the last one. Shape (rows,)."""
        return self._series.times[self._ends + self.horizon + self.steps - 1]

    @property
    def groups(self) -> Array | None:
        """The number of each row's series, shape (rows,); None where there is one series."""
        return None if self._series.groups is None else self._series.groups[self._ends]

    @property
    def instants(self) -> Indices:
        """The row in the series' own table of each window's last instant, shape (rows,)."""
        return self._series.rows_of(self._ends)

    @property
    def is_in_memory(self) -> bool:
        return self._series.is_in_memory

    @property
    def files(self) -> Sequence[Path]:
        return self._series.files

    @property
    def arrays(self) -> Sequence[Array]:
        first = self._ends - self.lags + 1
        return [self.instants, *self._series.arrays_between(first, self._ends)]

    def data(self, test: float | int = 0.2) -> Data:
        """Data of these rows, whose test is their end.

        Args:
            test: the share of the instants, in (0, 1), or a number of instants; 0: no test.

        Rows are left out whose targets are known only after the first instant of the test. Raises
        DataError where nothing is left to search on.
        """
        is_number = isinstance(test, int | float) and not isinstance(test, bool)
        if is_number and test == 0:
            return Data(x=self, groups=self.groups)
        instants = number_instants(self.times, len(self))
        count = int(instants[-1]) + 1
        first = int(np.searchsorted(instants, count - self._count_test(test, count)))
        searched = find_past(instants, self.times, self.target_times, first)
        if not len(searched):
            raise DataError(
                f"test={test} leaves no row to search on: none of the {first} rows before the test "
                f"has a target that is known when it begins (horizon={self.horizon}, "
                f"steps={self.steps}); take a smaller test"
            )
        tested = self._take(np.arange(first, len(self)))
        taken = self._take(searched)
        return Data(x=taken, x_test=tested, groups=taken.groups)

    def last(self, rows: int = 1) -> Array:
        """The last windows of each series, whose targets are not known yet: what to predict from.

        Args:
            rows: how many of each series, in the order of time. The last window predicts the value
                `horizon` instants after the end; with rows=horizon, all values up to there.

        Returns an array of shape (rows, lags, channels), series by series in the order of their
        sorted names.
        """
        most = self.horizon + self.steps - 1
        if isinstance(rows, bool) or not isinstance(rows, int) or not 1 <= rows <= most:
            few = "rows=1" if most == 1 else f"rows= from 1 to {most}"
            raise DataError(
                f"last needs {few}, the windows whose targets are not known yet with "
                f"horizon={self.horizon}, got {brief(rows)}"
            )
        ends = self._series.starts[1:, None] - rows + np.arange(rows)
        return self._series.read_windows(ends.reshape(-1), self.lags)

    def __repr__(self) -> str:
        series = len(self._series.names)
        of = f" of {series} series" if series > 1 else ""
        return (
            f"Windows({len(self)} rows{of}, lags={self.lags}, horizon={self.horizon}, "
            f"channels={self._series.channels})"
        )

    def _find_ends(self) -> Indices:
        """The place of each window's last value, in the order of time over all series."""
        needed = self.lags + self.horizon + self.steps - 1
        if len(short := np.flatnonzero(self._series.lengths < needed)):
            name = name_series(self._series.names[short[0]])
            steps = f" + steps - 1 = {self.steps - 1}" if self.steps > 1 else ""
            raise DataError(
                f"{name} has {self._series.lengths[short[0]]} instants, and a window and its target "
                f"need {needed}: lags={self.lags} + horizon={self.horizon}{steps}; take fewer, or "
                "leave the series out"
            )
        starts = self._series.starts
        ends = [
            np.arange(start + self.lags - 1, stop - self.horizon - self.steps + 1)
            for start, stop in pairwise(starts)
        ]
        found = np.concatenate(ends)
        return found[np.argsort(self._series.times[found], kind="stable")]

    def _take(self, rows: Indices) -> "Windows":
        """These rows alone."""
        found = copy(self)
        found._ends, found._targets = self._ends[rows], self._targets[rows]
        return found

    def _count_test(self, test: Any, count: int) -> int:
        """The instants of the test. count: all instants."""
        is_number = isinstance(test, int | float) and not isinstance(test, bool)
        instants = round(test * count) if is_number and 0 < test < 1 else test
        if not is_number or not 0 < instants < count or instants != int(instants):
            raise DataError(
                f"data needs test= a share of the {count} instants, in (0, 1), or a number of them "
                f"below {count}, that leaves at least one; got {brief(test)}"
            )
        return int(instants)
