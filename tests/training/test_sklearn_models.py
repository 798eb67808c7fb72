"""Training functions of scikit-learn's estimators."""

import dataclasses
import os
import subprocess
import sys

import numpy as np
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.ensemble import (
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from hpsearch import Data, Holdout, Int, KFold, Space, Task
from hpsearch.core.errors import BuildError
from hpsearch.training import sklearn_model
from hpsearch.training.base import Fit, Split
from hpsearch.training.own_trainer import OwnTrainer
from hpsearch.training.point_parameters import check_space
from tests.conftest import ROOT

RNG = np.random.default_rng(0)
X = RNG.normal(size=(150, 4)).astype("float32")
HIDDEN = X @ RNG.normal(size=(4, 3))
CLASSES = Task(
    "classes", Data(X, HIDDEN.argmax(axis=1)), "sparse_categorical_crossentropy", "accuracy",
    metrics=["f1_macro"],
)  # fmt: skip
NUMBERS = Task("numbers", Data(X, HIDDEN[:, 0]), "mse", "mae")


def evaluate(train, task=CLASSES, params=None, epochs=1):
    return KFold(3).evaluate(params=params or {}, task=task, epochs=epochs, train=train)


def forest(n_estimators=20, max_depth=None):
    return RandomForestClassifier(n_estimators, max_depth=max_depth)


def stepwise():
    """Estimators that grow epoch by epoch."""
    return {
        "forest": (sklearn_model(forest, by="n_estimators", step=3), CLASSES),
        "boosting": (sklearn_model(GradientBoostingRegressor, by="n_estimators"), NUMBERS),
        "histograms": (
            sklearn_model(
                lambda: HistGradientBoostingClassifier(min_samples_leaf=5), by="max_iter"
            ),
            CLASSES,
        ),
        "network": (sklearn_model(MLPClassifier, by="max_iter"), CLASSES),
        "numbers": (
            sklearn_model(lambda: MLPRegressor(hidden_layer_sizes=(5,)), by="partial_fit"),
            NUMBERS,
        ),
        "sgd": (sklearn_model(lambda: SGDClassifier(loss="log_loss"), by="partial_fit"), CLASSES),
    }


def test_its_scores_are_scikit_learns():
    (split,) = Holdout(rows=50).splits(CLASSES, CLASSES.load(), seed=0)
    one = Fit(sklearn_model(LogisticRegression), {"C": 0.5}, split, 1, 1)
    ((_, curve),) = OwnTrainer(CLASSES).train([one], CLASSES.load())
    y = HIDDEN.argmax(axis=1)
    found = LogisticRegression(C=0.5).fit(X[split.train], y[split.train])
    assert curve.validation == (found.score(X[split.validation], y[split.validation]),)
    assert curve.train == (found.score(X[split.train], y[split.train]),)
    likely = found.predict_proba(X[split.validation])
    loss = -np.log(likely[np.arange(50), y[split.validation]]).mean()
    assert curve.validation_loss[0] == pytest.approx(loss)


def test_an_estimator_that_has_no_steps_is_fitted_once():
    score = evaluate(sklearn_model(forest), params={"max_depth": 3}, epochs=27)
    assert {len(fold.validation) for fold in score.folds} == {1}
    assert score.value > 0.6


def test_its_seed_is_the_fits():
    scores = [evaluate(sklearn_model(forest)).folds for _ in range(2)]
    assert [c.validation_loss for c in scores[0]] == [c.validation_loss for c in scores[1]]

    def seeded():
        return RandomForestClassifier(3, random_state=5)

    assert evaluate(sklearn_model(seeded)).value != evaluate(sklearn_model(forest)).value


@pytest.mark.parametrize("kind", stepwise())
def test_steps_continue_as_if_never_stopped(tmp_path, kind):
    train, task = stepwise()[kind]
    data = task.load()
    (split,) = Holdout(rows=50).splits(task, data, seed=0)
    OwnTrainer(task).probe(train, [{}], split, data)
    whole = Fit(train, {}, split, 7, 4)
    half = dataclasses.replace(whole, epochs=2, checkpoint_out=tmp_path / "half.npz")
    rest = dataclasses.replace(whole, checkpoint_in=tmp_path / "half.npz")
    curves = [dict(OwnTrainer(task).train([one], data))[0] for one in (whole, half, rest)]
    assert (tmp_path / "half.npz").exists()
    assert curves[0].validation == curves[2].validation
    assert curves[0].validation_loss == curves[2].validation_loss
    assert curves[0].train_loss == curves[2].train_loss
    assert curves[0].train_loss[-1] < curves[0].train_loss[0]


class Mean(RegressorMixin, BaseEstimator):
    """An estimator of the user's own; with a function in it, which skops does not save."""

    def __init__(self, shift=0.0, own=False):
        self.shift, self.own = shift, own

    def fit(self, x, y):
        self.mean_ = y.mean() + self.shift
        self.thing_ = (lambda: 0) if self.own else 0
        return self

    def predict(self, x):
        return np.full(len(x), self.mean_)


@pytest.mark.parametrize("own", [False, True])
def test_one_that_cannot_be_saved_starts_anew(tmp_path, own):
    data = NUMBERS.load()
    (split,) = Holdout(rows=50).splits(NUMBERS, data, seed=0)
    train = sklearn_model(Mean)
    OwnTrainer(NUMBERS).probe(train, [{"own": own}], split, data)
    one = Fit(train, {"own": own}, split, 7, 3, checkpoint_out=tmp_path / "c.npz")
    curves = [dict(OwnTrainer(NUMBERS).train([one], data))[0] for _ in range(2)]
    assert (tmp_path / "c.npz").exists() == (not own)
    assert curves[0].validation == curves[1].validation


def test_types_of_others_in_a_checkpoint_are_not_loaded():
    from hpsearch.training import sklearn_models

    saved = sklearn_models.dump_estimator(Mean().fit(X, HIDDEN[:, 0]))
    assert isinstance(sklearn_models._load(saved, Mean()), Mean)
    with pytest.raises(BuildError, match="other types"):
        sklearn_models._load(saved, Ridge())
    with pytest.raises(BuildError, match="holds a Ridge"):
        sklearn_models._load(sklearn_models.dump_estimator(Ridge()), Mean())
    with pytest.raises(BuildError, match=r"damaged|other types"):
        sklearn_models._load(sklearn_models.dump_estimator(Ridge())[:-50], Ridge())


@pytest.mark.parametrize(
    ("factory", "y", "loss", "metric"),
    [
        (LogisticRegression, HIDDEN[:, 0] > 0, "binary_crossentropy", "roc_auc"),
        (LogisticRegression, np.eye(3)[HIDDEN.argmax(1)], "categorical_crossentropy", "accuracy"),
        (RandomForestClassifier, HIDDEN > 0, "binary_crossentropy", "f1_macro"),
        (KNeighborsClassifier, HIDDEN > 0, "binary_crossentropy", "binary_accuracy"),
        (MLPClassifier, HIDDEN > 0, "binary_crossentropy", "average_precision"),
        (lambda: MultiOutputClassifier(LogisticRegression()), HIDDEN > 0, "binary_crossentropy", "f1_macro"),
        (Ridge, HIDDEN, "mse", "r2"),
        (LinearSVC, HIDDEN.argmax(1), "sparse_categorical_crossentropy", "f1_macro"),
        (lambda: make_pipeline(StandardScaler(), LinearSVC()), HIDDEN[:, 0] > 0, "binary_crossentropy", "accuracy"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_targets_of_every_kind(factory, y, loss, metric):
    data = Data(X, y.astype("float32") if y.dtype == bool else y)
    score = evaluate(sklearn_model(factory), Task("kind", data, loss, metric))
    assert score.value > 0.6
    assert (score.folds[0].validation_loss[0] < 2) == ("SVC" not in str(factory()))


def test_a_fold_may_lack_a_class():
    y = np.where(np.arange(150) < 2, 2, HIDDEN[:, 0] > 0).astype(int)
    task = Task("rare", Data(X, y), "sparse_categorical_crossentropy", "accuracy")
    split = Split(np.arange(2, 100), np.arange(100, 150))
    one = Fit(sklearn_model(LogisticRegression), {}, split, 1, 1)
    ((_, curve),) = OwnTrainer(task).train([one], task.load())
    assert curve.validation[0] > 0.8


def test_logits_are_given_where_the_loss_takes_them():
    import keras

    losses = (keras.losses.SparseCategoricalCrossentropy(from_logits=True), CLASSES.loss)
    y = HIDDEN.argmax(axis=1)
    found = [
        evaluate(sklearn_model(LogisticRegression), Task("t", Data(X, y), loss, "accuracy"))
        for loss in losses
    ]
    assert found[0].value == found[1].value
    for one, other in zip(*(score.folds for score in found), strict=True):
        assert one.validation_loss == pytest.approx(other.validation_loss, rel=1e-4)


def weighted(**options):
    weights = np.where(HIDDEN.argmax(axis=1) == 0, 10.0, 0.1)
    data = Data(X, HIDDEN.argmax(axis=1), sample_weight=weights)
    return Task("weighted", data, CLASSES.loss, "accuracy", **options)


@pytest.mark.parametrize(
    "factory", [LogisticRegression, lambda: make_pipeline(StandardScaler(), LogisticRegression())]
)
def test_rows_are_weighed(factory):
    plain = evaluate(sklearn_model(factory), CLASSES)
    heavy = evaluate(sklearn_model(factory), weighted(weighted_metrics=True))
    assert heavy.folds[0].train[0] > plain.folds[0].train[0]
    assert evaluate(sklearn_model(factory), weighted()).value < plain.value


@pytest.mark.parametrize(
    ("factory", "options", "task", "says"),
    [
        (KNeighborsClassifier, {}, weighted(), "KNeighborsClassifier.fit takes no sample_weight"),
        (forest, {"by": "partial_fit"}, CLASSES, "RandomForestClassifier has no partial_fit"),
        (forest, {"by": "n_estimator"}, CLASSES, r"did you mean 'n_estimators'"),
        (KNeighborsClassifier, {"by": "n_neighbors"}, CLASSES, "has no warm_start, by which"),
        (dict, {}, CLASSES, r"returns an estimator, got \{\}, which has no fit"),
        (
            LinearSVC, {}, Task("auc", CLASSES.data, CLASSES.loss, "roc_auc"),
            "LinearSVC predicts no probabilities, which the metric roc_auc needs",
        ),
        (
            Ridge, {}, Task("two", Data({"a": X, "b": X}, HIDDEN[:, 0]), "mse", "mae"),
            "trains on one table x and one output",
        ),
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused(factory, options, task, says):
    with pytest.raises(BuildError, match=says):
        evaluate(sklearn_model(factory, **options), task)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"step": 2}, "has no effect with by=None"),
        ({"by": "n_estimators", "step": 0}, "step >= 1"),
        ({"by": 3}, "by= 'partial_fit' or a parameter, got 3"),
    ],
)
def test_options_are_refused_where_they_are_made(options, says):
    with pytest.raises(ValueError, match=says):
        sklearn_model(forest, **options)


def test_its_parameters_are_the_factorys():
    check_space(sklearn_model(forest), Space(max_depth=Int(1, 3)), trains_itself=True)
    with pytest.raises(BuildError, match="did you mean 'max_depth'"):
        check_space(sklearn_model(forest), Space(max_dept=Int(1, 3)), trains_itself=True)


@pytest.mark.slow
def test_it_does_not_import_keras():
    code = (
        "import sys; from tests.training.test_sklearn_models import *;"
        "evaluate(sklearn_model(forest)); evaluate(sklearn_model(Ridge), NUMBERS);"
        "assert not {'keras', 'jax', 'tensorflow'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=dict(os.environ), check=True)


def test_probabilities_without_a_column_for_each_class_are_refused():
    class OneColumn(LogisticRegression):
        def predict_proba(self, X):
            return super().predict_proba(X)[:, :1]

    with pytest.raises(BuildError, match=r"predict_proba gives shape \(50, 1\), and there are 3"):
        evaluate(sklearn_model(OneColumn))
