"""The networks for images that `cnn.model` makes: each parameter does what it says, or is refused."""

import numpy as np
import pytest

from hpsearch import Choice, Data, Holdout, Space, Task
from hpsearch.core.errors import BuildError
from hpsearch.training import ModelSpec, backend
from hpsearch.training.base import Fit
from spaces import augmentation, cnn

pytestmark = pytest.mark.slow

backend.choose()
import keras  # noqa: E402

SPEC = ModelSpec((32, 32, 3), 10, "softmax", "sparse_categorical_crossentropy", ["accuracy"])

BERNICO = {
    "blocks": 2, "filters_1": 64, "filters_2": 32, "kernel": 3, "padding": "valid",
    "normalization": "batch_after", "norm_momentum": 0.99, "dense": 2, "units_1": 512,
    "units_2": 256, "dense_dropout": 0.2, "optimizer": "adam",
}  # fmt: skip
CHOLLET = {
    "blocks": 3, "filters_1": 32, "filters_2": 64, "filters_3": 64, "padding": "valid",
    "pooling": "between", "normalization": "none", "units": 64, "optimizer": "rmsprop",
}  # fmt: skip


def bernicos():
    """The network of Deep Learning Quick Reference, chapter 7, layer by layer."""
    layers = keras.layers
    return [
        layers.Conv2D(64, 3, activation="relu"), layers.BatchNormalization(), layers.MaxPooling2D(),
        layers.Conv2D(32, 3, activation="relu"), layers.BatchNormalization(), layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dense(512, activation="relu"), layers.Dropout(0.2),
        layers.Dense(256, activation="relu"), layers.Dropout(0.2),
        layers.Dense(10, activation="softmax"),
    ]  # fmt: skip


def chollets():
    """The network of Deep Learning with Python (2018), 5.1, layer by layer."""
    layers = keras.layers
    return [
        layers.Conv2D(32, 3, activation="relu"), layers.MaxPooling2D(),
        layers.Conv2D(64, 3, activation="relu"), layers.MaxPooling2D(),
        layers.Conv2D(64, 3, activation="relu"),
        layers.Flatten(), layers.Dense(64, activation="relu"),
        layers.Dense(10, activation="softmax"),
    ]  # fmt: skip


def describe(layers):
    """Kinds and settings of layers, without names."""
    return [
        (type(layer).__name__, {**layer.get_config(), "name": "", "build_config": ""})
        for layer in layers
    ]


@pytest.mark.parametrize(("params", "layers"), [(BERNICO, bernicos), (CHOLLET, chollets)])
def test_the_networks_of_the_books_are_made_layer_by_layer(params, layers):
    made = cnn.model()(SPEC, **params)
    assert describe(made.layers[1:]) == describe(layers())
    assert made.output_shape == (None, 10)


def test_widths_may_be_fixed():
    searched = {key: value for key, value in BERNICO.items() if key[-2:] not in ("_1", "_2")}
    del searched["blocks"], searched["dense"]
    made = cnn.model(filters=(64, 32), units=(512, 256))(SPEC, **searched)
    assert describe(made.layers[1:]) == describe(bernicos())


def kinds(**params):
    return [type(layer).__name__ for layer in cnn.model()(SPEC, **params).layers[1:]]


def test_dropout_has_three_places():
    made = cnn.model()(SPEC, block_dropout=0.1, dropout=0.2, dense_dropout=0.3, dense=2)
    rates = [layer.rate for layer in made.layers if isinstance(layer, keras.layers.Dropout)]
    assert rates == [0.1, 0.1, 0.2, 0.3, 0.3]
    names = [type(layer).__name__ for layer in made.layers]
    assert names[-6:] == ["Dropout", "Dense", "Dropout", "Dense", "Dropout", "Dense"]
    assert names[names.index("MaxPooling2D") + 1] == "Dropout"


def test_pictures_are_changed_first():
    flipped = kinds(augmentation=True, flip=True, rotation=20, shift=0.02, zoom=0.1)
    changes = ["RandomFlip", "RandomRotation", "RandomTranslation", "RandomZoom"]
    assert flipped[:5] == [*changes, "Conv2D"]
    for unchanged in ({"augmentation": False}, {}, {"flip": False, "rotation": 0}):
        assert kinds(**unchanged)[0] == "Conv2D"


def test_pictures_are_changed_by_as_much_as_was_asked_for():
    x = np.zeros((300, 9, 9, 1), "float32")
    x[:, 4, 4] = 1
    (shift,) = augmentation.make_layers({"shift": 0.25})
    moved = np.asarray(shift(x, training=True))[..., 0]
    middle = (moved * np.arange(9)).sum((1, 2)) - 4
    assert 2 < np.abs(middle).max() < 2.26
    (flip,) = augmentation.make_layers({"flip": True})
    left = np.repeat(np.arange(9.0)[:, None], 9, 1).T[None, :, :, None].repeat(99, 0)
    mirrored = np.asarray(flip(left, training=True))[:, 0, 0, 0] == 8
    assert 20 < mirrored.sum() < 79
    (turn,) = augmentation.make_layers({"rotation": 20})
    assert turn.get_config()["factor"] == pytest.approx((-20 / 360, 20 / 360))
    assert np.array_equal(np.asarray(shift(x, training=False)), x)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"filters_1": 8, "filters_2": 8, "filters": 9}, "does not know the parameter 'filters'"),
        ({"filters_1": 8, "filters_2": 8, "filters_3": 8}, "the parameter 'filters_3'"),
        ({"blocks": 3, "filters_1": 8, "filters_2": 8}, "filters_3 must be a whole number"),
        ({"filters_2": 8}, "the parameter 'filters_2'"),
        ({"units_1": 8, "dense": 2}, "units_2 must be a whole number"),
        ({"dense": 0}, "dense must be a whole number of at least 1"),
        ({"padding": "vaild"}, r"padding is one of same, valid, .*did you mean 'valid'"),
        ({"pooling": "none"}, "pooling is one of all, between"),
        ({"normalization": "layer"}, "normalization is one of none, batch, batch_after"),
        ({"normalization": "none", "norm_momentum": 0.9}, "norm_momentum=0.9 has no effect"),
        ({"norm_momentum": 1.0}, "norm_momentum must be .* below 1"),
        ({"blocks": 4, "padding": "valid", "kernel": 5}, "block 3 gets images of 5 x 5|block 4"),
        ({"dense_dropout": 1}, "dense_dropout must be a number"),
        ({"augmentation": 1}, "augmentation is True or False"),
        ({"augmentation": True}, "augmentation=True has no effect without flip, rotation"),
        ({"augmentation": False, "shift": 0.1}, "shift=0.1 has no effect with augmentation=False"),
        ({"rotation": 181}, "rotation must be .* at most 180"),
        ({"shift": 1.0}, "shift must be .* below 1"),
        ({"zoom": -0.1}, "zoom must be a number, 0 or more"),
    ],
)
def test_what_has_no_effect_is_refused(params, message):
    with pytest.raises(BuildError, match=message) as error:
        cnn.model()(SPEC, **params)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("options", [{"filters": 64}, {"units": ()}, {"units": (0,)}])
def test_fixed_widths_are_checked_where_they_are_written(options):
    with pytest.raises(
        BuildError, match=r"(filters|units) (is a tuple of|must be) whole numbers?|must be a whole"
    ):
        cnn.model(**options)


def test_fixed_widths_are_not_searched_too():
    with pytest.raises(BuildError, match="the parameter 'blocks'"):
        cnn.model(filters=(8,))(SPEC, blocks=2)


def test_the_pieces_make_a_space_whose_points_are_built():
    space = Space(
        cnn.filters(3, 4, 16), cnn.dense(2, 4, 16), augmentation.SPACE,
        kernel=Choice(3, 5), padding=Choice("same", "valid"),
        normalization=Choice(*cnn.NORMALIZATIONS),
    )  # fmt: skip
    default = space.nearest_point(cnn.model().default)
    assert default["filters_2"] == 16
    assert default["augmentation"] is True
    rng = np.random.default_rng(0)
    for point in [default, *(space.sample(rng) for _ in range(9))]:
        space.check(point)
        assert cnn.model()(SPEC, **point).output_shape == (None, 10)


@pytest.mark.skipif(backend.name() != "jax", reason="gangs train on jax")
def test_networks_with_augmentation_train_side_by_side_as_by_fit():
    from hpsearch.training.batched.trainer import BatchedTrainer
    from hpsearch.training.fit import FitTrainer

    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 90)
    x = (rng.random((90, 8, 8, 3)) * 0.5 + y[:, None, None, None] * 0.2).astype("float32")
    task = Task("t", Data(x, y), "sparse_categorical_crossentropy", "accuracy")
    (split,) = Holdout(rows=30).splits(task, task.load(), seed=0)
    params = {
        "blocks": 2, "filters_1": 4, "filters_2": 6, "units": 8, "normalization": "batch_after",
        "augmentation": True, "flip": True, "shift": 0.1, "rotation": 20, "dense_dropout": 0.2,
    }  # fmt: skip
    fits = [
        Fit(cnn.model(), params | {"block_dropout": rate}, split, seed, 3)
        for seed, rate in enumerate((0.1, 0.3))
    ]
    together = dict(BatchedTrainer(task, strict=True).train(fits, task.load()))
    for n, curve in FitTrainer(task).train(fits, task.load()):
        assert together[n].validation_loss == pytest.approx(curve.validation_loss, rel=1e-4)
