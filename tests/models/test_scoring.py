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
    return logs["task_loss" if task.metric == "loss" else task.metric]


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


def test_a_loss_of_one_number_for_all_rows_has_a_bootstraps_error():
    import keras

    from hpsearch.models import scoring

    def root(y, predicted):
        return keras.ops.sqrt(keras.ops.mean((y - predicted) ** 2))

    value, error = scoring.score(task(root, "loss", REAL, kind="regression"), GUESSED, REAL)
    squares = (GUESSED[:, 0] - REAL) ** 2
    assert value == pytest.approx(math.sqrt(squares.mean()), rel=1e-5)
    about = squares.std(ddof=1) / math.sqrt(len(REAL)) / (2 * value)  # by the delta method
    assert error == pytest.approx(about, rel=0.2)


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


STEPS = RNG.integers(0, 3, (200, 4))
STEP_PROBABILITIES = RNG.dirichlet(np.ones(3), (200, 4)) * 0.6 + 0.4 * np.eye(3)[STEPS]
FULL = np.arange(4) < RNG.integers(1, 5, (200, 1))  # steps that do not only fill up


@pytest.mark.parametrize("one_hot", [False, True])
@pytest.mark.parametrize("metric", ["accuracy", "loss"])
def test_a_sequence_is_scored_over_all_steps_with_the_error_over_rows(metric, one_hot):
    from hpsearch.models import scoring

    y = np.eye(3)[STEPS] if one_hot else STEPS
    made = task(f"{'' if one_hot else 'sparse_'}categorical_crossentropy", metric, y)
    right = STEP_PROBABILITIES.argmax(2) == STEPS
    of_steps = right if metric == "accuracy" else -np.log(
        np.take_along_axis(STEP_PROBABILITIES, STEPS[..., None], 2)[..., 0]
    )  # fmt: skip
    value, error = scoring.score(made, STEP_PROBABILITIES, y)
    assert value == pytest.approx(of_steps.mean(), rel=1e-5)
    # The steps of a row may be alike, so it is the rows that count.
    assert error == pytest.approx(of_steps.mean(1).std(ddof=1) / math.sqrt(200), rel=1e-5)
    alike = scoring.score(made, STEP_PROBABILITIES[:, [0] * 4], y[:, [0] * 4])
    first = of_steps[:, 0]
    assert alike[1] == pytest.approx(first.std(ddof=1) / math.sqrt(200), rel=1e-5)


def test_steps_that_weigh_nothing_do_not_count():
    from hpsearch.models import scoring

    made = task("sparse_categorical_crossentropy", "accuracy", STEPS)
    spoiled = np.where(FULL[..., None], STEP_PROBABILITIES, np.eye(3)[(STEPS + 1) % 3])
    right = (STEP_PROBABILITIES.argmax(2) == STEPS)[FULL]
    value, error = scoring.score(made, spoiled, STEPS, FULL.astype(np.float32))
    assert value == pytest.approx(right.mean(), rel=1e-5)
    assert error > 0
    report = scoring.report(made, spoiled, STEPS, weights=FULL.astype(np.float32))
    assert report["accuracy"] == pytest.approx(right.mean())
    assert (report["steps"], report["steps_left_out"]) == (FULL.sum(), (~FULL).sum())
    assert np.sum(report["confusion"]) == sum(row["steps"] for row in report["classes"])
    assert np.sum(report["confusion"]) == FULL.sum()
    # Weights of rows say nothing of steps.
    by_row = scoring.report(made, STEP_PROBABILITIES, STEPS, weights=np.zeros(200))
    assert by_row["steps"] == 800


@pytest.mark.parametrize("one_hot", [False, True])
@pytest.mark.parametrize("metric", ["accuracy", "loss"])
def test_the_weight_of_a_row_is_that_of_each_of_its_steps(metric, one_hot):
    from hpsearch.models import scoring

    rows = np.arange(4)  # as many as steps
    y = np.eye(3)[STEPS[:4]] if one_hot else STEPS[:4]
    made = task(f"{'' if one_hot else 'sparse_'}categorical_crossentropy", metric, y)
    weights = np.array([0.0, 1, 2, 5], np.float32)
    value, _ = scoring.score(made, STEP_PROBABILITIES[:4], y, weights)
    by_row = [scoring.score(made, STEP_PROBABILITIES[[r]], y[[r]])[0] for r in rows]
    assert value == pytest.approx(np.average(by_row, weights=weights), rel=1e-5)


OUTPUTS = {"age": REAL, "sex": BINARY, "job": np.eye(3)[CLASSES]}
PREDICTED = {"age": GUESSED, "sex": SCORES, "job": PROBABILITIES}
LOSSES = {"age": "mse", "sex": "binary_crossentropy", "job": "categorical_crossentropy"}


def test_the_loss_of_several_outputs_is_their_weighted_sum():
    from hpsearch.models import scoring

    made = Task("t", Data(np.zeros((200, 1)), OUTPUTS), LOSSES, loss_weights={"sex": 0.5, "job": 0})
    squares = (GUESSED[:, 0] - REAL) ** 2
    entropy = -np.log(np.where(BINARY == 1, SCORES[:, 0], 1 - SCORES[:, 0]))
    rows = squares + 0.5 * entropy
    value, error = scoring.score(made, PREDICTED, OUTPUTS)
    assert value == pytest.approx(rows.mean(), rel=1e-5)
    assert error == pytest.approx(rows.std(ddof=1) / math.sqrt(200), rel=1e-5)
    weights = RNG.uniform(size=200).astype(np.float32)
    value, error = scoring.score(made, PREDICTED, OUTPUTS, weights)
    assert value == pytest.approx(np.average(rows, weights=weights), rel=1e-5)
    assert error > 0


@pytest.mark.parametrize("metric", ["age/mae", "age/rmse", "sex/accuracy", "job/f1_macro"])
def test_a_metric_of_one_output_is_what_it_is_alone(metric):
    from hpsearch.models import scoring

    output, own = metric.split("/")
    made = Task("t", Data(np.zeros((200, 1)), OUTPUTS), LOSSES, metric)
    alone = task(LOSSES[output], own, OUTPUTS[output])
    expected = scoring.score(alone, PREDICTED[output], OUTPUTS[output])
    assert scoring.score(made, PREDICTED, OUTPUTS) == pytest.approx(expected)
    reports = scoring.report(made, PREDICTED, OUTPUTS)["outputs"]
    assert list(reports) == ["age", "sex", "job"]
    assert reports[output] == scoring.report(alone, PREDICTED[output], OUTPUTS[output])


def test_a_function_that_fails_on_some_rows_still_has_an_error():
    from hpsearch.models import scoring

    def first_rows_share(true, predicted):
        if not np.isin(REAL[0], true):
            raise ValueError("the first row is missing")
        return np.abs(true - predicted).mean()

    made = task("mse", first_rows_share, REAL, direction="min")
    value, error = scoring.score(made, GUESSED, REAL)
    assert value == pytest.approx(np.abs(REAL - GUESSED[:, 0]).mean())
    assert error == pytest.approx(np.abs(REAL - GUESSED[:, 0]).std() / math.sqrt(200), rel=0.4)


def test_images_are_compared_point_by_point():
    from hpsearch.models import scoring

    y = RNG.normal(size=(20, 3, 2))
    made = task("mse", "loss", y)
    value, _ = scoring.score(made, np.zeros((20, 6)), y)
    assert value == pytest.approx((y**2).mean(), rel=1e-5)
    weights = np.arange(20, dtype=np.float32)
    value, _ = scoring.score(made, np.zeros((20, 6)), y, weights)
    assert value == pytest.approx(np.average((y**2).mean((1, 2)), weights=weights), rel=1e-5)
