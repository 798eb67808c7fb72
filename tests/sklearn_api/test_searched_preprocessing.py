"""KerasSearchCV whose points choose their preprocessing."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.decomposition import PCA

from hpsearch import KerasSearchCV, Random
from hpsearch.core.errors import BuildError
from tests.sklearn_api.builds import NAMES, RATES, X, build

SPACE = {**RATES, "components": [2, 3]}
pytestmark = pytest.mark.slow


def prepare(components):
    return PCA(components, random_state=0)


def searching(space=SPACE, **options):
    options = {"cv": 2, "engine": "fit", "preprocess": prepare} | options
    return KerasSearchCV(build, space, Random(trials=3, epochs=2), **options)


def test_the_best_point_s_preprocessing_is_fitted_on_all_rows():
    search = clone(searching()).fit(X, NAMES)
    components = search.best_params_["components"]
    assert set(search.cv_results_["param_components"]) == {2, 3}
    best = search.best_estimator_
    by_hand = prepare(components).fit(X)
    np.testing.assert_allclose(best.preprocess_.components_, by_hand.components_)
    assert best.model_.input_shape == (None, components)
    raw = best.model_.predict(by_hand.transform(X), verbose=0)
    np.testing.assert_allclose(search.predict_proba(X), raw, rtol=1e-5)
    again = pickle.loads(pickle.dumps(best))
    assert (again.predict(X) == search.predict(X)).all()
    assert (clone(best).fit(X, NAMES).predict(X) == search.predict(X)).all()


@pytest.mark.thorough
@pytest.mark.filterwarnings("ignore::DeprecationWarning:scikeras")
def test_it_goes_on_as_scikeras_with_the_point_s_transformer():
    search = searching().fit(X, NAMES)
    theirs = search.best_estimator_.to_scikeras()
    assert (theirs.predict(X) == search.predict(X)).all()
    assert clone(theirs).fit(X, NAMES).predict(X).shape == NAMES.shape


def test_a_space_without_its_parameter_is_refused():
    with pytest.raises(BuildError, match=r"preprocess needs the parameter 'components', which"):
        searching(RATES).fit(X, NAMES)
