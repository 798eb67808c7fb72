"""Tasks that a tiny network learns in a moment, and a transformer that does what it is told."""

from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from hpsearch import Data, Holdout, Random, Space, Study, Task
from tests.attacks.guard import NotUsable

ROWS = 40
X = np.random.default_rng(0).normal(size=(ROWS, 3)).astype(np.float32)
CLASSES = np.arange(ROWS) % 2
NUMBERS = X[:, 0] * 2.0 + 9


def build(spec: Any, **_: Any) -> Any:
    """A network without a hidden layer, whatever the point says."""
    import keras

    inputs = keras.Input(spec.input_shape, dtype=spec.dtype)
    hidden = keras.layers.Flatten()(inputs) if len(spec.input_shape) != 1 else inputs
    hidden = keras.layers.Dense(spec.outputs, spec.activation)(hidden)
    model = keras.Model(inputs, hidden)
    model.compile("sgd", spec.loss, metrics=spec.metrics)
    return model


def learn_classes(x: Any = X, **given: Any) -> Task:
    return Task("t", Data(x, CLASSES), "sparse_categorical_crossentropy", "accuracy", **given)


def learn_numbers(y: Any = NUMBERS, **given: Any) -> Task:
    return Task("t", Data(X, y), "mse", "mae", **given)


def train(task: Task, params: Any = None, made: Any = build) -> None:
    """Train one epoch, as in a notebook. What is ranked must be a number."""
    score = Holdout().evaluate(made, params or {}, task, epochs=1, engine="fit")
    if not np.isfinite(score.value):
        raise NotUsable(f"a value of {score.value}")


def search(space: Space, task: Task, made: Any = build, **given: Any) -> None:
    """Run a search of two trials in this process, in a store that is gone afterwards."""
    study = Study(
        task=task, space=space, build=made, searcher=Random(2, 1), evaluator=Holdout(), name="odd"
    )
    with TemporaryDirectory(prefix="attack-") as folder:
        how = {"inline": True, "display": None, "baselines": "off", "engine": "fit", **given}
        study.run(store=f"{folder}/store.db", checkpoints=f"{folder}/checkpoints", **how)


class Told(TransformerMixin, BaseEstimator):
    """A transformer that does what it is told.

    Args:
        change: gives what it makes of rows.
        learn: gives what `fit` returns.
        back: gives what `inverse_transform` makes.
    """

    def __init__(self, change: Any = None, learn: Any = None, back: Any = None) -> None:
        self.change, self.learn, self.back = change, learn, back

    def fit(self, x: Any, y: Any = None) -> Any:
        return self if self.learn is None else self.learn()

    def transform(self, x: Any) -> Any:
        return x if self.change is None else self.change(x)

    def inverse_transform(self, x: Any) -> Any:
        return x if self.back is None else self.back(x)
