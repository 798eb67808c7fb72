import keras
import numpy as np

from hpsearch import Data, Int, Random, Space, Study, Task
from tests.examples.rows import x, y


def build(spec, units):
    model = keras.Sequential([keras.layers.Dense(units, "relu"), keras.layers.Dense(1)])
    model.compile("adam", spec.loss, metrics=spec.metrics)
    return model


def largest(y_true, y_predicted):
    return np.abs(y_true - y_predicted).max()


task = Task("digits", Data(x, y), "mse", largest, "min", metrics=["mae"])
space = Space(units=Int(32, 128, step=32))
study = Study(task=task, space=space, build=build, searcher=Random(3, epochs=2))
best = study.run().best.params
