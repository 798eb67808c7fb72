"""A new head on a trained network, and both trained on."""

import keras
import numpy as np
import pytest

from hpsearch import Data, Float, Holdout, Space, Task
from hpsearch.core.errors import BuildError
from hpsearch.training import Fit, ModelSpec, Phases, backend, engines
from hpsearch.training.building import build_model
from hpsearch.training.frozen import find_frozen_part
from hpsearch.training.phases import PhasedModel
from spaces import transfer

SPEC = ModelSpec(
    (8, 8, 1), 3, "softmax", "sparse_categorical_crossentropy", rows=90, batch_size=10, epochs=6
)


def load_backbone():
    keras.utils.set_random_seed(3)
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Conv2D(6, 3, activation="relu"),
        ]
    )


def weights_of(model):
    return [np.array(value) for value in model.get_weights()]


def test_the_first_weights_do_not_depend_on_what_was_loaded_before():
    build = transfer.model(load_backbone)
    params = {"units": 5, "dropout": 0.2}
    first, second = (weights_of(build_model(build, SPEC, params, seed=1)) for _ in range(2))
    anew = weights_of(build_model(transfer.model(load_backbone), SPEC, params, seed=1))
    assert all(map(np.array_equal, first, second))
    assert all(map(np.array_equal, first, anew))


def test_the_second_phase_trains_a_copy_at_a_lower_rate():
    build = transfer.model(load_backbone)
    params = {"frozen_epochs": 2, "learning_rate": 0.01, "fine_tuning_rate": 0.05, "units": 5}
    phased = PhasedModel(build, SPEC, params, seed=1)
    frozen = phased.model
    assert find_frozen_part(frozen) is not None
    assert len(frozen.trainable_variables) == 4
    phased.enter_phase(2)
    assert len(phased.model.trainable_variables) == 4 + 4  # not those of the normalization
    assert float(phased.model.optimizer.learning_rate) == pytest.approx(0.0005)
    heads = [model.layers[-1].kernel for model in (frozen, phased.model)]
    assert heads[0] is heads[1]
    before = [np.array(v) for v in frozen.layers[1].get_weights()]
    copied = phased.model.layers[1].layers[2]
    assert isinstance(copied, keras.layers.BatchNormalization)
    at_rest = weights_of(copied)
    phased.model.fit(np.ones((10, 8, 8, 1)), np.zeros(10), verbose=0)
    assert all(map(np.array_equal, before, frozen.layers[1].get_weights()))
    assert all(map(np.array_equal, at_rest, weights_of(copied)))


def test_only_the_last_layers_are_unfrozen():
    build = transfer.model(load_backbone)
    phased = PhasedModel(build, SPEC, {"frozen_epochs": 1, "unfrozen_layers": 1}, seed=1)
    phased.enter_phase(1)
    assert len(phased.model.trainable_variables) == 2 + 2


@pytest.mark.parametrize("params", [{}, {"frozen_epochs": 6}, {"frozen_epochs": 9}])
def test_it_may_stay_frozen(params):
    built = transfer.model(load_backbone)(SPEC, **params)
    assert not isinstance(built, Phases)


def test_augmented_features_are_not_kept():
    build = transfer.model(load_backbone, augment=lambda: [keras.layers.RandomFlip()])
    model = build_model(build, SPEC, {}, seed=1)
    assert find_frozen_part(model) is None
    assert isinstance(model.layers[1], keras.layers.RandomFlip)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"unit": 3}, "does not know the parameter 'unit'"),
        ({"units": 0}, "units must be a whole number of at least 1"),
        ({"frozen_epochs": 0}, "frozen_epochs must be a whole number of at least 1"),
        (
            {"frozen_epochs": 1, "fine_tuning_rate": 0.0},
            "fine_tuning_rate must be a number, above 0",
        ),
        ({"dropout": 1.0}, "dropout must be a number"),
    ],
)
def test_wrong_parameters_are_told(params, message):
    with pytest.raises(BuildError, match=message.replace("(", r"\(")):
        PhasedModel(transfer.model(load_backbone), SPEC, params, seed=1).enter_phase(9)


def two_inputs():
    inputs = [keras.Input((8, 8, 1)) for _ in range(2)]
    return keras.Model(inputs, keras.layers.Add()(inputs))


WRONG = {
    "one input and one output, got None": (lambda: None, {}),
    "one input and one output, got <Functional": (two_inputs, {}),
    r"takes rows of shape \(5,\), and the task's are \(8, 8, 1\)": (
        lambda: keras.Sequential([keras.Input((5,)), keras.layers.Dense(2)]),
        {},
    ),
    "cannot be copied for its second phase": (
        lambda: keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Lambda(lambda x: x + 1)]),
        {"frozen_epochs": 1},
    ),
    "unfrozen_layers=9, and the backbone has 3 layers with weights": (
        load_backbone,
        {"frozen_epochs": 1, "unfrozen_layers": 9},
    ),
}


@pytest.mark.parametrize("message", WRONG)
def test_a_backbone_that_cannot_serve_is_told(message):
    load, params = WRONG[message]
    with pytest.raises(BuildError, match=message) as caught:
        PhasedModel(transfer.model(load), SPEC, params, seed=1).enter_phase(2)
    assert "\n" not in str(caught.value)


def test_the_pieces_make_a_space():
    space = Space(transfer.SPACE, transfer.phases(6), dropout=Float(0.0, 0.5))
    point = space.sample(np.random.default_rng(0))
    assert set(point) <= {*space}
    assert "fine_tuning_rate" not in space.from_unit(
        [1.0 if name == "frozen_epochs" else 0.5 for name in space]
    )


@pytest.mark.slow
def test_trials_of_both_phases_train_side_by_side_as_by_fit():
    if backend.choose() != "jax":
        pytest.skip("trains on JAX")
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 140)
    x = (rng.normal(size=(140, 8, 8, 1)) + y[:, None, None, None]).astype("float32")
    task = Task("t", Data(x, y), "sparse_categorical_crossentropy", "accuracy")
    (split,) = Holdout(rows=50).splits(task, task.load(), seed=0)
    build = transfer.model(load_backbone)
    fits = [
        Fit(build, {"batch_size": 10, **params}, split, seed, 6)
        for seed, params in enumerate(
            [{"frozen_epochs": 2, "units": 4}, {"frozen_epochs": 3, "units": 8}, {"units": 8}]
        )
    ]
    for params in fits:
        assert params.epochs == 6
    together = dict(engines.make_trainer(task, "gang", "jax").train(fits, task.load()))
    by_fit = dict(engines.make_trainer(task, "fit", "jax").train(fits, task.load()))
    for index in range(3):
        assert together[index].train_loss == pytest.approx(by_fit[index].train_loss, abs=1e-4)
        assert together[index].n_weights == by_fit[index].n_weights
