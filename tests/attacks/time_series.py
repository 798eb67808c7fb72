"""Times of rows, `Forward` and `Windows`: what is no time, out of order, or leaves nothing to learn."""

import datetime
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from hpsearch import Data, Difference, Forward, Given, Holdout, KFold, Task, Windows
from hpsearch.baselines import choose_baselines
from hpsearch.baselines.seasons import find_earlier_rows
from tests.attacks import expected, uses
from tests.attacks.calls import JUNK
from tests.attacks.expected import Call
from tests.attacks.figures import Figures

ROWS = 40
X = np.random.default_rng(0).normal(size=(ROWS, 3)).astype(np.float32)
Y = X[:, 0] * 2.0
N = np.arange(ROWS)
DAYS = np.datetime64("2026-01-01") + N
HOURS = pd.date_range(
    "2026-10-24", periods=ROWS, freq="h", tz="Europe/Berlin"
)  # its clock goes back


def _swapped(times: Any, one: int, other: int) -> Any:
    found = times.copy()
    found[[one, other]] = found[[other, one]]
    return found


def _with(times: Any, row: int, value: Any) -> Any:
    found = times.copy()
    found[row] = value
    return found


# What may be times of 40 rows.
TIMES: dict[str, Any] = {
    "whole numbers": N,
    "a list of numbers": N.tolist(),
    "negative numbers": N - 100,
    "numbers of 8 bits": N.astype(np.int8),
    "the other order of bytes": N.astype(">i8"),
    "floats of 16 bits": N.astype(np.float16),
    "floats": N / 7,
    "numbers near the largest": 2**63 - ROWS + N,
    "pairs of rows": N // 2,
    "a column": N[:, None],
    "days": DAYS,
    "the other order of bytes of days": DAYS.astype(">M8[D]"),
    "years": np.arange("1987", "2027", dtype="datetime64[Y]"),
    "picoseconds": N.astype("datetime64[ps]"),
    "years of 4 digits and more": np.arange("9980", "10020", dtype="datetime64[Y]"),
    "an index": pd.date_range("2026-01-01", periods=ROWS),
    "an index with a zone": HOURS,
    "a series with a zone": pd.Series(HOURS),
    "seconds with a zone of the year 3000": pd.date_range(
        "3000-01-01", periods=ROWS, freq="s", tz="UTC", unit="s"
    ),
    "datetimes": [datetime.datetime(2026, 1, 1) + datetime.timedelta(n) for n in range(ROWS)],
    "dates": [datetime.date(2026, 1, 1) + datetime.timedelta(n) for n in range(ROWS)],
    "pandas's times": list(HOURS),
    "datetimes of two zones": [
        (HOURS[n] if n % 2 else HOURS[n].tz_convert("Asia/Tokyo")).to_pydatetime()
        for n in range(ROWS)
    ],
}
NO_TIMES: dict[str, Any] = {
    "texts of dates": list(map(str, DAYS)),
    "one text": "2026-01-01",
    "an array of texts": DAYS.astype(str),
    "bytes": DAYS.astype("S10"),
    "days, one of them not a time": _with(DAYS, 7, np.datetime64("NaT")),
    "an index with none": pd.DatetimeIndex([*HOURS[:-1], pd.NaT]),
    "datetimes and None": [*DAYS.tolist()[:-1], None],
    "numbers and None": [*N.tolist()[:-1], None],
    "numbers and NaN": _with(N / 1, 3, np.nan),
    "numbers up to infinity": _with(N / 1, -1, np.inf),
    "numbers from -infinity": _with(N / 1, 0, -np.inf),
    "datetimes and numbers": [*DAYS.tolist()[:-1], 5],
    "datetimes with a zone and without": [
        *HOURS[:20].to_pydatetime(),
        *pd.date_range("2027", periods=20).to_pydatetime(),
    ],
    "datetimes and texts": [*DAYS.tolist()[:-1], "2027-01-01"],
    "masked numbers": np.ma.masked_equal(N, 7),
    "masked days": np.ma.masked_equal(DAYS, DAYS[7]),
    "numbers that go back": _swapped(N, 3, 4),
    "numbers from the end": N[::-1],
    "days that go back": _swapped(DAYS, 0, 39),
    "an index from the end": HOURS[::-1],
    "39 of 40": N[:39],
    "41 of 40": np.arange(41),
    "no time": [],
    "a number": 5,
    "a 0-d day": np.datetime64("2026-01-01"),
    "two columns": np.c_[N, N],
    "a row": N[None],
    "durations": N.astype("timedelta64[D]"),
    "pandas's durations": pd.to_timedelta(N, unit="D"),
    "booleans": N > 20,
    "complex numbers": N * 1j,
    "unsigned numbers beyond 2**63": np.uint64(2**63 - 20) + N.astype(np.uint64),
    "numbers of 128 bits": N.astype(np.longdouble),
    "numbers of any size": [10**30 + n for n in range(ROWS)],
    "fractions": np.array([datetime.time(n % 24) for n in range(ROWS)]),
    "periods": pd.period_range("2026-01", periods=ROWS, freq="M"),
    "categories": pd.Categorical(list(map(str, DAYS))),
    "pandas's numbers with none": pd.Series([*range(39), None], dtype="Int64"),
    "a frame of two columns": pd.DataFrame({"a": N, "b": N}),
    "records": np.zeros(ROWS, [("a", "i8")]),
    "a set": set(range(ROWS)),
    "a dict": {"x": N},
    "a generator": (n for n in range(ROWS)),
    "a function": lambda: N,
    "lists of lists": [[n] * (1 + n % 2) for n in range(ROWS)],
    "the series' name": "times",
}


def _forward(data: Data) -> None:
    """What a study does with times: it splits, and guesses seasons."""
    uses.all_of_data(data)
    task = Task("t", data, "mse", "mae")
    task.load()
    split = Forward(2).splits(task, data, seed=0)
    uses.splits(data, split)
    instants = N if data.times is None else data.times
    if not all(instants[each.train].max() < instants[each.validation].min() for each in split):
        raise uses.NotUsable("it trains on what comes later")
    chosen = choose_baselines(task, data)
    for each in chosen.baselines.values():
        if each.steps is not None:
            find_earlier_rows(data, each.steps, N[20:])
    uses.all_of_data(data.take(N[: data.rows - 3]))


def _made(**given: Any) -> Data:
    return Data(X, Y, **given)


def _times() -> Iterator[Call]:
    for what, times in TIMES.items():
        yield Call(f"times are {what}", partial(_made, times=times), "works", _forward)
        later = partial(_made, times=times, target_times=times)
        yield Call(f"target_times are {what}", later, "works", _forward)
    for what, times in {**NO_TIMES, **JUNK}.items():
        expect = "works" if times is None else "clear"
        yield Call(f"times are {what}", partial(_made, times=times), expect, _forward)
        later = partial(_made, times=N, target_times=times)
        unsorted = ("back", "the end")  # targets may be known in any order, but never before
        expect = "either" if any(each in what for each in unsorted) else expect
        yield Call(f"target_times are {what}", later, expect, _forward)
    test = {"x_test": X[:5], "y_test": Y[:5]}
    for what, times in {"days": DAYS[:5], **NO_TIMES}.items():
        made = partial(_made, times=N, times_test=times, **test)
        yield Call(f"times_test are {what}", made, "clear", _forward)
    yield Call("times_test without x_test", partial(_made, times=N, times_test=N[:5]))
    yield Call("times_test without times", partial(_made, times_test=N[:5], **test))
    yield Call("target_times without times", partial(_made, target_times=N))
    yield Call("a test at the last time", partial(_made, times=N, times_test=N[:5] + 39, **test))
    yield Call(
        "a test that begins before a target is known",
        partial(_made, times=N, target_times=N + 3, times_test=N[:5] + 40, **test),
    )
    yield Call(
        "a test in nanoseconds far from days in years",
        partial(
            _made,
            times=np.arange("9980", "10020", dtype="datetime64[Y]"),
            times_test=pd.date_range("2026-01-01", periods=5).to_numpy("datetime64[ns]"),
            **test,
        ),
    )
    yield Call("rows to validate on beside times", _beside_validation, "either", uses.all_of_data)
    yield Call("targets before their rows", partial(_made, times=N, target_times=N - 1))
    never = partial(_made, times=N, target_times=N + 10**6)
    yield Call("targets that are never known", never, "clear", _forward)
    yield Call("one time for all", partial(_made, times=N * 0), "clear", _forward)


def _beside_validation() -> Data:
    return _made(times=N, x_val=X[:4], y_val=Y[:4])


def _split(evaluator: Any, **given: Any) -> None:
    data = _made(**given)
    uses.splits(data, evaluator().splits(Task("t", data, "mse"), data, seed=0))


def _evaluators() -> Iterator[Call]:
    timed = {"times": DAYS}
    makers: dict[str, tuple[Any, str]] = {
        "2 folds": (partial(Forward, 2), "works"),
        "39 folds": (partial(Forward, 39), "works"),
        "40 folds": (partial(Forward, 40), "clear"),
        "folds beyond all bounds": (partial(Forward, 2**62), "clear"),
        "a horizon of 20 in 2 folds": (partial(Forward, 2, horizon=20), "clear"),
        "a horizon beyond all bounds": (partial(Forward, 2, horizon=2**62), "clear"),
        "a horizon of 0": (partial(Forward, 2, horizon=0), "clear"),
        "a horizon of -3": (partial(Forward, 2, horizon=-3), "clear"),
        "a horizon of 1.5": (partial(Forward, 2, horizon=1.5), "clear"),
        "a horizon as a text": (partial(Forward, 2, horizon="3"), "clear"),
        "a horizon as a duration": (
            partial(Forward, 2, horizon=datetime.timedelta(3)),
            "clear",
        ),
        "a gap that leaves one row": (partial(Forward, 2, horizon=5, gap=29), "works"),
        "a gap that leaves none": (partial(Forward, 2, horizon=5, gap=30), "clear"),
        "a gap beyond all bounds": (partial(Forward, 2, gap=2**62), "clear"),
        "a gap of -1": (partial(Forward, 2, gap=-1), "clear"),
        "a gap of True": (partial(Forward, 2, gap=True), "clear"),
        "a window of 1": (partial(Forward, 2, window=1), "works"),
        "a window of 0": (partial(Forward, 2, window=0), "clear"),
        "a window of all": (partial(Forward, 2, horizon=5, window=35), "clear"),
        "a window beyond all bounds": (partial(Forward, 2, window=2**62), "clear"),
        "a gap and a window": (partial(Forward, 2, horizon=5, gap=3, window=9), "works"),
        "shuffled rows": (partial(Forward, 2, shuffle=True), "clear"),
        "shuffled as a text": (partial(Forward, 2, shuffle="no"), "clear"),
        "folds at random": (KFold, "clear"),
        "a holdout at random": (Holdout, "clear"),
        "a holdout of the end": (partial(Holdout, shuffle=False), "works"),
        "one that a source would give": (Given, "clear"),
        "later rows to train on": (partial(Given, N[20:], N[:20]), "clear"),
        "earlier rows to train on": (partial(Given, N[:20], N[20:]), "works"),
    }
    for what, (maker, expect) in makers.items():
        yield Call(f"{what}, of days", partial(_split, maker, **timed), expect)
    for folds in (2, 3, 5):
        for ahead in (1, 10, 19, 26, 39):
            later = partial(_split, partial(Forward, folds), times=N, target_times=N + ahead)
            yield Call(f"{folds} folds of targets {ahead} instants ahead", later, "either")
    twins = partial(_split, partial(Forward, 39), times=N // 2)
    yield Call("more folds than distinct times", twins)


SERIES = np.random.default_rng(0).normal(size=(48, 2)).cumsum(axis=0)
GROUPS = np.repeat([0, 1], 24)


def _window(series: Any = SERIES, **given: Any) -> Windows:
    return Windows(series, **{"lags": 3, "target": 0, **given})


def _windows() -> Iterator[Call]:
    use = uses.windows
    fine: dict[str, dict[str, Any]] = {
        "as long as the series": {"lags": 46, "horizon": 1},
        "with a horizon as long as the series": {"lags": 1, "horizon": 45},
        "of several steps": {"horizon": 4, "steps": 6},
        "of days": {"times": np.datetime64("2026-01-01") + np.arange(48)},
        "with a zone": {"times": pd.date_range("2026-10-24", periods=48, freq="h", tz="CET")},
        "of groups": {"groups": GROUPS, "times": np.tile(np.arange(24), 2)},
        "of groups that lie among each other": {
            "groups": np.tile([0, 1], 24),
            "times": np.repeat(np.arange(24), 2),
        },
        "of groups with names": {
            "groups": np.array(["a\nb", "c"])[GROUPS],
            "times": np.tile(np.arange(24), 2),
        },
    }
    for what, given in fine.items():
        # A test of a fifth may leave no row whose target is known before it begins.
        expect = "either" if "as long" in what else "works"
        yield Call(f"windows {what}", partial(_window, **given), expect, use)
    series: dict[str, Any] = {
        "empty": SERIES[:0],
        "one instant": SERIES[:1],
        "of no channel": SERIES[:, :0],
        "of three axes": SERIES[None],
        "a number": 3.0,
        "a text": "prices.csv",
        "texts": SERIES.astype(str),
        "objects": SERIES.astype(object),
        "with NaN": _with(SERIES, 5, np.nan),
        "with infinity": _with(SERIES, 5, np.inf),
        "masked": np.ma.masked_less(SERIES, 0),
        "complex": SERIES * 1j,
        "times": DAYS,
        "a frame of texts": pd.DataFrame({"a": ["x"] * 48, "b": N[0]}),
        "a frame of dates": pd.DataFrame({"a": pd.date_range("2026", periods=48)}),
        "a frame without columns": pd.DataFrame(index=range(48)),
        "a frame of columns of one name": pd.DataFrame(SERIES, columns=["a", "a"]),
        "a generator": (row for row in SERIES),
        "a dict": {"a": SERIES},
        "windows": Windows(SERIES, lags=2, target=0),
        "data": _made(),
    }
    for what, value in series.items():
        expect = "either" if what in ("objects", "a frame of columns of one name") else "clear"
        yield Call(f"a series {what}", partial(_window, value), expect, use)
    yield from _odd_windows()


def _odd_windows() -> Iterator[Call]:
    pair = {"groups": GROUPS, "times": np.tile(np.arange(24), 2)}
    odd: dict[str, dict[str, Any]] = {
        "lags longer than the series": {"lags": 48},
        "lags beyond all bounds": {"lags": 2**62},
        "lags of a group's length": {"lags": 24, **pair},
        "lags of 0": {"lags": 0},
        "lags as NumPy's number": {"lags": np.int64(3)},
        "a horizon longer than the series": {"horizon": 46},
        "a horizon beyond all bounds": {"horizon": 2**62},
        "a horizon of 0": {"horizon": 0},
        "a horizon of -1": {"horizon": -1},
        "steps beyond the end": {"steps": 46},
        "steps beyond all bounds": {"steps": 2**62},
        "steps of two targets": {"steps": 2, "target": [0, 1]},
        "no target of two channels": {"target": None},
        "a target that is not there": {"target": 2},
        "a target from the end": {"target": -1},
        "a target of no name": {"target": "close"},
        "no targets": {"target": []},
        "a target twice": {"target": [0, 0]},
        "a target of True": {"target": True},
        "groups without times": {"groups": GROUPS},
        "groups of another length": {**pair, "groups": GROUPS[:-1]},
        "groups of NaN": {**pair, "groups": _with(GROUPS / 1, 3, np.nan)},
        "groups of several types": {**pair, "groups": [*GROUPS[:-1], "b"]},
        "groups of None": {**pair, "groups": [*GROUPS[:-1].tolist(), None]},
        "groups of lists": {**pair, "groups": [[1], [2, 3]] * 24},
        "a group of one instant": {"times": np.arange(48), "groups": np.eye(1, 48)[0]},
        "a group an instant": {"times": np.arange(48), "groups": np.arange(48)},
        "times twice": {"times": np.arange(48) // 2},
        "times that go back": {"times": _swapped(np.arange(48), 4, 5)},
        "times that go back in a group": {**pair, "times": np.r_[0:24, 23:-1:-1]},
        "times of texts": {"times": ["2026-01-01"] * 48},
        "times of another length": {"times": np.arange(47)},
        "times with none": {"times": pd.DatetimeIndex([pd.NaT] * 48)},
    }
    for what, given in odd.items():
        # Names beside numbers are texts to NumPy, and name series all the same.
        expect = "either" if what == "groups of several types" else "clear"
        yield Call(f"windows with {what}", partial(_window, **given), expect, uses.windows)
    windows = _window(horizon=4)
    for what, value in {
        **JUNK,
        "2": 2,
        "a share of all": 1.0,
        "almost all": 0.999,
        "almost none": 1e-9,
        "more than there are": 43,
        "all but one": 41,
    }.items():
        expect = "works" if what in ("0", "2") else "clear"
        expect = (
            "either" if what in ("2.0", "a share of all") else expect
        )  # whole: so many instants
        yield Call(f"data(test={what})", partial(windows.data, value), expect, uses.all_of_data)
    for what, value in {**JUNK, "5 of 4": 5}.items():
        yield Call(f"last(rows={what})", partial(windows.last, value))
    yield Call("forgotten target times", partial(_forgotten, windows))
    yield Call("other targets beside windows", partial(Data, windows, SERIES[:5, 0]))
    yield Call("two windows that know other times", partial(_two_windows))
    yield Call(
        "a test of other lags",
        partial(Data, windows, x_test=_window(lags=4, times=np.arange(48) + 100)),
    )
    for what, step in {
        "no channel of two": Difference(),
        "channel 9": Difference(9),
        "channel -3": Difference(-3),
        "a channel of no name": Difference("close"),
        "another input": Difference(0, "other"),
    }.items():
        yield Call(f"the difference of {what}", partial(step.resolve, windows.data().x))


def _forgotten(windows: Windows) -> Data:
    return Data(windows, times=windows.times)


def _two_windows() -> Data:
    other = _window(times=np.arange(48) + 7)
    return Data({"a": _window(), "b": other}, _window().targets)


ATTACKS = {
    "times": lambda sample, seed: _attack("times", [*_times(), *_evaluators()], sample, seed),
    "windows": lambda sample, seed: _attack("windows", list(_windows()), sample, seed),
}


def _attack(name: str, calls: list[Call], sample: int | None, seed: int) -> Figures:
    return expected.attack(name, calls, sample, seed)
