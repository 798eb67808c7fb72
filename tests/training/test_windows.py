"""Windows over series as training gets them: prepared at once, or in chunks."""

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import RobustScaler, StandardScaler

from hpsearch import Forward, Lags, PerChannel, Task, Windows
from hpsearch.core.errors import DataError
from hpsearch.core.reading import foreign_rows, lazy_rows
from hpsearch.core.reading.lazy_rows import LazyRows
from hpsearch.training import backend, preprocessing
from hpsearch.training.base import Split
from hpsearch.training.rows import prepare_rows

SERIES = np.random.default_rng(0).normal([3, 40], [1, 5], (300, 2))


def prepare(preprocess, series=SERIES):
    data = Windows(series, lags=20, target=0).data()
    task = Task("t", data, loss="mse", preprocess=preprocess)
    return prepare_rows(task, data, Forward(2).splits(task, data, seed=0)[1])


def scale():
    return make_pipeline(Lags(4, 2, difference=True), "passthrough", PerChannel(StandardScaler()))


def test_scaling_is_of_the_past_alone():
    rows = prepare(scale())
    changes = np.diff(np.asarray(prepare(None).x)[:, -9::2], axis=1)
    scaler = StandardScaler().fit(changes.reshape(-1, 2))
    assert np.allclose(rows.x, scaler.transform(changes.reshape(-1, 2)).reshape(changes.shape))
    later = SERIES.copy()
    later[19 + len(rows.y) + 1 :] *= 100  # all but what the last training row has as its target
    assert np.array_equal(prepare(scale(), later).x, rows.x)


@pytest.mark.parametrize("most", [0, 50_000])
def test_a_pipeline_is_fitted_step_by_step_where_rows_are_many(most, monkeypatch):
    whole = prepare(scale())
    monkeypatch.setattr(preprocessing, "_MOST_PREPARED", most)
    monkeypatch.setattr(lazy_rows, "_CHUNK", 9000)
    rows = prepare(scale())
    # All windows are 60 kB: what Lags leaves of them is prepared once, where that is small enough.
    assert isinstance(rows.x, LazyRows) == (most == 0)
    for name in ("x", "x_validation"):
        assert np.allclose(np.asarray(getattr(rows, name)), getattr(whole, name))


def test_a_step_that_needs_all_rows_is_refused_where_they_are_too_many(monkeypatch):
    monkeypatch.setattr(preprocessing, "_MOST_PREPARED", 0)
    with pytest.raises(DataError, match=r"RobustScaler.* needs all training rows in memory"):
        prepare(make_pipeline(Lags(4), PerChannel(RobustScaler())))


def test_nan_in_a_series_of_a_file_is_refused_when_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(foreign_rows, "LARGE", 0)
    torn = SERIES.copy()
    torn[30, 1] = np.nan
    np.save(tmp_path / "series.npy", torn)
    rows = prepare(None, np.load(tmp_path / "series.npy", mmap_mode="r"))
    with pytest.raises(DataError, match="x holds NaN or infinity in 20 of"):
        rows.x.read()


@pytest.mark.slow
@pytest.mark.skipif(backend.name() != "jax", reason="rows lie on the device in gangs, on jax")
def test_a_refit_puts_prepared_windows_on_the_device_once(monkeypatch):
    """It has one split, of all rows and with one of them to validate on; folds are several."""
    from hpsearch.training.batched import device_data

    data = Windows(SERIES, lags=20, target=0).data()
    task = Task("t", data, loss="mse", preprocess=scale())
    monkeypatch.setattr(device_data, "most_bytes_of_rows", lambda _: data.rows * 4 * 2 * 8)
    whole = Split(np.arange(data.rows), np.arange(1))
    assert device_data.why_too_large(task, data, whole, None) is None
    fold = Forward(2).splits(task, data, seed=0)[1]
    assert "are put on the device" in device_data.why_too_large(task, data, fold, None)
