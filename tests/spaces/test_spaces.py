"""The builders of `spaces`, and the studies that use them, each on its stand-in."""

import dataclasses

import numpy as np
import pytest

from hpsearch import Choice, Holdout, Space
from hpsearch.core.errors import BuildError
from hpsearch.runs.load import Overrides, load_study
from hpsearch.tasks import imdb, mnist
from hpsearch.training import backend
from hpsearch.training.base import Fit, ModelSpec, Split
from spaces import cnn, mlp, text
from tests.builders import build_on_digits
from tests.conftest import ROOT
from tests.rounding import rounding_bound

pytestmark = pytest.mark.slow

# Those that train by a function of their own are tested in `run/test_own_examples.py`.
STUDIES = [f for f in sorted((ROOT / "studies").glob("*.py")) if "train=" not in f.read_text()]
IMAGES = ModelSpec((8, 8, 1), 10, "softmax", "sparse_categorical_crossentropy", ["accuracy"])
WORDS = ModelSpec((12,), 1, "sigmoid", "binary_crossentropy", ["accuracy"])


@pytest.fixture(autouse=True)
def standing_in(monkeypatch):
    monkeypatch.setenv("HPSEARCH_DATA", "stand-in")


@pytest.mark.parametrize("file", STUDIES, ids=lambda file: file.stem)
def test_every_study_runs_on_its_stand_in(file):
    study = load_study(file, Overrides())
    point = study.space.from_unit([0.3] * len(study.space))
    score = study.evaluator.evaluate(study.build, point, study.task, epochs=1)
    assert np.isfinite(score.value)
    assert len(score.folds) == study.evaluator.fits
    assert study.task.name.endswith("-stand-in") or file.stem == "digits_dropout"


def built(builder, spec, **params):
    from hpsearch.training.building import build_model

    return build_model(builder, spec, params, seed=0)


def kinds(model):
    return [type(layer).__name__ for layer in model.layers]


@pytest.mark.parametrize(
    ("params", "regularizer", "factors"),
    [
        ({"l1": 0.1}, "L1", {"l1": 0.1}),
        ({"l2": 0.2}, "L2", {"l2": 0.2}),
        ({"l1": 0.1, "l2": 0.2}, "L1L2", {"l1": 0.1, "l2": 0.2}),
    ],
)
def test_an_mlp_has_the_penalties_asked_for(params, regularizer, factors):
    *hidden, _ = build_on_digits(mlp.model((8, 4)), params).layers[1:]
    for layer in hidden:
        assert type(layer.kernel_regularizer).__name__ == regularizer
        assert layer.kernel_regularizer.get_config() == pytest.approx(factors)


def test_a_searched_penalty_may_be_none():
    space = Space(mlp.penalties(l1=(1e-6, 1e-4), l2=(1e-4, 1e-2)))
    kinds = {kind: space.nearest_point({"penalty": kind}) for kind in space["penalty"].options}
    names = {"l1": {"l1"}, "l2": {"l2"}, "l1_l2": {"l1", "l2"}, "none": set()}
    assert {kind: point.keys() - {"penalty"} for kind, point in kinds.items()} == names
    for kind, point in kinds.items():
        for layer in build_on_digits(mlp.model((8,)), point).layers[1:-1]:
            made = layer.kernel_regularizer
            assert type(made).__name__.lower() == kind.replace("_", "") if made else kind == "none"
    assert list(Space(mlp.penalties(l2=(1e-4, 1e-2)))["penalty"].options) == ["none", "l2"]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"penalty": "none", "l2": 0.1}, "penalty='none' goes with no factor, got l2"),
        ({"penalty": "l1_l2", "l2": 0.1}, "penalty='l1_l2' goes with l1 and l2, got l2"),
        ({"penalty": "l2"}, "penalty='l2' goes with l2, got none"),
        ({"penalty": "l3"}, "penalty.*'l3'"),
    ],
)
def test_a_penalty_without_its_factor_is_refused(params, message):
    with pytest.raises(BuildError, match=message):
        build_on_digits(mlp.model((8,)), params)


def test_penalties_without_a_range_are_refused():
    with pytest.raises(ValueError, match=r"need a range of factors, as l2=\(1e-5, 1e-2\)"):
        mlp.penalties()


def test_a_cnn_has_the_blocks_asked_for():
    model = built(cnn.model(), IMAGES, blocks=3, filters=4, convolutions=2, dropout=0.2, units=16)
    convolutions = [layer for layer in model.layers if type(layer).__name__ == "Conv2D"]
    assert [layer.filters for layer in convolutions] == [4, 4, 8, 8, 16, 16]
    assert kinds(model).count("BatchNormalization") == 6
    assert kinds(model)[-4:] == ["Flatten", "Dropout", "Dense", "Dense"]


def test_a_cnn_stops_pooling_where_nothing_is_left_to_pool():
    model = built(cnn.model(), IMAGES, blocks=5, filters=1)
    assert kinds(model).count("MaxPooling2D") == 3
    assert kinds(model).count("Conv2D") == 5


def test_a_cnn_learns():
    params = {"filters": 8, "optimizer": "adam", "learning_rate": 0.003}
    assert Holdout().evaluate(cnn.model(), params, mnist.images(), epochs=5).value > 0.9


@pytest.mark.parametrize("kind", text.KINDS)
def test_a_network_for_sequences_learns_of_every_kind(kind):
    own = {"lstm": {"recurrent_dropout": 0.1}, "conv": {"kernel": 3}, "bag": {}}
    params = {"kind": kind, "units": 16, "dropout": 0.1, "optimizer": "adam", **own[kind]}
    params |= {"learning_rate": 0.01, "batch_size": 16}
    task = imdb.sequences(words=310, length=40)
    assert Holdout().evaluate(text.model(310), params, task, epochs=8).value > 0.75


def test_the_kind_may_be_the_builders():
    assert "LSTM" in kinds(built(text.model(20, "lstm"), WORDS, units=3))
    assert "Conv1D" in kinds(built(text.model(20, "conv"), WORDS, units=3))


@pytest.mark.parametrize(
    ("builder", "spec", "params", "message"),
    [
        (mlp.model((4,)), WORDS, {"l3": 0.1}, r"does not know the parameter 'l3'"),
        (cnn.model(), IMAGES, {"filter": 8}, r"'filter' \(did you mean 'filters'\?\)"),
        (text.model(9), WORDS, {"kind": "conv", "unit": 8}, r"\(did you mean 'units'\?\)"),
        (text.model(9), WORDS, {}, r"needs a kind, bag, conv, lstm, got"),
        (text.model(9), WORDS, {"kind": "lstn"}, r"got 'lstn' \(did you mean 'lstm'\?\)"),
        (
            text.model(9),
            WORDS,
            {"kind": "conv", "recurrent_dropout": 0.1},
            r"recurrent_dropout=0.1 has no effect on kind='conv'.*when=",
        ),
        (
            cnn.model(),
            dataclasses.replace(IMAGES, input_shape={"a": (3,), "b": (4,)}),
            {},
            r"cnn\.model takes one input, and the task has a, b",
        ),
    ],
)
def test_builders_refuse_what_they_do_not_know(builder, spec, params, message):
    with pytest.raises(BuildError, match=message):
        built(builder, spec, **params)


SPLIT = Split(np.arange(400), np.arange(400, 480))


@pytest.mark.skipif(backend.name() != "jax", reason="gangs train on jax")
def test_a_searched_loss_and_penalties_train_side_by_side_as_by_fit():
    from hpsearch.training.batched.trainer import BatchedTrainer
    from hpsearch.training.fit import FitTrainer

    task = imdb.task(words=310)
    data = task.load()
    points = [
        {"loss": loss, "l1": l1, "l2": l2}
        for loss in ("binary_crossentropy", "mse")
        for l1, l2 in ((1e-4, 1e-3), (1e-3, 1e-2))
    ]
    build = mlp.model(hidden=(8,))
    fits = [Fit(build, point, SPLIT, n, epochs=3) for n, point in enumerate(points)]
    alone = dict(FitTrainer(task).train(fits, data))
    together = dict(BatchedTrainer(task, strict=True).train(fits, data))
    for number, fit in enumerate(fits):
        bound = rounding_bound(FitTrainer(task), fit, data, alone[number])
        losses = together[number].validation_loss
        assert losses == pytest.approx(alone[number].validation_loss, abs=bound)
    # They differ, or this would not show that each trained by its own.
    assert len({round(curve.validation_loss[-1], 3) for curve in alone.values()}) == 4


def test_the_loss_is_part_of_what_tells_programs_apart():
    from hpsearch.training.batched.scalars import ModelScalars, describe_structure

    def described(**params):
        build, rows = mlp.model((4,)), np.arange(4)
        model = built(build, WORDS, **params)
        return describe_structure(
            model, ModelScalars(model), Fit(build, params, Split(rows, rows), 0, 1)
        )

    assert described(l1=0.1) == described(l1=0.2)
    assert described(l1=0.1) != described(l2=0.1)
    assert described() == described(loss="binary_crossentropy")
    assert described() != described(loss="mse")


def test_every_point_of_a_space_with_a_loss_is_built():
    for point in Space(mlp.widths(2), loss=Choice("mse", "mae")).probes():
        assert built(mlp.model(), IMAGES, **point).loss == point["loss"]
