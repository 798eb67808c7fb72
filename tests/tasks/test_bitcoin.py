"""The bitcoin task: its windows, what is fitted on the past alone, and damaged files."""

import gzip

import numpy as np
import pytest

from hpsearch import Forward
from hpsearch.core.errors import DataError
from hpsearch.tasks import bitcoin, source

HOUR = np.timedelta64(3600, "s")


@pytest.fixture(
    params=[pytest.param("stand-in", id="made"), pytest.param("", marks=pytest.mark.realdata, id="real")]
)  # fmt: skip
def loaded(request, monkeypatch):
    """(the hours, their prices, the task, its data): of the stand-in, and of the real file."""
    if request.param:
        monkeypatch.setenv("HPSEARCH_DATA", request.param)
        changes = np.random.default_rng(0).normal(0, 20, 600)
        changes[1:] += 0.5 * changes[:-1]
        hours = np.datetime64("2020-01-01", "s") + HOUR * np.arange(600)
        series = hours, 8000 + np.cumsum(changes)
    else:
        series = bitcoin.read_prices()
    task = bitcoin.task()
    return *series, task, task.load()


def test_a_row_is_the_prices_up_to_an_hour_and_the_one_after(loaded):
    hours, prices, _, data = loaded
    places = np.searchsorted(hours, data.times)
    assert (hours[places] == data.times).all()
    for row in (0, 1, data.rows // 2, data.rows - 1):
        at = places[row]
        assert np.asarray(data.x[[row]])[0, :, 0].tolist() == prices[at - 48 : at + 1].tolist()
        assert data.y[row] == prices[at + 1]
    # The test is the end, and begins where the last target is known.
    first = np.searchsorted(hours, data.target_times[-1])
    assert data.y_test[0] == prices[first + 1]
    assert data.y_test[-1] == prices[-1]


@pytest.mark.parametrize("gap", [0, 1, 24])
def test_no_row_of_the_future_is_in_any_training_set(loaded, gap):
    *_, task, data = loaded
    splits = Forward(5, gap=gap).splits(task, data, seed=0)
    assert len(splits) == 5
    validated = np.concatenate([split.validation for split in splits])
    assert (np.diff(validated) == 1).all()  # all hours from the first fold's on, each once
    assert validated[-1] == data.rows - 1
    for split in splits:
        begins = data.times[split.validation[0]]
        assert len(split.train) > 0
        assert split.train.tolist() == list(range(len(split.train)))  # from the first hour on
        # The last training row shows, and predicts, nothing that is later than the first
        # validation row shows; and `gap` hours are left out between the two.
        assert data.target_times[split.train].max() <= begins
        assert data.times[split.train].max() == begins - (gap + 1) * HOUR


def test_what_a_fold_learns_from_is_the_same_whatever_comes_after(loaded):
    """Prices and changes are scaled by its past alone: later prices a thousand times as high."""
    from hpsearch.training.fold_preprocessing import choose_split
    from hpsearch.training.rows import prepare_rows

    hours, prices, task, data = loaded
    split = Forward(5).splits(task, data, seed=0)[2]
    higher = np.where(hours > data.target_times[split.train[-1]], 1000 * prices, prices)
    other = bitcoin._make_windows(hours, higher, 48)
    chosen = choose_split(task, split, {"lags": 24})
    rows, changed = (prepare_rows(task, each, chosen) for each in (data, other))
    assert rows.x.shape == (len(split.train), 24, 1)
    for array in (rows.x, rows.y):
        assert (array.min(), array.max()) == pytest.approx((-1, 1))
    assert (np.asarray(rows.x) == np.asarray(changed.x)).all()
    assert (np.asarray(rows.y) == np.asarray(changed.y)).all()
    assert np.abs(changed.y_validation).max() > 100  # they are higher


def test_lags_beyond_the_most_are_refused_in_a_line(loaded):
    *_, data = loaded
    with pytest.raises(DataError, match="needs windows of 50 instants, and these have 49"):
        bitcoin.scale_changes(49).fit(np.asarray(data.x[:5]))


HEADER = "Timestamp,Open,High,Low,Close,Volume_BTC,Volume_USD"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no gzip at all", "is damaged"),
        (gzip.compress(b"Time,Price\n1,2\n"), "begins with 'Time,Price'; it is not the right file"),
        (gzip.compress(f"{HEADER}\n1,2,3\n".encode()), r"is damaged .*shape \(1, 3\) instead of"),
        (gzip.compress(f"{HEADER}\n1,2,3,4,5,6,x\n".encode()), "is damaged .*could not convert"),
        (gzip.compress(bytes(2**20))[:-20], "is damaged"),
    ],
    # Named here: a compressed text has the time of its making in it, and tests in two processes
    # must have the same names.
    ids=["no gzip", "other header", "too few columns", "no number", "cut"],
)
def test_other_and_damaged_files_are_refused_in_a_line(content, message, monkeypatch, tmp_path):
    (tmp_path / "bitcoin_hourly.csv.gz").write_bytes(content)
    monkeypatch.setenv("HPSEARCH_DATA", str(tmp_path))
    with pytest.raises(DataError, match=message) as refused:
        bitcoin.load()
    assert "\n" not in str(refused.value)


def test_a_file_that_unpacks_to_too_much_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(source, "_LARGEST", 10_000)
    path = tmp_path / "zeros.gz"
    path.write_bytes(gzip.compress(bytes(10_001)))
    with pytest.raises(DataError, match="unpacks to more than 10,000 bytes"):
        source.read_gzip(path)
    path.write_bytes(gzip.compress(bytes(10_000)))
    assert len(source.read_gzip(path)) == 10_000


@pytest.mark.realdata
def test_hours_that_do_not_follow_each_other_are_refused(monkeypatch, tmp_path):
    lines = gzip.decompress(source.find_file("bitcoin_hourly.csv.gz").read_bytes()).splitlines()
    lines[3], lines[4] = lines[4], lines[3]
    (tmp_path / "bitcoin_hourly.csv.gz").write_bytes(gzip.compress(b"\n".join(lines)))
    monkeypatch.setenv("HPSEARCH_DATA", str(tmp_path))
    with pytest.raises(DataError, match="hours that do not follow each other"):
        bitcoin.load()


@pytest.mark.realdata
def test_prices_are_as_published():
    hours, prices = bitcoin.read_prices()
    assert (str(hours[0]), str(hours[-1])) == ("2017-07-01T11:00:00", "2019-10-17T09:00:00")
    assert prices[:2].tolist() == [2509.17, 2488.43]
    assert str(hours[prices.argmax()])[:10] in {"2017-12-16", "2017-12-17"}
