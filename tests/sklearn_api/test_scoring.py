import warnings

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.metrics import (
    f1_score,
    get_scorer,
    get_scorer_names,
    make_scorer,
    mean_absolute_error,
    recall_score,
)
from sklearn.naive_bayes import GaussianNB  # without decision_function, as networks are

from hpsearch import KerasSearchCV, Space
from hpsearch.core import scores
from hpsearch.core.errors import DataError
from hpsearch.core.metric import Metric
from hpsearch.core.option_text import settings_text
from hpsearch.sklearn_api.scoring import choose_ranking, make_scoring

RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 3))
NUMBERS = np.exp(X[:, 0])
WEIGHTS = RNG.uniform(0.5, 2.0, 90)
THREE = np.array(["ash", "elm", "oak"])[np.digitize(X[:, 0] + RNG.normal(size=90), [-0.8, 0.8])]
POSITIVE = (X[:, 0] + RNG.normal(size=90) > 0).astype(int)
LABELS = {
    "three": THREE,
    "text": np.array(["no", "yes"])[POSITIVE],
    "0 and 1": POSITIVE,
    "1 and 2": POSITIVE + 1,
    "-1 and 1": 2 * POSITIVE - 1,
    "bools": POSITIVE == 1,
}


def score_as_ours(name, scoring, estimator, y, weights=None):
    """A scorer's value by the metric that a search has for it."""
    column = scoring.columns[name]
    given = {"metric": scoring.task_options["metric"], "direction": "max"}
    classes = getattr(estimator, "classes_", None)
    if classes is None:
        kind, numbers, predicted = "regression", y, estimator.predict(X)[:, None]
    else:
        numbers, predicted = np.searchsorted(classes, y), estimator.predict_proba(X)
        kind = "binary" if len(classes) == 2 else "multiclass"
        predicted = predicted[:, 1:] if len(classes) == 2 else predicted
    if column in ("accuracy", "precision", "recall"):  # which Keras counts
        return None
    function = None if isinstance(given["metric"], str) else given["metric"]
    metric = Metric(column, "max", function)
    return scores.compute_score(metric, kind, numbers, predicted, weights)


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("labels", LABELS)
def test_each_scorer_of_classes_is_scikit_learns_or_refused_in_one_line(labels, weighted):
    y = LABELS[labels]
    estimator = GaussianNB().fit(X, y)
    refused: dict[str, str] = {}
    compared = 0
    for name in get_scorer_names():
        scorer = get_scorer(name)
        takes = weighted and scorer._accept_sample_weight()
        options = {"sample_weight": WEIGHTS} if takes else {}
        with warnings.catch_warnings(action="ignore"):
            try:
                expected = scorer(estimator, X, y, **options)
            except (ValueError, TypeError):
                expected = None
            try:
                scoring = make_scoring(
                    estimator, name, True, y, estimator.classes_, weighted=weighted
                )
            except ValueError as error:
                refused[name] = str(error)
                assert expected is None or not np.isfinite(expected), name
                continue
        found = score_as_ours("score", scoring, estimator, y, WEIGHTS if takes else None)
        if found is not None and expected is not None:
            compared += 1
            assert found == pytest.approx(expected, rel=1e-5), name
    assert compared > (15 if labels == "three" else 20)
    assert not any("\n" in message for message in refused.values())
    assert "r2" in refused or labels not in ("three", "text")


class Positive(LinearRegression):
    """Predicts positive numbers, as deviances need them."""

    def predict(self, X):
        return np.abs(X[:, 0]) + 0.1


@pytest.mark.filterwarnings("ignore:Clustering metrics")
def test_each_scorer_of_numbers_is_scikit_learns():
    estimator = Positive().fit(X, NUMBERS)
    compared = 0
    for name in get_scorer_names():
        try:
            scoring = make_scoring(estimator, name, True, NUMBERS, None, weighted=False)
        except ValueError:
            continue
        found = score_as_ours("score", scoring, estimator, NUMBERS)
        assert found == pytest.approx(get_scorer(name)(estimator, X, NUMBERS), rel=1e-6), name
        compared += 1
    assert compared >= 13


def own(estimator, X, y):
    return float(np.mean(estimator.predict(X) == y))


def looks_at_rows(estimator, X, y):
    return float(X[:, 0].mean())


@pytest.mark.parametrize(
    "scorer",
    [make_scorer(f1_score, pos_label="yes"), make_scorer(recall_score, pos_label="no"), own],
)
def test_scorers_of_the_users_own_get_the_users_labels(scorer):
    y = LABELS["text"]
    estimator = GaussianNB().fit(X, y)
    scoring = make_scoring(estimator, scorer, True, y, estimator.classes_, weighted=False)
    found = score_as_ours("score", scoring, estimator, y)
    assert found == pytest.approx(scorer(estimator, X, y))
    assert scoring.scorers["score"] is scorer


def test_a_scorer_has_a_text_that_is_the_same_in_each_process():
    def text(scorer):
        y = LABELS["text"]
        scoring = make_scoring(GaussianNB(), scorer, True, y, np.unique(y), weighted=False)
        return settings_text(scoring.task_options["metric"])

    assert "0x" not in text(own) + text(make_scorer(f1_score, pos_label="yes"))
    assert text(make_scorer(f1_score, pos_label="yes")) != text(
        make_scorer(f1_score, pos_label="no")
    )


def test_several_scorers_are_ranked_by_the_one_that_refit_names():
    y = LABELS["three"]
    scoring = make_scoring(
        GaussianNB(), ["accuracy", "f1_macro"], "f1_macro", y, np.unique(y), weighted=False
    )
    assert scoring.task_options["metric"] == "f1_macro"
    assert scoring.task_options["metrics"] == ["accuracy"]
    assert choose_ranking({"accuracy", "recall_macro"}, False) == "accuracy"
    assert choose_ranking(("recall_macro", "accuracy"), lambda table: 0) == "recall_macro"
    assert choose_ranking("accuracy", "accuracy") is None


@pytest.mark.parametrize(
    ("scoring", "refit", "message"),
    [
        ("acuracy", True, "unknown scoring 'acuracy'.*accuracy"),
        (3, True, "scoring is a name, a scorer, a list of names, or a dict"),
        ([], True, "scoring names no scorer at all"),
        (["accuracy", 3], "accuracy", "got 3 in"),
        (["accuracy", "accuracy"], "accuracy", "names 'accuracy' twice"),
        (["accuracy", "f1_macro"], True, "with several scorers refit is the name of one"),
        (["accuracy", "f1_macro"], "recall", "refit is the name of one .accuracy, f1_macro."),
        ("accuracy", "f1_macro", "refit='f1_macro' names no scorer of scoring='accuracy'"),
        ("accuracy", 3, "refit is True or False, the name of a scorer, or a function, got 3"),
        ("roc_auc", True, "scoring 'roc_auc' cannot be computed for this y: multi_class"),
        ("f1", True, "cannot be computed for this y: Target is multiclass"),
        ("neg_mean_squared_error", True, "cannot be computed for this y"),
        (looks_at_rows, True, "a scorer gets no rows here: let it use estimator.predict"),
        (mean_absolute_error, True, "looks like it is a metric function"),
        ({"own": lambda e, X, y: {"a": 1.0}}, "own", "scoring 'own' cannot be computed"),
    ],
)
def test_refuses_in_one_line_what_is_no_scoring(scoring, refit, message):
    y = LABELS["three"]
    with pytest.raises(ValueError, match=message) as error:
        make_scoring(GaussianNB(), scoring, refit, y, np.unique(y), weighted=False)
    assert "\n" not in str(error.value)


def test_scorers_that_weigh_no_rows_say_so():
    y = LABELS["three"]
    with pytest.warns(UserWarning, match="'own' does not weigh rows by sample_weight"):
        scoring = make_scoring(
            GaussianNB(),
            {"own": own, "accuracy": "accuracy"},
            "accuracy",
            y,
            np.unique(y),
            weighted=True,
        )
    assert scoring.weighs_rows
    metric = next(m for m, _ in scoring.task_options["metrics"])
    perfect = np.eye(3)[np.searchsorted(np.unique(y), y)]
    assert metric(perfect.argmax(axis=1), perfect, sample_weight=WEIGHTS) == 1.0


@pytest.mark.parametrize("metric", ["", np.array(["accuracy", "auc"])], ids=["empty", "an array"])
def test_a_metric_that_is_none_is_refused(metric):
    search = KerasSearchCV(lambda spec: None, Space(), metric=metric)
    with pytest.raises(DataError, match="metric"):
        search.fit(X, POSITIVE)
