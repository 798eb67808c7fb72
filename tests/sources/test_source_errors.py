import re

import grain
import h5py
import numpy as np
import pytest
import scipy.sparse

from hpsearch import Data, Source
from hpsearch.core.errors import DataError
from hpsearch.core.reading import foreign_rows
from hpsearch.core.reading.joined_source import JoinedSource
from hpsearch.core.reading.lazy_rows import open_source
from tests.sources.makers import MAKERS, Items, OwnRows

X = np.arange(200.0).reshape(100, 2)
Y = np.arange(100) % 2


class Rows(Source):
    """Rows that a function gives."""

    def __init__(self, read, length=100):
        self.read, self.length = read, length

    def __len__(self):
        return self.length

    def rows(self, indices):
        return self.read(indices)


def refuses(message, do):
    with pytest.raises(DataError, match=re.escape(message)) as found:
        do()
    assert "\n" not in str(found.value)


def test_a_length_that_changes_is_refused():
    source = Rows(X.__getitem__)
    x = Data(source, Y).x
    source.length = 90
    refuses("x had 100 rows when it was opened, and has 90 now", lambda: x[:5])


def test_a_row_that_raises_is_named_with_its_message():
    def read(indices):
        if 37 in indices:
            raise KeyError("no such reading")
        return X[indices]

    x = Data(Rows(read), Y).x
    refuses("row 37 of x cannot be read: KeyError: 'no such reading'", lambda: x[30:40])


def test_rows_that_only_fail_together_are_named_together():
    x = Data(Rows(lambda indices: X[indices] if len(indices) == 1 else [X, 3]), Y).x
    refuses("rows [4, 5] of x cannot be read together: ValueError", lambda: x[4:6])


@pytest.mark.parametrize(
    "read",
    [
        lambda indices: X[indices] + np.random.default_rng().random(),
        lambda indices: X[indices] * len(indices),  # alone another row than with others
    ],
    ids=["drawn at random", "of all that is read together"],
)
def test_rows_that_differ_between_readings_are_refused(read):
    data = Data(Rows(read), Y)
    refuses("of x differs between two readings", lambda: data.fingerprint)


def test_other_types_shapes_and_inputs_later_are_refused():
    later = [
        (lambda rows: rows.astype("float32"), "x gave float32 of shape (3, 2)"),
        (lambda rows: rows[:, :1], "x gave float64 of shape (3, 1) for 3 rows from row 5 on"),
        (lambda rows: rows[:-1], "x gave float64 of shape (2, 2) for 3 rows from row 5 on"),
        (lambda rows: {"a": rows}, "x gave one array at first, and now the inputs a"),
        (lambda rows: rows.astype(complex), "must give arrays of numbers or texts"),
        (lambda rows: np.ma.masked_greater(rows, 3), "x gave masked values"),
    ]
    for change, message in later:

        def read(indices, change=change):
            return X[indices] if len(indices) == 1 else change(X[indices])

        refuses(message, lambda read=read: Data(Rows(read), Y).x[5:8])


def test_types_that_no_network_takes_are_refused_at_once():
    for rows in (X.astype(complex), X.astype("M8[s]"), X.astype("S3"), X.astype(np.longdouble)):
        refuses("x must give arrays of numbers or texts", lambda rows=rows: Data(OwnRows(rows), Y))
    refuses("x has no rows", lambda: Data(OwnRows(X[:0]), Y[:0]))


def test_streams_are_refused_with_the_way_out():
    import tensorflow as tf

    for stream in (iter(X), tf.data.Dataset.from_tensor_slices(X), (row for row in X)):
        refuses("Data takes rows by number; give streams by Data.streams", lambda s=stream: Data(s))


@pytest.mark.slow
def test_batches_of_keras_are_no_rows():
    import keras

    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 3

        def __getitem__(self, number):
            return X[:2], Y[:2]

    refuses("x is a stream of batches, Batches", lambda: Data(Batches(), Y))


def test_what_becomes_an_array_stays_one():
    for value in (X.tolist(), tuple(map(tuple, X)), X):
        assert isinstance(Data(value, Y).x, np.ndarray)


def test_files_of_small_arrays_are_read_into_memory(tmp_path):
    for name in ("memory_map", "hdf5", "zarr_3"):
        (tmp_path / name).mkdir()
        open_rows, array = MAKERS[name](tmp_path / name)
        x = Data(open_rows(), np.zeros(200)).x
        assert isinstance(x, np.ndarray)
        assert x.tolist() == array.tolist()


def test_a_closed_hdf5_file_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(foreign_rows, "LARGE", 0)
    open_rows, _ = MAKERS["hdf5"](tmp_path)
    dataset = open_rows()
    x = Data(dataset, np.zeros(200)).x
    dataset.file.close()
    refuses("the HDF5 file of a dataset is closed", lambda: x[:2])
    refuses("the HDF5 file of a dataset is closed", lambda: Data(dataset, np.zeros(200)))


def test_groups_of_hdf5_are_inputs_by_name(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["left"], file["right"] = X, X + 1
        assert Data(file, Y).x["right"].tolist() == (X + 1).tolist()


def test_what_a_file_holds_is_known_by_its_size_and_time(tmp_path, monkeypatch):
    monkeypatch.setattr(foreign_rows, "LARGE", 0)
    for name in ("memory_map", "hdf5", "zarr_2", "zarr_3", "parquet", "pictures"):
        folder = tmp_path / name
        folder.mkdir()
        open_rows, _ = MAKERS[name](folder)
        before = Data(open_rows(), np.zeros(200)).fingerprint
        files = [path for path in folder.rglob("*") if path.is_file() and "json" not in path.name]
        changed = sorted(files)[-1]
        changed.touch()
        assert Data(open_rows(), np.zeros(200)).fingerprint != before, name


def test_what_lies_in_memory_is_known_by_every_value():
    rows = np.where(np.arange(400).reshape(200, 2) % 3, 0.0, 1.0)
    other = rows.copy()
    other[1, 1] = 7  # in no sample of 64 rows
    y = np.zeros(200)
    known, changed = (Data(scipy.sparse.csr_array(each), y).fingerprint for each in (rows, other))
    assert known != changed


def test_items_may_be_pairs_with_their_targets():
    data = Data(Items(X, Y))
    assert data.y.tolist() == Y.tolist()
    assert Data(Items(X, Y), 1 - Y).y.tolist() == (1 - Y).tolist()
    several = Data(
        grain.MapDataset.source(list(range(100))).map(lambda i: ({"a": X[i]}, {"b": Y[i]}))
    )
    assert several.x["a"][[3, 1]].tolist() == X[[3, 1]].tolist()
    assert several.y["b"].tolist() == Y.tolist()


def test_targets_of_items_are_not_read_where_they_are_given():
    class Once(Items):
        read = 0

        def __getitem__(self, number):
            Once.read += 1
            return super().__getitem__(number)

    Data(Once(X, Y), Y)
    assert Once.read == 1  # the first row, whose type and shape is known from then on


def test_items_that_make_no_rows_are_refused():
    for items, message in (
        ([(X[0], 1, 2)] * 9, "got a tuple of 3; give weights by Data(sample_weight=)"),
        ([X[0], X[1], X[2][:1]], "item 2 is float64 of shape (1,), and item 0 is float64"),
        ([{"a": X[0]}, {"b": X[0]}], "item 1 is {'b':"),
        ([X[0], None], "item 1 is None"),
    ):
        dataset = Items(items)
        y = np.zeros(len(items))
        refuses(message, lambda dataset=dataset, y=y: np.asarray(_first_input(Data(dataset, y).x)))
    endless = grain.MapDataset.source(X).repeat()
    refuses("items are no finite dataset; leave out its repeat()", lambda: Data(endless, Y))


def _first_input(x):
    return x["a"] if isinstance(x, dict) else x


def test_joined_rows_of_sparse_sources_stay_sparse():
    few = np.where(X % 5, 0, X)
    parts = [open_source("x", foreign_rows.as_source(scipy.sparse.csr_array(few[:60])))]
    parts.append(open_source("x", foreign_rows.as_source(scipy.sparse.csr_array(few[60:]))))
    joined = JoinedSource(parts).rows(np.array([99, 3, 60, 3]))
    assert scipy.sparse.issparse(joined)
    assert joined.toarray().tolist() == few[[99, 3, 60, 3]].tolist()


def test_sparse_arrays_of_one_axis_are_refused():
    refuses("x is sparse, and needs the shape (rows, columns)", lambda: _of(np.ones(3)))


def _of(row):
    return Data(scipy.sparse.coo_array(row), [1, 2, 3])


def test_a_source_may_say_its_targets_and_files_where_it_is_made(tmp_path):
    file = tmp_path / "rows"
    file.write_bytes(b"1")

    class Labelled(Source):
        def __init__(self):
            self.targets, self.classes, self.files = np.arange(6) % 2, ["no", "yes"], [file]

        def __len__(self):
            return 6

        def rows(self, indices):
            return np.ones((len(indices), 2))

    data = Data(Labelled())
    assert data.y.tolist() == [0, 1, 0, 1, 0, 1]
    assert data.classes == ("no", "yes")
    before = data.fingerprint
    file.write_bytes(b"22")
    assert Data(Labelled()).fingerprint != before
