"""Models trained in phases, and frozen parts whose features are computed once."""

from functools import partial

import keras
import numpy as np
import pytest

from hpsearch import Data, Holdout, KFold, Task
from hpsearch.core.errors import BuildError
from hpsearch.core.seeds import derive_seed
from hpsearch.training import Fit, Phase, Phases, backend, engines
from hpsearch.training.building import call_build, start_phase
from hpsearch.training.frozen import FrozenPart, find_frozen_part
from hpsearch.training.metrics import make_metrics
from hpsearch.training.rows import draw_row_order, make_model_spec, prepare_rows
from tests.contracts.trainer import same, variables

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(0)
X = RNG.normal(size=(150, 6, 6, 1)).astype("float32")
Y = (X.mean(axis=(1, 2, 3)) + 0.05 * RNG.normal(size=150) > 0).astype("int64")
TASK = Task("marks", data=Data(X, Y), loss="sparse_categorical_crossentropy", metric="accuracy")
DATA = TASK.load()
(SPLIT,) = Holdout(rows=50).splits(TASK, DATA, seed=1)
EPOCHS, FROZEN_EPOCHS = 6, 3


def backbone():
    return keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Flatten(),
        ]
    )


def two_phases(spec, learning_rate=0.01, dropout=0.2, epochs=FROZEN_EPOCHS, units=8):
    lower = backbone()
    inputs = keras.Input(spec.input_shape)
    x = lower(inputs)
    x = keras.layers.Dense(units, activation="relu")(x)
    x = keras.layers.Dropout(dropout)(x) if dropout else x
    model = keras.Model(inputs, keras.layers.Dense(spec.outputs, spec.activation)(x))

    def compile_with(trainable, rate):
        lower.trainable = trainable
        model.compile(keras.optimizers.Adam(rate), spec.loss, metrics=spec.metrics)
        return model

    return Phases(
        Phase(partial(compile_with, False, learning_rate), epochs=epochs),
        Phase(partial(compile_with, True, learning_rate / 10)),
    )


def trainer(engine):
    if backend.choose() != "jax" and engine == "gang":
        pytest.skip("trains on JAX")
    return engines.make_trainer(TASK, engine, backend.choose())


ENGINES = pytest.mark.parametrize("engine", ["fit", "gang"])


def fit(build=two_phases, seed=5, epochs=EPOCHS, split=SPLIT, **changes):
    params = changes.pop("params", {})
    return Fit(
        build, {"batch_size": 10, **params}, split, seed, epochs, most_epochs=EPOCHS, **changes
    )


def train_plainly(fit):
    """What Keras alone logs: two calls of `fit`, with the second model compiled anew."""
    rows = prepare_rows(TASK, DATA, fit.split)
    spec = make_model_spec(TASK, rows, DATA.y, make_metrics(TASK), fit)
    model, phases = call_build(fit.build, spec, fit.params, fit.seed)
    logs = []
    for epoch in range(fit.epochs):
        if epoch == phases[0].epochs:
            model = start_phase(phases[1], derive_seed(fit.seed, "phase", 1))
        order = draw_row_order(fit, epoch)
        told = model.fit(
            rows.x[order], rows.y[order], batch_size=10, shuffle=False,
            epochs=epoch + 1, initial_epoch=epoch,
            validation_data=(rows.x_validation, rows.y_validation), verbose=0,
        )  # fmt: skip
        logs.append({name: values[-1] for name, values in told.history.items()})
    return logs


@ENGINES
def test_phases_train_as_two_calls_of_fit_do(engine):
    fits = [fit(seed=seed, params={"dropout": rate}) for seed, rate in ((1, 0.2), (2, 0.4))]
    curves = dict(trainer(engine).train(fits, DATA))
    for index, each in enumerate(fits):
        plain = train_plainly(each)
        for name, column in (("loss", "train_loss"), ("val_loss", "validation_loss")):
            expected = [logs[name] for logs in plain]
            assert getattr(curves[index], column) == pytest.approx(expected, abs=1e-4), name
        assert len(curves[index].validation) == EPOCHS


@ENGINES
@pytest.mark.parametrize("stop", [2, FROZEN_EPOCHS, FROZEN_EPOCHS + 1])
def test_continuing_equals_never_stopping(engine, stop, tmp_path):
    """In the first phase, where it ends, and in the second one."""
    train = trainer(engine).train
    paths = [tmp_path / f"{name}.npz" for name in ("whole", "part", "continued")]
    (_, whole), *_ = train([fit(checkpoint_out=paths[0])], DATA)
    list(train([fit(epochs=stop, checkpoint_out=paths[1])], DATA))
    (_, continued), *_ = train([fit(checkpoint_in=paths[1], checkpoint_out=paths[2])], DATA)
    assert continued.validation_loss == whole.validation_loss
    assert same(variables(paths[0]), variables(paths[2]))


@pytest.mark.parametrize("stop", [2, FROZEN_EPOCHS, 5])
def test_each_trainer_continues_the_other_s_phases(stop, tmp_path):
    (_, whole), *_ = trainer("fit").train([fit()], DATA)
    for first, second in (("fit", "gang"), ("gang", "fit")):
        path = tmp_path / f"{first}.npz"
        list(trainer(first).train([fit(epochs=stop, checkpoint_out=path)], DATA))
        (_, curve), *_ = trainer(second).train([fit(checkpoint_in=path)], DATA)
        assert curve.validation_loss == pytest.approx(whole.validation_loss, abs=1e-4)
        assert len(curve.validation) == EPOCHS


@ENGINES
def test_a_damaged_checkpoint_of_a_later_phase_is_trained_again(engine, tmp_path):
    path = tmp_path / "c.npz"
    (_, whole), *_ = trainer(engine).train([fit(checkpoint_out=path)], DATA)
    content = bytearray(path.read_bytes())
    content[3000] ^= 1
    path.write_bytes(content)
    (_, again), *_ = trainer(engine).train([fit(checkpoint_out=path)], DATA)
    assert again.validation_loss == whole.validation_loss


def test_a_fit_without_a_checkpoint_passes_through_its_phases_side_by_side():
    folds = KFold(3, stratify=False).splits(TASK, DATA, seed=1)
    curves = dict(trainer("gang").train([fit(split=split) for split in folds], DATA))
    assert [len(curves[fold].validation) for fold in range(3)] == [EPOCHS] * 3


def test_a_checkpoint_that_cannot_be_written_does_not_keep_a_fit_from_its_next_phase(tmp_path):
    (tmp_path / "file").write_text("")
    one = fit(checkpoint_out=tmp_path / "file" / "no" / "c.npz", params={"dropout": 0.0})
    (_, alone), *_ = trainer("fit").train([one], DATA)
    (_, together), *_ = trainer("gang").train([one], DATA)
    assert together.validation_loss == pytest.approx(alone.validation_loss, abs=1e-4)
    assert len(together.validation) == EPOCHS


def test_patience_ends_a_fit_in_its_first_phase():
    def frozen_for_long(spec, **params):
        return two_phases(spec, learning_rate=1e-9, dropout=0.0, epochs=5)

    for engine in ("fit", "gang"):
        (_, curve), *_ = trainer(engine).train([fit(frozen_for_long, patience=2)], DATA)
        assert len(curve.validation) == 3


WRONG = {
    "take 7 epochs, and a trial has 6 at most": lambda spec: two_phases(spec, epochs=7),
    "whole number of at least 1, got 0": lambda spec: two_phases(spec, epochs=0),
    "got 2.5": lambda spec: two_phases(spec, epochs=2.5),
    "the last phase goes on to the end of the trial": lambda spec: Phases(
        *two_phases(spec)[:1], Phase(two_phases(spec)[1].start, epochs=2)
    ),
    "at least one Phase": lambda spec: Phases(),
    "Phase(function": lambda spec: Phases(two_phases),
    "must return a compiled keras.Model": lambda spec: Phases(
        two_phases(spec)[0], Phase(lambda: None)
    ),
}


@ENGINES
@pytest.mark.parametrize("message", WRONG)
def test_wrong_phases_are_refused_at_the_start(engine, message):
    with pytest.raises(BuildError) as caught:
        trainer(engine).probe(WRONG[message], [{}], SPLIT, DATA, most_epochs=EPOCHS)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


# -- frozen parts


def compiled(*layers):
    model = keras.Sequential([keras.Input((6, 6, 1)), *layers, keras.layers.Dense(2)])
    model.compile("sgd", "mse", metrics=["mae"])
    return model


def frozen(model):
    model.trainable = False
    return model


def with_dropout():
    return keras.Sequential([backbone(), keras.layers.Dropout(0.3)])


def test_what_is_frozen_is_found():
    assert find_frozen_part(compiled(frozen(backbone()))) is not None
    rescaled = compiled(keras.layers.Rescaling(2.0), frozen(backbone()))
    part = find_frozen_part(rescaled)
    assert np.allclose(
        part.head.predict(part.compute_features(X), verbose=0),
        rescaled.predict(X, verbose=0),
        atol=1e-6,
    )


def words():
    """A frozen network of words whose steps are masked."""
    inputs = keras.Input((6, 6, 1))
    numbers = keras.layers.Reshape((36,))(inputs)
    return keras.Model(inputs, keras.layers.Embedding(9, 4, mask_zero=True)(numbers))


CHANGING = {
    "masked": lambda: frozen(words()),
    "normalized anew in each step": lambda: frozen(
        keras.Sequential(
            [
                keras.layers.Flatten(),
                keras.layers.SpectralNormalization(keras.layers.Dense(4)),
            ]
        )
    ),
    "trained": lambda: backbone(),
    "drawn at random": lambda: frozen(with_dropout()),
    "no weights": lambda: keras.layers.Flatten(),
    "a layer of the user's own": lambda: frozen(
        keras.Sequential(
            [backbone(), type("Own", (keras.layers.Layer,), {"call": lambda s, x: x})()]
        )
    ),
}


@pytest.mark.parametrize("what", CHANGING)
def test_what_may_change_is_not_taken_for_frozen(what):
    assert find_frozen_part(compiled(CHANGING[what]())) is None


def test_dropout_that_is_called_as_in_inference_draws_in_fit_all_the_same():
    inputs = keras.Input((6, 6, 1))
    hidden = frozen(with_dropout())(inputs, training=False)
    model = keras.Model(inputs, keras.layers.Dense(2)(hidden))
    model.compile("sgd", "mse")
    assert find_frozen_part(model) is None


def test_augmented_rows_have_no_features():
    assert find_frozen_part(compiled(keras.layers.RandomFlip(), frozen(backbone()))) is None


def test_features_are_computed_once_for_all_heads(monkeypatch):
    computed = []
    compute = FrozenPart.compute_features
    monkeypatch.setattr(
        FrozenPart, "compute_features", lambda self, x: computed.append(len(x)) or compute(self, x)
    )
    if backend.choose() != "jax":
        pytest.skip("trains on JAX")
    shared = frozen(backbone())

    def head(spec, units, dropout):
        inputs = keras.Input(spec.input_shape)
        x = keras.layers.Dense(units, activation="relu")(shared(inputs))
        x = keras.layers.Dropout(dropout)(x)
        model = keras.Model(inputs, keras.layers.Dense(spec.outputs, spec.activation)(x))
        model.compile("adam", spec.loss, metrics=spec.metrics)
        return model

    points = [{"units": units, "dropout": 0.1 * i} for i, units in enumerate([4, 8, 8, 16], 1)]
    folds = KFold(3).splits(TASK, DATA, seed=1)
    fits = [fit(head, params=point, split=split) for point in points for split in folds]
    together = engines.make_trainer(TASK, "gang", "jax")
    curves = dict(together.train(fits, DATA))
    list(together.train(fits, DATA))
    assert computed == [len(X)]
    for index in (0, 7, 11):
        ((_, alone),) = trainer("fit").train([fits[index]], DATA)
        assert curves[index].validation_loss == pytest.approx(alone.validation_loss, abs=1e-4)
        assert curves[index].n_weights == alone.n_weights


def test_features_in_half_precision_are_shared_between_workers(tmp_path):
    if backend.choose() != "jax":
        pytest.skip("trains on JAX")
    lower = keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(4, dtype="mixed_bfloat16"),
        ]
    )
    lower.trainable = False

    def head(spec):
        inputs = keras.Input(spec.input_shape)
        model = keras.Model(
            inputs, keras.layers.Dense(spec.outputs, spec.activation)(lower(inputs))
        )
        model.compile("adam", spec.loss, metrics=spec.metrics)
        return model

    whole, *shared = (
        dict(engines.make_trainer(TASK, "gang", "jax", shared=folder).train([fit(head)], DATA))[0]
        for folder in (None, tmp_path, tmp_path)
    )
    assert [path.suffix for path in tmp_path.iterdir()] == [".npy"]
    for curve in shared:
        assert curve.validation_loss == whole.validation_loss


def test_layers_that_are_called_as_an_option_is_are_told_apart():
    """Two models that differ in an activation alone, whose layer has the activation's name."""
    if backend.choose() != "jax":
        pytest.skip("trains on JAX")

    def build(spec, activation):
        inputs = keras.Input(spec.input_shape)
        x = keras.layers.Dense(8)(keras.layers.Flatten()(inputs))
        x = keras.layers.Activation(activation, name=activation)(x)
        model = keras.Model(inputs, keras.layers.Dense(spec.outputs, spec.activation)(x))
        model.compile("adam", spec.loss, metrics=spec.metrics)
        return model

    fits = [fit(build, epochs=2, params={"activation": name}) for name in ("relu", "tanh")]
    together = dict(trainer("gang").train(fits, DATA))
    for index, curve in trainer("fit").train(fits, DATA):
        assert together[index].train_loss == pytest.approx(curve.train_loss, abs=1e-4)
