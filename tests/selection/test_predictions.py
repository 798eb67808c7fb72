"""Ensembles of several outputs and sequences, and tests that cannot score a model."""

import csv

import numpy as np
import pytest

from hpsearch import Data, Task
from hpsearch.core.errors import DataError
from hpsearch.selection import predictions
from hpsearch.selection.predictions import ValidationPrediction, choose_ensemble, combine

RNG = np.random.default_rng(0)
X = np.zeros((60, 1))
AGE = RNG.normal(size=60)
SEX = RNG.integers(0, 2, 60)
TAGS = RNG.integers(0, 3, (60, 4))
Y = {"age": AGE, "sex": SEX}
LOSSES = {"age": "mse", "sex": "binary_crossentropy"}


def people(metric="loss", **options):
    return Task("people", Data(X, Y), LOSSES, metric, **options).with_kind_of(Y)


def guesses(age_scale, sex_share):
    age = AGE + RNG.normal(scale=age_scale, size=60)
    return {"age": age[:, None], "sex": (0.5 + sex_share * (SEX - 0.5))[:, None]}


@pytest.mark.slow
def test_an_ensemble_of_several_outputs_is_chosen_by_the_tasks_metric():
    of_age, of_sex = guesses(0.1, 0.0), guesses(3.0, 0.9)
    validated = [ValidationPrediction(each, np.arange(60)) for each in (of_age, of_sex)]
    assert choose_ensemble(people("age/mse"), people().load(), validated) == {0: 1}
    assert choose_ensemble(people("sex/accuracy"), people().load(), validated) == {1: 1}
    both = choose_ensemble(people(loss_weights={"age": 0.05}), people().load(), validated)
    assert set(both) == {0, 1}
    mean = combine(validated, both)
    for name in Y:
        share = float(both[0])
        assert mean[name] == pytest.approx(share * of_age[name] + (1 - share) * of_sex[name])


@pytest.mark.slow
def test_an_ensemble_of_sequences_leaves_out_what_weighs_nothing():
    weights = np.ones(TAGS.shape)
    weights[:, 2:] = 0
    data = Data(X, TAGS, sample_weight=weights)
    loss = "sparse_categorical_crossentropy"
    task = Task("tags", data, loss, weighted_metrics=True).with_kind_of(TAGS)
    right, wrong = np.eye(3)[TAGS] * 0.9 + 0.03, np.eye(3)[(TAGS + 1) % 3] * 0.9 + 0.03
    begins_right = np.concatenate([right[:, :2], wrong[:, 2:]], axis=1)
    ends_right = np.concatenate([wrong[:, :2], right[:, 2:]], axis=1)
    validated = [ValidationPrediction(p, np.arange(60)) for p in (ends_right, begins_right)]
    assert choose_ensemble(task, data, validated) == {1: 1}


def with_test(y=None, y_test=None, weights=None, weights_test=None, **options):
    y = TAGS if y is None else y
    data = Data(
        X, y, X, y if y_test is None else y_test,
        sample_weight=weights, sample_weight_test=weights_test,
    )  # fmt: skip
    options = {"loss": "sparse_categorical_crossentropy", "metric": "accuracy", **options}
    task = Task("t", data, **options)
    return task.with_kind_of(y), data


ONE_SEX = {"y": Y, "y_test": {"age": AGE, "sex": SEX * 0}}
# The only row with a weight is of a class without one.
ONLY_FIRST = (np.arange(60) == 0) * 1.0
WEIGHTLESS = {
    "y": SEX,
    "weights": ONLY_FIRST + 1,
    "weights_test": ONLY_FIRST,
    "class_weight": {SEX[0]: 0.0, 1 - SEX[0]: 1.0},
}
UNKNOWN_CLASS = {"y": SEX, "y_test": SEX + 1, "outputs": 3, "class_weight": "balanced"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"y": Y, "y_test": {"age": AGE * np.nan, "sex": SEX}, "loss": LOSSES, "metric": "loss"},
            r"y_test\['age'\] holds NaN or infinity",
        ),
        ({"y_test": TAGS + 1}, "y_test has the class 3, which none of the searched rows has"),
        ({**ONE_SEX, "loss": LOSSES, "metric": "sex/roc_auc"}, "y_test has a single class"),
        ({**WEIGHTLESS, "weighted_metrics": True}, "all test rows have the weight zero"),
        ({**UNKNOWN_CLASS, "weighted_metrics": True}, "class_weight needs test rows of the class"),
    ],
)
def test_a_test_that_cannot_score_is_refused_before_it_is_opened(given, message):
    with pytest.raises(DataError, match=message):
        predictions.check_test(*with_test(**given))


def test_tests_that_can_score_are_known_by_their_targets():
    task, data = with_test()
    assert predictions.check_test(task, data) == data.test_fingerprint
    task, data = with_test(y=Y, loss=LOSSES, metric="sex/roc_auc")
    assert predictions.check_test(task, data) == data.test_fingerprint


@pytest.mark.slow
def test_the_table_of_the_test_names_outputs_and_steps(tmp_path):
    from hpsearch.models.output_types import describe_outputs

    def table(task, data, predicted):
        class Models:
            outputs = describe_outputs(task, data.y)

            def predict_each(self, x):
                yield predicted

            def average(self, each):
                return each[0]

        scored = predictions.score_test(task, data, Models(), X, tmp_path)
        with open(tmp_path / "test.csv") as file:
            names, *rows = csv.reader(file)
        return scored, dict(zip(names, np.array(rows, float).T, strict=True))

    odd = {"age, years": AGE, "sex": SEX}
    losses = {"age, years": "mse", "sex": "binary_crossentropy"}
    of_two = guesses(0.1, 0.5)
    predicted = {"age, years": of_two["age"], "sex": of_two["sex"]}
    scored, columns = table(*with_test(odd, loss=losses, metric="age, years/mae"), predicted)
    assert list(columns) == [
        *("age, years/true_0", "age, years/predicted_0", "sex/true_0", "sex/predicted_0")
    ]
    errors = np.abs(columns["age, years/true_0"] - columns["age, years/predicted_0"])
    assert scored["value"] == pytest.approx(errors.mean(), rel=1e-3)
    assert scored["outputs"]["age, years"]["mae"] == pytest.approx(errors.mean(), rel=1e-3)
    assert scored["rows"] == 60

    steps = np.eye(3)[TAGS] * 0.4 + 0.2
    scored, columns = table(*with_test(), steps)
    assert list(columns) == [f"{of}_{i}" for of in ("true", "predicted", "p") for i in range(4)]
    assert (columns["true_3"] == TAGS[:, 3]).all()
    assert (columns["predicted_1"] == TAGS[:, 1]).all()
    assert columns["p_2"] == pytest.approx(0.6)
    assert scored["value"] == scored["accuracy"] == 1
