"""The same rows train the same model, however they were given."""

import numpy as np
import pytest

from hpsearch import Data, Given, Holdout, Source, Task

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 4)).astype("float32")
Y = (X[:, 0] > 0).astype("int64")


class Rows(Source):
    def __init__(self, array):
        self.array = array

    def __len__(self):
        return len(self.array)

    def rows(self, indices):
        return self.array[indices]


def build(spec, units):
    import keras

    model = keras.Sequential(
        [
            keras.Input(spec.input_shape),
            keras.layers.Dense(units, "relu"),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(spec.outputs, activation=spec.activation),
        ]
    )
    model.compile("adam", loss=spec.loss, metrics=spec.metrics)
    return model


def test_curves_are_those_of_a_holdout_of_the_same_rows():
    def evaluate(evaluator, data):
        task = Task("rows", data, "binary_crossentropy", "accuracy")
        score = evaluator.evaluate(build, {"units": 6}, task, epochs=3, engine="fit")
        return score.folds[0].validation_loss, score.value, score.se

    train, validation = np.arange(60), np.arange(60, 90)
    x, y, part = X[:60], Y[:60], {"x_val": X[60:], "y_val": Y[60:]}
    wanted = evaluate(Holdout(rows=30, shuffle=False), Data(X, Y))
    assert evaluate(Given(train, validation), Data(X, Y)) == wanted
    assert evaluate(Given(), Data(x, y, **part)) == wanted
    assert evaluate(Given(), Data(Rows(x), y, **part | {"x_val": Rows(X[60:])})) == wanted
    assert evaluate(Given(), Data(Rows(x), y, **part)) == wanted
