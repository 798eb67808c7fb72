"""Schedules and optimizers: each trains as plain Keras does, by every engine, and continues."""

import dataclasses
from typing import Any

import keras
import numpy as np
import pytest

from hpsearch import Data, Holdout, KFold, Task
from hpsearch.core import interrupt
from hpsearch.core.errors import BuildError
from hpsearch.training import backend
from hpsearch.training.base import Fit
from hpsearch.training.building import build_model
from hpsearch.training.metrics import make_metrics
from hpsearch.training.point_parameters import batch_size
from hpsearch.training.rows import draw_row_order, make_model_spec, prepare_rows
from spaces import mlp, optimizers
from tests.contracts.trainer import arrays, same
from tests.training.programs import forget_programs
from tests.training.test_training import TRAINERS

pytestmark = pytest.mark.slow

only_jax = pytest.mark.skipif(backend.name() != "jax", reason="gangs train on jax")
# Where one trainer is enough, it is TRAINERS[-1], side by side on JAX; others compare it with `fit`.
each_trainer = pytest.mark.parametrize("make", TRAINERS, ids=lambda make: make.__name__)

RNG = np.random.default_rng(3)
X = RNG.normal(size=(205, 6)).astype("float32")
Y = (X @ RNG.normal(size=(6, 3))).argmax(axis=1)
TASK = Task("t", Data(X, Y), loss="sparse_categorical_crossentropy", metric="accuracy")
DATA = TASK.load()
(SPLIT,) = Holdout(rows=50).splits(TASK, DATA, seed=1)
EPOCHS = 4
STEPS = 5  # of an epoch: 155 rows in minibatches of 32

of_keras = keras.optimizers.schedules


def some_fit(**changes: Any) -> Fit:
    return dataclasses.replace(Fit(mlp.model((8,)), {}, SPLIT, 5, EPOCHS), **changes)


def train_plainly(fit: Fit) -> list[dict[str, float]]:
    """What Keras alone logs in each epoch."""
    rows = prepare_rows(TASK, DATA, fit.split)
    spec = make_model_spec(TASK, rows, DATA.y, make_metrics(TASK), fit)
    model, logs = build_model(fit.build, spec, fit.params, fit.seed), []
    for epoch in range(fit.epochs):
        order = draw_row_order(fit, epoch)
        told = model.fit(
            rows.x[order],
            rows.y[order],
            batch_size=batch_size(fit.params),
            shuffle=False,
            epochs=epoch + 1,
            initial_epoch=epoch,
            validation_data=(rows.x_validation, rows.y_validation),
            verbose=0,
        )
        logs.append({name: values[-1] for name, values in told.history.items()})
    return logs


def check_equals_plain_keras(make: Any, fit: Fit) -> None:
    plain = train_plainly(fit)
    curve = dict(make(TASK).train([fit], DATA))[0]
    for name in ("loss", "val_loss"):
        found = curve.train_loss if name == "loss" else curve.validation_loss
        assert found == pytest.approx([each[name] for each in plain], abs=1e-5)


def check_continues(make: Any, fit: Fit, tmp_path: Any, monkeypatch: Any) -> None:
    """Bit for bit, after a rung of 2 epochs, and after an interruption in the second epoch."""
    fit = dataclasses.replace(fit, most_epochs=fit.epochs)
    paths = {name: tmp_path / f"{name}.npz" for name in ("whole", "half", "rest", "cut")}
    whole = dict(make(TASK).train([dataclasses.replace(fit, checkpoint_out=paths["whole"])], DATA))
    half = dataclasses.replace(fit, epochs=2, checkpoint_out=paths["half"])
    rest = dataclasses.replace(fit, checkpoint_in=paths["half"], checkpoint_out=paths["rest"])
    dict(make(TASK).train([half], DATA))
    assert dict(make(TASK).train([rest], DATA))[0].train_loss == whole[0].train_loss
    assert same(arrays(paths["whole"]), arrays(paths["rest"]))

    cut, asked = dataclasses.replace(fit, checkpoint_out=paths["cut"]), iter([False, True])
    with monkeypatch.context() as patch:
        patch.setattr(interrupt, "is_requested", lambda: next(asked))
        with pytest.raises(interrupt.Interrupted):
            dict(make(TASK).train([cut], DATA))
    dict(make(TASK).train([cut], DATA))
    assert same(arrays(paths["whole"]), arrays(paths["cut"]))


def check_one_program(fits: list[Fit]) -> None:
    """They share one, and each gets the curve that `fit` gives it; the curves differ."""
    by_fit, side_by_side = TRAINERS
    programs = forget_programs()._compiled
    together = dict(side_by_side(TASK).train(fits, DATA))
    assert len(programs) == 1
    alone = dict(by_fit(TASK).train(fits, DATA))
    for index in range(len(fits)):
        for name in ("train_loss", "validation_loss"):
            expected = getattr(alone[index], name)
            assert getattr(together[index], name) == pytest.approx(expected, abs=1e-5)
    assert len({curve.train_loss for curve in alone.values()}) == len(fits)


# -- Ours: spaces.schedules

OURS = {
    "constant": {},
    "exponential": {"decay": 0.8},
    "cosine": {"warmup": 0.25, "final_share": 0.1},
    "piecewise": {"drops": 2, "first_drop": 0.4, "drop_to": 0.2},
    "one_cycle": {"warmup": 0.4, "start_share": 0.1, "final_share": 0.01},
}


def fit_with_schedule(name: str, **changes: Any) -> Fit:
    params = {"optimizer": "adam", "learning_rate": 0.03, "schedule": name, **OURS[name]}
    return some_fit(params={**params, **changes})


@each_trainer
@pytest.mark.parametrize("name", OURS)
def test_a_schedule_trains_as_in_plain_keras(make, name):
    check_equals_plain_keras(make, fit_with_schedule(name))


@each_trainer
@pytest.mark.parametrize("name", [name for name in OURS if name != "constant"])
def test_a_schedule_goes_on_where_it_stopped(make, name, tmp_path, monkeypatch):
    check_continues(make, fit_with_schedule(name), tmp_path, monkeypatch)


@only_jax
@pytest.mark.parametrize(
    ("name", "number", "low", "high"),
    [
        ("exponential", "decay", 0.5, 0.99),
        ("cosine", "warmup", 0.0, 0.5),
        ("piecewise", "first_drop", 0.2, 0.7),
        ("one_cycle", "start_share", 0.02, 0.5),
    ],
)
def test_one_program_trains_sixteen_points_of_a_schedule(name, number, low, high):
    changes = [
        {number: value, "learning_rate": 0.01 + 0.002 * n}
        for n, value in enumerate(np.linspace(low, high, 16).tolist())
    ]
    check_one_program([fit_with_schedule(name, **each) for each in changes])


@only_jax
def test_folds_with_other_numbers_of_steps_share_the_program():
    """205 rows in 4 folds of 51 or 52: with minibatches of 17, epochs of 9 or 10 steps."""
    splits = KFold(4).splits(TASK, DATA, seed=0)
    steps = {-(-len(split.train) // 17) for split in splits}
    assert steps == {9, 10}
    fits = [
        dataclasses.replace(fit_with_schedule("cosine", batch_size=17, warmup=warmup), split=split)
        for split in splits
        for warmup in (0.1, 0.3)
    ]
    check_one_program(fits)


@only_jax
def test_widths_share_the_program_too():
    fits = [
        dataclasses.replace(
            fit_with_schedule("one_cycle", warmup=0.1 + 0.05 * n, optimizer=optimizer),
            build=mlp.model((width,)),
        )
        for n, (width, optimizer) in enumerate([(5, "nadam"), (7, "nadam"), (8, "nadam")])
    ]
    check_one_program(fits)


# -- Keras's own, with numbers a, b, c

THEIRS = {
    "exponential": lambda n, a: of_keras.ExponentialDecay(0.02 * a, n / 3, 0.4 + 0.1 * a),
    "exponential in steps": lambda n, a: of_keras.ExponentialDecay(
        0.02 * a, n // 4 + a, 0.5, staircase=True
    ),
    "inverse time": lambda n, a: of_keras.InverseTimeDecay(0.02 * a, n // 3, 0.4 + 0.1 * a),
    # Not to a power such as 0.5: on JAX, Keras's own is then NaN once it has ended.
    "polynomial": lambda n, a: of_keras.PolynomialDecay(0.02 * a, n - a, 0.001 * a, power=1.0 * a),
    "polynomial, again and again": lambda n, a: of_keras.PolynomialDecay(
        0.02 * a, n // 3 - a, 0.001 * a, cycle=True
    ),
    "cosine": lambda n, a: of_keras.CosineDecay(0.02 * a, n - a, 0.01 * a),
    "cosine after a rise": lambda n, a: of_keras.CosineDecay(
        0.001 * a, n - 2 * a, 0.01 * a, warmup_target=0.02 * a, warmup_steps=2 * a
    ),
    "cosine, again and again": lambda n, a: of_keras.CosineDecayRestarts(
        0.02 * a, n // 7 + a, alpha=0.01 * a
    ),
    "cosine, equally often": lambda n, a: of_keras.CosineDecayRestarts(
        0.02 * a, n // 5 + a, t_mul=1.0, m_mul=0.7
    ),
    "piecewise": lambda n, a: of_keras.PiecewiseConstantDecay(
        [3 * a, n // 2 + a], [0.02 * a, 0.01, 0.001 * a]
    ),
    # Whole numbers for rates: Keras then computes in whole numbers.
    "piecewise in whole numbers": lambda n, a: of_keras.PiecewiseConstantDecay([3 * a], [1, 0]),
}


def build_with(spec, schedule, a):
    inputs = keras.Input(spec.input_shape)
    x = keras.layers.Dense(8, activation="relu")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(spec.outputs, spec.activation)(x))
    rate = THEIRS[schedule](spec.steps_per_epoch * spec.epochs, a)
    optimizer = (
        keras.optimizers.SGD if schedule.endswith("whole numbers") else keras.optimizers.Adam
    )
    model.compile(optimizer(rate), loss=spec.loss, metrics=spec.metrics)
    return model


@pytest.mark.parametrize("name", THEIRS)
def test_any_schedule_of_keras_trains_as_in_plain_keras(name):
    check_equals_plain_keras(
        TRAINERS[-1], some_fit(build=build_with, params={"schedule": name, "a": 2})
    )


@only_jax
@pytest.mark.parametrize("name", [name for name in THEIRS if "whole" not in name])
def test_its_numbers_are_data(name):
    check_one_program(
        [some_fit(build=build_with, params={"schedule": name, "a": a}) for a in (1, 2, 3)]
    )


SHARED = of_keras.CosineDecay(0.05, EPOCHS * STEPS)


class Halving(of_keras.LearningRateSchedule):
    """A schedule of one's own that does not describe itself fully."""

    def __init__(self, steps, described):
        self.steps, self.described = steps, described

    def __call__(self, step):
        return 0.05 * 0.5 ** (keras.ops.cast(step, "float32") / self.steps)

    def get_config(self):
        if not self.described:
            raise NotImplementedError
        return {}


OWN = {
    "shared": lambda spec: SHARED,
    "of one's own": lambda spec: Halving(spec.steps_per_epoch, True),
    "of one's own, not described": lambda spec: Halving(spec.steps_per_epoch, False),
    "a function": lambda spec: lambda: keras.ops.convert_to_tensor(0.1 / spec.steps_per_epoch),
}


def build_own(spec, schedule):
    inputs = keras.Input(spec.input_shape)
    model = keras.Model(inputs, keras.layers.Dense(spec.outputs, spec.activation)(inputs))
    model.compile(keras.optimizers.SGD(OWN[schedule](spec)), loss=spec.loss, metrics=spec.metrics)
    return model


@each_trainer
@pytest.mark.parametrize("name", OWN)
def test_folds_never_get_the_schedule_of_another(make, name):
    """Where it differs between folds, and nothing but `build` knows."""
    splits = KFold(4).splits(TASK, DATA, seed=0)
    how = {"build": build_own, "params": {"schedule": name, "batch_size": 17}}
    fits = [some_fit(split=split, **how) for split in splits]
    curves = dict(make(TASK).train(fits, DATA))
    for index, fit in enumerate(fits):
        plain = [each["val_loss"] for each in train_plainly(fit)]
        assert curves[index].validation_loss == pytest.approx(plain, abs=1e-5)
    assert SHARED.get_config() == of_keras.CosineDecay(0.05, EPOCHS * STEPS).get_config()


# -- A schedule that no trial can finish

TOO_LONG = {
    "CosineDecay": lambda n: of_keras.CosineDecay(0.1, n + 1),
    "CosineDecay, rising": lambda n: of_keras.CosineDecay(
        0.0, n, warmup_target=0.1, warmup_steps=1
    ),
    "PolynomialDecay": lambda n: of_keras.PolynomialDecay(0.1, n + 1),
    "PiecewiseConstantDecay": lambda n: of_keras.PiecewiseConstantDecay(
        [2, n + 1], [3.0, 2.0, 1.0]
    ),
}
NEVER_TOO_LONG = {
    "ExponentialDecay": lambda n: of_keras.ExponentialDecay(0.1, 10 * n, 0.5),
    "InverseTimeDecay": lambda n: of_keras.InverseTimeDecay(0.1, 10 * n, 0.5),
    "CosineDecayRestarts": lambda n: of_keras.CosineDecayRestarts(0.1, 10 * n),
    "PolynomialDecay, again and again": lambda n: of_keras.PolynomialDecay(0.1, 10 * n, cycle=True),
    "CosineDecay": lambda n: of_keras.CosineDecay(0.1, n),
    "CosineDecay, rising": lambda n: of_keras.CosineDecay(
        0.0, n - 1, warmup_target=0.1, warmup_steps=1
    ),
    "PolynomialDecay": lambda n: of_keras.PolynomialDecay(0.1, n),
    "PiecewiseConstantDecay": lambda n: of_keras.PiecewiseConstantDecay([2, n], [3.0, 2.0, 1.0]),
    "without a rise, its steps do not count": lambda n: of_keras.CosineDecay(
        0.1, n, warmup_steps=5
    ),
}


def build_long(spec, name, is_too_long):
    inputs = keras.Input(spec.input_shape)
    model = keras.Model(inputs, keras.layers.Dense(spec.outputs, spec.activation)(inputs))
    schedule = (TOO_LONG if is_too_long else NEVER_TOO_LONG)[name](EPOCHS * STEPS)
    model.compile(keras.optimizers.SGD(schedule), loss=spec.loss, metrics=spec.metrics)
    return model


@each_trainer
@pytest.mark.parametrize("name", TOO_LONG)
def test_a_schedule_longer_than_a_trial_is_refused_at_the_start(make, name):
    kind = name.split(",")[0]
    message = (
        rf"the schedule {kind} ends after 21 steps \(.*\), and a trial has 20 at most: 4 epochs of "
        r"5; compute it from spec.steps_per_epoch \* spec.epochs"
    )
    points = [{"name": name, "is_too_long": True}]
    with pytest.raises(BuildError, match=message):
        make(TASK).probe(build_long, points, SPLIT, DATA, most_epochs=EPOCHS)
    make(TASK).probe(build_long, points, SPLIT, DATA, most_epochs=EPOCHS + 1)


@each_trainer
def test_other_schedules_are_not(make):
    points = [{"name": name, "is_too_long": False} for name in NEVER_TOO_LONG]
    make(TASK).probe(build_long, points, SPLIT, DATA, most_epochs=EPOCHS)


# -- Optimizers

OPTIONS: dict[str, dict[str, Any]] = {
    "weight decay": {"optimizer": "sgd", "weight_decay": 0.1},
    "clipnorm": {"optimizer": "adam", "clipnorm": 0.05},
    "clipvalue": {"optimizer": "sgd", "clipvalue": 0.01},
    "accumulation": {"optimizer": "adam", "gradient_accumulation_steps": 3, "weight_decay": 0.1},
    "accumulation, clipped, with a schedule": {
        "optimizer": "momentum",
        "gradient_accumulation_steps": 2,
        "clipnorm": 0.1,
        "schedule": "cosine",
        "warmup": 0.3,
    },
    "Muon, all weights decaying": {"optimizer": "muon", "weight_decay": 0.3},
    "Lion with a schedule": {"optimizer": "lion", "schedule": "piecewise", "weight_decay": 0.1},
}


def fit_with_optimizer(params: dict[str, Any]) -> Fit:
    return some_fit(params={"learning_rate": 0.03, **params})


@pytest.mark.parametrize("name", optimizers.ALL_NAMES)
def test_an_optimizer_trains_as_in_plain_keras(name):
    check_equals_plain_keras(
        TRAINERS[-1], fit_with_optimizer({"optimizer": name, "weight_decay": 0.01})
    )


@each_trainer
@pytest.mark.parametrize("name", OPTIONS)
def test_its_options_act_as_in_plain_keras(make, name):
    check_equals_plain_keras(make, fit_with_optimizer(OPTIONS[name]))


@each_trainer
@pytest.mark.parametrize("name", OPTIONS)
def test_it_goes_on_where_it_stopped(make, name, tmp_path, monkeypatch):
    check_continues(make, fit_with_optimizer(OPTIONS[name]), tmp_path, monkeypatch)


@only_jax
@pytest.mark.parametrize(
    ("name", "number"),
    [
        *((name, "weight_decay") for name in ("sgd", "lion", "muon")),
        *((name, "clipnorm") for name in ("adam", "ftrl")),
        ("sgd", "clipvalue"),
    ],
)
def test_numbers_of_optimizers_are_data(name, number):
    points = [{"optimizer": name, number: value} for value in (0.01, 0.02, 0.04)]
    check_one_program([fit_with_optimizer(point) for point in points])


@only_jax
def test_so_is_the_norm_of_all_gradients():
    def build(spec, most):
        inputs = keras.Input(spec.input_shape)
        model = keras.Model(inputs, keras.layers.Dense(spec.outputs, spec.activation)(inputs))
        optimizer = keras.optimizers.SGD(0.1, global_clipnorm=most)
        model.compile(optimizer, loss=spec.loss, metrics=spec.metrics)
        return model

    check_one_program([some_fit(build=build, params={"most": n}) for n in (0.05, 0.1, 0.2)])


@only_jax
@pytest.mark.parametrize("name", ["nadam", "adamax", "adagrad", "lion", "ftrl"])
def test_networks_of_several_widths_share_a_program(name):
    params = {"optimizer": name, "learning_rate": 0.03, "weight_decay": 0.01, "clipnorm": 0.5}
    builds = [mlp.model(hidden) for hidden in ((8,), (5, 8), (7,), (6, 4))]
    check_one_program([some_fit(build=build, params=params) for build in builds])


@only_jax
@pytest.mark.parametrize("name", ["adafactor", "muon"])
def test_but_not_where_the_optimizer_looks_at_a_whole_weight(name):
    """Means and products over a weight would count what is added to it."""
    by_fit, side_by_side = TRAINERS
    builds = [mlp.model(hidden) for hidden in ((8,), (5,), (7,))]
    fits = [some_fit(build=build, params={"optimizer": name}) for build in builds]
    programs = forget_programs()._compiled
    together = dict(side_by_side(TASK).train(fits, DATA))
    assert len(programs) == 3
    alone = dict(by_fit(TASK).train(fits, DATA))
    for index in range(3):
        expected = alone[index].validation_loss
        assert together[index].validation_loss == pytest.approx(expected, abs=1e-5)


@only_jax
def test_averaged_weights_are_left_to_fit():
    _, side_by_side = TRAINERS
    params = {"optimizer": "adam", "use_ema": True, "ema_momentum": 0.9}
    with pytest.raises(BuildError, match=r"averages the weights \(use_ema=True\)"):
        side_by_side(TASK).probe(mlp.model((8,)), [params], SPLIT, DATA)


def test_adafactor_bears_inputs_that_are_always_zero():
    """With Keras's own epsilon it divides zero by zero there."""
    x = np.where(np.arange(6) < 2, 0, X).astype("float32")
    task = Task("t", Data(x, Y), loss=TASK.loss, metric="accuracy")
    fit = some_fit(params={"optimizer": "adafactor", "learning_rate": 0.03}, epochs=8)
    curve = dict(TRAINERS[0](task).train([fit], task.load()))[0]
    assert curve.failure is None
    assert curve.train_loss[-1] < curve.train_loss[0]


# -- Pieces of dense networks

PIECES: dict[str, dict[str, Any]] = {
    "batch normalization": {"normalization": "batch"},
    "layer normalization": {"normalization": "layer"},
    "residual": {"residual": True},
    "max-norm": {"max_norm": 0.5},
    "input dropout": {"input_dropout": 0.2},
    "activation and initializer": {"activation": "tanh", "initializer": "orthogonal"},
    "all": {
        "normalization": "layer",
        "residual": True,
        "max_norm": 0.7,
        "input_dropout": 0.1,
        "dropout": 0.1,
        "l2": 1e-3,
        "activation": "gelu",
    },
}


@pytest.mark.parametrize("name", PIECES)
def test_a_network_of_pieces_trains_as_in_plain_keras(name):
    params = {"optimizer": "adam", "learning_rate": 0.01, **PIECES[name]}
    check_equals_plain_keras(TRAINERS[-1], some_fit(build=mlp.model((8, 8, 5)), params=params))


@only_jax
@pytest.mark.parametrize("name", PIECES)
def test_other_widths_side_by_side_train_as_by_fit(name):
    """Padded where that is right, else in programs of their own."""
    by_fit, side_by_side = TRAINERS
    builds = [mlp.model(hidden) for hidden in ((8, 8), (5, 8), (6, 6), (8, 8, 8))]
    params = {"optimizer": "adam", "learning_rate": 0.01, **PIECES[name]}
    fits = [some_fit(build=build, params=params) for build in builds]
    alone = dict(by_fit(TASK).train(fits, DATA))
    for index, curve in side_by_side(TASK).train(fits, DATA):
        expected = alone[index].validation_loss
        assert curve.validation_loss == pytest.approx(expected, abs=1e-4)


@only_jax
def test_max_norm_is_data():
    params = [{"optimizer": "adam", "max_norm": 0.2 * n} for n in (1, 2, 3)]
    check_one_program([some_fit(build=mlp.model((8, 4)), params=each) for each in params])


SOME = ("a_schedule_trains_as_in_plain_keras", "a_schedule_goes_on_where_it_stopped",
        "an_optimizer_trains_as_in_plain_keras")  # fmt: skip


@only_jax
@pytest.mark.parametrize("names", [SOME, pytest.param((), marks=pytest.mark.thorough)])
def test_it_all_holds_on_tensorflow_too(check_on_tensorflow, names):
    check_on_tensorflow(*(f"{__file__}::test_{name}" for name in names) if names else [__file__])
