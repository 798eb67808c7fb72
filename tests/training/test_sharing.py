"""Large data of a study: loaded once, mapped by every worker."""

import mmap
import os
import subprocess
import sys
import tempfile
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import OneHotEncoder

from hpsearch import Data, Task
from hpsearch.core.coding import Coding
from hpsearch.core.errors import DataError
from hpsearch.training import sharing

LARGE = np.arange(5_000_000, dtype=np.float64).reshape(-1, 50)
Y = np.arange(len(LARGE)) % 3


def is_mapped(array):
    """Whether an array's memory is a file's, so that all who read the file share it."""
    while isinstance(array, np.ndarray):
        if isinstance(array, np.memmap):
            return True
        array = array.base
    return isinstance(array, mmap.mmap)


def task(data):
    return Task("t", data, loss="mse", metric="mae")


@pytest.mark.parametrize(
    "x", [LARGE, {"a": LARGE, "b": LARGE[:, :1]}, {"x": LARGE}], ids=["array", "inputs", "named x"]
)
def test_what_is_shared_is_what_was_loaded(tmp_path, x):
    data = Data(x, Y, groups=Y % 2)
    first, second = (sharing.load(task(data), tmp_path) for _ in range(2))
    for shared in (first, second):
        assert shared.fingerprint == data.fingerprint
        assert type(shared.x) is type(data.x)
        arrays = shared.x.values() if isinstance(x, dict) else [shared.x]
        assert all(is_mapped(array) for array in arrays)
        assert (shared.groups == data.groups).all()


def test_shared_rows_keep_which_of_them_validate(tmp_path):
    data = Data(LARGE[:-100], Y[:-100], x_val=LARGE[-100:], y_val=Y[-100:])
    for shared in (sharing.load(task(data), tmp_path) for _ in range(2)):
        assert is_mapped(shared.x)
        assert shared.validation_rows == 100
        assert shared.fingerprint == data.fingerprint


def test_a_shared_table_keeps_its_columns_and_its_coding(tmp_path):
    coding = Coding({"c": ("x", "y")}, (), 3.5, 2.0, "price")
    names = tuple(f"c{i}" for i in range(LARGE.shape[1]))
    data = Data(LARGE, Y, columns=names, coding=coding)
    for _ in range(2):  # the one who writes it, and one who finds it
        shared = sharing.load(task(data), tmp_path)
        assert (shared.columns, shared.coding) == (names, coding)
    assert shared.coding.unit == "in standard deviations of 'price' (1 = 2)"


def test_whatever_data_has_reaches_the_other_workers(tmp_path, monkeypatch):
    """Also what it may have one day: all fields are tried here but those that no search reads."""
    monkeypatch.setattr(sharing, "LARGE", 0)
    days, numbers = np.arange(8), np.arange(8.0)
    frame = pd.DataFrame({"a": ["x", "y"] * 4})
    tried = [
        Data(numbers[:, None], numbers, columns=["a"], coding=Coding({}, (), 3.5, 2.0, "price")),
        Data(frame, numbers, groups=days, sample_weight=numbers + 1, version="2026-11"),
        Data(numbers[:, None], numbers, times=days, target_times=days + 1),
        Data(numbers[:, None], numbers, x_val=numbers[:2, None], y_val=numbers[:2]),
    ]
    left = {field.name for field in fields(Data)} - {"given_streams"}
    left = {name for name in left if not name.endswith("_test")}
    for number, data in enumerate(tried):
        shared = None
        for _ in range(2):  # the one who writes it, and one who finds it
            (folder := tmp_path / str(number)).mkdir(exist_ok=True)
            shared = sharing.load(replace(task(data), preprocess=OneHotEncoder()), folder)
        assert (folder / "index.json").exists()
        for name in [field.name for field in fields(Data)]:
            there, expected = getattr(shared, name), getattr(data, name)
            if isinstance(expected, np.ndarray):
                assert there.dtype == expected.dtype, name
                assert (there == expected).all(), name
            else:
                assert repr(there) == repr(expected), name
            if expected is not None and repr(expected) not in ("()", "{}", "0"):
                left.discard(name)
        assert shared.fingerprint == data.fingerprint
    assert not left


def test_it_is_loaded_once(tmp_path):
    loads = []
    many = task(lambda: loads.append(1) or Data(LARGE, Y))
    for _ in range(3):
        sharing.load(many, tmp_path)
    assert len(loads) == 1


def test_small_data_is_not_written(tmp_path):
    sharing.load(task(Data(LARGE[:100], Y[:100])), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_shared_data_cannot_be_changed(tmp_path):
    shared = sharing.load(task(Data(LARGE, Y)), tmp_path)
    with pytest.raises(ValueError, match="read-only"):
        shared.x[0, 0] = 1.0


def test_a_damaged_share_is_told(tmp_path):
    sharing.load(task(Data(LARGE, Y)), tmp_path)
    (tmp_path / "0.npy").write_bytes(b"garbage")
    with pytest.raises(DataError, match="cannot be read"):
        sharing.load(task(Data(LARGE, Y)), tmp_path)


def test_the_folder_goes_with_the_run_and_with_a_killed_one_at_the_next(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], text=True,
                          capture_output=True, check=True).stdout.strip()  # fmt: skip
    left, living = tmp_path / f"hpsearch-{dead}-x", tmp_path / f"hpsearch-{os.getppid()}-x"
    other = tmp_path / "hpsearch-notes-x"
    for path in (left, living, other):
        path.mkdir()
    with sharing.folder() as folder:
        assert folder.is_dir()
        assert not left.exists()
    assert not Path(folder).exists()
    assert living.exists()
    assert other.exists()


def test_without_room_each_loads_its_own_and_nothing_is_left(tmp_path, monkeypatch):
    def full(path, *_, **__):
        Path(path).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    for _ in range(2):
        assert (sharing.load(task(Data(LARGE, Y)), tmp_path).x == LARGE).all()
    assert [path.name for path in tmp_path.iterdir()] == ["refused"]


def test_what_one_worker_computes_the_others_map(tmp_path):
    computed = []

    def compute():
        computed.append(1)
        return LARGE

    first, second = (sharing.compute_once(tmp_path, "features-1", compute) for _ in range(2))
    assert len(computed) == 1
    assert np.array_equal(first, LARGE)
    assert np.array_equal(second, LARGE)
    assert is_mapped(second)
    assert sharing.compute_once(None, "features-1", compute) is LARGE
    assert [path.name for path in tmp_path.iterdir()] == ["features-1.npy"]
