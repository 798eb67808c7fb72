import keras
import numpy as np

from hpsearch import Bayes, Data, Float, Int, Space, Study, Task
from tests.examples.rows import x, y


def train(run, units, rate, batch_size):
    layers = [keras.Input((64,)), keras.layers.Dense(units, "relu")]
    model = keras.Sequential([*layers, keras.layers.Dense(10, "softmax")])
    model.compile(keras.optimizers.Adam(rate), run.spec.loss)
    model = run.restore(model)
    x, y = run.train
    for _ in run.epochs():
        for rows in np.array_split(np.random.permutation(len(x)), len(x) // batch_size):
            model.train_on_batch(x[rows], y[rows])
        run.report(**run.measure(model.predict))
        run.save(model)
    return model.predict


task = Task("digits", Data(x, y), "sparse_categorical_crossentropy", "accuracy")
rate = Float(1e-4, 1e-2, log=True)
space = Space(units=Int(32, 128, step=32), rate=rate, batch_size=Int(32, 128, step=32))
study = Study(task=task, space=space, train=train, searcher=Bayes(3, epochs=2))
results = study.run()
best = results.best.params
model = results.best.model()
