import keras

from hpsearch import Choice, Data, Int, Random, Space, Study, Task
from tests.examples.rows import x, y


def build(spec, units, dropout):
    layers = [keras.layers.Dense(units, "relu"), keras.layers.Dropout(dropout)]
    model = keras.Sequential([*layers, keras.layers.Dense(10, "softmax")])
    model.compile("adam", spec.loss, metrics=spec.metrics)
    return model


task = Task("digits", Data(x, y), "sparse_categorical_crossentropy", "accuracy")
space = Space(units=Int(32, 128, step=32), dropout=Choice(0.0, 0.5))
study = Study(task=task, space=space, build=build, searcher=Random(3, epochs=2))
best = study.run(log="tensorboard:logs").best.params
