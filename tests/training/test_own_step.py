"""A compiled step of gradient descent: what it trains, what it leaves, what it refuses."""

import numpy as np
import pytest

from hpsearch.core.errors import BuildError
from hpsearch.training import backend, make_training_step

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(0)
X = RNG.normal(size=(32, 3)).astype("float32")
Y = X @ np.array([[1.0], [-2.0], [0.5]], "float32")


def make_model(*layers):
    backend.choose()
    import keras

    keras.utils.set_random_seed(1)
    return keras.Sequential([keras.Input((3,)), *layers, keras.layers.Dense(1)])


def squared_error(model):
    import keras

    return lambda x, y: keras.ops.mean((model(x, training=True) - y) ** 2)


def values(part):
    return [np.asarray(variable) for variable in part.variables]


def is_same(one, other):
    return all(map(np.array_equal, one, other))


def test_a_step_is_that_of_the_optimizer():
    """Of a linear model: the gradient of the mean squared error, by hand."""
    model = make_model()
    import keras

    step = make_training_step(squared_error(model), keras.optimizers.SGD(0.1), model)
    weights, bias = values(model)
    for _ in range(3):
        errors = X @ weights + bias - Y
        assert float(step(X, Y)) == pytest.approx(float(np.mean(errors**2)), rel=1e-5)
        weights, bias = weights - 0.2 * X.T @ errors / len(X), bias - 0.2 * errors.mean(axis=0)
        assert np.allclose(values(model)[0], weights, atol=1e-5)
        assert np.allclose(values(model)[1], bias, atol=1e-5)
    assert float(step(X[:5], Y[:5].astype("float64"))) < float(np.mean(Y**2))  # another shape


def test_dropout_and_batch_normalization_go_on():
    model = make_model()
    import keras

    dropout = keras.layers.Dropout(0.5, seed=3)
    model = make_model(dropout, keras.layers.BatchNormalization(momentum=0.5))
    step = make_training_step(squared_error(model), keras.optimizers.SGD(0.0), model)
    means, losses = [], []
    for _ in range(3):
        losses.append(float(step(X, Y)))
        means.append(np.asarray(model.layers[1].moving_mean))
    assert len(set(losses)) == 3  # each step drops others
    assert not is_same(means[0], means[1])


def test_other_models_are_read_as_they_are_and_not_trained():
    model, other = make_model(), make_model()
    import keras

    def distance(x):
        other.layers[0].bias.assign(other.layers[0].bias + 1)  # which the loss never reads after
        return keras.ops.mean((model(x) - other(x)) ** 2)

    step = make_training_step(distance, keras.optimizers.SGD(0.1), model)
    before = values(other)
    step(X)
    assert np.array_equal(values(other)[0], before[0])
    assert np.allclose(values(other)[1], before[1] + 1)
    other.set_weights(
        [9 * before[0], before[1]]
    )  # what it holds now counts, not when it was traced
    expected = np.mean((X @ (values(model)[0] - 9 * before[0]) + values(model)[1] - 1) ** 2)
    assert float(step(X)) == pytest.approx(float(expected), rel=1e-4)


def test_two_networks_against_each_other_each_train_their_own():
    one, other = make_model(), make_model()
    import keras

    def agree(x):
        return keras.ops.mean((one(x) - other(x)) ** 2)

    def disagree(x):
        return -agree(x)

    steps = [
        make_training_step(loss, keras.optimizers.Adam(0.01), model)
        for loss, model in ((agree, one), (disagree, other))
    ]
    other.set_weights([weight + 1 for weight in other.get_weights()])
    for index, (model, still) in enumerate(((one, other), (other, one))):
        before = values(model), values(still)
        steps[index](X)
        assert not is_same(values(model), before[0])
        assert is_same(values(still), before[1])


def test_what_trains_nothing_is_refused():
    model = make_model()
    import keras

    step = make_training_step(lambda x: keras.ops.sum(x), keras.optimizers.SGD(), model)
    with pytest.raises(BuildError, match="reads no weights of the model"):
        step(X)
    unbuilt = keras.Sequential([keras.layers.Dense(1)])
    with pytest.raises(BuildError, match="without weights to train"):
        make_training_step(squared_error(unbuilt), keras.optimizers.SGD(), unbuilt)


@pytest.mark.thorough
def test_on_tensorflow_too(check_on_tensorflow):
    check_on_tensorflow(__file__)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"loss": 5}, r"needs loss= a function of arrays, got 5"),
        ({"optimizer": "adam"}, r"needs optimizer= a Keras optimizer.*, got 'adam'"),
        ({"model": None}, r"needs model= a Keras model, got None"),
    ],
)
def test_what_is_no_loss_optimizer_or_model_is_refused(wrong, message):
    model = make_model()
    import keras

    given = {"loss": squared_error(model), "optimizer": keras.optimizers.SGD(), "model": model}
    with pytest.raises(BuildError, match=message):
        make_training_step(**{**given, **wrong})


@pytest.mark.parametrize("returned", ["vector", "text", "none"])
def test_a_loss_that_is_no_number_is_refused(returned):
    model = make_model()
    import keras

    def loss(x, y):
        found = (model(x) - y) ** 2
        return {"vector": found, "text": "loss", "none": None}[returned]

    step = make_training_step(loss, keras.optimizers.SGD(), model)
    with pytest.raises(BuildError, match="must return one number"):
        step(X, Y)


@pytest.mark.parametrize("scaling", ["none", "a factor", "dynamic"])
def test_a_loss_is_scaled_where_the_optimizer_unscales_gradients(scaling):
    model = make_model()
    import keras

    factor = 1024.0 if scaling == "a factor" else None
    optimizer = keras.optimizers.SGD(0.1, loss_scale_factor=factor)
    if scaling == "dynamic":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    step = make_training_step(squared_error(model), optimizer, model)
    for _ in range(2):
        weights, bias = (np.asarray(each) for each in model.trainable_variables)
        errors = X @ weights + bias - Y
        assert float(step(X, Y)) == pytest.approx(float(np.mean(errors**2)), rel=1e-5)
        after = np.asarray(model.trainable_variables[0])
        assert np.allclose(after, weights - 0.2 * X.T @ errors / len(X), atol=1e-5)
