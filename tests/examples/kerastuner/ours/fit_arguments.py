import keras

from hpsearch import Choice, Data, Int, Random, Space, Study, Task
from tests.examples.rows import x, y


def build(spec, units):
    layers = [keras.layers.Dense(units, "relu"), keras.layers.Dense(10, "softmax")]
    model = keras.Sequential(layers)
    model.compile("adam", spec.loss, metrics=spec.metrics)
    return model


task = Task("digits", Data(x, y), "sparse_categorical_crossentropy", "accuracy")
space = Space(units=Int(32, 512, step=32), batch_size=Choice(16, 32), shuffle=Choice(True, False))
study = Study(task=task, space=space, build=build, searcher=Random(3, epochs=2))
best = study.run().best.params
