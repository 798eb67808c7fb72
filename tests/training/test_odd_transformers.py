"""Transformers that do what none may: refused in a line, before anything is trained on their rows."""

import sys

import numpy as np
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.preprocessing import StandardScaler

from hpsearch import Data, Holdout, Task
from hpsearch.core.errors import BuildError, DataError
from hpsearch.core.reading.source import ArraySource
from hpsearch.training import preprocessing
from hpsearch.training.base import Split
from hpsearch.training.rows import prepare_inputs, prepare_rows

X = np.random.default_rng(0).normal(size=(40, 3)).astype("float32")
SPLIT = Split(np.arange(32), np.arange(32, 40))


class Told(TransformerMixin, BaseEstimator):
    """Does to rows, and to what `fit` returns, what it is told."""

    def __init__(self, change=None, learn=None):
        self.change, self.learn = change, learn

    def fit(self, x, y=None):
        return self if self.learn is None else self.learn()

    def transform(self, x):
        return self.change(x) if self.change else x

    def inverse_transform(self, x):
        return x


def prepare(x=X, **given):
    data = Data(x, X[:, 0])
    return prepare_rows(Task("t", data, "mse", "mae", **given), data, SPLIT)


def mask_some(x):
    return np.ma.masked_array(x, np.arange(x.size).reshape(x.shape) % 7 == 0)


ODD = {
    "fewer rows": (Told(lambda x: x[:-1]), "gives 31 rows of 32"),
    "more rows": (Told(lambda x: np.concatenate([x, x[:1]])), "gives 33 rows of 32"),
    "columns": (
        Told(lambda x: np.ones((len(x), len(x)))),
        r"\(32,\), and validation rows of \(8,\)",
    ),
    "masked": (Told(mask_some), "masked values, which would be used as data"),
    "None": (
        Told(learn=lambda: None),
        r"must return the transformer, got None; end it with return",
    ),
    "exits": (Told(lambda x: sys.exit(0)), "fails on the task's x: SystemExit: 0"),
}


@pytest.mark.parametrize(("transformer", "message"), ODD.values(), ids=ODD)
@pytest.mark.parametrize("searched", [False, True])
def test_rows_that_are_not_those_of_the_targets_are_refused(transformer, message, searched):
    with pytest.raises((DataError, BuildError), match=message):
        prepare(preprocess=(lambda: transformer) if searched else transformer)


def test_rows_of_a_source_come_back_one_by_one(monkeypatch):
    monkeypatch.setattr(preprocessing, "_MOST_PREPARED", 0)  # chunk by chunk, when they are read

    class Shrinking(StandardScaler):
        def transform(self, X, copy=None):
            return super().transform(X)[:-1]

    with pytest.raises(DataError, match=r"gives \d+ rows of \d+"):
        prepare(ArraySource(X), preprocess=Shrinking()).x.read()


def test_rows_to_predict_come_back_one_by_one():
    with pytest.raises(DataError, match="gives 39 rows of 40"):
        prepare_inputs(Told(lambda x: x[:-1]), X)


@pytest.mark.parametrize(
    ("transformer", "message"),
    [
        (Told(mask_some), "masked values"),
        (Told(learn=lambda: None), "must return the transformer, got None"),
        (Told(lambda y: sys.exit(0)), "fails on the task's targets: SystemExit: 0"),
    ],
)
def test_targets_that_are_no_numbers_are_refused(transformer, message):
    with pytest.raises(DataError, match=message):
        prepare(preprocess_y=transformer)


def test_a_function_of_a_point_may_not_end_the_command():
    with pytest.raises(BuildError, match="preprocess fails at every point: SystemExit: 3"):
        prepare(preprocess=lambda: sys.exit(3))


def test_missing_targets_are_not_said_to_be_filled_by_preprocessing():
    data = Data(X, np.where(np.arange(40) == 3, np.nan, X[:, 0]))
    with pytest.raises(
        DataError, match=r"y holds NaN or infinity in 1 of 32 rows; drop those rows$"
    ):
        prepare_rows(Task("t", data, "mse"), data, SPLIT)


@pytest.mark.parametrize("value", [np.int64(3), np.nan, 1j, [object()], X])
def test_values_that_are_no_parameters_are_refused_by_name(value):
    task = Task("t", Data(X, X[:, 0]), "mse")
    with pytest.raises(
        BuildError, match=r"params= of finite numbers, texts, True and False, got n="
    ):
        Holdout().evaluate(lambda spec, n: None, {"n": value}, task, epochs=1)
