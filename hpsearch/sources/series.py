"""The series that `Windows` takes: one or many, checked, and in which order their values lie."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from hpsearch.core.array_types import Array, Indices
from hpsearch.core.arrays import number_groups, to_number_array
from hpsearch.core.errors import DataError
from hpsearch.core.frames.columns import encode_columns, name_coded_column
from hpsearch.core.frames.rows import is_frame
from hpsearch.core.option_text import did_you_mean
from hpsearch.core.reading.foreign_rows import as_source
from hpsearch.core.reading.source import ArraySource, Source
from hpsearch.core.rules import brief
from hpsearch.core.times import check_times

_CHUNK = 2**16  # instants that are read at a time of a series in a file


@dataclass(frozen=True, eq=False)
class Series:
    """One series or many, one after the other; each in the order of time.

    A place is the number of an instant in this order.

    Args:
        source: reads the rows of the table of all series, as it was given.
        order: the row of the table at each place; None where they are the same.
        starts: where each series begins, and where the last one ends, shape (series + 1,).
        times: of each place, shape (instants,).
        groups: the number of each place's series; None where there is one.
        names: of the series, or None each; as messages call them.
        channels: how many values an instant has.
        columns: their names; empty where they have none.
    """

    source: Source
    order: Indices | None
    starts: Indices
    times: Array
    groups: Array | None
    names: Sequence[Any]
    channels: int
    columns: tuple[str, ...]

    @property
    def is_in_memory(self) -> bool:
        return self.source.is_in_memory

    @property
    def files(self) -> Sequence[Path]:
        return self.source.files

    @property
    def lengths(self) -> Indices:
        """How many instants each series has."""
        return np.diff(self.starts)

    def rows_of(self, places: Indices) -> Indices:
        """The rows of the table at these places."""
        return places if self.order is None else self.order[places]

    def read_windows(self, ends: Indices, lags: int) -> Array:
        """The last `lags` values up to each of these places, shape (len(ends), lags, channels)."""
        if self.order is None and isinstance(self.source, ArraySource):
            # A view of all windows: each is copied in one go, some times as fast as value by value.
            table = self.source.array.reshape(len(self.times), self.channels)
            return sliding_window_view(table, lags, axis=0).swapaxes(1, 2)[ends - lags + 1]
        places = ends[:, None] + np.arange(1 - lags, 1)
        values = np.asarray(self.source.rows(self.rows_of(places).reshape(-1)))
        return values.reshape(*places.shape, self.channels)

    def read_channels(self, channels: Sequence[int], places: Indices) -> Array:
        """The values of some channels at these places, shape (..., len(channels))."""
        rows = range(0, len(self.times), _CHUNK)
        parts = (
            np.asarray(self.source.rows(np.arange(row, min(row + _CHUNK, len(self.times)))))
            for row in rows
        )
        picked = [part.reshape(len(part), self.channels)[:, channels] for part in parts]
        return np.concatenate(picked)[self.rows_of(places)]

    def arrays_between(self, first: Indices, last: Indices) -> Sequence[Array]:
        """What is in memory of the values from any place of `first` to that of `last` beside it."""
        if not isinstance(self.source, ArraySource):
            return self.source.arrays
        if self.order is None and len(self.starts) == 2:
            return [self.source.array[first.min() : last.max() + 1]]
        edges = np.zeros(len(self.times) + 1, np.int64)  # +1 where a window begins, -1 behind it
        np.add.at(edges, first, 1)
        np.add.at(edges, last + 1, -1)
        return [self.source.array[self.rows_of(np.flatnonzero(np.cumsum(edges[:-1])))]]

    def number_channels(self, target: Any) -> list[int]:
        """The numbers of the channels that `Windows(target=)` names."""
        if target is None and self.channels > 1:
            raise DataError(
                f"Windows needs target= the channel to predict, of {self._name_channels()}"
            )
        is_list = isinstance(target, list | tuple)
        wanted = [0] if target is None else list(target) if is_list else [target]
        found = [self._number_channel(each) for each in wanted]
        if not found or len(set(found)) < len(found):
            raise DataError(f"Windows needs target= channels that differ, got {brief(target)}")
        return found

    def _number_channel(self, name: Any) -> int:
        if isinstance(name, str) and name in self.columns:
            return self.columns.index(name)
        is_number = isinstance(name, int | np.integer) and not isinstance(name, bool)
        if is_number and 0 <= name < self.channels:
            return int(name)
        raise DataError(
            f"Windows knows no channel {brief(name)}{did_you_mean(name, self.columns)}; the series "
            f"has {self._name_channels()}"
        )

    def _name_channels(self) -> str:
        return (
            brief(list(self.columns)) if self.columns else f"the numbers 0 to {self.channels - 1}"
        )


def read_series(series: Any, groups: Any, times: Any) -> Series:
    """The series of a table of shape (instants,) or (instants, channels).

    Args:
        series, groups, times: as `Windows` has them.

    Raises DataError as `Windows` does, but for series that are too short.
    """
    source, columns = _open_table(series)
    count = len(source)
    first = np.asarray(source.rows(np.zeros(1, np.int64))) if count else np.zeros((1, 1))
    if not count or first.ndim > 2 or first.dtype.kind not in "biuf":
        raise DataError(
            "Windows needs a series of numbers of shape (instants,) or (instants, channels), got "
            f"{count} instants of {first.dtype} and shape {first.shape[1:]}"
        )
    channels = first[0].size
    if groups is not None and times is None:
        raise DataError(
            "Windows needs times= where it has groups=: nothing else says which instants of several "
            "series are the same"
        )
    given = np.arange(count) if times is None else check_times("times", times)
    order, starts, numbers, names = None, np.array([0, count]), None, [None]
    if len(given) != count:
        raise DataError(
            f"Windows needs a time for each instant, got {len(given)} times and {count} instants"
        )
    if groups is not None:
        numbers = number_groups(groups)
        if len(numbers) != count:
            raise DataError(
                f"Windows needs a group for each instant, got {len(numbers)} groups and {count} "
                "instants"
            )
        names = np.unique(np.asarray(groups)).tolist()
        if (numbers[1:] < numbers[:-1]).any():  # they lie among each other
            order = np.argsort(numbers, kind="stable")
            numbers, given = numbers[order], given[order]
        starts = np.searchsorted(numbers, np.arange(len(names) + 1))
    found = Series(source, order, starts, given, numbers, names, channels, columns)
    _check_order(found)
    if isinstance(source, ArraySource):
        _check_finite(found, source.array)
    return found


def name_series(name: Any) -> str:
    """What messages call a series. name: as `Series.names` has it."""
    return "the series" if name is None else f"the series {brief(name)}"


def _open_table(series: Any) -> tuple[Source, tuple[str, ...]]:
    """The rows of the table, and the names of its columns where it has any."""
    if is_frame(series):
        array, code = encode_columns("series", series)
        if code is not None and not code.holds_only_numbers:
            raise DataError(
                f"Windows needs a frame of numbers, and has {name_coded_column(code)}; leave it out, "
                "or encode it as numbers; dates go to times="
            )
        names = tuple(map(str, series.columns)) if code is not None else ()
        return ArraySource(array), names
    source = as_source(series, "series")
    if source is None:
        source = ArraySource(to_number_array("series", series))
    return source, ()


def _check_order(series: Series) -> None:
    """Raise DataError where the times of a series do not increase."""
    stays = np.flatnonzero(series.times[1:] <= series.times[:-1]) + 1
    if (wrong := np.setdiff1d(stays, series.starts)).size:
        place = int(wrong[0])
        name = series.names[int(np.searchsorted(series.starts, place, side="right")) - 1]
        here, before = series.times[place], series.times[place - 1]
        row = series.rows_of(np.array([place]))[0]
        raise DataError(
            f"times of {name_series(name)} must increase, got {here} in row {row} after {before}; "
            "sort the table by time, and give several series groups="
        )


def _check_finite(series: Series, array: Array) -> None:
    """Raise DataError where a series in memory holds NaN or infinity."""
    if array.dtype.kind != "f" or np.isfinite(array).all():
        return
    row, channel = np.argwhere(~np.isfinite(array.reshape(len(array), -1)))[0]
    column = (
        f" of column {series.columns[channel]!r}" if series.columns else f" of channel {channel}"
    )
    raise DataError(
        f"the series holds {array.reshape(len(array), -1)[row, channel]} in row {row}{column}; fill "
        "such gaps from before, as by frame.ffill(), or leave the series out"
    )
