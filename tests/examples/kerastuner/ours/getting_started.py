import keras

from hpsearch import Choice, Data, Float, Int, Random, Space, Study, Task
from tests.examples.rows import x, y


def build(spec, units, activation, dropout, rate):
    model = keras.Sequential([keras.layers.Dense(units, activation)])
    if dropout:
        model.add(keras.layers.Dropout(0.25))
    model.add(keras.layers.Dense(10, "softmax"))
    model.compile(keras.optimizers.Adam(rate), spec.loss, metrics=spec.metrics)
    return model


sizes = Space(units=Int(32, 512, step=32), activation=Choice("relu", "tanh"))
space = Space(sizes, dropout=Choice(True, False), rate=Float(1e-4, 1e-2, log=True))
task = Task("digits", Data(x, y), "sparse_categorical_crossentropy", "accuracy")
study = Study(task=task, space=space, build=build, searcher=Random(3, epochs=2))
results = study.run()
best = results.best.params
model = results.best.model()
