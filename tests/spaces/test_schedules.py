"""Schedules, optimizers and pieces of dense networks as a user asks for them."""

import math

import numpy as np
import pytest

from hpsearch import Choice, Space
from hpsearch.core.errors import BuildError
from hpsearch.training.base import ModelSpec
from spaces import cnn, mlp, optimizers, schedules, text

EPOCHS, STEPS = 10, 7
ALL = EPOCHS * STEPS
SPEC = ModelSpec(
    *((4,), 3, "softmax", "sparse_categorical_crossentropy", ["accuracy"]),
    rows=100,
    batch_size=16,
    epochs=EPOCHS,
)
IMAGES = ModelSpec(
    *((8, 8, 1), 10, "softmax", "sparse_categorical_crossentropy", ["accuracy"]),
    rows=100,
    epochs=3,
)
WORDS = ModelSpec(*((12,), 1, "sigmoid", "binary_crossentropy", ["accuracy"]), rows=100, epochs=3)


def rates(**params):
    """The rate of each step, of a trial whose highest rate is 0.5."""
    schedule = schedules.make(params, SPEC, 0.5)
    return np.array([float(schedule(step)) for step in range(ALL)])


def expected_cosine(warmup, start, final):
    """By the formula: a line up to the highest rate, then half of a cosine."""
    rise = round(warmup * ALL)
    return [
        0.5 * (start + (1 - start) * step / rise)
        if step < rise
        else 0.5
        * (final + (1 - final) * (1 + math.cos(math.pi * (step - rise) / (ALL - rise))) / 2)
        for step in range(ALL)
    ]


@pytest.mark.slow
def test_the_exponential_falls_by_its_factor_in_each_epoch():
    found = rates(schedule="exponential", decay=0.8)
    assert found == pytest.approx([0.5 * 0.8 ** (step / STEPS) for step in range(ALL)], rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("warmup", [0.0, 0.2])
def test_the_cosine_rises_from_zero_and_ends_at_its_share(warmup):
    found = rates(schedule="cosine", warmup=warmup, final_share=0.1)
    assert found == pytest.approx(expected_cosine(warmup, 0.0, 0.1), rel=1e-5)
    assert found.max() == 0.5


@pytest.mark.slow
def test_one_cycle_begins_at_a_share_and_ends_far_below():
    found = rates(schedule="one_cycle", warmup=0.4, start_share=0.1, final_share=0.001)
    assert found == pytest.approx(expected_cosine(0.4, 0.1, 0.001), rel=1e-5)
    assert found[0] == pytest.approx(0.05)
    assert found[-1] < found[0] / 10


@pytest.mark.slow
def test_the_drops_are_those_of_the_paper():
    """He et al. (2016) on CIFAR-10: to a tenth after half and after three quarters of the steps."""
    found = rates(schedule="piecewise", drops=2, first_drop=0.5, drop_to=0.1)
    expected = np.repeat([0.5, 0.05, 0.005], [35, 17, 18])  # 0.75 * 70 is 52.5, rounded to even
    assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
def test_constant_is_a_number():
    assert schedules.make({"schedule": "constant"}, SPEC, 0.5) == 0.5
    assert schedules.make({}, SPEC, 0.5) == 0.5


@pytest.mark.slow
@pytest.mark.parametrize("spec", [SPEC, ModelSpec(*[(4,), 1, None, "mse"], rows=1, epochs=1)])
def test_every_point_of_the_space_makes_a_schedule_that_a_trial_can_finish(spec):
    """Also where a trial is a single step."""
    from hpsearch.training.schedules import check_schedule

    space, rng = Space(schedules.SPACE, optimizer=Choice("sgd")), np.random.default_rng(0)
    found = set()
    for point in [*space.probes(), *(space.sample(rng) for _ in range(50))]:
        model = mlp.model((4,))(spec, **point)
        check_schedule(model, spec)
        found.add(point["schedule"])
    assert found == set(schedules.NAMES)


@pytest.mark.slow
@pytest.mark.parametrize(
    "piece",
    [schedules.exponential(), schedules.cosine(), schedules.piecewise(), schedules.one_cycle()],
    ids=lambda piece: piece["schedule"].options[0],
)
@pytest.mark.parametrize(
    ("builder", "spec"),
    [(mlp.model((4,)), SPEC), (cnn.model(), IMAGES), (text.model(9, "bag"), WORDS)],
)
def test_every_builder_takes_every_schedule(builder, spec, piece):
    from hpsearch.training.schedules import find_schedule

    for point in Space(piece, learning_rate=optimizers.LEARNING_RATE).probes():
        assert find_schedule(builder(spec, **point).optimizer) is not None


def make(**params):
    return optimizers.make(spec=SPEC, **params)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"schedule": "cosin"}, r"unknown schedule 'cosin' \(did you mean 'cosine'\?\)"),
        ({"schedule": 3}, "unknown schedule 3"),
        (
            {"schedule": "cosine", "decay": 0.5},
            r"decay=0.5 has no effect on the schedule cosine; .* when={'schedule': 'exponential'}",
        ),
        (
            {"warmup": 0.1},
            r"warmup=0.1 has no effect on the schedule constant; .*"
            r"when={'schedule': \('cosine', 'one_cycle'\)}",
        ),
        (
            {"schedule": "exponential", "decay": 0.0},
            "decay must be .* above 0 and at most 1, got 0",
        ),
        ({"schedule": "exponential", "decay": 1.5}, "decay must be .* at most 1, got 1.5"),
        ({"schedule": "cosine", "warmup": 1.0}, "warmup must be .* below 1, got 1.0"),
        ({"schedule": "cosine", "warmup": -0.1}, "warmup must be a number, 0 or more"),
        ({"schedule": "cosine", "final_share": 2}, "final_share must be .* at most 1, got 2"),
        ({"schedule": "one_cycle", "start_share": "x"}, "start_share must be a number"),
        ({"schedule": "piecewise", "drops": 0}, "drops must be a whole number of at least 1"),
        ({"schedule": "piecewise", "first_drop": 1.0}, "first_drop must be .* below 1"),
        ({"schedule": "piecewise", "drop_to": 0}, "drop_to must be a number, above 0"),
        ({"optimizer": "adm"}, r"unknown optimizer 'adm' \(did you mean 'adam'\?\); known: sgd"),
        ({"optimizer": "adam", "momentum": 0.9}, "momentum=0.9 has no effect on adam"),
        ({"clipnorm": 0.0}, "clipnorm must be a number, above 0"),
        ({"clipvalue": -1.0}, "clipvalue must be a number, above 0"),
        ({"clipnorm": 1.0, "clipvalue": 1.0}, "by clipnorm or by clipvalue, and both are given"),
        ({"use_ema": 1}, "use_ema is True or False, got 1"),
        ({"ema_momentum": 0.9}, "ema_momentum=0.9 has no effect without use_ema=True"),
        ({"use_ema": False, "ema_momentum": 0.9}, "has no effect without use_ema=True"),
        ({"use_ema": True, "ema_momentum": 1.0}, "ema_momentum must be .* below 1"),
        ({"gradient_accumulation_steps": 0}, "gradient_accumulation_steps must be a whole number"),
        ({"gradient_accumulation_steps": 1.5}, "gradient_accumulation_steps must be a whole"),
        ({"warm_up": 0.1}, r"does not know 'warm_up' \(did you mean 'warmup'\?\)"),
    ],
)
def test_what_is_wrong_or_has_no_effect_is_refused(params, message):
    with pytest.raises(BuildError, match=message):
        make(**params)


@pytest.mark.slow
def test_a_schedule_needs_the_steps_of_a_trial():
    with pytest.raises(BuildError, match=r"optimizers.make\(spec=spec\)"):
        optimizers.make(schedule="cosine")
    empty = ModelSpec((4,), 1, None, "mse")
    with pytest.raises(BuildError, match="spec has 0 rows and 0 epochs"):
        optimizers.make(schedule="cosine", spec=empty)


@pytest.mark.slow
def test_an_optimizer_that_keras_lacks_is_named(monkeypatch):
    import keras

    monkeypatch.delattr(keras.optimizers, "Muon")
    with pytest.raises(BuildError, match=r"Keras .* has no optimizer Muon; .* leave 'muon' out"):
        optimizers.make("muon")


@pytest.mark.slow
@pytest.mark.parametrize("name", optimizers.ALL_NAMES)
def test_an_optimizer_has_what_was_asked_for(name):
    asked = {"weight_decay": 0.1, "clipnorm": 0.5, "use_ema": True, "ema_momentum": 0.9}
    config = make(optimizer=name, learning_rate=0.25, gradient_accumulation_steps=2, **asked)
    config = config.get_config()
    assert {key: config[key] for key in asked} == asked
    assert config["learning_rate"] == 0.25
    assert config["gradient_accumulation_steps"] == 2
    if name == "muon":
        assert config.get("adam_weight_decay", 0.1) == 0.1


@pytest.mark.slow
def test_without_numbers_an_optimizer_has_those_of_keras():
    import keras

    assert make(optimizer="adam").get_config() | {"name": 0} == (
        keras.optimizers.Adam().get_config() | {"name": 0}
    )
    assert make(optimizer="muon").weight_decay == keras.optimizers.Muon().weight_decay
    assert make(gradient_accumulation_steps=1).gradient_accumulation_steps is None
    assert float(make(optimizer="adadelta").learning_rate.numpy()) == 1.0


@pytest.mark.slow
def test_a_schedule_begins_with_the_usual_rate_where_none_is_given():
    optimizer = make(optimizer="sgd", schedule="exponential")
    assert float(optimizer.learning_rate) == pytest.approx(0.01)


def test_old_studies_keep_their_space():
    assert optimizers.SPACE["optimizer"].options == optimizers.NAMES
    assert optimizers.NAMES == ("sgd", "momentum", "rmsprop", "adam", "adamw", "adadelta")
    assert list(optimizers.SPACE) == ["optimizer", "learning_rate", "momentum", "weight_decay"]


# -- Dense networks


def layers_of(hidden=(4, 4, 3), **params):
    model = mlp.model(hidden)(SPEC, **params)
    return [type(layer).__name__ for layer in model.layers[1:-1]], model


@pytest.mark.slow
def test_pieces_of_dense_networks():
    block = ["Dense", "BatchNormalization", "Activation"]
    assert layers_of((4, 4), normalization="batch")[0] == 2 * block
    names, model = layers_of((4,), normalization="layer", dropout=0.5, input_dropout=0.1)
    assert names == ["Dropout", "Dense", "LayerNormalization", "Activation", "Dropout"]
    assert not model.layers[2].use_bias
    assert model.layers[1].rate == 0.1
    names, model = layers_of((4, 4, 3), residual=True)
    assert names == ["Dense", "Dense", "Add", "Dense", "Dense", "Add"]
    (fitting,) = (layer for layer in model.layers[4:6] if not layer.use_bias)
    assert (fitting.units, fitting.activation.__name__) == (3, "linear")
    for layer in layers_of((4, 3), max_norm=0.5)[1].layers[1:-1]:
        assert layer.kernel_constraint.max_value == 0.5
        assert layer.kernel_constraint.axis == 0


@pytest.mark.slow
def test_the_longest_weights_are_those_of_max_norm():
    _, model = layers_of((16,), max_norm=0.2, optimizer="sgd", learning_rate=1.0)
    rng = np.random.default_rng(0)
    model.fit(rng.normal(size=(64, 4)), np.arange(64) % 3, verbose=0)
    lengths = np.linalg.norm(np.asarray(model.layers[1].kernel), axis=0)
    assert lengths.max() == pytest.approx(0.2, abs=1e-5)


@pytest.mark.slow
def test_every_point_of_all_pieces_is_built():
    space = Space(
        *(mlp.widths(3, 2, 8), mlp.dropouts(3), mlp.input_dropout(), mlp.max_norm()),
        *(mlp.normalization(), mlp.residual(3), mlp.activations(), mlp.initializers()),
        *(optimizers.ALL, optimizers.clipping(), optimizers.averaging()),
        *(optimizers.accumulation(), schedules.SPACE),
    )
    rng = np.random.default_rng(0)
    for point in [*space.probes(), *(space.sample(rng) for _ in range(30))]:
        mlp.model()(SPEC, **point)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {"normalization": "bach"},
            r"one of none, batch, layer, got 'bach' \(did you mean 'batch'",
        ),
        ({"residual": 1}, "residual is True or False, got 1"),
        ({"max_norm": 0}, "max_norm must be a number, above 0"),
        ({"input_dropout": 1.0}, "input_dropout must be .* below 1"),
        ({"activation": "rellu"}, r"no activation 'rellu' \(did you mean 'relu'\?\)"),
        ({"initializer": "he"}, "no initializer 'he'"),
    ],
)
def test_wrong_pieces_are_refused(params, message):
    with pytest.raises(BuildError, match=message):
        mlp.model((4, 4))(SPEC, **params)


@pytest.mark.slow
def test_without_hidden_layers_a_network_is_linear():
    for model in (mlp.model()(SPEC, layers=0, input_dropout=0.1), mlp.model(())(SPEC)):
        assert [layer.units for layer in model.layers if hasattr(layer, "units")] == [3]
    space = Space(mlp.widths(1, 4, 8, least=0), dropout=Choice(0.1, when={"layers": 1}))
    points = [space.sample(np.random.default_rng(seed)) for seed in range(8)]
    assert {point["layers"] for point in points} == {0, 1}
    for point in points:
        mlp.model()(SPEC, **point)
    with pytest.raises(BuildError, match=r"dropout=0.1 has no effect without hidden layers"):
        mlp.model()(SPEC, layers=0, dropout=0.1)
    with pytest.raises(BuildError, match=r"l2=0.1 has no effect without hidden layers"):
        mlp.model(())(SPEC, l2=0.1)


@pytest.mark.slow
def test_a_residual_needs_a_second_layer():
    with pytest.raises(BuildError, match="residual=True has no effect on one hidden layer"):
        mlp.model((4,))(SPEC, residual=True)
    mlp.model((4,))(SPEC, residual=False)
    with pytest.raises(ValueError, match="at least 2 layers"):
        mlp.residual(1)
