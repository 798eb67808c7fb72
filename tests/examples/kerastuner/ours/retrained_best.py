import keras

from hpsearch import Bayes, Data, Int, Space, Study, Task
from tests.examples.rows import x, y


def build(spec, units):
    layers = [keras.layers.Dense(units, "relu"), keras.layers.Dense(10, "softmax")]
    model = keras.Sequential(layers)
    model.compile("adam", spec.loss, metrics=spec.metrics)
    return model


task = Task("digits", Data(x, y), "sparse_categorical_crossentropy", "accuracy")
space = Space(units=Int(32, 512, step=32))
study = Study(task=task, space=space, build=build, searcher=Bayes(2, epochs=3))
best = study.run(repeats=1, finalists=2).best.params
predictions = study.refit(sealed=True).predict(x)
