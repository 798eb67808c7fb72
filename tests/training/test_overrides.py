"""What a model does in a way of its own is never skipped; subclassed models are trained."""

import dataclasses
import functools
import logging

import numpy as np
import pytest

from hpsearch import Data, Holdout, KFold, Task
from hpsearch.core.errors import BuildError
from hpsearch.training import backend, engines
from hpsearch.training.base import Fit, Split
from tests.contracts.trainer import DATA, arrays, same

pytestmark = pytest.mark.slow

JAX = backend.name() == "jax"
on_jax = pytest.mark.skipif(not JAX, reason="models train side by side on jax alone")
SMALL = Data(DATA.x[:192], DATA.y[:192])
TASK = Task("digits", SMALL, loss="sparse_categorical_crossentropy", metric="accuracy")
WHOLE = Split(np.arange(128), np.arange(128, 192))  # no batch is filled up
UNEVEN = Split(np.arange(120), np.arange(120, 190))


def trainer(engine, task=TASK):
    return engines.make_trainer(task, engine, backend.choose())


def network(spec, model=None, **compiled):
    import keras

    inputs = keras.Input(spec.input_shape)
    x = keras.layers.Dense(9, activation="relu")(inputs)
    outputs = keras.layers.Dense(spec.outputs, spec.activation)(x)
    made = (model or keras.Model)(inputs, outputs)
    given = {"optimizer": "adam", "loss": spec.loss, "metrics": spec.metrics, **compiled}
    made.compile(**given)
    return made


def overriding(name):
    """A build whose model has a method of its own, which trains another way than Keras's."""

    def build(spec):
        import keras

        def method(self, *args, **kwargs):
            original = getattr(super(Own, self), name)
            if name == "compile":
                kwargs["optimizer"] = keras.optimizers.SGD(0.5)
            elif name == "fit":
                kwargs["callbacks"] = [
                    *kwargs["callbacks"],
                    keras.callbacks.LambdaCallback(
                        on_epoch_begin=lambda epoch, logs: self.layers[-1].bias.assign([0.5] * 10)
                    ),
                ]
            elif name in ("compute_loss", "_compute_loss"):
                return 3 * original(*args, **kwargs)
            elif name == "make_train_function":
                self.optimizer.learning_rate.assign(0.1)
            return original(*args, **kwargs)

        Own = type("Own", (keras.Model,), {name: method})
        return network(spec, Own)

    return build


NAMES = [
    *("fit", "compile", "compute_loss", "_compute_loss", "train_step", "test_step", "predict_step"),
    *("make_train_function", "make_test_function", "evaluate", "predict", "compute_metrics"),
    *("compute_loss_and_updates", "stateless_compute_loss", "stateless_call", "reset_metrics"),
    *("get_metrics_result", "_update_metrics_variables", "call", "add_loss"),
]


def replaced(spec):
    """A method replaced in one model, not in its class."""
    model = network(spec)
    original = model.compute_loss
    model.compute_loss = lambda *args, **kwargs: 3 * original(*args, **kwargs)
    return model


def replaced_train_function(spec):
    """The compiled step itself, replaced in one model."""
    model = network(spec)
    model.make_train_function()
    original = model.train_function

    def shrinking(*args):
        found = original(*args)
        if isinstance(found, tuple):  # on JAX, which passes the state on
            logs, (trained, *others) = found
            return logs, ([0.9 * value for value in trained], *others)
        for variable in model.trainable_variables:
            variable.assign(0.9 * variable)
        return found

    model.train_function = shrinking
    return model


def own_optimizer(spec):
    import keras

    class Own(keras.optimizers.Adam):
        def finalize_variable_values(self, variables):
            for variable in variables:
                variable.assign(0.9 * variable.value)

    return network(spec, optimizer=Own(0.01))


def own_loss_class(spec):
    import keras

    class Own(keras.losses.SparseCategoricalCrossentropy):
        def __call__(self, y_true, y_pred, sample_weight=None):
            return 3 * super().__call__(y_true, y_pred)

    return network(spec, loss=Own())


def own_metric(spec):
    import keras

    def accuracy(y_true, y_pred):
        return 0.5 + 0 * y_pred[:, 0]

    return network(spec, metrics=[keras.metrics.MeanMetricWrapper(accuracy, name="accuracy")])


OWN = {
    **{name: overriding(name) for name in NAMES},
    **{build.__name__: build for build in (replaced, replaced_train_function)},
    **{build.__name__: build for build in (own_optimizer, own_loss_class, own_metric)},
}


@on_jax
@pytest.mark.parametrize("name", OWN)
def test_what_is_overridden_is_trained_by_fit_and_the_reason_is_told(name, caplog):
    fits = [Fit(OWN[name], {}, WHOLE, 3, 2)]
    with caplog.at_level(logging.WARNING):
        curves = dict(trainer("auto").train(fits, SMALL))
    told = [r.getMessage() for r in caplog.records if "by fit" in r.getMessage()]
    assert len(told) == 1
    assert "of its own" in told[0]
    if name in NAMES:
        assert f"{name} of its own" in told[0]
    expected = dict(trainer("fit").train(fits, SMALL))
    assert curves[0].train_loss == expected[0].train_loss
    assert curves[0].validation == expected[0].validation


CHANGING = {  # the training loss
    *("fit", "compile", "compute_loss", "_compute_loss", "make_train_function"),
    *("replaced", "replaced_train_function", "own_optimizer", "own_loss_class"),
}


@pytest.mark.parametrize("name", OWN)
def test_what_is_overridden_acts_on_every_backend(name):
    own, plain = (
        dict(trainer(engine).train([Fit(build, {}, WHOLE, 3, 2)], SMALL))[0]
        for engine, build in (("auto", OWN[name]), ("fit", network))
    )
    assert (own.train_loss != plain.train_loss) is (name in CHANGING)
    if name == "own_metric":
        assert own.validation == (0.5, 0.5) != plain.validation


def scalar_loss(spec):
    import keras

    def squared(y_true, y_pred):
        wanted = keras.ops.one_hot(keras.ops.cast(keras.ops.reshape(y_true, (-1,)), "int32"), 10)
        return keras.ops.mean((wanted - y_pred) ** 2)

    return network(spec, loss=squared)


def keras_loss(spec):
    import keras

    return network(spec, loss=keras.losses.SparseCategoricalCrossentropy(ignore_class=3))


def mixing_operation(spec):
    import keras

    inputs = keras.Input(spec.input_shape)
    x = inputs - keras.ops.mean(inputs, axis=0, keepdims=True)
    model = keras.Model(inputs, keras.layers.Dense(spec.outputs, spec.activation)(x))
    model.compile("adam", loss=spec.loss, metrics=spec.metrics)
    return model


def replaced_call(spec):
    import keras

    model = network(spec)
    layer = model.layers[1]
    original = layer.call
    layer.call = lambda x, training=None: original(x - keras.ops.mean(x, axis=0, keepdims=True))
    return model


@on_jax
@pytest.mark.parametrize("build", [scalar_loss, keras_loss, mixing_operation, replaced_call])
def test_rows_that_fill_up_a_batch_act_on_no_other(build):
    fits = [Fit(build, {}, UNEVEN, seed, 3) for seed in range(2)]
    curves = dict(trainer("auto").train(fits, SMALL))
    expected = dict(trainer("fit").train(fits, SMALL))
    for n in range(2):
        assert curves[n].validation_loss == pytest.approx(expected[n].validation_loss, abs=1e-4)
        assert curves[n].train_loss == pytest.approx(expected[n].train_loss, abs=1e-4)


def own_numbers(kind, spec, factor):
    """A number that the model's description does not tell."""
    import keras

    class Scaled(keras.layers.Layer):
        def __init__(self, factor=1.0):
            super().__init__()
            self.factor = factor

        def get_config(self):
            return {}

        def call(self, x):
            return self.factor * x

    class Held(keras.layers.Dropout):
        def call(self, x, training=False):
            return 0 * x if self.rate > 0.5 else x

    def leaky(x):
        return keras.ops.maximum(x, factor * x)

    class Loss(keras.losses.Loss):
        def call(self, y_true, y_pred):
            found = keras.losses.sparse_categorical_crossentropy(y_true, y_pred)
            return factor * found

    inputs = x = keras.Input(spec.input_shape)
    if kind == "layer":
        x = Scaled(factor)(x)
    elif kind == "dropout":
        x = Held(factor)(x)
    x = keras.layers.Dense(9, activation=leaky if kind == "activation" else "relu")(x)
    if kind == "replaced":
        layer = keras.layers.Dense(9)
        original = layer.call
        layer.call = lambda x, training=None: factor * original(x)
        x = layer(x)
    model = keras.Model(inputs, keras.layers.Dense(spec.outputs, spec.activation)(x))
    loss = Loss() if kind == "loss" else spec.loss
    model.compile("adam", loss=loss, metrics=spec.metrics)
    return model


@on_jax
@pytest.mark.parametrize("kind", ["layer", "dropout", "activation", "loss", "replaced"])
def test_programs_are_not_shared_by_models_that_differ_in_what_is_not_keras_s(kind):
    build = functools.partial(own_numbers, kind)
    fits = [Fit(build, {"factor": 0.2 + 0.6 * n}, WHOLE, 1, 3) for n in range(2)]
    curves = dict(trainer("auto").train(fits, SMALL))
    expected = dict(trainer("fit").train(fits, SMALL))
    assert expected[0].train_loss != pytest.approx(expected[1].train_loss, abs=0.01)
    for n in range(2):
        assert curves[n].train_loss == pytest.approx(expected[n].train_loss, abs=1e-4)


@on_jax
@pytest.mark.parametrize("kind", ["Optimizer", "SGD"])
def test_an_optimizer_s_own_step_is_taken_side_by_side(kind):
    def build(spec, momentum):
        import keras

        class Own(getattr(keras.optimizers, kind)):
            def update_step(self, gradient, variable, learning_rate):
                own = self.momentum if kind == "SGD" else momentum  # no traced number, but its own
                factor = 2.0 if own > 0.5 else 0.5
                self.assign_sub(variable, factor * learning_rate * keras.ops.sign(gradient))

        options = {"momentum": momentum} if kind == "SGD" else {"name": "own"}
        return network(spec, optimizer=Own(learning_rate=0.01, **options))

    fits = [Fit(build, {"momentum": 0.4 * n}, WHOLE, n, 2) for n in range(1, 3)]
    curves = dict(trainer("gang").train(fits, SMALL))
    expected = dict(trainer("fit").train(fits, SMALL))
    assert expected[0].train_loss != pytest.approx(expected[1].train_loss, abs=0.01)
    for n in range(2):
        assert curves[n].train_loss == pytest.approx(expected[n].train_loss, abs=1e-4)


@on_jax
def test_operations_that_let_rows_alone_do():
    """What acts on each element gives a row the same whatever other rows there are."""
    import inspect

    import keras
    from keras.src import ops

    from hpsearch.training.batched.batchable import _ROWWISE_OPERATIONS

    options = {
        "Clip": {"x_min": 0.2, "x_max": 0.4},
        "Cast": {"dtype": "int32"},
        "Threshold": {"threshold": 0.3, "default_value": 0.1},
    }
    rows = np.linspace(0.1, 0.9, 12, dtype="float32").reshape(4, 3)
    tried = 0
    for name in _ROWWISE_OPERATIONS:
        modules = [ops.numpy, ops.nn, ops.math, ops.core]
        kinds = [getattr(module, name) for module in modules if hasattr(module, name)]
        if not kinds:  # an older Keras
            continue
        kind, tried = kinds[0], tried + 1
        operation = kind(**options.get(name, {}))
        arguments = inspect.signature(operation.call).parameters
        x = rows > 0.5 if name.startswith("Logical") else rows
        whole, few = (operation(*[part] * len(arguments)) for part in (x, x[:2]))
        assert keras.ops.shape(whole) == (4, 3), name
        assert np.allclose(whole[:2], few, rtol=1e-5, atol=1e-6, equal_nan=True), name
    assert tried > 60


@on_jax
def test_the_way_out_is_told_where_the_last_batch_is_filled_up():
    message = "a batch_size that divides the training rows"
    few = Split(np.arange(120), np.arange(128, 192))
    for split, told in ((few, True), (WHOLE, False)):
        remark = trainer("auto").probe(scalar_loss, [{}], split, SMALL)
        assert (message in (remark or "")) == told


@on_jax
def test_what_models_share_is_not_seen_while_its_numbers_are_replaced():
    import threading

    import keras

    from hpsearch.training.batched.member_builder import MemberBuilder
    from hpsearch.training.batched.scalars import ModelScalars

    shared = keras.regularizers.L2(0.25)

    def made():
        model = keras.Sequential(
            [keras.Input((4,)), keras.layers.Dense(2, kernel_regularizer=shared)]
        )
        model.compile("adam", "mse")
        return ModelScalars(model)

    first, replaced, looked = made(), threading.Event(), threading.Event()

    def compile_it():
        with first.replaced_by([0.5]):
            replaced.set()
            looked.wait(0.3)

    compiler = threading.Thread(target=compile_it)
    compiler.start()
    assert replaced.wait(5)
    values = made().values
    looked.set()
    compiler.join()
    assert values == [pytest.approx(0.25)]
    smoothed = keras.losses.CategoricalCrossentropy(label_smoothing=0.25, reduction="sum")
    builder = MemberBuilder(dataclasses.replace(TASK, loss=smoothed))
    spec = builder._describe_fit(Fit(made, {}, WHOLE, 0, 1), SMALL)
    assert spec.loss is not smoothed
    assert spec.loss.get_config() == smoothed.get_config()


@on_jax
def test_a_trial_that_goes_on_finds_the_program_of_its_model():
    """A worker wraps the study's build anew for each job; of what is Keras's own nothing is asked."""
    from hpsearch.training.base import WatchedBuild
    from hpsearch.training.batched.member_builder import MemberBuilder

    def described(build):
        fit = Fit(WatchedBuild(build), {"factor": 0.5}, WHOLE, 1, 2)
        return MemberBuilder(TASK).build(0, fit, SMALL).describe_structure()

    build, other = (functools.partial(own_numbers, "layer") for _ in range(2))
    assert described(build) == described(build)
    assert described(build) != described(other)


@on_jax
def test_what_fit_trains_without_a_loss_is_left_to_it():
    def build(spec):
        import keras

        class Penalized(keras.layers.Layer):
            def call(self, x):
                self.add_loss(keras.ops.mean(x**2))
                return x

        inputs = keras.Input(spec.input_shape)
        x = Penalized()(keras.layers.Dense(9)(inputs))
        model = keras.Model(inputs, keras.layers.Dense(spec.outputs, spec.activation)(x))
        model.compile("adam", metrics=spec.metrics)
        return model

    fits = [Fit(build, {}, WHOLE, 3, 2)]
    assert "without a loss" in trainer("auto").probe(build, [{}], WHOLE, SMALL)
    curves = dict(trainer("auto").train(fits, SMALL))
    assert curves[0].train_loss == dict(trainer("fit").train(fits, SMALL))[0].train_loss
    assert curves[0].train_loss[1] < curves[0].train_loss[0]


@on_jax
def test_what_is_keras_s_own_still_trains_side_by_side():
    fits = [Fit(network, {}, split, 1, 2) for split in (WHOLE, UNEVEN)]
    assert len(dict(trainer("gang").train(fits, SMALL))) == 2


def subclassed(how, spec):
    import keras

    class Plain(keras.Model):
        def __init__(self):
            super().__init__()
            self.hidden = keras.layers.Dense(9, activation="relu")
            self.dropout = keras.layers.Dropout(0.3)
            self.last = keras.layers.Dense(spec.outputs, activation=spec.activation)

        def call(self, x, training=False):
            return self.last(self.dropout(self.hidden(x), training=training))

    class Builds(Plain):
        def build(self, shape):
            self.hidden.build(shape)
            self.last.build((None, 9))
            self.built = True

    class Steps(Plain):
        def train_step(self, *args):
            return super().train_step(*args)

    if how == "sequential":
        model = keras.Sequential(
            [keras.layers.Dense(9), keras.layers.Dense(spec.outputs, activation=spec.activation)]
        )
    else:
        model = {"builds": Builds, "steps": Steps}.get(how, Plain)()
    if how == "called":
        model(np.zeros((1, *spec.input_shape), "float32"))
    elif how in ("built", "builds"):
        model.build((None, *spec.input_shape))
    model.compile("adam", loss=spec.loss, metrics=spec.metrics)
    return model


# Which Keras warns of where it is "built", and trains it all the same.
calls_default_build = pytest.mark.filterwarnings("ignore:`build\\(\\)` was called on layer")
HOW = ["called", "built", "builds", "not called", "steps", "sequential"]


@calls_default_build
@pytest.mark.parametrize("how", HOW)
def test_subclassed_models_are_tried_trained_and_continued_bit_for_bit(how, tmp_path):
    build = functools.partial(subclassed, how)
    auto = trainer("auto")
    auto.probe(build, [{}], UNEVEN, SMALL)
    whole = Fit(build, {}, UNEVEN, 3, 3, checkpoint_out=tmp_path / "whole.npz")
    half = dataclasses.replace(whole, epochs=1, checkpoint_out=tmp_path / "half.npz")
    rest = dataclasses.replace(
        whole,
        checkpoint_in=tmp_path / "half.npz",
        checkpoint_out=tmp_path / "rest.npz",
    )
    never, _, continued = (dict(auto.train([fit], SMALL))[0] for fit in (whole, half, rest))
    assert continued.validation_loss == never.validation_loss
    assert never.train_loss[-1] < never.train_loss[0]
    assert never.n_weights == 64 * 9 + 9 + 90 + 10
    weights = [
        {name: value for name, value in arrays(tmp_path / file).items() if "variable" in name}
        for file in ("whole.npz", "rest.npz")
    ]
    assert weights[0]
    assert same(*weights)


@on_jax
@calls_default_build
@pytest.mark.parametrize("how", HOW)
def test_only_own_steps_are_tried_for_a_whole_epoch(how, monkeypatch):
    backend.choose()
    from hpsearch.training.fit import FitTrainer

    tried = []
    train = FitTrainer._train_on
    monkeypatch.setattr(FitTrainer, "_train_on", lambda *given: tried.append(how) or train(*given))
    trainer("fit").probe(functools.partial(subclassed, how), [{}], UNEVEN, SMALL)
    assert len(tried) == (2 if how == "steps" else 0)


def test_a_subclassed_model_is_searched_by_folds():
    build = functools.partial(subclassed, "not called")
    score = KFold(2).evaluate(build, {}, TASK, epochs=2)
    assert score.curves.shape == (2, 2)
    assert score.curves.equals(KFold(2).evaluate(build, {}, TASK, epochs=2, engine="fit").curves)


def test_the_try_out_runs_what_trials_run():
    """Steps that give no loss, or fail in the second one, are found before anything is spent."""

    def silent(spec):
        import keras

        class Silent(keras.Model):
            def train_step(self, *args):
                found = super().train_step(*args)
                logs, *rest = found if isinstance(found, tuple) else (found,)
                logs = {name: value for name, value in logs.items() if name != "loss"}
                return (logs, *rest) if rest else logs

        return network(spec, Silent)

    def failing(spec):
        import keras

        class Failing(keras.Model):
            def test_step(self, *args):
                raise RuntimeError("no validation here")

        return network(spec, Failing)

    for build, message in ((silent, "no 'loss'"), (failing, "no validation here")):
        with pytest.raises(BuildError, match=message):
            trainer("auto").probe(build, [{}], WHOLE, SMALL)
        with pytest.raises((BuildError, RuntimeError), match=message):
            Holdout(rows=40).evaluate(build, {}, TASK, epochs=1)


def whole_numbers(spec):
    import keras

    class Looks(keras.Model):
        def __init__(self):
            super().__init__()
            self.last = keras.layers.Dense(spec.outputs, activation=spec.activation)

        def call(self, x):
            if "int" not in keras.backend.standardize_dtype(x.dtype):
                raise TypeError(f"whole numbers are wanted, got {x.dtype}")
            return self.last(keras.ops.mean(keras.ops.one_hot(x, 17), axis=1))

    model = Looks()
    model.compile("adam", loss=spec.loss, metrics=spec.metrics)
    return model


def test_a_model_that_is_never_called_in_build_gets_rows_of_the_task_s_type():
    data = Data((16 * SMALL.x).astype("int32"), SMALL.y)
    task = dataclasses.replace(TASK, data=data)
    assert np.isfinite(Holdout(rows=40).evaluate(whole_numbers, {}, task, epochs=1).value)


@pytest.mark.thorough
@on_jax
def test_all_of_it_holds_on_tensorflow_too(check_on_tensorflow):
    check_on_tensorflow(__file__)
