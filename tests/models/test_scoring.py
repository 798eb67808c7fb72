"""Predictions scored as training scores them, with errors over rows."""

import math

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from hpsearch import Data, Task
from hpsearch.selection.predictions import choose_greedily

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(0)
CLASSES = RNG.integers(0, 3, 200)
PROBABILITIES = RNG.dirichlet(np.ones(3), 200) * 0.5 + 0.5 * np.eye(3)[CLASSES] * 0.8
BINARY = RNG.integers(0, 2, 200)
SCORES = np.clip(RNG.normal(0.3 + 0.4 * BINARY, 0.3), 0.01, 0.99)[:, None]
REAL = RNG.normal(size=200)
GUESSED = (REAL + RNG.normal(scale=0.5, size=200))[:, None]


def task(loss, metric, y, **options):
    return Task("t", Data(np.zeros((len(y), 1)), y), loss, metric, **options)


def keras_says(task, predicted, y):
    """What an evaluation of Keras says of the predictions, by a model that passes them on."""
    import keras

    from hpsearch.training import metrics
    from hpsearch.training.rows import shape_targets

    inputs = keras.Input((predicted.shape[1],))
    model = keras.Model(inputs, keras.layers.Activation("linear")(inputs))
    model.compile(loss=task.loss, metrics=metrics.make_metrics(task))
    logs = model.evaluate(predicted, shape_targets(task, y), verbose=0, return_dict=True)
    return metrics.read(logs, task.metric)


@pytest.mark.parametrize(
    ("loss", "metric", "predicted", "y"),
    [
        ("sparse_categorical_crossentropy", "accuracy", PROBABILITIES, CLASSES),
        ("sparse_categorical_crossentropy", "loss", PROBABILITIES, CLASSES),
        ("categorical_crossentropy", "accuracy", PROBABILITIES, np.eye(3)[CLASSES]),
        ("categorical_crossentropy", "loss", PROBABILITIES, np.eye(3)[CLASSES]),
        ("binary_crossentropy", "accuracy", SCORES, BINARY),
        ("binary_crossentropy", "loss", SCORES, BINARY),
        ("categorical_crossentropy", "binary_accuracy", PROBABILITIES, np.eye(3)[CLASSES]),
        ("binary_crossentropy", "binary_accuracy", SCORES, BINARY),
        ("mse", "mae", GUESSED, REAL),
        ("mae", "mse", GUESSED, REAL),
        ("mse", "rmse", GUESSED, REAL),
        ("mse", "loss", np.hstack([GUESSED, GUESSED]), np.column_stack([REAL, -REAL])),
        ("mse", "r2_score", GUESSED, REAL),
    ],
)
def test_the_value_is_what_training_would_say(loss, metric, predicted, y):
    from hpsearch.models import scoring

    made = task(loss, metric, y)
    value, error = scoring.score(made, predicted, y)
    assert value == pytest.approx(keras_says(made, predicted, y), rel=1e-5)
    # The error is about that of a bootstrap.
    rows = [RNG.integers(len(y), size=len(y)) for _ in range(200)]
    spread = np.std([scoring.score(made, predicted[r], y[r], error=False)[0] for r in rows])
    assert error == pytest.approx(spread, rel=0.35)


def test_the_roc_auc_is_exact_and_has_a_bootstraps_error():
    from hpsearch.models import scoring

    made = task("binary_crossentropy", "roc_auc", BINARY)
    value, error = scoring.score(made, SCORES, BINARY)
    assert value == pytest.approx(sklearn_metrics.roc_auc_score(BINARY, SCORES[:, 0]))
    # Hanley and McNeil (1982), equations 1 and 2, give about this.
    positives = BINARY.sum()
    q1, q2 = value / (2 - value), 2 * value**2 / (1 + value)
    about = (value * (1 - value) + (positives - 1) * (q1 - value**2)
             + (len(BINARY) - positives - 1) * (q2 - value**2))  # fmt: skip
    about = math.sqrt(about / (positives * (len(BINARY) - positives)))
    assert error == pytest.approx(about, rel=0.3)


@pytest.mark.parametrize(
    ("predicted", "y"),
    [(PROBABILITIES, CLASSES), (PROBABILITIES, np.eye(3)[CLASSES]), (SCORES, BINARY)],
)
def test_classes_are_told_one_by_one(predicted, y):
    from hpsearch.models import scoring

    loss = "binary_crossentropy" if predicted.shape[1] == 1 else "categorical_crossentropy"
    report = scoring.report(task(loss, "accuracy", y), predicted, y)
    true = y.argmax(1) if y.ndim == 2 else y
    guess = (predicted[:, 0] > 0.5).astype(int) if predicted.shape[1] == 1 else predicted.argmax(1)
    assert report["confusion"] == sklearn_metrics.confusion_matrix(true, guess).tolist()
    recalls = sklearn_metrics.recall_score(true, guess, average=None)
    assert [row["recall"] for row in report["classes"]] == pytest.approx(list(recalls))
    assert sum(row["rows"] for row in report["classes"]) == len(y)


def test_an_ensemble_beats_each_of_its_members_where_their_errors_differ():
    y = RNG.normal(size=300)
    predictions = [y + RNG.normal(scale=scale, size=300) for scale in (1.0, 1.1, 5.0)]

    def loss(predicted):
        return float(np.mean((predicted - y) ** 2))

    weights = choose_greedily(predictions, loss)
    together = sum(float(weight) * predictions[place] for place, weight in weights.items())
    assert loss(together) < min(map(loss, predictions)) * 0.7
    assert sum(weights.values()) == 1
    assert float(weights.get(2, 0)) < 0.2
