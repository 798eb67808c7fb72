"""KerasSearchCV on texts: a vocabulary is fitted in each fold, and may be searched."""

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from hpsearch import Choice, KerasSearchCV, Random
from hpsearch.core.errors import DataError
from spaces import mlp

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(0)
Y = RNG.choice(["cats", "dogs"], 80)
X = [" ".join([*(f"{y}{n}" for n in RNG.integers(0, 5, 3)), "and"]) for y in Y]


def vectorize(vocabulary):
    return TfidfVectorizer(max_features=vocabulary)


def test_texts_are_searched_and_predicted_by_a_vocabulary_of_their_own():
    search = KerasSearchCV(
        mlp.model(hidden=(8,)),
        {"vocabulary": Choice(4, 12), "learning_rate": Choice(0.05)},
        searcher=Random(trials=2, epochs=8),
        preprocess=vectorize,
        cv=2,
    )
    search.fit(X, Y)
    assert not hasattr(search, "n_features_in_")
    assert search.score(X, Y) > 0.9
    expected = search.predict_proba(X)
    for same in (np.array(X), pd.Series(X)):
        np.testing.assert_array_equal(search.predict_proba(same), expected)
    with pytest.raises(ValueError, match="X holds texts, and none in row 1"):
        search.predict(["a", None])


def test_texts_without_preprocessing_are_refused():
    space, searcher = {"learning_rate": Choice(0.05)}, Random(trials=1, epochs=1)
    search = KerasSearchCV(mlp.model(hidden=(8,)), space, searcher=searcher, cv=2)
    with pytest.raises(DataError, match="x gives texts, and models take numbers; turn them into"):
        search.fit(X, Y)
