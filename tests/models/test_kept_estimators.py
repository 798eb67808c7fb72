"""Baselines that are kept: they predict as before, and no other type is loaded."""

import numpy as np
import pytest

from hpsearch.core.errors import HpsearchError, UntrustedError
from hpsearch.models.kept_estimators import EstimatorModel, EstimatorOutput, load_estimator

X = np.random.default_rng(0).normal(size=(80, 3))
CLASSES = (X[:, 0] > 0).astype(int)


def fit_boosting():
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(max_iter=5).fit(X, CLASSES)


def fit_linear():
    from sklearn.linear_model import Ridge

    return Ridge().fit(X, X[:, 1])


def fit_own():
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    # A function of a module could do anything.
    return make_pipeline(FunctionTransformer(np.linalg.pinv), fit_linear())


BINARY = EstimatorOutput("binary", 1, "sigmoid", False)
NUMBER = EstimatorOutput("regression", 1, "linear", False)


@pytest.mark.parametrize(("fit", "output"), [(fit_boosting, BINARY), (fit_linear, NUMBER)])
def test_a_kept_estimator_predicts_as_before_and_needs_no_trust(tmp_path, fit, output):
    model = EstimatorModel(fit(), output)
    assert model.types_to_trust == set()
    model.save(tmp_path / "model-1.skops")
    loaded = load_estimator(tmp_path / "model-1.skops", output, [])
    assert loaded.predict(X).shape == (80, 1)
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))


def test_logits_are_predicted_where_the_network_predicts_them():
    logits = EstimatorModel(fit_boosting(), EstimatorOutput("binary", 1, "sigmoid", True))
    likely = EstimatorModel(fit_boosting(), BINARY).predict(X)
    np.testing.assert_allclose(1 / (1 + np.exp(-logits.predict(X))), likely, rtol=1e-5)


def test_another_type_is_refused_unless_it_is_trusted_by_name(tmp_path):
    model = EstimatorModel(fit_own(), NUMBER)
    model.save(tmp_path / "model-1.skops")
    assert model.types_to_trust
    with pytest.raises(UntrustedError, match="--trust"):
        load_estimator(tmp_path / "model-1.skops", NUMBER, [])
    load_estimator(tmp_path / "model-1.skops", NUMBER, model.types_to_trust)


def test_a_damaged_file_is_refused(tmp_path):
    (tmp_path / "model-1.skops").write_bytes(b"PK\x03\x04 damaged")
    with pytest.raises(HpsearchError, match="cannot be read"):
        load_estimator(tmp_path / "model-1.skops", NUMBER, [])
