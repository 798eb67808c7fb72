"""KerasSearchCV over the networks for tables: frames in, whose cells each fold prepares itself."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.metrics import r2_score
from sklearn.preprocessing import StandardScaler

from hpsearch import Choice, KerasSearchCV, Random
from spaces import tabular

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(0)
ROWS = 96
FRAME = pd.DataFrame(
    {
        "age": RNG.normal(50, 9, ROWS),
        "income": RNG.lognormal(size=ROWS),
        "job": RNG.choice(["clerk", "cook", "nurse"], ROWS),
        "town": RNG.choice([f"town {n:02}" for n in range(12)], ROWS),
        "owns": RNG.random(ROWS) < 0.5,
    }
)
PRICE = (5000 + 200 * FRAME["age"] + 3000 * FRAME["owns"]).to_numpy()
RICH = np.where(PRICE > np.median(PRICE), "rich", "poor")
FRAME.loc[::7, "age"] = np.nan
COLUMNS = tabular.Columns.of(FRAME)
SPACE = {
    **tabular.SPACE,
    **tabular.structure(8, 16, bins=(4, 8)),
    "embedding": Choice("periodic", "piecewise"),
    "layers": Choice(1, 2),
}


def searching(**options):
    options = {"cv": 2, "preprocess": tabular.preprocess(COLUMNS), **options}
    return KerasSearchCV(tabular.model(COLUMNS), SPACE, Random(trials=3, epochs=4), **options)


def test_classes_are_searched_and_predicted_from_frames():
    search = clone(searching()).fit(FRAME, RICH)
    assert {*search.cv_results_["param_embedding"]} == {"periodic", "piecewise"}
    assert list(search.feature_names_in_) == list(FRAME)
    expected = search.predict_proba(FRAME)
    assert expected.shape == (ROWS, 2)
    network = pickle.loads(pickle.dumps(search.best_estimator_.network_))
    np.testing.assert_array_equal(network.predict_proba(FRAME), expected)
    # Cells that no training row had are unknown, and not an error.
    new = FRAME[:3].assign(job="pilot", town="nowhere", age=[np.nan, 20.0, 1e6])
    assert np.isfinite(search.predict_proba(new)).all()


@pytest.mark.thorough
def test_numbers_are_predicted_and_scored_in_their_own_unit():
    search = searching(kind="regressor", scoring="r2", preprocess_y=StandardScaler())
    search.fit(FRAME, PRICE)
    predicted = search.predict(FRAME)
    assert abs(predicted.mean() - PRICE.mean()) < 3 * PRICE.std()
    assert search.score(FRAME, PRICE) == pytest.approx(r2_score(PRICE, predicted))
