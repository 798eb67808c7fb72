"""When rows are known, and when their targets are: checked, and counted in instants."""

import datetime
from typing import Any

import numpy as np

from hpsearch.core.array_types import Array, Indices
from hpsearch.core.arrays import inputs_by_name
from hpsearch.core.errors import DataError, first_line
from hpsearch.core.reading.source import Source
from hpsearch.core.reading.source_answers import tell_errors

_SORT = 'sort all arrays by it: order = np.argsort(times, kind="stable")'


def check_times(name: str, given: Any) -> Array:
    """Times as an array of shape (rows,): datetime64, int64 or float64, unsorted ones too.

    Times with a zone become those of UTC. Raises DataError for anything else, NaN and NaT.
    """
    if isinstance(given, np.ma.MaskedArray) and np.ma.is_masked(given):
        raise DataError(
            f"{name} has masked values, which would be used as times; leave such rows out"
        )
    times = _to_times(name, given)
    if times.ndim == 2 and times.shape[1] == 1:
        times = times.reshape(-1)
    kind = times.dtype.kind
    if times.ndim != 1 or kind not in "iufM" or times.dtype.itemsize > 8:
        raise DataError(
            f"{name} must be one number or datetime64 a row, got dtype {times.dtype} and shape "
            f"{times.shape}; read dates by pandas.to_datetime()"
        )
    unknown = np.isnat(times) if kind == "M" else ~np.isfinite(times)
    if unknown.any():
        row = int(np.flatnonzero(unknown)[0])
        raise DataError(
            f"{name} must be finite, got {times[row]} in row {row}; leave such rows out"
        )
    if kind == "u" and len(times) and times.max() > np.iinfo(np.int64).max:
        raise DataError(
            f"{name} must be below 2**63, got {times.max()}; count from a later instant"
        )
    if kind != "M":
        times = times.astype(np.float64 if kind == "f" else np.int64)
    return times


def check_order(name: str, times: Array) -> None:
    """Raise DataError where a time lies before that of the row above."""
    if (back := np.flatnonzero(times[1:] < times[:-1])).size:
        row = int(back[0]) + 1
        raise DataError(
            f"{name} must not go back, got {times[row]} in row {row} after {times[row - 1]}; {_SORT}"
        )


def check_data_times(
    times: Any, target_times: Any, times_test: Any, *, has_test: bool
) -> tuple[Array | None, Array | None, Array | None]:
    """The times of data, each checked and all of them together; None where they are not given.

    Args:
        times: of the rows.
        target_times: when each row's target is known.
        times_test: of the test rows.
        has_test: whether there are such.

    Raises DataError where they do not go together, or the test does not come last.
    """
    if times is None:
        for name, value in (("target_times", target_times), ("times_test", times_test)):
            if value is not None:
                raise DataError(f"{name} needs times= too: when the rows themselves are known")
        return None, None, None
    times = check_times("times", times)
    check_order("times", times)
    if target_times is not None:
        target_times = check_times("target_times", target_times)
        _check_comparable("target_times", target_times, times)
        if len(target_times) == len(times) and (early := target_times < times).any():
            row = int(np.flatnonzero(early)[0])
            raise DataError(
                f"target_times must not lie before times, got {target_times[row]} and {times[row]} "
                f"in row {row}: a target that is known before its row needs no model"
            )
    if times_test is not None:
        if not has_test:
            raise DataError("times_test has no effect without x_test; drop it")
        times_test = check_times("times_test", times_test)
        check_order("times_test", times_test)
        _check_comparable("times_test", times_test, times)
        _check_test_comes_last(times, target_times, times_test)
    return times, target_times, times_test


def times_of_sources(name: str, x: Any) -> tuple[Any, Any]:
    """The times, and the target times, that sources among the inputs know; None where none does.

    Args:
        name: what messages call the inputs.
        x: one input, or a dict of them, as the user gives them.

    Raises DataError where two sources know different ones.
    """
    found = None
    for key, each in inputs_by_name(x).items():
        if not isinstance(each, Source):
            continue
        with tell_errors(f"{name} does not know its times"):
            known = each.times, each.target_times
        if known[0] is None and known[1] is None:
            continue
        if found is not None and not all(map(np.array_equal, found, known)):
            raise DataError(
                f"the input {key!r} of {name} knows other times than one before; give times=, and "
                "target_times= where targets are known later"
            )
        found = known
    return found or (None, None)


def refuse_forgotten_targets(name: str, x: Any) -> None:
    """Raise DataError where a source knows when its targets are known, and only times are given.

    Otherwise training would see targets of later than the validation begins.

    Args:
        name, x: as `times_of_sources` has them.
    """
    for each in inputs_by_name(x).values():
        if isinstance(each, Source):
            with tell_errors(f"{name} does not know its times"):
                known = each.target_times
            if known is not None:
                raise DataError(
                    f"times= without target_times= forgets that targets of {name} are known later "
                    "than their rows; give target_times= too (the same as times= where that is so), "
                    "or make the source with these times, as Windows(times=)"
                )


def number_instants(times: Array | None, rows: int) -> Indices:
    """The number of each row's instant, from 0, shape (rows,); without times each row is its own.

    >>> number_instants(np.array([3, 3, 5, 9]), 4).tolist(), number_instants(None, 2).tolist()
    ([0, 0, 1, 2], [0, 1])
    """
    if times is None:
        return np.arange(rows)
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(times[1:] != times[:-1])])


def _to_times(name: str, given: Any) -> Array:
    if getattr(getattr(given, "dtype", None), "tz", None) is not None:  # pandas's, with a zone
        # In its own unit: those of the year 3000 have no nanoseconds, and pandas wraps them around.
        given = given.to_numpy(dtype=f"datetime64[{given.dtype.unit}]")
    try:
        times = np.asarray(given)
        if times.dtype == object and times.size and not isinstance(times.flat[0], str):
            if all(isinstance(each, datetime.date) for each in times.flat):  # datetimes are dates
                _check_zones(name, times)
                utc = [_to_utc(each) for each in times.flat]
                return np.array(utc).reshape(times.shape)
    except DataError:
        raise
    except (TypeError, ValueError) as error:
        raise DataError(f"{name} cannot be read as times: {first_line(error)}") from error
    return times


def _check_zones(name: str, times: Array) -> None:
    """Raise DataError where some datetimes have a zone, and others none."""
    has_zone = [getattr(each, "tzinfo", None) is not None for each in times.flat]
    if any(has_zone) and not all(has_zone):
        row = has_zone.index(not has_zone[0])
        raise DataError(
            f"{name} have a zone in some rows and none in others, got {times.flat[0]} in row 0 and "
            f"{times.flat[row]} in row {row}; give all of them one"
        )


def _to_utc(time: Any) -> Any:
    """A date or datetime of Python's or pandas's, NaT too, as a datetime64 without a zone."""
    if (
        convert := getattr(time, "to_datetime64", None)
    ) is not None:  # pandas's own, to nanoseconds
        return convert()
    if getattr(time, "tzinfo", None) is not None:
        time = time.astimezone(datetime.UTC).replace(tzinfo=None)
    return np.datetime64(time)


def _check_comparable(name: str, others: Array, times: Array) -> None:
    if (others.dtype.kind == "M") != (times.dtype.kind == "M"):
        raise DataError(
            f"{name} and times must both be numbers or both datetime64, got {others.dtype} and "
            f"{times.dtype}"
        )
    if times.dtype.kind != "M":
        return
    # NumPy compares in the finer of both units, where a time that is far away wraps around.
    unit = np.promote_types(others.dtype, times.dtype)
    for which, given in ((name, others), ("times", times)):
        if (lost := given.astype(unit).astype(given.dtype) != given).any():
            raise DataError(
                f"{name} and times have the units {others.dtype} and {times.dtype}, and {which} has "
                f"{given[lost][0]}, which {unit} cannot hold; give both in the coarser one"
            )


def _check_test_comes_last(times: Array, target_times: Array | None, times_test: Array) -> None:
    """Raise DataError where a test row lies in the time of the rows to search on."""
    if not len(times) or not len(times_test):
        return
    if times_test[0] <= times[-1]:
        raise DataError(
            f"the test of a series is its end, got a test row at {times_test[0]}, and a row to "
            f"search on at {times[-1]}; put the last rows into x_test"
        )
    if target_times is not None and (late := target_times > times_test[0]).any():
        row = int(np.flatnonzero(late)[0])
        raise DataError(
            f"the target of row {row} is known at {target_times[row]}, after the first test row at "
            f"{times_test[0]}: it tells of the test; leave out such rows before the test"
        )


def find_past(
    instants: Indices,
    times: Array | None,
    target_times: Array | None,
    first: int,
    *,
    gap: int = 0,
    window: int | None = None,
) -> Indices:
    """The rows that may be trained on where row `first` is the first to be judged by; maybe none.

    They lie before its instant, and their targets are known at it: a prediction may use what is
    known when it is made (purging: López de Prado, Advances in Financial Machine Learning, 2018,
    section 7.4.1).

    Args:
        instants: the number of each row's instant, as `number_instants` gives it.
        times, target_times: as `Data` has them.
        gap: instants before that of `first` to leave out.
        window: how many of the remaining instants to keep, the last ones; None: all.

    >>> find_past(np.arange(9), np.arange(9), np.arange(9) + 3, 6, window=2)
    array([2, 3])
    """
    known = instants < instants[first] - gap
    if times is not None and target_times is not None:
        known &= target_times <= times[first]
    rows = np.flatnonzero(known)
    if window is None or not len(rows):
        return rows
    kept: Indices = rows[instants[rows] > instants[rows[-1]] - window]
    return kept
