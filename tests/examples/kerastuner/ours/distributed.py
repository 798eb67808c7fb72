import keras

from hpsearch import Choice, Data, Float, Hyperband, Int, Space, Study, Task
from tests.examples.rows import x, y


def build(spec, units, dropout, optimizer):
    layers = [keras.layers.Dense(units, "relu"), keras.layers.Dropout(dropout)]
    model = keras.Sequential([*layers, keras.layers.Dense(10, "softmax")])
    model.compile(optimizer, spec.loss, metrics=spec.metrics)
    return model


task = Task("digits", Data(x, y), "sparse_categorical_crossentropy", "accuracy")
space = Space(units=Int(32, 128, step=32), dropout=Float(0.0, 0.5), optimizer=Choice("adam", "sgd"))
search = Hyperband(max_epochs=4, eta=2)
study = Study(task=task, space=space, build=build, searcher=search, patience=2)
best = study.run(devices="cpu:2", engine="fit").best.params
