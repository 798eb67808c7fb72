"""What goes on with SciKeras: `best_estimator_.to_scikeras()`."""

import os
import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn import model_selection
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from hpsearch import KerasSearchCV, Random
from hpsearch.sklearn_api.trained_estimators import TrainedClassifier
from hpsearch.training import Phase, Phases
from tests.conftest import ROOT
from tests.sklearn_api.builds import (
    FRAME,
    NAMES,
    RATES,
    X,
    build,
    encode_columns,
    train_centroids,
)

ROWS = X * 9 + 4

pytestmark = [
    pytest.mark.slow,
    # scikit-learn's of the tags that SciKeras 0.13 has beside them
    pytest.mark.filterwarnings("ignore::DeprecationWarning:scikeras"),
]


def searching(build=build, **options):
    return KerasSearchCV(
        build, RATES, Random(trials=1, epochs=4), **({"cv": 2, "engine": "fit"} | options)
    )


@pytest.mark.parametrize("loss", [None, "categorical_crossentropy"])
@pytest.mark.parametrize("y", [NAMES, X[:, 0] > 0], ids=["three", "two"])
def test_it_predicts_what_the_search_predicts(y, loss):
    # PCA of three columns could not be fitted on a row of each class.
    search = searching(preprocess=PCA(3), loss=loss).fit(ROWS, y)
    theirs = search.best_estimator_.to_scikeras()
    assert type(theirs).__mro__[1].__module__ == "scikeras.wrappers"
    assert theirs.model_ is search.best_estimator_.model_
    assert (theirs.predict(ROWS) == search.predict(ROWS)).all()
    assert theirs.predict_proba(ROWS) == pytest.approx(search.predict_proba(ROWS))
    assert theirs.score(ROWS, y) == search.score(ROWS, y)
    assert theirs.classes_.tolist() == search.classes_.tolist()
    assert is_classifier(theirs)


def test_it_goes_on_as_any_estimator_of_scikeras():
    search = searching(preprocess=StandardScaler(), class_weight="balanced").fit(ROWS, NAMES)
    theirs = search.best_estimator_.to_scikeras()
    again = pickle.loads(pickle.dumps(theirs))
    assert (again.predict_proba(ROWS) == theirs.predict_proba(ROWS)).all()
    anew = clone(theirs).fit(ROWS, NAMES)
    assert len(anew.history_["loss"]) == search.best_epoch_
    assert clone(theirs).set_params(epochs=30).fit(ROWS, NAMES).score(ROWS, NAMES) > 0.6
    assert anew.feature_encoder_[1].n_samples_seen_ == 60  # fitted on the clone's own rows
    scores = model_selection.cross_val_score(theirs, ROWS, NAMES, cv=2, error_score="raise")
    assert scores.shape == (2,)
    before = theirs.model_.get_weights()[0].copy()
    theirs.partial_fit(ROWS, NAMES)
    assert not np.array_equal(before, theirs.model_.get_weights()[0])


@pytest.mark.parametrize("y", [X[:, 0], X[:, :2]], ids=["one", "two"])
def test_a_regressor_keeps_the_shape_of_y(y):
    search = searching(kind="regressor").fit(X, y)
    theirs = search.best_estimator_.to_scikeras()
    assert is_regressor(theirs)
    assert theirs.predict(X).shape == y.shape
    assert theirs.predict(X) == pytest.approx(search.predict(X))
    assert theirs.score(X, y) == pytest.approx(search.score(X, y))


def test_a_frame_of_numbers_goes_to_the_transformer_as_a_frame():
    frame = pd.DataFrame(X, columns=list("abcd")).assign(whole=np.arange(60))
    columns = make_column_transformer((StandardScaler(), ["a", "b", "whole"]))
    search = searching(preprocess=columns).fit(frame, NAMES)
    theirs = search.best_estimator_.to_scikeras()
    assert theirs.predict_proba(frame) == pytest.approx(search.predict_proba(frame))
    assert clone(theirs).fit(frame, NAMES).predict(frame).shape == (60,)
    # What a transformer gives may be sparse.
    sparse = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["whole"]), sparse_threshold=1.0
    )
    search = searching(preprocess=sparse, refit=True, cv=[(range(40), range(40, 60))])
    search.fit(frame, NAMES)
    theirs = search.best_estimator_.to_scikeras()
    assert (theirs.predict(frame) == search.predict(frame)).all()


def build_in_phases(spec, rate):
    model = build(spec, rate)
    return Phases(Phase(lambda: model, epochs=1), Phase(lambda: model))


def test_where_it_cannot_be_one_line_says_why():
    text = searching(preprocess=encode_columns()).fit(FRAME, NAMES).best_estimator_
    with pytest.raises(ValueError, match="fitted on text or categories; use best_estimator_"):
        text.to_scikeras()
    centroids = TrainedClassifier(params={"shrink": 0.5}, train=train_centroids).fit(X, NAMES)
    with pytest.raises(ValueError, match="trained by train=; use best_estimator_ itself"):
        centroids.to_scikeras()
    phased = searching(build_in_phases).fit(X, NAMES).best_estimator_
    with pytest.raises(ValueError, match="this model is trained in phases; predict and train by"):
        phased.to_scikeras()
    best = searching(callbacks=lambda trial: []).fit(X, NAMES).best_estimator_
    with pytest.warns(UserWarning, match=r"trains without callbacks=.*set_params\(callbacks="):
        best.to_scikeras()


def test_only_the_call_imports_scikeras():
    code = """
import pickle, sys
from tests.sklearn_api.test_scikeras import *
search = searching().fit(X, NAMES)
assert (pickle.loads(pickle.dumps(search)).predict(X) == search.predict(X)).all()
best = search.best_estimator_
print("tensorflow" in sys.modules, "scikeras" in sys.modules)
best.to_scikeras()
print("scikeras" in sys.modules)
"""
    ended = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "KERAS_BACKEND": "jax"},
    )
    assert ended.stdout.split() == ["False", "False", "True"]


@pytest.mark.thorough
def test_the_same_on_tensorflow(check_on_tensorflow):
    names = (
        test_it_predicts_what_the_search_predicts,
        test_it_goes_on_as_any_estimator_of_scikeras,
        test_a_regressor_keeps_the_shape_of_y,
    )
    check_on_tensorflow(*(f"{__file__}::{test.__name__}" for test in names))
