"""Times of rows: what they may be, and that they go wherever rows go."""

import datetime
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from hpsearch import Data, Source, Task, Windows
from hpsearch.core.errors import DataError
from hpsearch.core.times import find_past, number_instants
from hpsearch.training import sharing

X, Y = np.arange(12.0).reshape(6, 2), np.arange(6.0)
DAYS = pd.date_range("2026-01-01", periods=6)


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ([1, 2, 2, 3, 4, 9], "i"),
        (np.arange(6, dtype=np.uint8), "i"),
        ([0.5, 1, 2, 3, 4, 5], "f"),
        (DAYS, "M"),
        (pd.Series(DAYS), "M"),
        (list(DAYS), "M"),
        ([day.date() for day in DAYS], "M"),
        (np.arange(6).reshape(6, 1), "i"),
    ],
)
def test_times_are_numbers_or_dates(given, kind):
    times = Data(X, Y, times=given).times
    assert (times.dtype.kind, times.shape) == (kind, (6,))
    expected = DAYS.to_numpy() if kind == "M" else np.asarray(given).reshape(-1)
    assert (times == expected).all()


def test_times_with_a_zone_are_those_of_utc():
    # An hour comes twice when summer time ends: by the clock on the wall it would go back.
    utc = pd.date_range("2026-10-24 22:00", periods=6, freq="h", tz="UTC")
    local = utc.tz_convert("Europe/Zurich")
    expected = utc.tz_localize(None).to_numpy()
    assert (Data(X, Y, times=local).times == expected).all()
    assert (Data(X, Y, times=list(local.to_pydatetime())).times == expected).all()


def test_times_with_a_zone_beyond_what_nanoseconds_hold_are_not_wrapped_around():
    far = pd.date_range("3000-01-01", periods=6, freq="s", tz="UTC", unit="s")
    assert str(Data(X, Y, times=far).times[1]) == "3000-01-01T00:00:01"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"times": np.ma.masked_equal(range(6), 3)}, "times has masked values"),
        (
            {"times": [*DAYS[:3].tz_localize("UTC").to_pydatetime(), *DAYS[3:].to_pydatetime()]},
            "have a zone in some rows and none in others.* in row 3",
        ),
        (
            {"times": np.arange(6, dtype=np.uint64) + np.uint64(2**63 - 3)},
            "must be below 2.*63, got 9223372036854775810",
        ),
        (  # compared as nanoseconds, the year 9980 would lie before 2026
            {
                "times": np.arange("9980", "9986", dtype="datetime64[Y]"),
                "x_test": X[:2],
                "y_test": Y[:2],
                "times_test": DAYS[:2].to_numpy("datetime64[ns]"),
            },
            r"times has 9980, which datetime64\[ns\] cannot hold",
        ),
        ({"times": [0, 1, 3, 2, 4, 5]}, "must not go back, got 2 in row 3 after 3; sort"),
        ({"times": [0, 1, np.nan, 2, 4, 5]}, "must be finite, got nan in row 2"),
        ({"times": [*DAYS[:5], pd.NaT]}, "must be finite, got NaT in row 5"),
        ({"times": [str(day) for day in DAYS]}, "read dates by pandas.to_datetime"),
        ({"times": pd.period_range("2026", periods=6)}, "one number or datetime64 a row"),
        ({"times": [True] * 6}, "one number or datetime64 a row, got dtype bool"),
        ({"times": np.zeros((6, 2))}, r"got dtype float64 and shape \(6, 2\)"),
        ({"times": range(5)}, "same number of rows, got x: 6, y: 6, times: 5"),
        ({"target_times": range(6)}, "target_times needs times= too"),
        ({"times_test": range(6)}, "times_test needs times= too"),
        ({"times": range(6), "target_times": [1, 2, 3, 4, 5, 4]}, "got 4 and 5 in row 5"),
        ({"times": range(6), "target_times": DAYS}, "both be numbers or both datetime64"),
        ({"times": range(6), "times_test": [7]}, "no effect without x_test"),
        (
            {"times": range(6), "x_val": X, "y_val": Y},
            r"times have no effect where the data says which rows validate.*Forward\(\)",
        ),
    ],
)
def test_wrong_times_are_refused_in_one_line(options, message):
    with pytest.raises(DataError, match=message) as raised:
        Data(X, Y, **options)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("ahead", "first", "message"),
    [
        (0, 5, "the test of a series is its end, got a test row at 5, and a row to search on at 5"),
        (3, 6, "the target of row 4 is known at 7, after the first test row at 6"),
        (1, 6, None),
    ],
)
def test_the_test_comes_last(ahead, first, message):
    times = np.arange(6)
    options = {"times": times, "target_times": times + ahead, "times_test": [first, 9]}
    if message is None:
        assert Data(X, Y, X[:2], Y[:2], **options).times_test.tolist() == [6, 9]
        return
    with pytest.raises(DataError, match=message):
        Data(X, Y, X[:2], Y[:2], **options)


def test_times_are_known_again_and_no_times_change_nothing():
    plain = Data(X, Y).fingerprint
    assert plain == "ca0482197211e4ef"
    timed = Data(X, Y, times=range(6))
    assert timed.fingerprint not in (plain, Data(X, Y, times=range(1, 7)).fingerprint)
    ahead = Data(X, Y, times=range(6), target_times=range(1, 7))
    assert ahead.fingerprint not in (plain, timed.fingerprint)
    tested = Data(X, Y, X[:1], Y[:1], times=range(6), times_test=[8])
    assert tested.fingerprint == timed.fingerprint  # the test does not count
    assert tested.without_test().times_test is None


def test_times_go_with_their_rows():
    data = Data(X, Y, times=DAYS, target_times=DAYS + pd.Timedelta(days=1))
    taken = data.take([1, 4])
    assert (taken.times == DAYS[[1, 4]]).all()
    assert (taken.target_times == DAYS[[2, 5]]).all()
    with pytest.raises(DataError, match="must not go back"):
        data.take([4, 1])


def test_workers_share_times(tmp_path, monkeypatch):
    monkeypatch.setattr(sharing, "LARGE", 0)
    task = Task("t", Data(X, Y, times=DAYS, target_times=DAYS), loss="mse")
    first, mapped = sharing.load(task, tmp_path), sharing.load(task, tmp_path)
    assert (tmp_path / "index.json").exists()
    for data in (first, mapped):
        assert (data.times == DAYS).all()
        assert (data.target_times == DAYS).all()
        assert data.fingerprint == task.load().fingerprint


def test_a_source_may_know_its_times():
    class Rows(Source):
        times = (3, 4, 5)
        target_times = (4, 5, 6)
        targets = (0.0, 1.0, 2.0)

        def __len__(self):
            return 3

        def rows(self, indices):
            return X[indices]

    data = Data(Rows())
    assert data.times.tolist() == [3, 4, 5]
    assert data.target_times.tolist() == [4, 5, 6]
    given = Data(Rows(), times=[0, 0, 0], target_times=[0, 0, 0])  # what is given goes before
    assert given.target_times.tolist() == [0, 0, 0]
    with pytest.raises(DataError, match="times= without target_times= forgets that targets of x"):
        Data(Rows(), times=[0, 0, 0])
    later = Rows()
    later.times = None
    with pytest.raises(DataError, match="target_times needs times= too"):
        Data(later)
    later.times = (9, 9, 10)
    assert Data(Rows(), x_test=later).times_test.tolist() == [9, 9, 10]
    with pytest.raises(DataError, match="the test of a series is its end"):
        Data(Rows(), x_test=Rows())


def test_sources_among_several_inputs_know_times_too():
    windows, other = Windows(range(9), lags=3), Windows(range(9), lags=3, times=range(1, 10))
    still = np.zeros((6, 1))
    data = Data({"still": still, "past": windows}, windows.targets)
    assert data.times.tolist() == [2, 3, 4, 5, 6, 7]
    assert data.target_times.tolist() == [3, 4, 5, 6, 7, 8]
    assert replace(data, times=None, target_times=None).times is None
    Data({"a": windows, "b": windows}, windows.targets)
    with pytest.raises(DataError, match="the input 'b' of x knows other times than one before"):
        Data({"a": windows, "b": other}, windows.targets)
    with pytest.raises(DataError, match="forgets that targets of x are known later"):
        Data({"a": windows, "b": other}, windows.targets, times=range(6))
    known = {"times": range(6), "target_times": range(1, 7)}
    assert Data({"a": windows, "b": other}, windows.targets, **known).times[5] == 5


def test_rows_of_one_time_are_one_instant():
    assert number_instants(np.array([2, 2, 5, 5, 7]), 5).tolist() == [0, 0, 1, 1, 2]
    assert find_past(np.arange(5), None, None, 3, gap=1).tolist() == [0, 1]
    assert find_past(np.arange(5), None, None, 0).tolist() == []


def test_one_date_of_python_is_a_time():
    now = datetime.datetime(2026, 1, 1, 12, 30)
    assert Data(X[:1], Y[:1], times=[now]).times[0] == np.datetime64(now)
