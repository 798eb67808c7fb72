"""Metrics by name, by function, and several of them."""

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import get_scorer_names, roc_auc_score

from hpsearch import Data, Task
from hpsearch.core.errors import DataError
from hpsearch.core.metric import CLASS_SCORERS, ERROR_FUNCTIONS, NUMBER_SCORERS, parse_metric
from hpsearch.core.row_scores import make_score_measure
from hpsearch.core.scores import check_computable, compute_score

X = np.zeros((6, 2))
CLASSES = np.array([0, 1, 2, 0, 1, 2])
NUMBERS = np.linspace(-1, 1, 6)
SPARSE = "sparse_categorical_crossentropy"


def made(y=CLASSES, loss=SPARSE, **options):
    return Task("t", Data(X, y), loss, **options)


def half(y_true, y_pred):
    return 0.5


def a_word(y_true, y_pred):
    return "good"


def fails(y_true, y_pred):
    raise KeyError("no such class")


def test_names_are_those_of_scikit_learn():
    assert set(CLASS_SCORERS + NUMBER_SCORERS) <= set(get_scorer_names())


def test_the_first_ranks_and_all_are_recorded():
    task = made(metric="f1_macro", metrics=["accuracy", "roc_auc", (half, "max"), "f1_macro"])
    assert [metric.name for metric in task.recorded] == ["f1_macro", "accuracy", "roc_auc", "half"]
    assert task.measure == task.objective.name == "f1_macro"
    assert task.objective.higher_is_better
    task.load()


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        ({"metric": half}, "function of your own; say which way is better"),
        ({"metric": lambda y, p: 0.0, "direction": "max"}, "is a function with a name"),
        ({"metric": 3}, "metric= a name, or a function"),
        ({"metric": "acuracy"}, "did you mean 'accuracy'"),
        ({"metrics": "accuracy"}, "metrics= a list"),
        ({"metrics": ["accuracy", "accuracy"]}, "'accuracy' twice"),
        ({"metrics": [(half, "up")]}, "direction is 'min' or 'max'"),
        ({"metrics": ["r2x"]}, "unknown metric 'r2x'"),
        ({"metric": "r2"}, "'r2' is for a regression, and this task is multiclass"),
        ({"class_weight": "even"}, "class_weight= 'balanced', or a dict"),
        ({"class_weight": {0: -1.0}}, "weights from 0 on, got -1.0 for class 0"),
        ({"class_weight": {0: float("nan")}}, "weights from 0 on"),
        ({"weighted_metrics": 1}, "weighted_metrics"),
    ],
)
def test_what_is_no_metric_or_weight_is_refused_at_once(options, wrong):
    with pytest.raises((DataError, ValueError), match=wrong):
        made(**options)


@pytest.mark.parametrize(
    ("task", "wrong"),
    [
        (made(metric="f1"), "'f1' cannot be computed for these targets, a multiclass task"),
        (made(metric=a_word, direction="max"), "must return one number, got 'good'"),
        (made(metrics=[(fails, "min")]), "'fails' cannot be computed.*no such class"),
        (made(class_weight={0: 1.0, 1: 2.0}), "class 2 no weight"),
        (made(class_weight={0: 1.0, 1: 2.0, 2: 1.0, "x": 1.0}), "no class 'x' to weigh"),
        (made(NUMBERS, "mse", class_weight="balanced"), "this one is regression"),
        (made(weighted_metrics=True), "weighted_metrics=True needs weights"),
    ],
)
def test_what_does_not_go_with_the_targets_is_refused_where_they_are_loaded(task, wrong):
    with pytest.raises(DataError, match=wrong):
        task.load()


def test_scores_of_classes_are_refused_for_numbers():
    with pytest.raises(DataError, match="'f1_macro' is for classes"):
        made(NUMBERS, "mse", metric="f1_macro")


@pytest.mark.parametrize(
    ("weights", "wrong"),
    [
        (np.ones(5), "same number of rows"),
        (np.ones((6, 2)), "one number a row, or one a step"),
        ([1, 1, 1, 1, 1, -1], "finite numbers from 0 on, got -1.0 in row 5"),
        ([1, 1, np.inf, 1, 1, 1], "got inf in row 2"),
        (["a"] * 6, "array of numbers"),
    ],
)
def test_weights_that_are_none_are_refused(weights, wrong):
    with pytest.raises(DataError, match=wrong):
        Data(X, CLASSES, sample_weight=weights)


def test_rows_that_all_weigh_nothing_are_refused():
    with pytest.raises(DataError, match="zero in all rows"):
        Task("t", Data(X, CLASSES, sample_weight=np.zeros(6)), SPARSE).load()


def test_weighted_metrics_need_weights_of_the_test_rows_too():
    data = Data(X, CLASSES, X, CLASSES, sample_weight=np.ones(6))
    with pytest.raises(DataError, match="sample_weight_test"):
        Task("t", data, SPARSE, "accuracy", weighted_metrics=True).load()


def test_weighted_values_are_not_ranked_with_others():
    assert (
        made(metric="accuracy", class_weight="balanced", weighted_metrics=True).measure
        != "accuracy"
    )


def test_weights_change_the_fingerprint_and_go_with_their_rows():
    data = Data(X, CLASSES, sample_weight=np.arange(6.0))
    assert data.fingerprint != Data(X, CLASSES).fingerprint
    assert data.take([4, 2]).sample_weight.tolist() == [4.0, 2.0]


def test_balanced_classes_weigh_the_same_together():
    y = np.array([0, 0, 0, 0, 1, 2])
    weights = made(y, class_weight="balanced").row_weights(Data(X, y))
    assert [weights[y == n].sum() for n in range(3)] == pytest.approx([2, 2, 2])


@pytest.mark.parametrize("name", ["median_absolute_error", "max_error", "mean_pinball_loss", "r2"])
def test_scores_of_numbers(name):
    from sklearn import metrics

    predicted = NUMBERS[:, None] * 0.5
    by_name = {"r2": metrics.r2_score}.get(name) or getattr(metrics, name)
    found = compute_score(parse_metric(name), "regression", NUMBERS[:, None], predicted)
    assert found == pytest.approx(by_name(NUMBERS, predicted[:, 0]))


def test_two_labels_are_not_taken_for_two_classes():
    from sklearn.metrics import average_precision_score

    y = np.array([[0, 1], [1, 1], [1, 0], [0, 0]])
    predicted = np.array([[0.2, 0.6], [0.4, 0.9], [0.7, 0.8], [0.5, 0.1]])
    found = compute_score(parse_metric("average_precision"), "multilabel", y, predicted)
    assert found == pytest.approx(average_precision_score(y, predicted))


def test_a_score_without_its_classes_is_undefined():
    assert np.isnan(
        compute_score(parse_metric("roc_auc"), "binary", np.zeros(4), np.full((4, 1), 0.5))
    )


@pytest.mark.parametrize("name", ERROR_FUNCTIONS)
def test_errors_are_better_low(name):
    assert parse_metric(name).direction == "min"


def test_weights_by_step_are_not_for_rows_of_several_numbers():
    y = np.stack([NUMBERS, -NUMBERS], axis=1)
    with pytest.raises(DataError, match="is for sequences"):
        Task("t", Data(X, y, sample_weight=np.ones((6, 2))), "mse").load()


def make_loss(share):
    def loss(y_true, y_pred):
        return share * (y_true - y_pred) ** 2

    return loss


def test_settings_of_functions_and_losses_of_ones_own_are_part_of_what_they_are():
    from functools import partial

    from hpsearch.core.option_text import settings_text

    assert settings_text(make_loss(1.0)) != settings_text(make_loss(2.0))
    assert settings_text(make_loss(1.0)) == settings_text(make_loss(1.0))
    assert settings_text(partial(half, y_pred=1)) == settings_text(partial(half, y_pred=1))
    assert settings_text(partial(half, y_pred=1)) != settings_text(partial(half, y_pred=2))


@pytest.mark.slow
def test_a_loss_of_ones_own_is_known_by_its_state_and_not_by_its_count():
    import keras

    from hpsearch.core.option_text import settings_text

    class Scaled(keras.losses.Loss):
        def __init__(self, factor):
            super().__init__()
            self.factor = factor

    assert settings_text(Scaled(1.0)) != settings_text(Scaled(2.0))
    assert settings_text(Scaled(1.0)) == settings_text(Scaled(1.0))


def test_settings_of_an_object_that_is_called_name_no_address():
    from hpsearch.core.option_text import settings_text

    class Prepare:
        def __init__(self, extra):
            self.extra = extra

        def __call__(self, components):
            return components + self.extra

    assert settings_text(Prepare(1)) == settings_text(Prepare(1))
    assert settings_text(Prepare(1)) != settings_text(Prepare(2))
    assert " at 0x" in settings_text(object())  # not called: what it holds may be anything


@pytest.mark.parametrize("one_hot", [False, True])
@pytest.mark.parametrize("classes", [2, 3])
def test_the_roc_auc_of_logits_is_that_of_their_probabilities(classes, one_hot):
    """A number that is added to all logits of a row changes no prediction."""
    keras = pytest.importorskip("keras")
    rng = np.random.default_rng(0)
    y = rng.integers(0, classes, 60)
    logits = rng.normal(size=(60, classes)) + 2 * np.eye(classes)[y]
    moved = logits + rng.normal(0, 10, (60, 1))
    loss = keras.losses.CategoricalCrossentropy if one_hot else None
    loss = loss or keras.losses.SparseCategoricalCrossentropy
    rows = np.eye(classes)[y] if one_hot else y
    task = Task("t", Data(np.zeros((60, 1)), rows), loss(from_logits=True), "roc_auc")
    measure = make_score_measure(task, task.objective)
    likely = softmax(logits, axis=1)
    expected = (
        roc_auc_score(y, likely[:, 1])
        if classes == 2
        else np.mean([roc_auc_score(y == k, likely[:, k]) for k in range(3)])
    )
    assert measure(logits, rows) == pytest.approx(expected)
    assert measure(moved, rows) == pytest.approx(expected)


@pytest.mark.parametrize("name", ["neg_log_loss", "neg_brier_score", "top_k_accuracy"])
def test_scores_of_probabilities_are_defined_where_rows_lack_a_class(name):
    rng = np.random.default_rng(1)
    likely, y = rng.dirichlet(np.ones(3), 40), np.arange(40) % 2
    found = compute_score(made(metric=name).objective, "multiclass", y, likely)
    if name == "neg_log_loss":
        assert found == pytest.approx(np.log(likely[np.arange(40), y]).mean())
    elif name == "neg_brier_score":
        assert found == pytest.approx(-((likely - np.eye(3)[y]) ** 2).sum(axis=1).mean())
    else:
        assert found == (likely[np.arange(40), y] > likely.min(axis=1)).mean()


@pytest.mark.parametrize("one_hot", [False, True])
def test_a_metric_is_tried_on_rows_of_each_class(one_hot):
    """Whatever their order, and however few a class has."""
    alternating, rare = np.arange(60_000) % 3, np.zeros(60_000, int)
    rare[7], rare[41] = 1, 2
    for y in (alternating, rare):
        rows = np.eye(3)[y] if one_hot else y
        check_computable(made(metric="roc_auc_ovr").objective, "multiclass", rows, 3, False)
