"""Training for real, on the backend of $KERAS_BACKEND; another one in a process of its own."""

import dataclasses
import os
import subprocess
import sys

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from hpsearch import Choice, Data, Float, Holdout, KFold, Space, Task
from hpsearch.core.errors import BuildError, DataError, HpsearchError, SpaceError
from hpsearch.evaluators import TrainingFailed
from hpsearch.tasks import digits
from hpsearch.training import backend
from hpsearch.training.point_parameters import check_space
from spaces import mlp, optimizers
from tests.builders import build_on_digits
from tests.conftest import ROOT
from tests.contracts.trainer import DATA, SPLIT, TASK, TrainerContract, fit

pytestmark = pytest.mark.slow


def fit_trainer(task):
    backend.choose()
    from hpsearch.training.fit import FitTrainer

    return FitTrainer(task)


def gang_trainer(task):
    backend.choose()
    from hpsearch.training.batched.trainer import BatchedTrainer

    return BatchedTrainer(task, strict=True, chunk=1)


# The contract runs on other backends too, where there is no gang.
TRAINERS = [fit_trainer, *([gang_trainer] if backend.name() == "jax" else [])]


class TestTrainers(TrainerContract):
    @pytest.fixture(params=TRAINERS, ids=lambda t: t.__name__)
    def make(self, request):
        return request.param


@pytest.mark.thorough
def test_the_contract_holds_on_tensorflow_too(check_on_tensorflow):
    check_on_tensorflow(f"{__file__}::TestTrainers")


def test_jax_trains_without_tensorflow():
    """Which takes seconds to import."""
    code = (
        "import sys; from hpsearch import Holdout; from hpsearch.tasks import digits;"
        "from spaces import mlp;"
        "Holdout().evaluate(mlp.model(hidden=(4,)), {'dropout': 0.1}, digits.task(), epochs=1);"
        "assert 'tensorflow' not in sys.modules"
    )
    env = {**os.environ, "KERAS_BACKEND": "jax"}
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, check=True)


def test_memory_does_not_grow_with_the_number_of_models():
    """JAX keeps every program it compiled, unless told to let go: 10 MB a model, all night."""
    code = (
        "import sys; from hpsearch import Holdout; from hpsearch.tasks import digits;"
        "from spaces import mlp\n"
        "def held():\n"
        "    return int(open('/proc/self/statm').read().split()[1]) * 4096 / 2**20\n"
        "for units in range(30, 46):\n"
        "    point = {'units': units, 'dropout': 0.1}\n"
        "    Holdout().evaluate(mlp.model(), point, digits.task(), epochs=1)\n"
        "    if units == 33: before = held()\n"
        "print(held() - before)"
    )
    env = {**os.environ, "KERAS_BACKEND": "jax"}
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=env, check=True, capture_output=True, text=True
    )
    assert float(ended.stdout) < 60


def test_evaluates_in_a_notebook_without_a_study():
    score = KFold(3).evaluate(
        mlp.model(hidden=(32,)), {"dropout": 0.1, "batch_size": 16}, digits.task(), epochs=10
    )
    assert score.mean > 0.9
    assert 0 < score.se < score.std < 0.1
    assert score.curves.shape == (3, 10)
    assert score.best_epoch == int(np.argmax(score.curves.mean(axis=0))) + 1
    again = KFold(3).evaluate(
        mlp.model(hidden=(32,)), {"dropout": 0.1, "batch_size": 16}, digits.task(), epochs=10
    )
    assert again.curves.equals(score.curves)


def test_a_diverging_evaluation_says_so():
    with pytest.raises(TrainingFailed, match=r"fold 0: .* became nan in epoch 1"):
        KFold(2).evaluate(
            mlp.model(hidden=(4,)),
            {"optimizer": "sgd", "learning_rate": 1e30},
            digits.task(),
            epochs=2,
        )


def two_inputs(spec, units=8):
    import keras

    inputs = {name: keras.Input(shape, name=name) for name, shape in spec.input_shape.items()}
    x = keras.layers.Concatenate()([inputs["left"], inputs["right"]])
    x = keras.layers.Dense(units, activation="relu")(x)
    model = keras.Model(inputs, keras.layers.Dense(spec.outputs, spec.activation)(x))
    model.compile("adam", spec.loss, metrics=spec.metrics)
    return model


RNG = np.random.default_rng(0)
X = RNG.random((80, 4)).astype("float32")


@pytest.mark.parametrize(
    ("metric", "direction", "loss"),
    [
        ("mae", None, "mse"),
        ("rmse", None, "mse"),
        ("loss", None, "mae"),
        ("r2_score", None, "mse"),
        ("roc_auc", None, "binary_crossentropy"),
        ("accuracy", None, "binary_crossentropy"),
        ("mean_squared_logarithmic_error", "min", "mse"),
    ],
)
def test_metrics_are_those_of_the_whole_validation_split(metric, direction, loss):
    y = (X.sum(axis=1) > 2).astype("float32") if "binary" in loss else X.sum(axis=1)
    task = Task("t", Data(X, y), loss=loss, metric=metric, direction=direction)
    score = Holdout(rows=30).evaluate(mlp.model(hidden=(4,)), {"l2": 0.1}, task, epochs=2)
    assert np.isfinite(score.value)
    if metric == "loss":  # the penalty of the weights must not count
        assert score.value < score.folds[0].validation_loss[score.best_epoch - 1] - 0.01


@pytest.mark.parametrize("column", [False, True])
@pytest.mark.parametrize("loss", ["mse", "binary_crossentropy", "object", "function"])
def test_the_metric_loss_is_the_loss_whatever_the_shape_of_y(loss, column):
    backend.choose()
    import keras

    kinds = {
        "object": keras.losses.Huber(delta=0.1),
        "function": lambda true, predicted: keras.ops.mean((true - predicted) ** 2, axis=-1),
    }
    y = (X.sum(axis=1) > 2).astype("float32")
    kind = "regression" if loss == "function" else None
    task = Task("t", Data(X, y[:, None] if column else y), loss=kinds.get(loss, loss), kind=kind)
    fold = Holdout(rows=30, stratify=False).evaluate(mlp.model((4,)), {}, task, epochs=2).folds[0]
    assert fold.validation == pytest.approx(fold.validation_loss, rel=1e-5)


@pytest.mark.parametrize("kind", ["one unit", "two units", "one-hot"])
def test_roc_auc_is_exact(kind, monkeypatch):
    from sklearn.metrics import roc_auc_score

    y = (RNG.random(80) < 0.2).astype("float32")
    loss = "binary_crossentropy" if kind == "one unit" else "categorical_crossentropy"
    loss = "sparse_categorical_crossentropy" if kind == "two units" else loss
    data = Data(X, np.eye(2)[y.astype(int)] if kind == "one-hot" else y)
    task = Task("t", data, loss=loss, metric="roc_auc")
    trainer, (split,) = (
        fit_trainer(task),
        Holdout(rows=40, shuffle=False).splits(task, data, seed=0),
    )
    from hpsearch.core import scores

    seen = []
    original = scores.compute_roc_auc
    monkeypatch.setattr(
        scores, "compute_roc_auc", lambda p, y, weights: seen.append(p) or original(p, y, weights)
    )
    one = dataclasses.replace(fit(params={}, epochs=2), split=split)
    curve = dict(trainer.train([one], data))[0]
    assert len(seen[-1]) == 40
    assert curve.validation[-1] == pytest.approx(roc_auc_score(y[40:], seen[-1][:, -1]))


def test_the_callers_dtype_policy_holds():
    backend.choose()
    import keras

    seen = []

    def build(spec):
        seen.append(keras.config.dtype_policy().name)
        return mlp.model((4,))(spec)

    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        Holdout().evaluate(build, {}, digits.task(), epochs=1)
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
    finally:
        keras.config.set_dtype_policy("float32")
    assert set(seen) == {"mixed_bfloat16"}


def test_losses_on_logits_get_no_softmax():
    backend.choose()
    import keras

    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    assert Task("t", DATA, loss=loss, metric="accuracy").activation == "linear"
    assert Task("t", DATA, loss=keras.losses.BinaryCrossentropy()).activation == "sigmoid"


@pytest.mark.parametrize("size", [0, 2.5, "a", True])
def test_batch_sizes_are_whole_numbers(size):
    with pytest.raises(BuildError, match=r"batch_size must be whole numbers of at least 1, got"):
        Holdout().evaluate(mlp.model((4,)), {"batch_size": size}, digits.task(), epochs=1)


@pytest.mark.parametrize("shuffle", [0, "no", None])
def test_shuffle_is_true_or_false(shuffle):
    with pytest.raises(BuildError, match=r"shuffle says whether the fit shuffles its rows, got"):
        Holdout().evaluate(mlp.model((4,)), {"shuffle": shuffle}, digits.task(), epochs=1)


def test_a_space_whose_shuffle_is_no_switch_is_refused():
    build = mlp.model((4,))
    with pytest.raises(BuildError, match=r"got 'some'; use Choice\(True, False\)"):
        check_space(build, Space(shuffle=Choice("some", "all")))
    with pytest.raises(BuildError, match=r"shuffle says"):
        check_space(build, Space(shuffle=Float(0.0, 1.0)))
    check_space(build, Space(shuffle=Choice(True, False)))
    with pytest.raises(BuildError, match=r"'shuffle' of the space goes to the fit, not to build"):
        check_space(lambda spec, shuffle: None, Space(shuffle=Choice(True, False)))


def test_pieces_of_spaces_go_together():
    space = Space(mlp.widths(2), mlp.dropouts(2), optimizers.SPACE)
    for point in space.probes():
        build_on_digits(mlp.model(), point)
    fixed = Space(mlp.dropouts(2, fixed=True))
    for point in fixed.probes():
        build_on_digits(mlp.model((4, 4)), point)
    assert "funnel" not in Space(mlp.funnel(1))
    with pytest.raises(SpaceError, match="layers is given twice"):
        Space(mlp.widths(2), mlp.funnel(2))


def test_dicts_of_inputs_are_trained():
    data = Data({"left": X[:, :2], "right": X[:, 2:]}, X.sum(axis=1))
    task = Task("two", data, loss="mse", metric="mae")
    curve = Holdout().evaluate(two_inputs, {"units": 16}, task, epochs=3).folds[0]
    assert curve.train[-1] < curve.train[0]


def test_one_hot_targets_are_trained():
    data = Data(DATA.x, np.eye(10)[DATA.y])
    task = Task("hot", data, loss="categorical_crossentropy", metric="accuracy")
    score = Holdout().evaluate(mlp.model(hidden=(32,)), {}, task, epochs=5)
    assert score.value > 0.7


@pytest.mark.parametrize("optimizer", optimizers.NAMES)
def test_every_optimizer_learns_at_its_customary_rate(optimizer):
    params = {"optimizer": optimizer, "batch_size": 16}
    score = Holdout().evaluate(mlp.model(hidden=(32,)), params, digits.task(), epochs=6)
    assert score.value > 0.6


@pytest.mark.parametrize(
    ("hidden", "params", "sizes", "rates"),
    [
        ((8, 4), {"dropout": 0.2}, [8, 4], [0.2, 0.2]),
        ((8, 4), {"dropout_2": 0.3}, [8, 4], [0.3]),
        (None, {"layers": 3, "units": 16, "funnel": 0.5}, [16, 8, 4], []),
        (None, {"layers": 2, "units_1": 5, "units_2": 7, "dropout": 0.1}, [5, 7], [0.1, 0.1]),
        (None, {"units": 6}, [6], []),
    ],
)
def test_an_mlp_has_the_layers_asked_for(hidden, params, sizes, rates):
    model = build_on_digits(mlp.model(hidden), params)
    dense = [layer for layer in model.layers if type(layer).__name__ == "Dense"]
    drops = [layer.rate for layer in model.layers if type(layer).__name__ == "Dropout"]
    assert [layer.units for layer in dense] == [*sizes, 10]
    assert drops == rates


def test_an_mlp_takes_dropout_on_its_first_layer_only_and_l2_everywhere():
    model = build_on_digits(mlp.model((8, 4), dropout_on="first"), {"dropout": 0.2, "l2": 0.01})
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds == ["InputLayer", "Dense", "Dropout", "Dense", "Dense"]
    factors = [layer.kernel_regularizer.l2 for layer in model.layers[1:4:2]]
    assert factors == pytest.approx([0.01, 0.01])


def uncompiled(spec):
    import keras

    return keras.Sequential([keras.Input(spec.input_shape), keras.layers.Dense(1)])


def without_metric(spec):
    model = uncompiled(spec)
    model.compile("adam", "mse")
    return model


def penalised(spec):
    import keras

    layer = keras.layers.Dense(1, kernel_regularizer="l2")
    model = keras.Sequential([keras.Input(spec.input_shape), layer])
    model.compile("adam", "mse")
    return model


@pytest.mark.parametrize(
    ("build", "params", "task", "message"),
    [
        (lambda spec: 3, {}, TASK, r"must return a compiled keras\.Model, got 3"),
        (uncompiled, {}, TASK, r"not compiled; end it with"),
        (without_metric, {}, TASK, r"not the task's metric 'accuracy'; compile it with"),
        (uncompiled, {"units": 3}, TASK, r"does not know the parameter 'units'"),
        (mlp.model((4,)), {"droput": 0.1}, TASK, r"'droput' \(did you mean 'dropout'\?\)"),
        (mlp.model((4,)), {"units_1": 4}, TASK, r"does not know the parameter 'units_1'"),
        (mlp.model(), {}, TASK, r"needs widths"),
        (mlp.model((4,)), {"optimizer": "adm"}, TASK, r"unknown optimizer 'adm' \(did you mean"),
        (penalised, {}, Task("p", Data(X, X[:, 0]), loss="mse"), r"includes penalties"),
    ],
)
def test_models_that_cannot_be_searched_are_refused(build, params, task, message):
    data = task.load()
    (split,) = Holdout().splits(task, data, seed=0)
    with pytest.raises(BuildError, match=message):
        fit_trainer(task).probe(build, [params], split, data)


def test_targets_that_do_not_fit_the_model_are_refused():
    task = Task("t", Data(X, np.zeros((80, 3))), loss="mse")

    def build(spec):
        return mlp.model((4,))(dataclasses.replace(spec, outputs=2))

    (split,) = Holdout().splits(task, task.load(), seed=0)
    with pytest.raises(BuildError, match="cannot be trained on this task's rows"):
        fit_trainer(task).probe(build, [{}], split, task.load())


def test_unknown_keras_metrics_are_refused():
    task = Task("t", Data(X, X[:, 0]), loss="mse", metric="no_such", direction="min")
    with pytest.raises(HpsearchError, match="Keras knows no metric 'no_such'"):
        Holdout().evaluate(mlp.model((4,)), {}, task, epochs=1)


def test_nan_in_the_data_is_refused_before_training():
    x = X.copy()
    x[5, 0] = np.nan
    task = Task("t", Data(x, X[:, 0]), loss="mse")
    with pytest.raises(DataError, match="x holds NaN"):
        Holdout().evaluate(mlp.model((4,)), {}, task, epochs=1)


LARGE = (3_000_000_000 + 1000 * X[:, :1]).astype(np.int64)


@pytest.mark.parametrize(
    ("x", "y", "says"),
    [
        (
            X,
            LARGE[:, 0],
            r"y holds whole numbers as large as 3,00.*preprocess_y=StandardScaler\(\)",
        ),
        (LARGE, X[:, 0], r"x holds whole numbers .*in 32 bits, up to 2,147,483,647; .*preprocess="),
        (
            -LARGE.astype(object).astype(np.int64),
            X[:, 0],
            "x holds whole numbers as large as -3,00",
        ),
        (LARGE.astype(np.uint64) * 2, X[:, 0], "x holds whole numbers .*up to 4,294,967,295"),
        ({"a": X, "b": LARGE}, X[:, 0], r"x\['b'\] holds whole numbers"),
    ],
)
@pytest.mark.skipif(backend.name() != "jax", reason="others count in 64 bits")
def test_whole_numbers_that_jax_would_cut_off_are_refused(x, y, says):
    """Of 3,000,000,000 it makes -1,294,967,296, and trains on that."""
    task = Task("t", Data(x, y), loss="mse")
    with pytest.raises(DataError, match=says) as raised:
        Holdout().evaluate(mlp.model((4,)), {}, task, epochs=1)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("x", [LARGE, LARGE.astype(np.float32), (LARGE - 3_000_000_000)])
def test_large_numbers_are_trained_on_as_the_message_says(x):
    """Scaled, as floats, or small enough though their type is large."""
    task = Task("t", Data(x, LARGE[:, 0]), loss="mse", metric="mae", preprocess=StandardScaler())
    task = dataclasses.replace(task, preprocess_y=StandardScaler())
    scaled = Holdout().evaluate(mlp.model((4,)), {}, task, epochs=1)
    assert scaled.value < 10_000


@pytest.mark.parametrize("damage", [bytes.fromhex("504b0304"), None], ids=["torn", "lost"])
def test_a_fit_whose_checkpoint_is_damaged_or_lost_is_trained_from_its_start(tmp_path, damage):
    """With the same end, bit for bit: it costs its epochs, and no more."""
    path = tmp_path / "c.npz"
    trainer = fit_trainer(TASK)
    if damage is not None:
        path.write_bytes(damage)
    anew = dict(trainer.train([fit(checkpoint_in=path)], DATA))[0]
    assert anew.validation_loss == dict(trainer.train([fit()], DATA))[0].validation_loss


def test_the_order_of_rows_is_new_each_epoch_and_a_permutation(monkeypatch):
    """What the model really saw, not what it should have seen."""
    backend.choose()
    from hpsearch.training import minibatches as module

    seen = []
    original = module.Minibatches.__getitem__

    def spy(self, index):
        x, y = original(self, index)
        seen.append((index, x[:, 0].copy()))
        return x, y

    monkeypatch.setattr(module.Minibatches, "__getitem__", spy)
    rows = len(SPLIT.train)
    x = DATA.x.copy()
    x[:, 0] = np.arange(len(x))
    params, data = {"batch_size": 100}, dataclasses.replace(DATA, x=x)
    list(fit_trainer(TASK).train([fit(params={**params, "shuffle": False}, epochs=2)], data))
    for index, part in seen:
        assert (part == SPLIT.train[index * 100 : (index + 1) * 100]).all()
    seen.clear()
    list(fit_trainer(TASK).train([fit(params=params, epochs=3)], data))
    batches = -(-rows // 100)
    epochs = [np.concatenate([part for _, part in seen[i : i + batches]])
              for i in range(len(seen) % batches, len(seen), batches)]  # fmt: skip
    assert len(epochs) >= 3
    for epoch in epochs[-3:]:
        assert sorted(epoch) == sorted(SPLIT.train)
    assert not (epochs[-1] == epochs[-2]).all()
