"""Half precision, by policies of layers or the global one; checkpoints hold the loss scale."""

import dataclasses

import numpy as np
import pytest

from hpsearch import Data, KFold, Task
from hpsearch.tasks import digits
from hpsearch.training import backend
from hpsearch.training.base import Fit
from tests.contracts.trainer import variables
from tests.training.continuing import check_continuing

pytestmark = pytest.mark.slow

backend.choose()
import keras  # noqa: E402

TASK = digits.task()
DATA = TASK.load().take(np.arange(250))
SPLITS = KFold(2).splits(TASK, DATA, seed=0)
POLICIES = ("mixed_bfloat16", "mixed_float16", "bfloat16")
RATES = (0.01, 0.003)


def build(spec, policy=None, learning_rate=0.01, dropout=0.2, momentum=None, scale=2.0**15):
    inputs = keras.Input(spec.input_shape)
    x = keras.layers.Dense(16, activation="relu", dtype=policy)(inputs)
    x = keras.layers.Dropout(dropout, dtype=policy)(x)
    outputs = keras.layers.Dense(spec.outputs, activation=spec.activation, dtype="float32")(x)
    model = keras.Model(inputs, outputs)
    optimizer = keras.optimizers.Adam(learning_rate)
    if momentum:
        optimizer = keras.optimizers.SGD(learning_rate, momentum=momentum, weight_decay=1e-3)
    if policy == "mixed_float16":  # as `compile` does under the global policy
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=scale)
    model.compile(optimizer, loss=spec.loss, metrics=spec.metrics)
    return model


def fits(*points):
    return [
        Fit(build, params, split, fold, 4, fold=fold)
        for params in points
        for fold, split in enumerate(SPLITS)
    ]


def by_fit():
    from hpsearch.training.fit import FitTrainer

    return FitTrainer(TASK)


def gang():
    from hpsearch.training.batched.trainer import BatchedTrainer

    return BatchedTrainer(TASK, strict=True)


TRAINERS = [by_fit, *([gang] if backend.name() == "jax" else [])]


@pytest.mark.parametrize("make", TRAINERS)
@pytest.mark.parametrize("policy", POLICIES)
def test_continuing_equals_never_stopping(policy, make, tmp_path):
    some = fits({"policy": policy, "dropout": 0.3})
    curves = check_continuing(make(), some, DATA, tmp_path)
    assert curves[0].train_loss[-1] < curves[0].train_loss[0]


@pytest.mark.parametrize("make", TRAINERS)
def test_a_checkpoint_holds_the_loss_scale(make, tmp_path):
    """A scale that is too high is halved in each step, until the gradients are finite."""
    one = fits({"policy": "mixed_float16", "scale": 2.0**40})[0]
    one = dataclasses.replace(one, checkpoint_out=tmp_path / "c.npz")
    check_continuing(make(), [one], DATA, tmp_path)
    dict(make().train([one], DATA))
    scalars = {float(v) for v in variables(tmp_path / "c.npz").values() if v.shape == ()}
    assert any(2.0**20 <= scalar < 2.0**40 for scalar in scalars)


@pytest.mark.skipif(backend.name() != "jax", reason="gangs train on jax")
@pytest.mark.parametrize("momentum", [None, 0.9])
def test_side_by_side_it_trains_as_fit_does(momentum):
    """Each policy by a program of its own, also where they differ in nothing else."""
    points = [
        {"policy": policy, "learning_rate": rate, "momentum": momentum}
        for policy in ("float32", *POLICIES)
        for rate in RATES
    ]
    some = fits(*points)
    together = dict(gang().train(some, DATA))
    for n, curve in by_fit().train(some, DATA):
        assert together[n].validation_loss == pytest.approx(curve.validation_loss, rel=1e-3)


@pytest.mark.skipif(backend.name() != "jax", reason="gangs train on jax")
def test_learning_rates_and_momenta_share_a_program_and_policies_do_not():
    from hpsearch.training.base import ModelSpec
    from hpsearch.training.batched.scalars import ModelScalars, describe_structure

    spec = ModelSpec((64,), 10, "softmax", "sparse_categorical_crossentropy", ["accuracy"])

    def structure(**params):
        model = build(spec, **params)
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        return describe_structure(model, ModelScalars(model), fits(params)[0])

    for policy in ("mixed_float16", "mixed_bfloat16"):
        first = structure(policy=policy, momentum=0.9, learning_rate=0.1)
        assert first == structure(policy=policy, momentum=0.8, learning_rate=0.2)
    assert len({structure(policy=policy) for policy in ("float32", *POLICIES)}) == 4


@pytest.mark.skipif(backend.name() != "jax", reason="gangs train on jax")
def test_an_average_inside_a_scaled_loss_is_by_fit():
    from hpsearch.training.base import ModelSpec
    from hpsearch.training.batched.batchable import why_not_batchable

    model = build(ModelSpec((64,), 10, "softmax", "mse"))
    inner = keras.optimizers.Adam(use_ema=True)
    model.compile(keras.optimizers.LossScaleOptimizer(inner), "mse")
    assert why_not_batchable(model) == "its optimizer averages the weights (use_ema=True)"


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_the_global_policy_holds_and_a_kept_model_predicts(policy, tmp_path):
    from hpsearch.models import kept, retrain

    keras.config.set_dtype_policy(policy)
    try:
        one = fits({})[0]
        how = {"engine": "auto", "backend": backend.name()}
        trained = list(retrain.train(TASK, DATA, [one], **how))
        is_scaled = isinstance(trained[0].model.optimizer, keras.optimizers.LossScaleOptimizer)
        assert is_scaled == (policy == "mixed_float16")
        assert trained[0].model.layers[1].compute_dtype == policy.removeprefix("mixed_")
        wanted = trained[0].predict_validation()
        kept.save(tmp_path / "kept", TASK, DATA, [(1.0, trained[0])])
    finally:
        keras.config.set_dtype_policy("float32")
    loaded = kept.load(tmp_path / "kept")
    (got,) = loaded.predict_each(loaded.prepare_inputs(DATA.x[one.split.validation]))
    assert np.allclose(wanted, got, atol=1e-3)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_metrics_of_predictions_are_computed_in_full_precision(policy):
    from hpsearch.training import metrics

    predicted, y = np.array([[100_300.0], [501.3]], np.float32), np.array([[100_000.0], [500.0]])
    task = Task("t", Data(np.zeros((2, 1)), y), "mse", "mae", weighted_metrics=True)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        found = metrics._make_keras_measure(task, "mae")(predicted, y.astype("float32"))
    finally:
        keras.config.set_dtype_policy(before)
    assert found == pytest.approx(150.65, rel=1e-5)
