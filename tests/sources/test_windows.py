"""Windows over series: rows that are the last values, targets that come later, and no copies."""

import numpy as np
import pandas as pd
import pytest

from hpsearch import Data, Windows
from hpsearch.core.errors import DataError
from hpsearch.core.reading import foreign_rows
from tests.contracts.source import SourceContract
from tests.sources.makers import MAKERS

SERIES = np.random.default_rng(0).normal(size=(206, 2)).astype("float32")
GROUPS = np.random.default_rng(1).permutation(np.repeat(list("ba"), (120, 92)))
DATES = pd.date_range("2026-01-01", periods=40, freq="h")


def make_one(folder):
    array = np.stack([SERIES[end - 4 : end + 1] for end in range(4, 204)])
    return lambda: Windows(SERIES, lags=5, horizon=2, target=1), array


def make_many(folder):
    table = np.arange(212.0)
    times = np.empty(212, int)
    for name in "ab":
        times[GROUPS == name] = np.arange((GROUPS == name).sum())
    rows = []
    for name in "ab":
        values = table[GROUPS == name]
        rows += [(end, values[end - 4 : end + 1, None]) for end in range(4, len(values) - 2)]
    array = np.stack([window for _, window in sorted(rows, key=lambda row: row[0])])
    return lambda: Windows(table, lags=5, horizon=2, groups=GROUPS, times=times), array


def make_mapped(folder):
    np.save(folder / "series.npy", SERIES)
    _, array = make_one(folder)
    mapped = lambda: np.load(folder / "series.npy", mmap_mode="r")  # noqa: E731
    return lambda: Windows(mapped(), lags=5, horizon=2, target=1), array


class TestWindows(SourceContract):
    @pytest.fixture(params=[make_one, make_many, make_mapped])
    def opened(self, request, tmp_path, monkeypatch):
        monkeypatch.setattr(foreign_rows, "LARGE", 0)
        return request.param(tmp_path)


def test_targets_lie_the_horizon_later():
    windows = Windows(np.arange(20), lags=4, horizon=3, times=DATES[:20])
    x, y = windows.rows(np.arange(len(windows))), windows.targets
    assert x.dtype == y.dtype == np.arange(1).dtype
    assert (y == x[:, -1, 0] + 3).all()
    assert len(windows) == 20 - 4 - 3 + 1
    assert (windows.times == DATES[x[:, -1, 0]]).all()
    assert (windows.target_times == DATES[y]).all()


def test_several_steps_and_several_targets():
    frame = pd.DataFrame({"open": np.arange(20.0), "close": np.arange(20.0) * 10})
    steps = Windows(frame, lags=4, horizon=2, steps=3, target="close")
    assert steps.targets[0].tolist() == [50, 60, 70]
    assert steps.target_times[0] == 7
    both = Windows(frame, lags=4, target=["close", 0])
    assert both.targets[-1].tolist() == [190, 19]
    assert Windows(frame["close"], lags=4).targets[0] == 40


@pytest.mark.parametrize("name", ["memory_map", "hdf5", "zarr_array", "arrow_table", "parquet"])
def test_a_series_may_lie_in_a_file(name, tmp_path, monkeypatch):
    monkeypatch.setattr(foreign_rows, "LARGE", 0)
    makers = [key for key in MAKERS if key.startswith(name.split("_")[0])]
    open_rows, array = MAKERS[makers[0]](tmp_path)
    assert array.ndim == 2
    windows = Windows(open_rows(), lags=7, target=2)
    assert not windows.is_in_memory
    expected = np.lib.stride_tricks.sliding_window_view(array, 7, axis=0).swapaxes(1, 2)
    x = Data(windows).x
    assert (x[:] == expected[:-1]).all()
    assert (windows.targets == array[7:, 2]).all()


def test_the_series_is_not_copied():
    series = np.zeros(200_000)
    windows = Windows(series, lags=1000)
    assert windows._series.source.array is series
    assert np.shares_memory(windows._take(np.arange(9)).arrays[1], series)


def test_no_window_has_values_of_two_series():
    groups = np.tile(["x", "y", "z"], 30)
    values = np.where(groups == "x", 0, np.where(groups == "y", 1000, 2000)) + np.arange(90)
    windows = Windows(values, lags=5, groups=groups, times=np.arange(90) // 3)
    x = windows.rows(np.arange(len(windows)))[:, :, 0]
    assert (np.diff(x, axis=1) == 3).all()
    assert (x[:, 0] // 1000 == windows.groups).all()
    assert (values[windows.instants] == x[:, -1]).all()
    assert (windows.targets == x[:, -1] + 3).all()


def test_the_test_is_the_end_of_the_series():
    windows = Windows(np.arange(100.0), lags=10, horizon=4)
    data = windows.data(test=0.25)
    assert len(windows) == 87
    assert len(data.y_test) == round(87 * 0.25) == 22
    assert data.y_test[-1] == 99
    first = data.x_test[0][-1, 0]
    assert data.y.max() == first  # what is known when the test begins
    assert len(data.y) == 87 - 22 - 3
    assert windows.data(test=10).y_test.tolist() == list(range(90, 100))
    whole = windows.data(test=0)
    assert (whole.rows, whole.x_test) == (87, None)
    assert whole.times.tolist() == list(range(9, 96))


def test_what_only_the_test_reads_does_not_change_the_fingerprint():
    series = np.random.default_rng(3).normal(size=100)
    changed = series.copy()
    changed[90:] += 1
    groups = np.repeat([0, 1], 50)
    times = np.tile(np.arange(50), 2)
    for options in ({}, {"groups": groups, "times": times}):
        before = Windows(series, lags=5, **options).data(test=0.3)
        assert Windows(changed, lags=5, **options).data(test=0.3).fingerprint == before.fingerprint
        changed[1] += 1
        assert Windows(changed, lags=5, **options).data(test=0.3).fingerprint != before.fingerprint
        changed[1] = series[1]
        other = Windows(series, lags=6, **options).data(test=0.3)
        assert other.fingerprint != before.fingerprint


def test_the_last_windows_are_those_to_predict_from():
    windows = Windows(np.arange(30), lags=4, horizon=3)
    assert windows.last()[:, :, 0].tolist() == [[26, 27, 28, 29]]
    assert windows.last(3)[:, -1, 0].tolist() == [27, 28, 29]
    for rows in (0, 4, True):
        with pytest.raises(DataError, match="rows= from 1 to 3"):
            windows.last(rows)
    with pytest.raises(DataError, match=r"needs rows=1, .* horizon=1, got 3"):
        Windows(np.arange(30), lags=4, horizon=1).last(3)
    groups = np.tile([1, 0], 20)
    many = Windows(np.arange(40), lags=4, groups=groups, times=np.arange(40))
    assert many.last()[:, -1, 0].tolist() == [39, 38]


FRAME = pd.DataFrame({"a": np.arange(9.0), "b": np.arange(9.0)})


@pytest.mark.parametrize(
    ("series", "options", "message"),
    [
        (range(9), {"lags": 9}, "the series has 9 instants, and .* need 10: lags=9 [+] horizon=1"),
        (range(9), {"lags": 3, "horizon": 3, "steps": 5}, r"need 10: .* [+] steps - 1 = 4"),
        (
            range(9),
            {"lags": 3, "groups": [1] * 6 + [2] * 3, "times": range(9)},
            "the series 2 has 3 instants",
        ),
        (range(9), {"lags": 0}, "lags= a whole number from 1 on, got 0"),
        (range(9), {"lags": 2, "horizon": 1.5}, "horizon= a whole number"),
        (range(9), {"lags": 2, "steps": True}, "steps= a whole number"),
        (FRAME, {"lags": 2}, r"needs target= the channel to predict, of \['a', 'b'\]"),
        (FRAME, {"lags": 2, "target": "aa"}, r"no channel 'aa' \(did you mean 'a'\?\)"),
        (FRAME, {"lags": 2, "target": 2}, "no channel 2"),
        (FRAME, {"lags": 2, "target": ["a", 0]}, "channels that differ"),
        (FRAME, {"lags": 2, "target": ["a", "b"], "steps": 2}, "steps > 1 with one target"),
        (FRAME.assign(c="x"), {"lags": 2, "target": "a"}, "needs a frame of numbers, and has"),
        (np.zeros((9, 2, 2)), {"lags": 2}, r"shape \(instants,\) or \(instants, channels\)"),
        ([], {"lags": 2}, "got 0 instants"),
        (list("abcdefgh"), {"lags": 2}, "needs a series of numbers"),
        (range(9), {"lags": 2, "groups": [1] * 9}, "needs times= where it has groups="),
        (range(9), {"lags": 2, "groups": [1] * 8, "times": range(9)}, "8 groups and 9 instants"),
        (range(9), {"lags": 2, "times": range(8)}, "8 times and 9 instants"),
        (range(9), {"lags": 2, "times": [0, 1, 2, 2, 3, 4, 5, 6, 7]}, "got 2 in row 3 after 2"),
        (
            range(9),
            {"lags": 2, "groups": list("aabbaabab"), "times": [0, 1, 0, 1, 2, 3, 3, 1, 4]},
            "times of the series 'a' must increase, got 1 in row 7 after 3",
        ),
        ([0, 1, np.nan, 3, 4], {"lags": 2}, "holds nan in row 2 of channel 0; fill such gaps"),
        (FRAME.replace(4.0, np.inf), {"lags": 2, "target": "a"}, "inf in row 4 of column 'a'"),
    ],
)
def test_wrong_series_are_refused_in_one_line(series, options, message):
    with pytest.raises(DataError, match=message) as raised:
        Windows(series, **options)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "test", [1.0, 1, -0.1, 7, None, True, False, "half", "", [], np.nan, np.inf, np.arange(3)]
)
def test_a_test_that_is_nothing_or_all_is_refused(test):
    windows = Windows(range(9), lags=2, horizon=1)
    assert len(windows) == 7
    if type(test) in (int, float) and test == 1:  # one instant, as a number or a whole float
        assert len(windows.data(test=test).y_test) == 1
        return
    with pytest.raises(DataError, match="data needs test= a share of the 7 instants"):
        windows.data(test=test)


def test_a_test_that_leaves_nothing_that_is_known_is_refused():
    with pytest.raises(DataError, match=r"test=5 leaves no row to search on.*horizon=4"):
        Windows(range(12), lags=2, horizon=4).data(test=5)
