"""Transformers that draw numbers, and those that make inputs of the targets."""

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import QuantileTransformer, StandardScaler, TargetEncoder

from hpsearch import Data, Forward, Holdout, KFold, Task
from hpsearch.training.base import Split
from hpsearch.training.preprocessing import transform_inputs
from hpsearch.training.rows import prepare_rows

RNG = np.random.default_rng(0)
ROWS = 400
SPLIT = Split(np.arange(300), np.arange(300, ROWS))


def prepare(data, preprocess):
    return prepare_rows(Task("t", data, "mse", "mae", preprocess=preprocess), data, SPLIT)


@pytest.mark.parametrize("in_a_frame", [False, True])
def test_no_training_row_shows_its_own_target(in_a_frame):
    """Each row has a category of its own, nearly: what it is encoded by can only be its target."""
    codes, y = np.arange(ROWS) // 2, RNG.normal(size=ROWS)
    encoder = TargetEncoder(target_type="continuous", smooth=1e-6)
    if in_a_frame:
        x = pd.DataFrame({"code": [f"c{code}" for code in codes], "size": RNG.normal(size=ROWS)})
        rows = prepare(
            Data(x, y),
            ColumnTransformer([("code", encoder, ["code"]), ("size", StandardScaler(), ["size"])]),
        )
    else:
        rows = prepare(Data(codes.reshape(-1, 1), y), encoder)
    shown = np.corrcoef(np.asarray(rows.x)[:, 0], y[SPLIT.train])[0, 1]
    assert abs(shown) < 0.3
    plainly = encoder.fit(codes[SPLIT.train].reshape(-1, 1), y[SPLIT.train])
    leaking = plainly.transform(codes[SPLIT.train].reshape(-1, 1))[:, 0]
    assert np.corrcoef(leaking, y[SPLIT.train])[0, 1] > 0.6


def test_a_transformer_that_draws_prepares_rows_the_same_each_time():
    y = RNG.normal(size=ROWS)
    x = RNG.normal(size=(ROWS, 2))

    def make():
        drawing = QuantileTransformer(n_quantiles=10, subsample=50)
        return np.asarray(prepare(Data(x, y), drawing).x)

    assert (make() == make()).all()
    own = QuantileTransformer(n_quantiles=10, subsample=50, random_state=7)
    assert (np.asarray(prepare(Data(x, y), own).x) != make()).any()  # a seed of the user's stays


@pytest.mark.parametrize(
    "evaluator", [Forward(2), KFold(3, shuffle=False), Holdout(shuffle=False)], ids=repr
)
def test_a_transformer_may_change_its_rows_in_place(evaluator):
    """Blocks of neighbouring rows are views of the user's own array, which stays as it is."""
    x = np.random.default_rng(0).normal(3.0, 2.0, (60, 2)).astype(np.float32)
    x[:, 0] += np.arange(60)
    before = x.copy()
    found = []
    for copy in (True, False):
        times = np.arange(60) if isinstance(evaluator, Forward) else None
        data = Data(x, np.arange(60) % 2, times=times)
        steps = make_pipeline(StandardScaler(copy=copy), StandardScaler(copy=copy))
        task = Task("t", data, "binary_crossentropy", preprocess=steps)
        for split in evaluator.splits(task, data, seed=0):
            rows = prepare_rows(task, data, split)
            found.append((rows.transformer[0].mean_, rows.x, rows.x_validation))
            transform_inputs(rows.transformer, x)
    half = len(found) // 2
    for one, other in zip(found[:half], found[half:], strict=True):
        assert all(map(np.array_equal, one, other))
    assert np.array_equal(x, before)
