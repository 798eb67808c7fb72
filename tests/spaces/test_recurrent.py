"""`spaces.recurrent`: which networks it builds, what it refuses, and that they train side by side."""

import numpy as np
import pytest

from hpsearch import Data, Holdout, Int, KFold, Space, Task
from hpsearch.core.errors import BuildError
from hpsearch.training import backend
from hpsearch.training.base import Fit, ModelSpec
from spaces import recurrent
from tests.training.continuing import check_continuing

pytestmark = pytest.mark.slow

SERIES = ModelSpec((12, 2), 1, "linear", "mse", ["mae"])
CLASSES = ModelSpec((12, 2), 3, "softmax", "sparse_categorical_crossentropy", ["accuracy"])

# Targets that need the order of the steps: the latest one, less what another channel had before.
RNG = np.random.default_rng(0)
X = RNG.normal(size=(240, 12, 2)).astype("float32")
Y = X[:, -1, 0] - X[:, -3, 1]
DATA = Data(X, Y)
TASK = Task("order", DATA, loss="mse", metric="rmse")


def built(spec=SERIES, builder=recurrent.model(), **params):  # noqa: B008
    from hpsearch.training.building import build_model

    return build_model(builder, spec, params, seed=0)


def layers_of(model, *names):
    return [layer for layer in model.layers if type(layer).__name__ in names]


@pytest.mark.parametrize(
    ("params", "outputs"),
    [
        ({"kind": "lstm", "layers": 2}, [(None, 12, 8), (None, 8)]),
        ({"kind": "gru"}, [(None, 8)]),
        ({"kind": "lstm", "layers": 2, "bidirectional": True}, [(None, 12, 16), (None, 16)]),
        ({"kind": "conv", "layers": 4}, [(None, n, 8) for n in (12, 6, 3, 2)]),
    ],
)
def test_layers_have_the_shapes_asked_for(params, outputs):
    model = built(units=8, **params)
    found = layers_of(model, "LSTM", "GRU", "Bidirectional", "Conv1D")
    assert [layer.output.shape for layer in found] == outputs
    assert model.output_shape == (None, 1)


def test_a_tcn_has_blocks_of_two_dilated_causal_convolutions():
    convolutions = layers_of(built(kind="tcn", units=8, kernel=3), "Conv1D")
    dilated = [layer for layer in convolutions if layer.kernel_size == (3,)]
    assert [layer.dilation_rate for layer in dilated] == [(1,), (1,), (2,), (2,)]
    assert {layer.padding for layer in dilated} == {"causal"}
    # The first block fits 2 channels to 8 units; the others already have as many.
    assert [layer.kernel_size for layer in convolutions].count((1,)) == 1


@pytest.mark.parametrize("kind", recurrent.KINDS)
def test_the_output_depends_on_every_step(kind):
    """By default: a temporal convolutional network has as many blocks as this needs."""
    model = built(kind=kind, kernel=2) if kind in recurrent.CONVOLUTIONAL else built(kind=kind)
    x = np.ones((13, 12, 2), "float32")
    x[np.arange(12), np.arange(12)] += 10.0  # row i differs in step i, the last one in none
    predicted = model.predict(x, verbose=0)[:, 0]
    assert (predicted[:12] != predicted[12]).all()


def test_a_shallow_tcn_sees_the_latest_steps_alone():
    model = built(kind="tcn", layers=1, kernel=2)
    x = np.ones((13, 12, 2), "float32")
    x[np.arange(12), np.arange(12)] += 10.0
    predicted = model.predict(x, verbose=0)[:, 0]
    assert [step for step in range(12) if predicted[step] != predicted[12]] == [9, 10, 11]


def test_dropout_normalization_and_a_dense_layer_come_where_they_are_asked_for():
    model = built(CLASSES, kind="conv", dropout=0.2, normalization="batch", dense=16)
    assert len(layers_of(model, "SpatialDropout1D")) == 2
    assert len(layers_of(model, "BatchNormalization")) == 2
    assert [layer.units for layer in layers_of(model, "Dense")] == [16, 3]
    assert not layers_of(built(CLASSES, kind="tcn"), "SpatialDropout1D", "LayerNormalization")


@pytest.mark.parametrize(
    ("kind", "params", "message"),
    [
        (None, {}, "recurrent.model needs a kind, lstm, gru, conv, tcn, got 'None'"),
        (None, {"kind": "lstn"}, r"got 'lstn' \(did you mean 'lstm'\?\)"),
        ("gru", {"kind": "lstm"}, "was given the kind 'gru', and the space has kind=lstm"),
        ("gru", {"kernel": 3}, r"kernel=3 has no effect .*when=\{'kind': \('conv', 'tcn'\)\}"),
        ("tcn", {"bidirectional": True}, "bidirectional=True has no effect on kind='tcn'"),
        ("lstm", {"bidirectional": 1}, "bidirectional is True or False, got 1"),
        ("conv", {"normalization": "weight"}, "normalization is one of none, batch, layer"),
        ("lstm", {"recurrent_dropout": 1.0}, "recurrent_dropout must be .* below 1"),
        ("lstm", {"layers": 0}, "layers must be a whole number of at least 1"),
        ("lstm", {"dense": -1}, "dense must be a whole number of at least 0"),
        ("lstm", {"unit": 8}, r"does not know the parameter 'unit' \(did you mean 'units'\?\)"),
    ],
)
def test_what_it_cannot_build_is_refused(kind, params, message):
    with pytest.raises(BuildError, match=message):
        built(builder=recurrent.model(kind), **params)


def test_the_output_may_be_bounded():
    model = built(layers=2, units=4, kind="lstm", output_activation="tanh")
    assert model.layers[-1].activation.__name__ == "tanh"
    assert built(kind="lstm").layers[-1].activation.__name__ == "linear"
    with pytest.raises(BuildError, match="one of linear, tanh, got 'relu'"):
        built(kind="lstm", output_activation="relu")
    with pytest.raises(BuildError, match="is for one number that is predicted"):
        built(CLASSES, kind="lstm", output_activation="tanh")


def test_rows_that_are_no_sequences_are_refused():
    spec = ModelSpec((12,), 1, "linear", "mse", ["mae"])
    with pytest.raises(BuildError, match=r"shape \(steps, channels\).*\(12,\).*x\[\.\.\., None\]"):
        built(spec, kind="lstm")


def test_kinds_are_checked_where_they_are_written():
    with pytest.raises(ValueError, match=r"got 'lstn' \(did you mean 'lstm'\?\)"):
        recurrent.kinds("lstn")
    with pytest.raises(BuildError, match="needs a kind"):
        recurrent.model("lstn")


def test_every_point_of_a_space_of_all_kinds_is_built():
    from hpsearch.training.deferred import deferred_initialization

    space = Space(recurrent.kinds(), layers=Int(1, 2), units=Int(2, 4))
    points = [space.sample(np.random.default_rng(seed)) for seed in range(12)]
    assert {point["kind"] for point in points} == set(recurrent.KINDS)
    with deferred_initialization():
        for point in points:
            built(**point)


@pytest.mark.parametrize("kind", recurrent.KINDS)
def test_each_kind_learns_the_order_of_steps(kind):
    params = {"units": 16, "optimizer": "adam", "learning_rate": 0.01, "batch_size": 16}
    value = Holdout().evaluate(recurrent.model(kind), params, TASK, epochs=12).value
    assert value < 0.7  # without the order: the deviation of the targets, 1.4


# By kind, points of one program: numbers that are data differ.
TOGETHER = {
    "lstm": [{"layers": 2, "dropout": 0.1}, {"layers": 2, "dropout": 0.3}],
    "gru": [{"bidirectional": True, "l_rate": 0.01}, {"bidirectional": True, "l_rate": 0.02}],
    "conv": [{"normalization": "batch", "dropout": rate} for rate in (0.1, 0.3)],
    "tcn": [{"normalization": "layer", "dropout": rate} for rate in (0.1, 0.3)],
}


@pytest.mark.skipif(backend.name() != "jax", reason="gangs train on jax")
@pytest.mark.parametrize("kind", TOGETHER)
def test_side_by_side_it_trains_as_fit_does(kind, tmp_path):
    """In one program for both points, and continuing equals never stopping in both trainers."""
    from hpsearch.training.batched.trainer import BatchedTrainer
    from hpsearch.training.fit import FitTrainer
    from tests.training.programs import forget_programs

    splits = KFold(3).splits(TASK, DATA, seed=0)
    fits = [
        Fit(recurrent.model(kind), _adam(point), splits[n], n, epochs=3, fold=n)
        for n, point in enumerate(TOGETHER[kind])
    ]
    programs = forget_programs()
    together = check_continuing(BatchedTrainer(TASK, strict=True), fits, DATA, tmp_path)
    assert len(programs.templates) == 1
    for n, curve in FitTrainer(TASK).train(fits, DATA):
        assert together[n].validation_loss == pytest.approx(curve.validation_loss, rel=1e-5)


def _adam(point):
    rate = point.get("l_rate", 0.01)
    rest = {name: value for name, value in point.items() if name != "l_rate"}
    return {"units": 4, "optimizer": "adam", "learning_rate": rate, **rest}


@pytest.mark.parametrize("kind", recurrent.KINDS)
def test_it_continues_bit_for_bit_by_fit(kind, tmp_path):
    from hpsearch.training.fit import FitTrainer

    (split, *_) = KFold(3).splits(TASK, DATA, seed=0)
    inner = {"recurrent_dropout": 0.3} if kind in recurrent.RECURRENT else {}
    fit = Fit(recurrent.model(kind), _adam({"dropout": 0.2, **inner}), split, 0, epochs=3)
    check_continuing(FitTrainer(TASK), [fit], DATA, tmp_path)


@pytest.mark.thorough
@pytest.mark.skipif(backend.name() != "jax", reason="starts TensorFlow from a JAX process")
def test_all_of_this_holds_on_tensorflow(check_on_tensorflow):
    check_on_tensorflow("tests/spaces/test_recurrent.py")
