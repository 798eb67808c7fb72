import keras

from hpsearch import Data, Grid, Int, Space, Study, Task, TrialFailed
from tests.examples.rows import x, y


def build(spec, units_1, units_2):
    layers = [keras.layers.Dense(units_1), keras.layers.Dense(units_2)]
    model = keras.Sequential([keras.Input((64,)), *layers, keras.layers.Dense(10, "softmax")])
    model.compile("adam", spec.loss, metrics=spec.metrics)
    if model.count_params() > 2900:
        raise TrialFailed(f"{model.count_params()} weights are too many")
    return model


task = Task("digits", Data(x, y), "sparse_categorical_crossentropy", "accuracy")
space = Space(units_1=Int(10, 40, step=10), units_2=Int(10, 30, step=10))
study = Study(task=task, space=space, build=build, searcher=Grid(epochs=1))
best = study.run().best.params
