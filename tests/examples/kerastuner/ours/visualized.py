import keras

from hpsearch import Choice, Data, Int, Random, Space, Study, Task
from spaces import mlp
from tests.examples.rows import x, y


def build(spec, units, dropout):
    return mlp.model(hidden=(units,))(spec, dropout=dropout)


def callbacks(trial):
    return [keras.callbacks.TensorBoard(f"logs/{trial.seed}")]


task = Task("digits", Data(x, y), "sparse_categorical_crossentropy", "accuracy")
space = Space(units=Int(32, 128, step=32), dropout=Choice(0.0, 0.5))
search = Random(3, epochs=2)
study = Study(task=task, space=space, build=build, callbacks=callbacks, searcher=search)
best = study.run().best.params
