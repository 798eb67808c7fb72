"""Builders refuse hyperparameters that they would have to change, and train none that differs."""

from dataclasses import fields
from types import SimpleNamespace

import pytest

from hpsearch.core.errors import BuildError
from hpsearch.training.base import ModelSpec
from spaces import cnn, mlp, optimizers, text

ROWS = ModelSpec((4,), 1, "sigmoid", "binary_crossentropy", ["accuracy"])
IMAGES = ModelSpec((8, 8, 1), 10, "softmax", "sparse_categorical_crossentropy", ["accuracy"])
WORDS = ModelSpec((12,), 1, "sigmoid", "binary_crossentropy", ["accuracy"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("builder", "spec", "params", "message"),
    [
        (mlp.model(), ROWS, {"units": -4}, "units must be a whole number of at least 1, got -4"),
        (mlp.model(), ROWS, {"units": 0}, "units must be a whole number"),
        (mlp.model(), ROWS, {"units": 7.5}, "units must be a whole number of at least 1, got 7.5"),
        (mlp.model(), ROWS, {"units": True}, "units must be a whole number"),
        (mlp.model(), ROWS, {"units": "8"}, "units must be a whole number"),
        (mlp.model(), ROWS, {"layers": 2, "units_1": 8, "units_2": 0}, "units_2 must be a whole"),
        (mlp.model(), ROWS, {"layers": 0, "units": 8}, "layers must be a whole number"),
        (mlp.model(), ROWS, {"units": 8, "layers": 2, "funnel": -0.5}, "funnel must be a number"),
        (mlp.model(), ROWS, {"layers": 1, "units_1": 8, "units": 99}, "units"),
        (mlp.model(), ROWS, {"layers": 1, "units_1": 8, "funnel": 0.5}, "funnel"),
        (mlp.model((4,)), ROWS, {"dropout": 1.0}, "dropout must be .* below 1, got 1.0"),
        (mlp.model((4,)), ROWS, {"l2": -0.1}, "l2 must be a number, 0 or more"),
        (mlp.model((4,)), ROWS, {"learning_rate": 0.0}, "learning_rate must be a number, above 0"),
        (mlp.model((4,)), ROWS, {"weight_decay": -1.0}, "weight_decay must be"),
        (cnn.model(), IMAGES, {"filters": 0}, "filters must be a whole number"),
        (cnn.model(), IMAGES, {"blocks": -1}, "blocks must be a whole number"),
        (cnn.model(), IMAGES, {"kernel": 2.5}, "kernel must be a whole number"),
        (text.model(20, "lstm"), WORDS, {"units": 0}, "units must be a whole number"),
        (text.model(20, "lstm"), WORDS, {"embedding": -1}, "embedding must be a whole number"),
    ],
)
def test_what_would_have_to_be_changed_is_refused(builder, spec, params, message):
    with pytest.raises(BuildError, match=message):
        builder(spec, **params)


PEOPLE = ModelSpec(
    (4,),
    {"age": 1, "job": 3},
    {"age": "linear", "job": "softmax"},
    {"age": "mse", "job": "sparse_categorical_crossentropy"},
    {"age": ["mae"], "job": ["accuracy"]},
)


@pytest.mark.slow
def test_each_of_several_outputs_has_a_layer_of_its_name():
    import numpy as np

    spec = SimpleNamespace(
        **{field.name: getattr(PEOPLE, field.name) for field in fields(PEOPLE)}
        | {"loss_weights": {"age": 0.25, "job": 2.0}}
    )
    model = mlp.model((8,))(spec)
    x, y = np.ones((6, 4)), {"age": np.ones((6, 1)), "job": np.arange(6) % 3}
    predicted = model.predict(x, verbose=0)
    assert {name: each.shape for name, each in predicted.items()} == {"age": (6, 1), "job": (6, 3)}
    assert predicted["job"].sum(axis=1) == pytest.approx(1)
    logs = model.evaluate(x, y, verbose=0, return_dict=True)
    assert {"age_mae", "job_accuracy"} <= set(logs)
    assert logs["loss"] == pytest.approx(0.25 * logs["age_loss"] + 2 * logs["job_loss"], rel=1e-5)


@pytest.mark.slow
def test_the_loss_of_several_outputs_is_no_hyperparameter():
    with pytest.raises(BuildError, match=r"loss replaces the loss of one output, and .* age, job"):
        mlp.model((8,))(PEOPLE, loss="mae")


@pytest.mark.parametrize("hidden", [(0,), (-4,), 64, "64", (2.5,)])
def test_fixed_widths_are_checked_where_they_are_written(hidden):
    with pytest.raises(ValueError, match="hidden"):
        mlp.model(hidden)


def test_any_sequence_of_widths_will_do():
    assert mlp._sizes(range(16, 65, 16), {}) == [16, 32, 48, 64]
    mlp.model(hidden=range(16, 65, 16))
    with pytest.raises(ValueError, match="hidden"):
        mlp.model(hidden=range(0, 65, 16))


def test_a_funnel_never_narrows_to_nothing():
    assert mlp._sizes(None, {"layers": 3, "units": 8, "funnel": 1e-200}) == [8, 1, 1]


@pytest.mark.parametrize("words", [0, -1, 2.5])
def test_so_is_the_number_of_words(words):
    with pytest.raises(BuildError, match="words must be a whole number"):
        text.model(words)


@pytest.mark.parametrize("rate", [0, -0.1, float("nan"), "0.1"])
def test_a_learning_rate_is_above_zero(rate):
    with pytest.raises(BuildError, match="learning_rate must be a number, above 0"):
        optimizers.make(learning_rate=rate)
