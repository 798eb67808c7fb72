"""`KerasSearchCV(preprocess_y=)`: targets are learned in another unit, scores are in that of y."""

import pickle

import numpy as np
import pytest
from sklearn.metrics import r2_score
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from hpsearch import Difference, Forward, KerasSearchCV, Random, Windows
from spaces import mlp

SERIES = 500 + np.cumsum(np.random.default_rng(0).normal(0, 10, size=96))
X = np.lib.stride_tricks.sliding_window_view(SERIES[:-1], 6).copy()
Y = SERIES[6:]
LOG = FunctionTransformer(np.log, np.exp)


def change(unit):
    return {"as it is": None, "return": [LOG, Difference(-1), StandardScaler()]}[unit]


@pytest.mark.slow
def test_a_unit_that_is_searched_predicts_and_scores_in_that_of_y():
    search = KerasSearchCV(
        mlp.model((4,)),
        {"unit": ["as it is", "return"], "learning_rate": [0.02]},
        Random(trials=2, epochs=2),
        cv=2,
        kind="regressor",
        scoring="r2",
        preprocess=StandardScaler(),
        preprocess_y=change,
    ).fit(X[:70], Y[:70])
    assert search.best_params_["unit"] == "return"
    assert search.best_score_ > 0
    predicted = search.predict(X[70:])
    assert 400 < predicted.mean() < 700
    assert search.score(X[70:], Y[70:]) == pytest.approx(r2_score(Y[70:], predicted))
    network = pickle.loads(pickle.dumps(search.best_estimator_.network_))
    np.testing.assert_array_equal(network.predict(X[70:]), predicted)
    with pytest.raises(ValueError, match="which preprocess_y= changed; use best_estimator_ itself"):
        search.best_estimator_.to_scikeras()


def test_a_classifier_has_no_unit():
    search = KerasSearchCV(mlp.model((4,)), {"dropout": [0.1]}, preprocess_y=StandardScaler())
    with pytest.raises(ValueError, match="preprocess_y= is for targets that are numbers"):
        search.fit(X, (Y > 500).astype(int))


def test_times_alone_do_not_forget_when_targets_are_known():
    windows = Windows(np.arange(30.0), lags=3, horizon=4)
    search = KerasSearchCV(
        mlp.model(), {"units": [2]}, Random(1, 1), cv=Forward(2), kind="regressor"
    )
    with pytest.raises(ValueError, match="times= without target_times= forgets"):
        search.fit(windows, windows.targets, times=windows.times)
