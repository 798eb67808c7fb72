"""Data that comes in batches: what is taken, and what is refused in one line."""

import dataclasses
import math
import re

import numpy as np
import pytest

from hpsearch import Data, Holdout, KFold, NestedKFold, Random, Space, Study, Task
from hpsearch.core.errors import DataError, HpsearchError
from hpsearch.core.streamed import count_batches, count_steps, count_validation_rows
from hpsearch.evaluators import Given

RNG = np.random.default_rng(0)
X = RNG.normal(size=(70, 3)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int64)


def batches(rows, size, x=X, y=Y):
    return [(x[rows[i : i + size]], y[rows[i : i + size]]) for i in range(0, len(rows), size)]


def train(seed, batch_size):
    return batches(np.random.default_rng(seed).permutation(50), batch_size)


def validation(seed, batch_size):
    return batches(np.arange(50, 70), 8)


def of(part):
    """A stream of what a function without arguments returns."""
    return lambda seed, batch_size: part()


def endless(seed, batch_size):
    rng = np.random.default_rng(seed)
    while True:
        at = rng.integers(0, 50, batch_size)
        yield X[at], Y[at]


DATA = Data.streams(train, validation)
CLASSES = {"loss": "sparse_categorical_crossentropy", "metric": "accuracy", "outputs": 2}


def test_a_batch_shows_shapes_and_types_and_is_no_rows():
    assert (DATA.x.shape[1:], DATA.x.dtype, DATA.y.dtype) == ((3,), np.float32, np.int64)
    with pytest.raises(DataError, match=re.escape("use evaluator=Given()")):
        _ = DATA.rows
    with pytest.raises(DataError, match="streams come in parts"):
        DATA.take([0])


@pytest.mark.parametrize(
    "evaluator", [KFold(2), Holdout(), Holdout(rows=3), KFold(2, stratify=True)]
)
def test_other_evaluators_refuse_streams(evaluator):
    with pytest.raises(DataError, match=re.escape("streams come in parts already, which cannot")):
        evaluator.splits(Task("t", DATA, **CLASSES), DATA, seed=0)


def test_nested_folds_refuse_streams():
    study = Study(
        task=Task("t", DATA, **CLASSES),
        space=Space(),
        build=lambda spec: None,
        searcher=Random(trials=1, epochs=1),
        evaluator=Given(),
    )
    with pytest.raises(DataError, match="streams come in parts already"):
        NestedKFold(2).estimate(study)


def test_the_given_parts_are_one_fit():
    (split,) = Given().splits(Task("t", DATA, **CLASSES), DATA, seed=0)
    assert (Given().fits, len(split.train), len(split.validation)) == (1, 0, 0)


def test_lengths_are_known_where_streams_say_them():
    assert count_steps(DATA.given_streams, 16) == 4
    assert count_validation_rows(DATA.given_streams) == 20
    assert (
        count_steps(Data.streams(of(lambda: iter(train(0, 16))), validation).given_streams, 9)
        is None
    )
    assert count_steps(Data.streams(endless, validation, steps=7).given_streams, 16) == 7
    assert count_batches(iter([])) is None
    assert count_batches(range(3)) == 3


class Loader:
    """As loaders of other libraries, some of which have a length that means "endless"."""

    def __init__(self, cardinality=None, num_batches=5, sampler=None):
        self.num_batches, self._sampler = num_batches, sampler
        if cardinality is not None:
            self.cardinality = lambda: cardinality

    def __iter__(self):
        return iter(train(0, 16))


class Sampler:
    _num_epochs = None


@pytest.mark.parametrize(
    "stream", [Loader(-1), Loader(num_batches=None), Loader(sampler=Sampler())], ids=range(3)
)
def test_an_endless_stream_needs_a_number_of_steps(stream):
    assert count_batches(stream) == math.inf
    with pytest.raises(DataError, match=re.escape("train never ends; say Data.streams(steps=)")):
        Data.streams(of(lambda: stream), validation)
    with pytest.raises(DataError, match=re.escape("say Data.streams(validation_steps=)")):
        Data.streams(train, of(lambda: stream))


class Tensor:
    """As a tensor of another library."""

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return self.array


def test_tensors_and_lists_of_two_are_taken():
    found = Data.streams(of(lambda: ([Tensor(x), Tensor(y)] for x, y in train(0, 9))), validation)
    assert np.array_equal(found.x, train(0, 9)[0][0])


def one(x=X[:4], y=Y[:4], *more):
    return of(lambda: [(x, y, *more)])


def fail(*_):
    raise OSError("no such bucket")


def fail_later(seed, batch_size):
    yield from train(seed, batch_size)[:1]
    raise OSError("gone")


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ((None, validation), "train= a function (seed, batch_size) that returns batches, got None"),
        ((train, [(X, Y)]), "Data.streams needs validation= a function"),
        ((fail, validation), "train(seed=0, batch_size=32) fails: OSError: no such bucket"),
        ((of(lambda: X), validation), "train must return batches (x, y), as a tf.data.Dataset"),
        ((of(lambda: None), validation), "train must return batches (x, y)"),
        ((of(lambda: (X, Y)), validation), "train must return batches (x, y)"),
        ((of(list), validation), "train gave no batches; it must give at least one in each epoch"),
        ((train, of(list)), "validation gave no batches"),
        ((of(lambda: [X]), validation), "train must give batches (x, y) or (x, y, weights), as"),
        ((of(lambda: [(X,)]), validation), "as tuples, got 1 parts"),
        ((one((X, X), Y), validation), "x of train must be an array, or a dict of arrays by name"),
        ((one(X, Y[:3]), validation), "every array needs the same number of rows, got x of train: 70"),
        ((one(np.array(["a"] * 4)), validation), "x of train must be an array of numbers"),
        ((train, one(X[:, :2], Y)), "validation gave a batch of {'x': (2,), 'y': ()} a row, and train"),
        ((train, one(X, Y.reshape(-1, 1))), "all batches must be alike"),
        ((train, one({"a": X}, Y)), "all batches must be alike"),
        (
            (train, of(lambda: [(RNG.normal(size=(4, 3)), Y[:4])])),
            "validation gives other rows when it is called again with the same seed",
        ),
    ],
)  # fmt: skip
def test_what_is_no_stream_is_refused_in_one_line(parts, message):
    with pytest.raises(DataError, match=re.escape(message)) as refused:
        Data.streams(*parts)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("steps", [0, -1, 2.0, True, "3"])
def test_steps_are_counts(steps):
    for name in ("steps", "validation_steps"):
        with pytest.raises(DataError, match=f"{name}= a whole number of batches from 1 on"):
            Data.streams(train, validation, **{name: steps})


def test_steps_that_would_hide_rows_for_ever_are_refused():
    in_order = of(lambda: iter(batches(np.arange(50), 16)))
    with pytest.raises(DataError, match="later batches would never be trained on"):
        Data.streams(in_order, validation, steps=2)
    Data.streams(in_order, validation)
    Data.streams(of(lambda: batches(np.arange(50), 16)), validation, steps=4)  # all there are
    Data.streams(endless, validation, steps=2)


def test_a_part_that_fails_while_it_is_read_says_so():
    with pytest.raises(DataError, match="validation fails while it is read: OSError: gone"):
        count_validation_rows(Data.streams(train, fail_later).given_streams)
    short = Data.streams(train, validation, validation_steps=9)
    with pytest.raises(DataError, match=r"ended after 3 batches, and Data\.streams says 9"):
        count_validation_rows(short.given_streams)
    changing = Data.streams(train, of(lambda: [(X, Y), (X[:, :2], Y)]))
    with pytest.raises(DataError, match="all batches must be alike"):
        count_validation_rows(changing.given_streams)


def test_the_fingerprint_is_of_what_is_said_and_shown():
    def other(seed, batch_size):
        return train(seed, batch_size)

    same = Data.streams(train, validation).fingerprint
    assert DATA.fingerprint == same
    assert len({
        same,
        Data.streams(other, validation).fingerprint,
        Data.streams(train, validation, steps=2).fingerprint,
        Data.streams(train, validation, version="2026-11").fingerprint,
        Data.streams(one(X.astype(np.float64), Y), one(X, Y)).fingerprint,
    }) == 5  # fmt: skip
    with pytest.raises(DataError, match="version needs"):
        Data.streams(train, validation, version=3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"class_weight": "balanced"}, "class_weight= needs rows, and this task has streams; let"),
        ({"weighted_metrics": True}, "weighted_metrics= needs rows"),
        ({"outputs": None}, "a batch does not show how many classes there are; say Task(outputs=)"),
    ],
)
def test_tasks_refuse_what_a_batch_does_not_show(options, message):
    with pytest.raises(DataError, match=re.escape(message)):
        Task("t", DATA, **CLASSES | options).load()


def test_preprocessing_needs_rows():
    from sklearn.preprocessing import StandardScaler

    with pytest.raises(DataError, match="preprocess= needs rows"):
        Task("t", DATA, **CLASSES, preprocess=StandardScaler()).load()


def test_one_class_or_several_labels_must_be_said():
    one_hot = of(lambda: [(X, np.eye(2)[Y])])
    data = Data.streams(one_hot, one_hot)
    with pytest.raises(
        DataError, match=r"say Task\(kind='multiclass'\) or Task\(kind='multilabel'\)"
    ):
        Task("t", data, "binary_crossentropy").load()
    Task("t", data, "binary_crossentropy", kind="multilabel").load()
    Task("t", data, "categorical_crossentropy", "accuracy").load()


def test_replaced_data_does_not_read_again():
    calls = []

    def counted(seed, batch_size):
        calls.append(seed)
        return train(seed, batch_size)

    data = Data.streams(counted, validation)
    before = len(calls)
    dataclasses.replace(data, x_test=None)
    assert len(calls) == before


@pytest.mark.parametrize(
    ("engine", "options", "message"),
    [
        (
            "gang",
            {},
            "--engine gang needs rows to train on side by side, and this task has streams",
        ),
        ("auto", {"trains_itself": True}, "train= gets rows, and this task has streams; give Data"),
    ],
)
def test_engines_say_what_they_cannot_do(engine, options, message):
    from hpsearch.training import engines

    with pytest.raises(HpsearchError, match=re.escape(message)):
        engines.make_trainer(Task("t", DATA, **CLASSES), engine, "jax", streams=True, **options)


def test_searchers_that_compare_curves_need_a_metric_that_is_counted():
    from hpsearch.training import engines

    task = Task("t", DATA, **CLASSES | {"metric": "f1_macro"})
    with pytest.raises(HpsearchError, match="metric 'f1_macro' is not computed on a stream"):
        engines.make_trainer(task, "fit", "jax", streams=True, compares_curves=True)
