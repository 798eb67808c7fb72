"""A training loop of one's own: a step of gradient descent at a time, on JAX or TensorFlow."""

import numpy as np

from hpsearch import Choice, Float, Hyperband, Int, Space, Study
from hpsearch.tasks import digits
from hpsearch.training import make_training_step


def train(run, units, dropout, learning_rate, batch_size):
    import keras

    spec = run.spec
    model = keras.Sequential(
        [
            keras.Input(spec.input_shape),
            keras.layers.Dense(units, "relu"),
            keras.layers.Dropout(dropout),
            keras.layers.Dense(spec.outputs, spec.activation),
        ]
    )
    optimizer = keras.optimizers.Adam(learning_rate)
    loss_of_rows = keras.losses.get(spec.loss)

    def loss(x, y):
        return keras.ops.mean(loss_of_rows(y, model(x, training=True)))

    step = make_training_step(loss, optimizer, model)

    def predict(rows):
        return model.predict(rows, batch_size=1024, verbose=0)

    run.restore({"model": model, "optimizer": optimizer})
    x, y = run.train
    for _ in run.epochs():
        order = np.random.permutation(len(x))
        for first in range(0, len(x) - batch_size + 1, batch_size):
            rows = order[first : first + batch_size]
            step(x[rows], y[rows])
        run.report(**run.measure(predict, train=True))
        run.save({"model": model, "optimizer": optimizer})
    return predict


study = Study(
    task=digits.task(),
    space=Space(
        units=Int(32, 256, log=True),
        dropout=Float(0.0, 0.5),
        learning_rate=Float(3e-4, 1e-2, log=True),
        batch_size=Choice(16, 32, 64),
    ),
    train=train,
    searcher=Hyperband(max_epochs=9, eta=3),
)
