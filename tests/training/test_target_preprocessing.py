"""Targets that models learn in another unit: fitted on training rows, metrics in their own unit."""

import math
from dataclasses import replace

import numpy as np
import pytest
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    PowerTransformer,
    QuantileTransformer,
    StandardScaler,
)

from hpsearch import Data, Difference, KFold, Task
from hpsearch.core.errors import DataError
from hpsearch.core.searched_preprocessing import PreprocessingFailed
from hpsearch.training import backend
from hpsearch.training.base import Fit, Split
from hpsearch.training.fold_preprocessing import choose_split
from hpsearch.training.own import TrainingRun
from hpsearch.training.own_trainer import OwnTrainer
from hpsearch.training.rows import prepare_rows
from spaces import mlp
from tests.made_trainers import ENGINES, make_trainer

LAGS = 6
STEPS = np.random.default_rng(0).normal(0, 30, size=100)
SERIES = 5000 + np.cumsum(STEPS)
X = np.lib.stride_tricks.sliding_window_view(SERIES[:-1], LAGS)[..., None]
Y = SERIES[LAGS:]
DATA = Data(X, Y)
FOLDS = KFold(3).splits(Task("t", DATA, "mse"), DATA, seed=0)
LOG = FunctionTransformer(np.log, np.exp)
CHANGES = {
    "standard": StandardScaler(),
    "power": PowerTransformer(),
    "quantile": QuantileTransformer(n_quantiles=20, output_distribution="normal"),
    "log": LOG,
    "difference": Difference(),
    "scaled": [Difference(), MinMaxScaler()],
    "returns": [LOG, Difference(), StandardScaler()],
}


def scale_inputs(rows):
    return (rows.reshape(len(rows), -1) - 5000) / 100


def choose(scale):
    return {"none": None, **CHANGES}[scale]


TASK = Task(
    "series",
    DATA,
    "mse",
    "rmse",
    metrics=["mae", "mape", "r2", "msle", "median_absolute_error"],
    preprocess=FunctionTransformer(scale_inputs),
    preprocess_y=choose,
)


def plan(scales=("none", *CHANGES), epochs=2, **options):
    return [
        Fit(
            mlp.model((5,)), {"scale": scale, "learning_rate": 0.02}, split, fold, epochs, fold=fold
        )
        for scale in scales
        for fold, split in enumerate(FOLDS)
    ]


def test_a_difference_and_a_scaler_are_fitted_by_hand_and_undone():
    split = Split(np.arange(60), np.arange(60, 94))
    rows = prepare_rows(replace(TASK, preprocess_y=CHANGES["scaled"]), DATA, split)
    steps = Y - X[:, -1, 0]
    low, high = steps[:60].min(), steps[:60].max()
    np.testing.assert_allclose(rows.y[:, 0], (steps[:60] - low) / (high - low), rtol=1e-9)
    np.testing.assert_allclose(rows.y_validation[:, 0], (steps[60:] - low) / (high - low))

    predicted = np.linspace(-1, 2, 34)[:, None].astype("float32")
    found, y = rows.in_own_unit(predicted)
    by_hand = X[60:, -1, 0] + low + (high - low) * predicted[:, 0].astype(float)
    np.testing.assert_allclose(found[:, 0], by_hand, rtol=1e-12)
    np.testing.assert_array_equal(y[:, 0], Y[60:])
    np.testing.assert_allclose(rows.in_own_unit(rows.y, train=True)[0][:, 0], Y[:60])


def test_steps_before_a_difference_change_what_it_subtracts():
    split = Split(np.arange(60), np.arange(60, 94))
    rows = prepare_rows(replace(TASK, preprocess_y=[LOG, Difference()]), DATA, split)
    np.testing.assert_allclose(rows.y[:, 0], np.log(Y[:60] / X[:60, -1, 0]), atol=1e-12)
    np.testing.assert_allclose(rows.in_own_unit(rows.y_validation)[0][:, 0], Y[60:])


def test_it_is_fitted_on_the_training_rows_of_each_split_alone():
    seen = []

    class Spy(StandardScaler):
        def fit(self, X, y=None):
            seen.append(X[:, 0].copy())
            return super().fit(X)

    task = replace(TASK, preprocess_y=Spy())
    for split in FOLDS:
        rows = prepare_rows(task, DATA, split)
        assert abs(rows.y.mean()) < 1e-9
        assert abs(rows.y_validation.mean()) > 1e-9
    assert [each.tolist() for each in seen] == [Y[split.train].tolist() for split in FOLDS]


def test_targets_keep_their_shape_and_their_type():
    for y in (Y.astype("float32"), Y.astype(int), np.stack([Y, 2 * Y], axis=1)):
        rows = prepare_rows(
            Task("t", Data(X, y), "mse", "mae", preprocess_y=Difference()), Data(X, y), FOLDS[0]
        )
        assert rows.y.shape == y[FOLDS[0].train].reshape(-1, y[0].size).shape
        assert rows.y.dtype == (y.dtype if y.dtype.kind == "f" else np.float32)
        again = rows.in_own_unit(rows.y_validation)[0]
        np.testing.assert_allclose(again, y[FOLDS[0].validation].reshape(again.shape), rtol=1e-6)


def test_what_a_model_cannot_mean_is_nan_and_no_error():
    rows = prepare_rows(replace(TASK, preprocess_y=[LOG, StandardScaler()]), DATA, FOLDS[0])
    wild = np.zeros((len(rows.y_validation), 1))
    wild[:4, 0] = np.inf, -np.inf, np.nan, 1e6
    found = rows.in_own_unit(wild)[0][:, 0]
    assert np.isnan(found[:3]).all()
    assert math.isinf(found[3])
    assert np.isfinite(found[4:]).all()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (FunctionTransformer(np.log1p), r"does not give targets back: 5\d+.* comes back as 8"),
        (
            FunctionTransformer(lambda y: np.log(y - 5100), np.exp, check_inverse=False),
            r"NaN or infinity for \d+ of 6",
        ),
        (FunctionTransformer(lambda y: np.hstack([y, y])), r"of shape \(62, 2\) of \(62, 1\)"),
        (QuantileTransformer(subsample=0), r"QuantileTransformer.* fails on the task's targets: "),
        (Difference(1), r"Difference\(channel=1\) names a channel that x has not: it has 1"),
    ],
)
def test_what_cannot_change_these_targets_is_told_in_one_line(given, says):
    with pytest.raises(DataError, match=says) as raised:
        prepare_rows(replace(TASK, preprocess_y=given), DATA, FOLDS[0])
    assert "\n" not in str(raised.value)
    at_point = replace(TASK, preprocess_y=lambda scale: given)
    with pytest.raises(PreprocessingFailed, match=says):
        prepare_rows(at_point, DATA, choose_split(at_point, FOLDS[0], {"scale": 1}))


def test_targets_that_are_no_numbers_are_named_as_ever():
    data = Data(X, np.where(np.arange(len(Y)) == 3, np.nan, Y))
    with pytest.raises(DataError, match="y holds NaN or infinity in 1 of"):
        prepare_rows(replace(TASK, preprocess_y=StandardScaler()), data, FOLDS[0])


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_metrics_are_of_predictions_in_the_targets_own_unit(engine):
    """They are those that NumPy finds for what each fold's model predicts."""
    fits = plan(("scaled",))
    curves = dict(make_trainer(engine, TASK).train(fits, DATA))
    from hpsearch.models import retrain

    trained = retrain.train(TASK, DATA, fits, engine=engine, backend=backend.name())
    for number, (each, split) in enumerate(zip(trained, FOLDS, strict=True)):
        raw = each.model.predict(each.rows.x_validation, verbose=0)[:, 0].astype(float)
        steps = (Y - X[:, -1, 0])[split.train]
        true, last = Y[split.validation], X[split.validation, -1, 0]
        predicted = last + steps.min() + raw * (steps.max() - steps.min())
        np.testing.assert_allclose(each.predict_validation()[:, 0], predicted, rtol=1e-6)
        curve = curves[number]
        rmse = np.sqrt(np.mean((predicted - true) ** 2))
        assert curve.validation[-1] == pytest.approx(rmse, rel=1e-5)
        found = {name: parts["validation"][-1] for name, parts in curve.metrics.items()}
        assert found["mae"] == pytest.approx(np.abs(predicted - true).mean(), rel=1e-5)
        assert found["mape"] == pytest.approx(100 * np.abs(predicted / true - 1).mean(), rel=1e-4)
        assert curve.train_loss[-1] < 5  # of differences from 0 to 1


@pytest.mark.slow
@pytest.mark.skipif("gang" not in ENGINES, reason="side by side is on JAX")
def test_side_by_side_trains_as_fit():
    fits = plan(("none", "power", "scaled", "returns"))
    expected, found = (dict(make_trainer(engine, TASK).train(fits, DATA)) for engine in ENGINES)
    for number, curve in expected.items():
        other = found[number]
        for name in ("train", "validation", "train_loss", "validation_loss"):
            np.testing.assert_allclose(getattr(other, name), getattr(curve, name), rtol=1e-4)
        for name, parts in curve.metrics.items():
            for part, values in parts.items():
                np.testing.assert_allclose(other.metrics[name][part], values, rtol=1e-3, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_rows_weigh_in_metrics_and_outputs_have_their_own_steps(engine):
    weights = np.random.default_rng(1).random(len(Y))
    data = Data(X, {"price": Y, "step": STEPS[LAGS:]}, sample_weight=weights)
    task = Task(
        "two",
        data,
        {"price": "mse", "step": "mae"},
        "price/mae",
        metrics=["step/mae", "step/loss"],
        preprocess=FunctionTransformer(scale_inputs),
        preprocess_y={"price": [Difference(), StandardScaler()]},
        weighted_metrics=True,
    )
    task.load()
    fits = [replace(fit, params={"learning_rate": 0.02}) for fit in plan(("none",), 2)]
    curves = dict(make_trainer(engine, task).train(fits, data))
    for curve in curves.values():
        assert 10 < curve.validation[-1] < 100
        assert 10 < curve.metrics["step/mae"]["validation"][-1] < 100
        of_step = curve.metrics["step/loss"]["validation"]
        assert of_step == pytest.approx(curve.metrics["step/mae"]["validation"], rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_a_prediction_beyond_all_numbers_fails_the_fit_alone(engine):
    explode = FunctionTransformer(lambda y: y / 5000, lambda y: np.where(y > 1.2, np.inf, 5000 * y))
    task = replace(TASK, preprocess_y=explode, metrics=())
    fits = [
        replace(fit, params={"learning_rate": rate})
        for rate, fit in zip((1e-4, 50.0), plan(("none",))[:2], strict=True)
    ]
    fits = [replace(fit, epochs=3) for fit in fits]
    calm, wild = (curve for _, curve in sorted(make_trainer(engine, task).train(fits, DATA)))
    assert calm.failure is None or calm.failure.kind == "nan"
    assert wild.failure is not None
    assert wild.failure.kind == "nan"


def test_a_training_function_gets_changed_targets_and_measures_in_their_own_unit():
    seen = {}

    def train(run: TrainingRun, scale):
        seen["y"] = run.train[1]
        mean = run.train[1].mean()

        def predict(rows):
            return np.full((len(rows), 1), mean)

        for _ in run.epochs():
            found = run.measure(predict, train=True)
            own = run.to_own_unit(predict(run.validation[0]))
            true = run.to_own_unit(run.validation[1])
            seen["by_hand"] = float(np.sqrt(np.mean((own - true) ** 2)))
            run.report(**found)
        return predict

    fit = replace(plan(("scaled",))[0], build=train, params={"scale": "scaled"})
    ((_, curve),) = OwnTrainer(TASK).train([fit], DATA)
    steps = (Y - X[:, -1, 0])[fit.split.train]
    assert 0 <= seen["y"].min() < seen["y"].max() <= 1
    true = Y[fit.split.validation]
    rmse = np.sqrt(np.mean((X[fit.split.validation, -1, 0] + steps.mean() - true) ** 2))
    assert curve.validation[-1] == pytest.approx(rmse) == seen["by_hand"]
    assert curve.validation_loss[-1] < 1


@pytest.mark.slow
@pytest.mark.thorough
def test_it_is_so_on_tensorflow_too(check_on_tensorflow):
    check_on_tensorflow(__file__)
