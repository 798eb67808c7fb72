import pickle
import subprocess
import sys
import unittest
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn import model_selection
from sklearn.base import BaseEstimator, TransformerMixin, clone, is_classifier, is_regressor
from sklearn.exceptions import FitFailedWarning, NotFittedError
from sklearn.impute import SimpleImputer
from sklearn.metrics import accuracy_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from hpsearch import Choice, Float, Given, Holdout, KerasSearchCV, KFold, Random, Source, Space
from hpsearch.core.errors import DataError, StudyError
from hpsearch.core.metric import Metric
from hpsearch.core.trial import Curve, Failure, Outcome
from hpsearch.runs.in_memory import SearchedTrial
from hpsearch.sklearn_api.cv_results_table import make_cv_results
from hpsearch.sklearn_api.cv_splits import make_evaluator
from hpsearch.sklearn_api.targets import encode_labels
from tests.conftest import ROOT

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4))
NAMES = np.array(["ash", "elm", "oak"])[np.digitize(X[:, 0], [-0.8, 0.8])]  # of unlike size
CLASSES = np.unique(NAMES, return_inverse=True)[1]
GROUPS = np.repeat(np.arange(20), 3)
SPACE = Space(rate=Float(0.01, 0.1, log=True))


def build(spec, rate):
    import keras

    model = keras.Sequential(
        [
            keras.Input(spec.input_shape),
            keras.layers.Flatten(),
            keras.layers.Dense(16, activation="relu"),
            keras.layers.Dense(spec.outputs, activation=spec.activation),
        ]
    )
    model.compile(keras.optimizers.Adam(rate), loss=spec.loss, metrics=spec.metrics)
    return model


def searching(trials=3, epochs=4, space=SPACE, **options):
    options = {"cv": 3, "engine": "gang"} | options
    return KerasSearchCV(build, space, Random(trials=trials, epochs=epochs), **options)


# What needs no network.


ACCURACY = Metric("accuracy", "max")


def trial(params, *folds, metric=ACCURACY):
    if not folds:
        return SearchedTrial(params, 2, True, Outcome(failure=Failure("nan", "it diverged")))
    curves = [Curve(validation=fold, seconds=1.0) for fold in folds]
    return SearchedTrial(params, 2, True, Outcome(KFold(len(folds)).score(curves, metric)))


def test_the_table_has_the_keys_and_the_order_of_grid_search():
    found = [
        trial({"rate": 0.1}, (0.5, 0.6), (0.5, 0.8)),
        trial({"rate": 0.2, "momentum": 0.9}, (0.9, 0.1), (0.7, 0.1)),
        trial({"rate": 5.0}),
    ]
    table = make_cv_results(found, {"score": ACCURACY}, 2)
    assert table["mean_test_score"] == pytest.approx([0.7, 0.8, np.nan], nan_ok=True)
    assert table["std_test_score"] == pytest.approx([0.1, 0.1, np.nan], nan_ok=True)
    assert table["split1_test_score"] == pytest.approx([0.8, 0.7, np.nan], nan_ok=True)
    assert table["rank_test_score"].tolist() == [2, 1, 3]
    assert table["best_epoch"].tolist() == [2, 1, 0]
    assert table["param_momentum"].mask.tolist() == [True, False, True]
    assert table["params"][1] == {"rate": 0.2, "momentum": 0.9}
    assert all(len(column) == 3 for column in table.values())
    assert pd.DataFrame(table).shape[0] == 3


def test_a_loss_is_negated_so_that_higher_is_better():
    metric = Metric("mse", "min")
    found = [trial({"rate": r}, (r,), (r,), metric=metric) for r in (0.2, 0.1)]
    table = make_cv_results(found, {"score": metric}, 2)
    assert table["mean_test_score"].tolist() == [-0.2, -0.1]
    assert table["rank_test_score"].tolist() == [2, 1]


def test_cv_is_stratified_as_scikit_learn_does_it():
    splits = make_evaluator(3, X, CLASSES, None, classes=True)
    assert splits == KFold(3)
    task, data = task_of(CLASSES)
    ours = [np.bincount(CLASSES[s.validation]) for s in splits.splits(task, data, seed=0)]
    reference = model_selection.StratifiedKFold(3, shuffle=True, random_state=0)
    theirs = [np.bincount(CLASSES[test]) for _, test in reference.split(X, CLASSES)]
    assert np.array_equal(ours, theirs)
    assert np.ptp(ours, axis=0).max() <= 1


def task_of(y):
    from hpsearch import Data, Task

    data = Data(X, y, groups=GROUPS)
    return Task("t", data, "sparse_categorical_crossentropy", "accuracy"), data


def test_cv_takes_splitters_pairs_and_masks():
    task, data = task_of(CLASSES)
    splitter = make_evaluator(model_selection.GroupKFold(4), X, CLASSES, GROUPS, classes=True)
    for split in splitter.splits(task, data, seed=0):
        assert not set(GROUPS[split.train]) & set(GROUPS[split.validation])
    assert splitter.fits == 4
    mask = np.arange(60) < 40
    of_mask = make_evaluator([(mask, ~mask)], X, CLASSES, None, classes=True)
    (split,) = of_mask.splits(task, data, seed=0)
    assert split.validation.tolist() == list(range(40, 60))
    loss = Metric("loss", "min")
    assert of_mask.standard_error([0.5], loss, 20) is None
    assert of_mask.standard_error([0.5], task.objective, 20) == pytest.approx((0.25 / 20) ** 0.5)


def test_cv_takes_hpsearchs_own_names_for_splits():
    pairs = list(model_selection.KFold(3).split(X))
    given = [Given(pairs), Given(model_selection.KFold(3)), model_selection.KFold(3), pairs]
    made = [make_evaluator(cv, X, CLASSES, None, classes=True) for cv in given]
    assert len({each.label for each in made}) == 1
    shared = Given(model_selection.KFold(3), shared_batches=True)
    assert make_evaluator(shared, X, CLASSES, None, classes=True).shared_batches


def test_a_random_splitter_without_a_seed_gets_the_searchs():
    def label(seed, **options):
        cv = model_selection.ShuffleSplit(2, test_size=0.2, **options)
        return make_evaluator(cv, X, CLASSES, None, classes=True, seed=seed).label

    assert label(1) == label(1) != label(2)
    assert label(1, random_state=3) == label(2, random_state=3)
    assert label(None) != label(None)  # as scikit-learn without any random_state


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: make_evaluator(3, X, CLASSES, GROUPS, classes=True), "groups have no effect"),
        (lambda: make_evaluator(Holdout(), X, CLASSES, GROUPS, classes=True), "groups have no"),
        (lambda: make_evaluator(None, X, CLASSES, None, classes=True), "cv is a number of folds"),
        (lambda: make_evaluator(1, X, CLASSES, None, classes=True), "folds >= 2"),
        (lambda: make_evaluator([], X, CLASSES, None, classes=True), "no split is given at all"),
        (
            lambda: make_evaluator([([0, 1], [])], X, CLASSES, None, classes=True),
            "fold 0 has 2 rows to train on and 0",
        ),
        (lambda: make_evaluator(2.5, X, CLASSES, None, classes=True), "cv is a number of folds"),
        (lambda: make_evaluator(Given(), X, CLASSES, None, classes=True), "give cv the pairs"),
        (lambda: encode_labels(np.array(["a", "a"])), "at least 2 classes, got 1 class: a"),
        (lambda: encode_labels(np.array([0, 1]), "mse"), "needs a cross-entropy of probabilities"),
        (lambda: encode_labels(np.array([0, 1]), "mse"), 'or give kind="regressor" to predict'),
        (
            lambda: encode_labels(np.array([0.5, 1.25])),
            r'^Unknown label type: continuous.*Give kind="regressor" to predict numbers',
        ),
        (lambda: searching(kind="ranker").fit(X, NAMES), "kind is 'classifier' or 'regressor'"),
        (lambda: searching(loss="binary_crossentropy").fit(X, NAMES), "targets from 0 to 1"),
    ],
)
def test_refuses_what_makes_no_sense(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_scikit_learn_knows_its_kind_and_its_settings():
    search = searching(preprocess=StandardScaler(), random_state=3)
    assert is_classifier(search)
    assert is_regressor(searching(kind="regressor"))
    assert not hasattr(searching(kind="regressor"), "predict_proba")
    copy = clone(search).set_params(preprocess__with_mean=False, cv=4)
    assert copy.get_params()["random_state"] == 3
    assert not copy.preprocess.with_mean
    assert copy.cv == 4
    assert search.cv == 3
    with pytest.raises(NotFittedError):
        search.predict(X)
    assert not hasattr(search, "best_estimator_")


def test_weights_of_rows_and_labels_are_checked_before_anything_trains():
    with pytest.raises(DataError, match="same number of rows"):
        searching().fit(X, NAMES, sample_weight=np.ones(len(X) - 1))
    with pytest.raises(ValueError, match="no class 'none' to weigh"):
        searching(class_weight={"none": 1.0}).fit(X, NAMES)
    with pytest.raises(ValueError, match="is for kind='classifier'"):
        searching(kind="regressor", class_weight={0: 1.0}).fit(X, X[:, 0])


# What searches.


@pytest.fixture(scope="module")
def fitted():
    return searching(preprocess=StandardScaler()).fit(pd.DataFrame(X, columns=list("abcd")), NAMES)


FRAME = pd.DataFrame(X, columns=list("abcd"))


@pytest.mark.slow
def test_what_is_found_fits_together(fitted):
    table, best = fitted.cv_results_, fitted.best_index_
    assert fitted.best_params_ == table["params"][best]
    assert fitted.best_score_ == table["mean_test_score"][best] == table["mean_test_score"].max()
    assert table["rank_test_score"][best] == 1
    folds = [table[f"split{fold}_test_score"] for fold in range(fitted.n_splits_)]
    assert np.mean(folds, axis=0) == pytest.approx(table["mean_test_score"])
    assert fitted.best_epoch_ == table["best_epoch"][best]
    assert table["param_rate"][best] == fitted.best_params_["rate"]
    assert fitted.refit_time_ > 0
    assert fitted.n_features_in_ == 4
    assert fitted.feature_names_in_.tolist() == list("abcd")


@pytest.mark.slow
def test_labels_of_any_kind_come_back(fitted):
    assert fitted.classes_.tolist() == ["ash", "elm", "oak"]
    assert set(fitted.predict(FRAME)) <= set(NAMES)
    proba = fitted.predict_proba(FRAME)
    assert proba.sum(axis=1) == pytest.approx(np.ones(60))
    assert fitted.score(FRAME, NAMES) == accuracy_score(NAMES, fitted.predict(FRAME)) > 0.6
    for labels in (np.array([7, -3]), np.array([True, False]), np.array([0.0, 2.0])):
        y = labels[(X[:, 0] > 0).astype(int)]
        search = searching(trials=1).fit(X, y)
        assert search.predict_proba(X).shape == (60, 2)
        assert search.predict(X).dtype == y.dtype
        assert search.score(X, y) > 0.8


@pytest.mark.slow
@pytest.mark.parametrize("loss", [None, "categorical_crossentropy"])
@pytest.mark.parametrize("y", [NAMES, X[:, 0] > 0], ids=["three", "two"])
def test_the_best_estimator_predicts_what_the_search_predicts(y, loss):
    search = searching(trials=1, preprocess=StandardScaler(), loss=loss).fit(X * 9 + 4, y)
    best = search.best_estimator_
    assert (best.predict(X * 9 + 4) == search.predict(X * 9 + 4)).all()
    assert best.predict_proba(X * 9 + 4) == pytest.approx(search.predict_proba(X * 9 + 4))
    assert best.score(X * 9 + 4, y) == search.score(X * 9 + 4, y)
    assert is_classifier(best)
    if loss is None:
        anew = clone(best).fit(X * 9 + 4, y)
        assert anew.score(X * 9 + 4, y) > 0.6
        assert len(anew.history_["loss"]) == search.best_epoch_


@pytest.mark.slow
def test_a_regressor_keeps_the_shape_of_y():
    one = searching(kind="regressor", epochs=10).fit(X, X[:, 0])
    assert one.predict(X).shape == (60,)
    assert one.best_score_ == max(one.cv_results_["mean_test_score"]) < 0
    assert one.score(X, X[:, 0]) > 0.5
    assert one.best_estimator_.predict(X) == pytest.approx(one.predict(X))
    two = searching(kind="regressor", trials=1).fit(X, X[:, :2])
    assert two.predict(X).shape == (60, 2)
    assert two.best_estimator_.predict(X) == pytest.approx(two.predict(X))


@pytest.mark.slow
def test_it_can_be_pickled(fitted):
    copy = pickle.loads(pickle.dumps(fitted))
    assert (copy.predict_proba(FRAME) == fitted.predict_proba(FRAME)).all()
    assert copy.best_params_ == fitted.best_params_
    assert (copy.best_estimator_.predict(FRAME) == fitted.predict(FRAME)).all()


@pytest.mark.slow
def test_one_random_state_is_one_result(fitted):
    again = clone(fitted).fit(FRAME, NAMES)
    assert (again.predict_proba(FRAME) == fitted.predict_proba(FRAME)).all()
    other = clone(fitted).set_params(random_state=np.random.RandomState(1)).fit(FRAME, NAMES)
    assert other.best_params_ != fitted.best_params_


@pytest.mark.slow
def test_works_in_a_pipeline_and_in_cross_validation():
    chain = make_pipeline(StandardScaler(), searching(trials=2))
    assert model_selection.cross_val_score(chain, X, NAMES, cv=3, error_score="raise").min() > 0.5
    both = model_selection.cross_validate(
        searching(trials=2), X, NAMES, cv=2, return_estimator=True, error_score="raise"
    )
    assert all(isinstance(each.best_score_, float) for each in both["estimator"])


class Spy(TransformerMixin, BaseEstimator):
    """Changes nothing, and keeps the row numbers (column 0) that it was fitted on."""

    seen: list = []  # noqa: RUF012

    def fit(self, x, y=None):
        self.fitted_ = Spy.seen.append(set(x[:, 0].astype(int)))
        return self

    def transform(self, x):
        return x


@pytest.mark.slow
def test_preprocessing_never_sees_validation_rows():
    Spy.seen.clear()
    numbered = np.column_stack([np.arange(60), X])
    folds = list(model_selection.GroupKFold(3).split(X, NAMES, GROUPS))
    searching(trials=1, cv=folds, preprocess=Spy(), refit=False).fit(numbered, NAMES)
    assert {frozenset(rows) for rows in Spy.seen} == {frozenset(train) for train, _ in folds}
    Spy.seen.clear()
    grouped = searching(trials=1, cv=KFold(3, groups=True), preprocess=Spy(), refit=False)
    grouped.fit(numbered, NAMES, groups=GROUPS)
    for rows in Spy.seen:
        assert all(set(np.flatnonzero(GROUPS == GROUPS[row])) <= rows for row in rows)


@pytest.mark.slow
def test_failed_trials_rank_last_and_are_told():
    space = Space(rate=Choice(0.05, 1e38))
    with pytest.raises(StudyError, match="every trial failed"):
        searching(space=Space(rate=Choice(1e38))).fit(X, NAMES)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", FitFailedWarning)
        search = searching(trials=8, space=space).fit(X, NAMES)
    (warning,) = [str(w.message) for w in told if w.category is FitFailedWarning]
    assert "trials failed, the first with nan" in warning
    assert search.best_params_ == {"rate": 0.05}
    failed = np.isnan(search.cv_results_["mean_test_score"])
    ranks = search.cv_results_["rank_test_score"]
    assert ranks[failed].min() > ranks[~failed].max()


@pytest.mark.slow
def test_nan_only_with_preprocessing_that_fills_it():
    x = X.copy()
    x[0, 0] = np.nan
    with pytest.raises(ValueError, match="contains NaN"):
        searching().fit(x, NAMES)
    with pytest.raises(DataError, match="holds NaN"):
        searching(preprocess=StandardScaler()).fit(x, NAMES)
    filled = searching(trials=1, preprocess=SimpleImputer()).fit(x, NAMES)
    assert filled.score(x, NAMES) > 0.5
    assert (filled.best_estimator_.predict(X) == filled.predict(X)).all()


@pytest.mark.slow
def test_without_refit_there_is_nothing_to_predict_with():
    search = searching(trials=1, refit=False).fit(X, NAMES)
    assert search.best_params_
    with pytest.raises(AttributeError, match="predict needs refit=True"):
        search.predict(X)


@pytest.mark.slow
def test_searching_predicting_and_pickling_load_no_tensorflow():
    code = """
import pickle, sys
from tests.sklearn_api.test_sklearn_api import *
search = searching(trials=1).fit(X, NAMES)
assert (pickle.loads(pickle.dumps(search)).predict(X) == search.predict(X)).all()
assert (search.best_estimator_.predict(X) == search.predict(X)).all()
print("tensorflow" in sys.modules)
"""
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert ended.stdout.split() == ["False"]


ROUNDING = (
    "networks compute in single precision: the last bit depends on a row's place in its batch"
)
EXPECTED = {
    "check_methods_sample_order_invariance": ROUNDING,
    "check_methods_subset_invariance": ROUNDING,
    "check_sample_weight_equivalence_on_dense_data": "a row that is there twice is twice in the "
    "minibatches and in the folds, and the random numbers are others",
}


PARTS = 4  # of the checks: the first of them is the sample of a sampled run


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "epochs"), [("classifier", 3), ("regressor", 20)])
@pytest.mark.parametrize("part", range(PARTS))
def test_scikit_learns_own_checks(kind, epochs, part):
    from sklearn.utils.estimator_checks import estimator_checks_generator

    estimator = searching(trials=1, epochs=epochs, cv=2, kind=kind)
    passed, failed = 0, {}
    with warnings.catch_warnings(action="ignore"):  # of its checks' own making
        for each, check in list(estimator_checks_generator(estimator))[part::PARTS]:
            try:
                check(each)
            except unittest.SkipTest:
                continue
            except Exception as error:
                name = check.func.__name__
                if name not in EXPECTED:
                    failed[name] = error
            else:
                passed += 1
    assert not failed
    assert passed > 40 / PARTS


@pytest.mark.slow
def test_callbacks_are_made_for_each_fit_and_for_the_refit_those_that_can_work():
    import keras

    told = []

    class Look(keras.callbacks.Callback):
        def __init__(self, trial):
            super().__init__()
            self.is_refit, self.monitor = trial.is_refit, "val_loss" if trial.fold else "loss"

        def on_epoch_end(self, epoch, logs=None):
            told.append((self.is_refit, epoch, "val_loss" in logs))

    def callbacks(trial):
        early = keras.callbacks.EarlyStopping(patience=0, min_delta=100.0)
        return [] if trial.is_probe else [early, Look(trial)]

    search = searching(trials=1, engine="auto", callbacks=callbacks).fit(X, NAMES)
    assert search.best_epoch_ <= 2
    in_search = [each for each in told if not each[0]]
    assert len(in_search) == 3 * 2  # each fold was ended by EarlyStopping
    assert [epoch for is_refit, epoch, _ in told if is_refit] == list(range(search.best_epoch_))
    with pytest.raises(StudyError, match="Study needs callbacks= a function"):
        searching(callbacks=5).fit(X, NAMES)


class Rows(Source):
    def __init__(self, array):
        self.array = array

    def __len__(self):
        return len(self.array)

    def rows(self, indices):
        return self.array[indices]


@pytest.mark.slow
@pytest.mark.parametrize("n_jobs", [None, 2])
def test_a_source_is_searched_and_predicted_as_its_array(n_jobs):
    cv = model_selection.StratifiedKFold(3)
    one, other = (
        searching(
            2,
            2,
            cv=cv,
            scoring="f1_macro",
            preprocess=StandardScaler(),
            engine="fit",
            n_jobs=n_jobs,
        ).fit(rows, NAMES)
        for rows in (X, Rows(X))
    )
    found, expected = (s.cv_results_["mean_test_score"].tolist() for s in (other, one))
    assert found == expected
    assert other.predict_proba(Rows(X)).tobytes() == one.predict_proba(X).tobytes()
    assert other.score(Rows(X), NAMES) == one.score(X, NAMES)
    assert other.n_features_in_ == X.shape[1]
    with pytest.raises(ValueError, match="X has 1 features, and fit got"):
        other.predict(Rows(X[:, :1]))


def test_a_source_that_is_no_table_of_one_input_is_refused():
    class Two(Rows):
        def rows(self, indices):
            return {"a": self.array[indices], "b": self.array[indices]}

    with pytest.raises(ValueError, match="gives the inputs a, b; a Study takes several"):
        searching().fit(Two(X), NAMES)
    with pytest.raises(ValueError, match="needs rows of shape"):
        searching().fit(Rows(X[:, 0]), NAMES)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        searching().fit(Rows(X[1:]), NAMES)
