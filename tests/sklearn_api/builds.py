"""Small networks and rows that the tests of scikit-learn's way search with."""

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.preprocessing import OneHotEncoder, StandardScaler

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4))
NAMES = np.array(["ash", "elm", "oak"])[np.digitize(X[:, 0], [-0.8, 0.8])]  # of unlike size
FRAME = pd.DataFrame(X, columns=list("abcd")).assign(
    wood=np.where(X[:, 1] > 0, "hard", "soft"), age=np.arange(60)
)
RATES = {"rate": [0.01, 0.03, 0.1]}


def build(spec, rate):
    import keras

    model = keras.Sequential(
        [
            keras.Input(spec.input_shape),
            keras.layers.Dense(8, activation="relu"),
            keras.layers.Dense(spec.outputs, activation=spec.activation),
        ]
    )
    model.compile(keras.optimizers.Adam(rate), loss=spec.loss, metrics=spec.metrics)
    return model


def encode_columns():
    return make_column_transformer(
        (StandardScaler(), ["a", "b", "c", "d", "age"]),
        (OneHotEncoder(handle_unknown="ignore"), ["wood"]),
    )


def train_centroids(run, shrink):
    """A training function: the nearest centroid of each class, shrunk."""
    x, y = run.train
    y = y.reshape(-1).astype(int)
    state = run.restore()
    if state is None:
        state = {"centroids": np.stack([x[y == k].mean(axis=0) for k in range(3)]) * shrink}
    centroids = state["centroids"]

    def predict(x):
        likely = np.exp(-((x[:, None, :] - centroids) ** 2).sum(axis=2))
        return likely / likely.sum(axis=1, keepdims=True)

    for _ in run.epochs():
        run.report(**run.measure(predict, train=True))
        run.save(state)
    return predict
