"""Transformers of windows."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, RobustScaler, StandardScaler

from hpsearch import Lags, PerChannel
from hpsearch.core.errors import DataError
from hpsearch.transformers.date_parts import DateParts

X = np.arange(60.0).reshape(2, 10, 3)


@pytest.mark.parametrize(
    ("transformer", "places"),
    [
        (Lags(10), range(10)),
        (Lags(4), [6, 7, 8, 9]),
        (Lags(1), [9]),
        (Lags(4, 3), [0, 3, 6, 9]),
        (Lags(3, stride=2), [5, 7, 9]),
    ],
)
def test_the_last_values_are_kept(transformer, places):
    found = clone(transformer).fit(X).transform(X)
    assert found.tolist() == X[:, list(places)].tolist()


def test_differences_need_one_value_more():
    x = X**2
    assert Lags(9, difference=True).fit_transform(x).tolist() == np.diff(x, axis=1).tolist()
    found = Lags(3, 2, difference=True).fit_transform(x)
    assert found.tolist() == (x[:, 5::2] - x[:, 3:9:2]).tolist()
    small = np.array([[[200], [100]]], np.uint8)
    assert Lags(1, difference=True).fit_transform(small).tolist() == [[[-100.0]]]
    with pytest.raises(DataError, match="needs windows of 11 instants, and these have 10"):
        Lags(10, difference=True).fit(X)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Lags(0), "lags= a whole number from 1 on, got 0"),
        (lambda: Lags(2.0), "lags= a whole number"),
        (lambda: Lags(2, stride=0), "stride= a whole number"),
        (lambda: Lags(2, difference=1), "difference=True or False, got 1"),
        (
            lambda: Lags(11).fit(X),
            r"Lags\(lags=11\) needs windows of 11 instants, and these have 10",
        ),
        (lambda: Lags(4, 4).fit_transform(X), "needs windows of 13 instants, .* Windows.lags=13"),
        (lambda: Lags(2).fit(X[0]), r"as Windows gives them, got float64 of shape \(10, 3\)"),
        (lambda: PerChannel(None), "needs a transformer of scikit-learn's"),
        (lambda: PerChannel(StandardScaler), "needs a transformer of scikit-learn's"),
        (lambda: PerChannel(StandardScaler()).fit(X[0]), "PerChannel takes windows"),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(DataError, match=message):
        make()


def test_each_channel_is_scaled_by_itself():
    x = np.random.default_rng(0).normal([1, 10, 100], [1, 2, 3], (50, 8, 3))
    found = PerChannel(StandardScaler()).fit(x).transform(x)
    assert np.allclose(found.mean((0, 1)), 0)
    assert np.allclose(found.std((0, 1)), 1)
    table = StandardScaler().fit(x.reshape(-1, 3))
    assert found.tolist() == table.transform(x.reshape(-1, 3)).reshape(x.shape).tolist()
    assert PerChannel(StandardScaler()).fit_transform(x.astype("float32")).dtype == "float32"


def test_chunks_give_what_all_rows_give():
    x = np.random.default_rng(0).normal(3, 2, (50, 8, 3))
    chunked = PerChannel(StandardScaler())
    for start in range(0, 50, 20):
        chunked.partial_fit(x[start : start + 20])
    assert np.allclose(chunked.transform(x), PerChannel(StandardScaler()).fit_transform(x))
    assert not hasattr(PerChannel(RobustScaler()), "partial_fit")


def test_channels_may_become_others():
    x = np.random.default_rng(0).integers(0, 3, (20, 5, 2))
    assert PerChannel(PCA(1)).fit_transform(x).shape == (20, 5, 1)
    assert PerChannel(OneHotEncoder()).fit_transform(x).shape == (20, 5, 6)


def test_they_go_one_after_the_other():
    both = make_pipeline(Lags(4, 2), PerChannel(StandardScaler()))
    assert both.fit(X).transform(X).shape == (2, 4, 3)


def test_kept_lags_do_not_hold_the_whole_windows():
    assert Lags(3).fit_transform(X).base is None


@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
def test_days_are_counted_by_the_clock_on_the_wall(zone):
    times = pd.Series(pd.to_datetime(["2000-01-02T06:00", "2024-07-01T00:00"])).dt.tz_localize(zone)
    found = DateParts(("days",)).fit(frame := pd.DataFrame({"when": times})).transform(frame)
    assert np.asarray(found)[:, 0].tolist() == [1.25, 8948.0]
