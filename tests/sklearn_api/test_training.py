"""What is trained, on which rows, and how it is told; the same on JAX and TensorFlow."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn import config_context, model_selection
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.metrics import accuracy_score, f1_score, log_loss, make_scorer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from hpsearch import KerasSearchCV, Random
from hpsearch.core.errors import StudyError
from hpsearch.core.seeds import derive_seed
from hpsearch.training import ModelSpec, backend
from hpsearch.training.base import Fit, Split
from hpsearch.training.rows import draw_row_order
from tests.sklearn_api.builds import (
    FRAME,
    NAMES,
    RATES,
    X,
    build,
    encode_columns,
    train_centroids,
)

FOLDS = list(model_selection.GroupKFold(3).split(X, NAMES, np.repeat(np.arange(20), 3)))
WEIGHTS = np.random.default_rng(1).uniform(0.2, 3.0, len(X))


def searching(trials=1, epochs=3, **options):
    options = {"cv": FOLDS, "engine": "fit"} | options
    return KerasSearchCV(build, RATES, Random(trials=trials, epochs=epochs), **options)


class Columns(TransformerMixin, BaseEstimator):
    """Keeps the numbers of a frame; notes the rows, by `age`, that it was fitted on."""

    seen: list = []  # noqa: RUF012

    def fit(self, x, y=None):
        assert isinstance(x, pd.DataFrame)
        assert x["wood"].isin(["hard", "soft"]).all()
        self.fitted_ = Columns.seen.append(frozenset(x["age"]))
        return self

    def transform(self, x):
        return x[list("abcd")]


@pytest.mark.slow
def test_frames_are_prepared_as_frames_on_training_rows_alone():
    Columns.seen.clear()
    search = searching(preprocess=Columns()).fit(FRAME, NAMES)
    assert {*Columns.seen} == {*(frozenset(train) for train, _ in FOLDS), frozenset(range(60))}
    # Scores and predictions are those of the same rows given as numbers.
    plain = searching().fit(X, NAMES)
    assert search.best_score_ == plain.best_score_
    assert np.array_equal(search.predict_proba(FRAME), plain.predict_proba(X))
    assert search.feature_names_in_.tolist() == FRAME.columns.tolist()


@pytest.mark.slow
def test_text_is_encoded_by_fold_and_new_text_is_the_transformers_affair():
    search = searching(preprocess=encode_columns()).fit(FRAME, NAMES)
    new = FRAME.assign(wood="burnt")
    assert search.predict(new).shape == (60,)
    again = pickle.loads(pickle.dumps(search))
    assert np.array_equal(again.predict_proba(new), search.predict_proba(new))
    encoder = search.best_estimator_.preprocess_.named_transformers_["onehotencoder"]
    assert encoder.categories_[0].tolist() == ["hard", "soft"]
    with pytest.raises(ValueError, match="feature names should match"):
        search.predict(FRAME[FRAME.columns[::-1]])
    with pytest.raises(ValueError, match=r"X holds text .*; give preprocess= a transformer"):
        searching().fit(FRAME, NAMES)
    table = FRAME.to_numpy(dtype=object)
    from sklearn.compose import make_column_transformer
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    by_place = make_column_transformer((StandardScaler(), [0, 1, 2, 3, 5]), (OneHotEncoder(), [4]))
    other = searching(preprocess=by_place).fit(table, NAMES)
    assert other.best_score_ == search.best_score_
    assert np.array_equal(other.predict_proba(table), search.predict_proba(FRAME))


@pytest.mark.slow
def test_sample_weight_is_keras_own():
    from hpsearch.training.building import call_build

    search = searching(epochs=2).fit(X, NAMES, sample_weight=WEIGHTS)
    best = search.best_estimator_
    # The same network from the same seed, trained by Keras itself on the same order of rows.
    numbers = np.unique(NAMES, return_inverse=True)[1]
    spec = ModelSpec(
        input_shape=(4,),
        outputs=3,
        activation="softmax",
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    seed = derive_seed(0, "refit")
    model, _ = call_build(build, spec, search.best_params_, seed)
    fit = Fit(build, search.best_params_, Split(np.arange(60), np.arange(1)), seed, 2)
    for epoch in range(best.epochs):
        order = draw_row_order(fit, epoch)
        model.fit(
            X[order].astype(np.float32),
            numbers[order],
            sample_weight=WEIGHTS[order].astype(np.float32),
            batch_size=32,
            shuffle=False,
            verbose=0,
        )
    for ours, theirs in zip(best.model_.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
    unweighted = searching(epochs=2).fit(X, NAMES)
    assert not np.allclose(unweighted.predict_proba(X), search.predict_proba(X))


@pytest.mark.slow
def test_scores_are_scikit_learns_of_the_networks_own_predictions():
    """The predictions that a scorer of one's own saw, scored by scikit-learn itself."""
    seen = {}

    def note(estimator, X, y):
        seen["labels"], seen["proba"] = y, estimator.predict_proba(X)
        seen["classes"] = estimator.classes_
        return 0.0

    search = searching(
        epochs=1,
        cv=FOLDS[:1],
        scoring={"f1": "f1_macro", "loss": "neg_log_loss", "accuracy": "accuracy", "note": note},
        refit="f1",
    ).fit(X, NAMES)
    guessed = seen["classes"][seen["proba"].argmax(axis=1)]
    expected = {
        "f1": f1_score(seen["labels"], guessed, average="macro"),
        "loss": -log_loss(seen["labels"], seen["proba"]),
        "accuracy": accuracy_score(seen["labels"], guessed),
        "note": 0.0,
    }
    for name, value in expected.items():
        assert search.cv_results_[f"mean_test_{name}"][0] == pytest.approx(value, rel=1e-5), name
        assert search.cv_results_[f"rank_test_{name}"].tolist() == [1]
    assert np.array_equal(np.sort(seen["labels"]), np.sort(NAMES[FOLDS[0][1]]))
    assert "mean_test_score" not in search.cv_results_
    assert search.multimetric_
    assert search.score(X, NAMES) == f1_score(NAMES, search.predict(X), average="macro")


@pytest.mark.slow
def test_train_scores_are_of_the_trained_network_on_its_training_rows():
    train, _ = FOLDS[0]
    both = np.concatenate([train, train])  # validated on copies of the rows that it is trained on
    halves = [(np.arange(len(train)), np.arange(len(train), len(both)))]
    options = {"scoring": ["accuracy", "f1_macro"], "refit": "accuracy", "epochs": 1}
    search = searching(cv=halves, return_train_score=True, **options)
    table = search.fit(X[both], NAMES[both]).cv_results_
    for name in ("accuracy", "f1_macro"):
        assert table[f"split0_train_{name}"] == pytest.approx(table[f"split0_test_{name}"])
    table = searching(return_train_score=True, **options).fit(X, NAMES).cv_results_
    folds = [table[f"split{fold}_train_accuracy"] for fold in range(3)]
    assert table["mean_train_accuracy"] == pytest.approx(np.mean(folds, axis=0))
    assert table["std_train_accuracy"] == pytest.approx(np.std(folds, axis=0))
    assert not [key for key in table if key.startswith("rank_train")]
    plain = searching(**options).fit(X, NAMES).cv_results_
    assert not [key for key in plain if "train" in key]
    assert table["mean_test_accuracy"] == pytest.approx(plain["mean_test_accuracy"])
    with pytest.raises(ValueError, match="return_train_score needs scoring=, as scoring='acc"):
        searching(return_train_score=True).fit(X, NAMES)


@pytest.mark.slow
def test_sample_weight_goes_to_scorers_as_in_scikit_learn():
    seen = {}

    def weigh(y, guessed, sample_weight=None):
        seen["weights"] = sample_weight
        return accuracy_score(y, guessed, sample_weight=sample_weight)

    scorer = make_scorer(weigh)
    search = searching(epochs=1, cv=FOLDS[:1], scoring=scorer, refit=False)
    search.fit(X, NAMES, sample_weight=WEIGHTS)
    assert np.allclose(seen["weights"], WEIGHTS[FOLDS[0][1]])
    with pytest.raises(ValueError, match="scoring= weighs rows by sample_weight, and class_weight"):
        searching(scoring=scorer, class_weight="balanced").fit(X, NAMES, sample_weight=WEIGHTS)
    with config_context(enable_metadata_routing=True):
        inner = searching(epochs=1, cv=FOLDS[:1], scoring=scorer, refit=False)
        chain = make_pipeline(FunctionTransformer(), inner.set_fit_request(sample_weight=True))
        chain.fit(X, NAMES, sample_weight=WEIGHTS)
        assert seen["weights"] is None  # the scorer did not request them
        assert not np.array_equal(
            chain[-1].cv_results_["mean_test_score"], search.cv_results_["mean_test_score"]
        )


@pytest.mark.slow
def test_refit_by_a_function_chooses_what_it_returns():
    search = searching(trials=3, refit=lambda table: int(table["rank_test_score"].argmax()))
    search.fit(X, NAMES)
    worst = search.cv_results_["rank_test_score"].argmax()
    assert search.best_index_ == worst
    assert search.best_params_ == search.cv_results_["params"][worst]
    assert search.best_estimator_.epochs == search.cv_results_["best_epoch"][worst]
    assert not hasattr(search, "best_score_")
    with pytest.raises(IndexError, match="refit= returned 9, and cv_results_ has 1"):
        searching(epochs=1, refit=lambda table: 9).fit(X, NAMES)
    with pytest.raises(TypeError, match="refit= must return the index of a point, got 'a'"):
        searching(epochs=1, refit=lambda table: "a").fit(X, NAMES)
    several = searching(epochs=1, scoring=["accuracy", "f1_macro"], refit=False).fit(X, NAMES)
    assert not hasattr(several, "best_params_")
    with pytest.raises(AttributeError, match="predict needs refit=True"):
        several.predict(X)


@pytest.mark.slow
def test_the_best_estimator_says_what_was_trained_and_trains_it_again():
    search = searching(trials=2, preprocess=encode_columns()).fit(FRAME, NAMES)
    best = search.best_estimator_
    assert best.params == search.best_params_
    assert best.epochs == search.best_epoch_ == len(best.history_["loss"])
    assert best.backend_ == backend.choose()
    assert {"python", "keras", best.backend_, "scikit-learn"} <= best.versions_.keys()
    assert best.n_weights_ == best.model_.count_params()
    text = repr(best)
    for part in ("TrainedClassifier(params={'rate':", "epochs=", "OneHotEncoder", best.backend_):
        assert part in text
    assert "\n" not in text
    again = clone(best).fit(FRAME, NAMES)
    assert np.array_equal(again.predict_proba(FRAME), search.predict_proba(FRAME))
    assert again.score(FRAME, NAMES) == search.score(FRAME, NAMES)
    scores = model_selection.cross_val_score(best, FRAME, NAMES, cv=2, error_score="raise")
    assert scores.shape == (2,)


@pytest.mark.slow
def test_a_training_function_of_ones_own_is_searched_too():
    search = KerasSearchCV(
        train=train_centroids,
        space={"shrink": [0.5, 1.0]},
        searcher=Random(trials=2, epochs=1),
        cv=FOLDS,
    ).fit(X, NAMES)
    assert search.score(X, NAMES) > 0.6
    assert search.best_estimator_.train is train_centroids
    again = pickle.loads(pickle.dumps(search))
    assert np.array_equal(again.predict_proba(X), search.predict_proba(X))
    with pytest.raises(StudyError, match="Study needs build= a function, or train= one, got both"):
        KerasSearchCV(build, {"shrink": [1.0]}, train=train_centroids).fit(X, NAMES)
    with pytest.raises(
        StudyError, match="Study needs build= a function, or train= one, got neither"
    ):
        KerasSearchCV(space={"shrink": [1.0]}).fit(X, NAMES)


@pytest.mark.thorough
@pytest.mark.slow
def test_the_same_on_tensorflow(check_on_tensorflow):
    names = (
        test_frames_are_prepared_as_frames_on_training_rows_alone,
        test_sample_weight_is_keras_own,
        test_scores_are_scikit_learns_of_the_networks_own_predictions,
        test_train_scores_are_of_the_trained_network_on_its_training_rows,
        test_the_best_estimator_says_what_was_trained_and_trains_it_again,
    )
    check_on_tensorflow(*(f"{__file__}::{test.__name__}" for test in names))
