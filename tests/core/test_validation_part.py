"""The validation part that `Data` is given: joined behind the rows to train on."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from hpsearch import Data, Source
from hpsearch.core.array_types import is_sparse
from hpsearch.core.coding import Coding
from hpsearch.core.errors import DataError
from hpsearch.core.reading.lazy_rows import LazyRows

RNG = np.random.default_rng(0)
X, Y = RNG.random((20, 3)), np.arange(20) % 2
X_VAL, Y_VAL = RNG.random((6, 3)), np.arange(6) % 2


class Counted(Source):
    """Rows of an array; counts how many are read."""

    def __init__(self, array, targets=None, classes=()):
        self.array, self.read, self._targets, self._classes = array, 0, targets, classes

    def __len__(self):
        return len(self.array)

    def rows(self, indices):
        self.read += len(indices)
        return self.array[indices]

    @property
    def targets(self):
        return self._targets

    @property
    def classes(self):
        return self._classes


def test_both_parts_are_one_after_the_other():
    weights, weights_val = np.ones(20), np.full(6, 2.0)
    data = Data(
        X, Y, x_val=X_VAL, y_val=Y_VAL, sample_weight=weights, sample_weight_val=weights_val
    )
    assert (data.rows, data.validation_rows) == (26, 6)
    assert np.array_equal(data.x, np.concatenate([X, X_VAL]))
    assert np.array_equal(data.y, np.concatenate([Y, Y_VAL]))
    assert data.sample_weight.tolist() == [1.0] * 20 + [2.0] * 6


def test_several_inputs_and_outputs_are_joined_by_name():
    data = Data(
        {"a": X, "b": X[:, :1]}, {"p": Y, "q": Y * 2},
        x_val={"b": X_VAL[:, :1], "a": X_VAL}, y_val={"q": Y_VAL * 2, "p": Y_VAL},
    )  # fmt: skip
    assert np.array_equal(data.x["a"], np.concatenate([X, X_VAL]))
    assert np.array_equal(data.y["q"], 2 * np.concatenate([Y, Y_VAL]))


def test_a_copy_with_other_test_rows_knows_its_validation_rows():
    data = Data(X, Y, X, Y, x_val=X_VAL, y_val=Y_VAL)
    copy = replace(data, x_test=None, y_test=None)
    assert copy.validation_rows == 6
    assert copy.rows == 26
    assert copy.fingerprint == data.fingerprint
    assert data.take(np.arange(26)).validation_rows == 0


def test_which_rows_validate_is_part_of_the_fingerprint():
    data = Data(X, Y, x_val=X_VAL, y_val=Y_VAL)
    alike = Data(np.concatenate([X, X_VAL]), np.concatenate([Y, Y_VAL]))
    assert data.fingerprint != alike.fingerprint
    assert data.fingerprint == replace(alike, validation_rows=6).fingerprint
    assert data.fingerprint != replace(alike, validation_rows=5).fingerprint


@pytest.mark.parametrize("x_val", [X_VAL, Counted(X_VAL)], ids=["array", "source"])
def test_rows_of_sources_are_joined_unread(x_val):
    train = Counted(X)
    data = Data(train, Y, x_val=x_val, y_val=Y_VAL)
    assert isinstance(data.x, LazyRows)
    assert train.read <= 2  # the first row, whose shape all have
    assert np.array_equal(data.x[[25, 0, 20]], np.concatenate([X, X_VAL])[[25, 0, 20]])


def test_sources_that_know_their_targets_give_those_of_the_part_too():
    train, part = Counted(X, Y, ("no", "yes")), Counted(X_VAL, Y_VAL, ("no", "yes"))
    data = Data(train, x_val=part)
    assert np.array_equal(data.y, np.concatenate([Y, Y_VAL]))
    assert data.classes == ("no", "yes")
    with pytest.raises(
        DataError, match=r"y has the classes .*'no', 'yes'.*, and x_val .*'yes', 'no'"
    ):
        Data(train, x_val=Counted(X_VAL, Y_VAL, ("yes", "no")))


def test_a_change_of_a_small_part_of_a_source_is_noticed():
    def fingerprint(x_val):
        return Data(Counted(np.tile(X, (500, 1))), np.tile(Y, 500), x_val=Counted(x_val), y_val=Y_VAL).fingerprint  # fmt: skip

    changed = X_VAL.copy()
    changed[3, 1] += 1
    assert fingerprint(X_VAL) == fingerprint(X_VAL.copy()) != fingerprint(changed)


def test_files_of_memory_maps_are_those_of_both_parts(tmp_path, monkeypatch):
    monkeypatch.setattr("hpsearch.core.reading.foreign_rows.LARGE", 0)
    maps = []
    for name, rows in (("x", X), ("x_val", X_VAL)):
        np.save(tmp_path / name, rows)
        maps.append(np.load(tmp_path / f"{name}.npy", mmap_mode="r"))
    data = Data(maps[0], Y, x_val=maps[1], y_val=Y_VAL)
    assert isinstance(data.x, LazyRows)
    assert [file.stem for file in data.x.reader.source.files] == ["x", "x_val"]
    assert np.array_equal(data.x.read(), np.concatenate([X, X_VAL]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"x_val": X_VAL}, "go together, and y_val is missing"),
        ({"y_val": Y_VAL}, "go together, and x_val is missing"),
        ({"sample_weight_val": np.ones(6)}, "go together, and x_val is missing"),
        ({"x_val": X_VAL[:, :2], "y_val": Y_VAL}, "x_val needs rows of the same shape as x"),
        ({"x_val": X_VAL, "y_val": np.eye(2)[Y_VAL]}, "y_val needs rows of the same shape as y"),
        ({"x_val": {"a": X_VAL}, "y_val": Y_VAL}, "x_val needs rows of the same shape as x"),
        ({"x_val": X_VAL[:5], "y_val": Y_VAL}, "same number of rows, got x_val: 5, y_val: 6"),
        ({"x_val": X_VAL[:0], "y_val": Y_VAL[:0]}, "x_val has no rows"),
        ({"x_val": X_VAL.astype("f4"), "y_val": Y_VAL}, r"of x needs the type of x.*astype\('float"),
        ({"x_val": X_VAL, "y_val": Y_VAL * 1.0}, "of y needs the type of y, got float64 and int64"),
        ({"x_val": X_VAL, "y_val": Y_VAL, "sample_weight": np.ones(20)}, "sample_weight_val is miss"),
        (
            {"x_val": X_VAL, "y_val": Y_VAL, "sample_weight_val": np.ones(6)},
            "sample_weight is missing",
        ),
        ({"x_val": X_VAL, "y_val": Y_VAL, "groups": np.arange(26)}, "same number of rows|groups have"),
        ({"x_val": X_VAL, "y_val": Y_VAL, "groups": np.arange(20)}, "groups have no effect"),
        ({"validation_rows": 20}, "from 0 to below the 20 rows, got 20"),
        ({"validation_rows": -1}, "got -1"),
        ({"validation_rows": True}, "got True"),
        ({"x_val": X_VAL, "y_val": Y_VAL, "validation_rows": 3}, "x_val or validation_rows, not both"),
    ],
)  # fmt: skip
def test_a_part_that_does_not_fit_is_refused_in_one_line(options, message):
    with pytest.raises(DataError, match=message) as refused:
        Data(X, Y, **options)
    assert "\n" not in str(refused.value)


LABELS = np.array(["1", "2"])


@pytest.mark.parametrize("part", ["val", "test"])
@pytest.mark.parametrize(
    ("y", "y_part", "message"),
    [
        (Y, LABELS[Y_VAL], "has labels that are texts, and y has numbers"),
        (LABELS[Y], Y_VAL + 1, "y has labels that are texts, and y_(val|test) has none"),
    ],
)
def test_labels_of_one_part_and_numbers_of_the_other_are_refused(part, y, y_part, message):
    with pytest.raises(DataError, match=message):
        Data(X, y, **{f"x_{part}": X_VAL, f"y_{part}": y_part})


def test_labels_of_a_part_that_lacks_classes_have_the_numbers_of_all():
    twos = np.full(6, "2")
    data = Data(X, LABELS[Y], x_val=X_VAL, y_val=twos, x_test=X_VAL, y_test=twos)
    assert (data.y[-6:] == 1).all()
    assert (data.y_test == 1).all()
    # So have labels that sources give.
    parts = {"x_val": Counted(X_VAL, twos), "x_test": Counted(X_VAL, twos)}
    data = Data(Counted(X, LABELS[Y]), **parts)
    assert (data.y[-6:] == 1).all()
    assert (data.y_test == 1).all()


@pytest.mark.parametrize("part", ["x_val", "x_test"])
@pytest.mark.parametrize("y", [Y, np.array(["cat", "dog"])[Y]])
def test_a_source_with_other_classes_than_y_is_refused(part, y):
    with pytest.raises(DataError, match=rf"y has .*classes.*, and {part} the classes"):
        Data(X, y, **{part: Counted(X_VAL, Y_VAL, ("dog", "emu"))})


def test_a_coding_without_classes_gets_those_of_the_source():
    source = Counted(X, Y, ("cat", "dog"))
    assert Data(source, coding=Coding(target="animal")).classes == ("cat", "dog")
    with pytest.raises(DataError, match="and coding the classes"):
        Data(source, coding=Coding(classes=("dog", "cat")))


def test_a_change_of_an_array_beside_rows_of_a_source_is_noticed():
    array = np.zeros((5000, 3))
    before = Data(array, np.zeros(5000), x_val=Counted(X_VAL), y_val=np.zeros(6)).fingerprint
    array[17] = 1
    assert (
        Data(array, np.zeros(5000), x_val=Counted(X_VAL), y_val=np.zeros(6)).fingerprint != before
    )


@pytest.mark.parametrize("wrap", [(csr_matrix, np.asarray), (np.asarray, csr_matrix)])
def test_sparse_and_dense_parts_go_together(wrap):
    data = Data(wrap[0](X), Y, x_val=wrap[1](X_VAL), y_val=Y_VAL)
    assert np.array_equal(data.x[[25, 3, 21]], np.concatenate([X, X_VAL])[[25, 3, 21]])
    assert data.x.is_sparse == is_sparse(data.x.fetch([25])) == (wrap[0] is csr_matrix)
