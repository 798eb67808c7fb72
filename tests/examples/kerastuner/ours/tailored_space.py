import keras

from hpsearch import Choice, Data, Float, Int, Random, Space, Study, Task
from tests.examples.rows import x, y


def build(spec, units=64, dropout=False, rate=1e-3):
    layers = [keras.layers.Dense(units, "relu")]
    if dropout:
        layers.append(keras.layers.Dropout(0.25))
    model = keras.Sequential([*layers, keras.layers.Dense(10, "softmax")])
    model.compile(keras.optimizers.Adam(rate), spec.loss, metrics=spec.metrics)
    return model


task = Task("digits", Data(x, y), "sparse_categorical_crossentropy", "accuracy")
few = Space(rate=Float(1e-4, 1e-2, log=True))
study = Study(name="few", task=task, space=few, build=build, searcher=Random(2, epochs=1))
best = study.run().best.params

rest = Space(units=Int(32, 128, step=32), dropout=Choice(True, False))
rest_study = Study(name="rest", task=task, space=rest, build=build, searcher=Random(2, epochs=1))
best_rest = rest_study.run().best.params
