"""How data is known again: by its values, by a sample of a source, or by a version."""

import os
import pickle
from dataclasses import replace

import cloudpickle
import numpy as np
import pytest

from hpsearch import Data, Source, Task
from hpsearch.core.errors import DataError
from hpsearch.core.fingerprint import describe_change
from hpsearch.core.reading.array_files import Hdf5Rows, MappedRows
from hpsearch.core.reading.lazy_rows import open_source
from hpsearch.core.reading.memory_maps import find_place

X = np.arange(6000.0).reshape(2000, 3)
Y = np.arange(2000) % 2


class Rows(Source):
    def __init__(self, array, files=()):
        self.array, self._files, self.reads = array, files, []

    def __len__(self):
        return len(self.array)

    def rows(self, indices):
        self.reads.append(np.asarray(indices))
        return self.array[indices]

    @property
    def files(self):
        return self._files


class Flipping(Rows):
    """Half of its rows differ in each reading."""

    def rows(self, indices):
        self.reads.append(indices)
        signs = np.random.default_rng(len(self.reads)).choice([-1.0, 1.0], len(indices))
        return self.array[indices] * signs[:, None]


# A version.


@pytest.mark.parametrize("version", ["", 3, b"2026", "a\nb", "v" * 300, ["2026"]])
def test_a_version_is_a_text(version):
    with pytest.raises(DataError, match=r"version needs a text .*; or leave it out"):
        Data(X, Y, version=version)


def test_a_version_stands_for_the_rows_and_none_is_read():
    source = Rows(X)
    data = Data(source, Y, version="2026-11")
    opened = len(source.reads)
    assert data.fingerprint.startswith("2026-11 ")
    assert len(source.reads) == opened
    assert Data(Rows(-X), 1 - Y, version="2026-11").fingerprint == data.fingerprint
    assert Data(-X, Y, version="2026-11").fingerprint == data.fingerprint
    for other in (
        Data(X, Y, version="2026-12"),
        Data(X[1:], Y[1:], version="2026-11"),
        Data(X[:, 1:], Y, version="2026-11"),
        Data(X.astype(np.float32), Y, version="2026-11"),
        Data(X, Y, groups=Y, version="2026-11"),
        Data(X, Y),
    ):
        assert other.fingerprint != data.fingerprint


def test_rows_that_are_taken_of_a_version_are_known_by_their_numbers():
    data = Data(X, Y, version="v" * 200)
    parts = [data.take(rows).fingerprint for rows in ([1, 2], [1, 3], [1, 2])]
    assert parts[0] == parts[2] != parts[1]
    assert replace(data, x_test=X, y_test=Y).fingerprint == data.fingerprint


def test_what_changed_is_told_as_far_as_it_is_known():
    first, second, plain = (
        Data(X, Y, version="2026-10"),
        Data(X, Y, version="2026-11"),
        Data(X, Y),
    )
    told = describe_change(first.fingerprint, second.fingerprint)
    assert told == "the data changed: its version was 2026-10, now 2026-11"
    assert "was not given, now 2026-11" in describe_change(plain.fingerprint, second.fingerprint)
    assert "was 2026-11, now not given" in describe_change(second.fingerprint, plain.fingerprint)
    fewer = Data(X[:9], Y[:9], version="2026-11")
    assert "number of rows" in describe_change(second.fingerprint, fewer.fingerprint)
    assert describe_change(plain.fingerprint, Data(-X, Y).fingerprint) == "the data changed"


# A sample of a source.


def test_a_source_is_known_by_a_sample_from_all_its_parts():
    source = Rows(X)
    data = Data(source, Y)
    assert data.fingerprint == Data(Rows(X.copy()), Y).fingerprint
    sampled = np.concatenate(source.reads)
    assert len(sampled) < 1100
    assert (np.histogram(sampled, 10, (0, 2000))[0] > 50).all()
    assert len(set(np.diff(np.unique(sampled)).tolist())) > 1  # in no rhythm
    changed = X.copy()
    changed[::100] += 1  # one row in a hundred
    assert Data(Rows(changed), Y).fingerprint != data.fingerprint


def test_large_rows_are_sampled_less():
    source = Rows(np.zeros((500, 2**17)))  # 1 MiB a row
    _ = Data(source, np.arange(500)).fingerprint
    assert 64 <= len(np.unique(np.concatenate(source.reads))) < 80


def test_a_source_of_few_rows_is_read_whole():
    for row in range(5):
        changed = X[:5].copy()
        changed[row, 2] += 1
        assert Data(Rows(changed), Y[:5]).fingerprint != Data(Rows(X[:5]), Y[:5]).fingerprint


def test_files_are_known_by_their_sizes_and_times(tmp_path):
    file = tmp_path / "rows"
    file.write_text("as they are")
    os.utime(file, (1, 1))
    before = Data(Rows(X, [file]), Y).fingerprint
    assert Data(Rows(X, [file]), Y).fingerprint == before
    os.utime(file, (1, 2))
    assert Data(Rows(X, [file]), Y).fingerprint != before
    os.utime(file, (1, 1))
    file.write_text("longer than before")
    os.utime(file, (1, 1))
    assert Data(Rows(X, [file]), Y).fingerprint != before
    file.unlink()
    with pytest.raises(DataError, match=r"x cannot be read: .*rows"):
        _ = Data(Rows(X, [file]), Y).fingerprint


def test_rows_that_differ_between_readings_are_refused():
    data = Data(Flipping(1 + X), Y)
    with pytest.raises(DataError, match=r"row \d+ of x differs between two readings.*augment"):
        _ = data.fingerprint


# What must be in memory.


@pytest.mark.parametrize("name", ["y", "sample_weight"])
@pytest.mark.parametrize("wrap", [Rows, lambda array: open_source("z", Rows(array))])
def test_targets_and_weights_are_no_sources(name, wrap):
    given = {"y": Y} | {name: wrap(Y.astype(float))}
    with pytest.raises(DataError, match=f"{name} must be in memory.*read it into an array"):
        Data(X, **given)


def test_targets_may_be_a_memory_map(tmp_path):
    mapped = np.memmap(tmp_path / "y", np.int64, "w+", shape=Y.shape)
    mapped[:] = Y
    data = Data(X, mapped, sample_weight=np.memmap(tmp_path / "y", np.int64, "r", shape=Y.shape))
    assert data.fingerprint == Data(X, Y, sample_weight=Y).fingerprint
    assert Task("t", data, "mse").load() is data


# On the way to a worker.


def test_a_source_is_sent_without_what_was_read_of_it():
    data = Data(Rows(X), Y)
    sent = cloudpickle.loads(cloudpickle.dumps(data))
    assert sent.x[3:5].tolist() == X[3:5].tolist()
    assert sent.fingerprint == data.fingerprint
    sent.x.reader.source.array = -X
    again = cloudpickle.loads(cloudpickle.dumps(sent))
    assert replace(again).fingerprint != data.fingerprint  # a worker looks at what it has itself


@pytest.mark.parametrize(
    "part", [lambda m: m, lambda m: m[3:], lambda m: m[:, 1:], lambda m: m[::-2], lambda m: m.T]
)
def test_a_memory_map_is_sent_as_its_place_in_the_file(tmp_path, part):
    mapped = np.memmap(tmp_path / "x", np.float32, "w+", offset=5000, shape=(1000, 7))
    mapped[:] = np.arange(7000).reshape(1000, 7)
    mapped.flush()
    array = part(mapped)
    sent = pickle.dumps(MappedRows(array))
    assert len(sent) < 1000
    found = pickle.loads(sent)
    assert np.array_equal(found.array, array)
    assert found.files == (tmp_path / "x",)
    with open(tmp_path / "x", "ab") as file:
        file.write(b"more")
    with pytest.raises(DataError, match="had 33000 bytes when it was mapped, and has 33004 now"):
        pickle.loads(sent)


def test_a_dataset_of_hdf5_is_sent_as_its_name(tmp_path):
    import h5py

    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["a/b"] = X
    with h5py.File(tmp_path / "x.h5") as file:
        sent = pickle.dumps(Hdf5Rows(file["a/b"]))
        found = pickle.loads(sent)
        assert found.rows(np.array([7, 3])).tolist() == X[[7, 3]].tolist()
        found.dataset.file.close()
    (tmp_path / "x.h5").unlink()
    with pytest.raises(DataError, match=r"x.h5 cannot be opened: .*No such file"):
        pickle.loads(sent)
    with h5py.File("memory", "w", driver="core", backing_store=False) as file:
        file["x"] = X
        with pytest.raises(DataError, match="in memory cannot be sent to workers"):
            pickle.dumps(Hdf5Rows(file["x"]))


def test_what_no_file_holds_is_sent_as_it_is(tmp_path):
    mapped = np.memmap(tmp_path / "x", np.float32, "w+", shape=(10, 2))
    own = np.memmap(tmp_path / "x", np.float32, "c", shape=(10, 2))
    own[:] = 3  # never reaches the file
    for array in (mapped + 1, own):
        assert find_place(array) is None
        assert np.array_equal(pickle.loads(pickle.dumps(MappedRows(array))).array, array)


def test_what_is_made_of_a_memory_map_is_known_as_an_array(tmp_path):
    """Its type is that of the map, and it lies in no file."""
    held = np.memmap(tmp_path / "x.bin", np.float32, "w+", shape=(2**20, 9))
    made = held.astype(np.float64)
    assert isinstance(Data(made, made[:, 0]).x, np.ndarray)


def test_what_is_written_beside_the_file_of_a_map_is_noticed(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((2**20, 9), np.float32))
    held = np.load(tmp_path / "x.npy", mmap_mode="c")
    before = Data(held, np.zeros(len(held))).fingerprint
    held[12345] = 1
    assert Data(held, np.zeros(len(held))).fingerprint != before
