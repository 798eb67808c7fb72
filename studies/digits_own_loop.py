"""A training loop of one's own, in JAX: Keras's model and optimizer, by their stateless calls."""

import numpy as np

from hpsearch import Choice, Float, Hyperband, Int, Space, Study
from hpsearch.core.errors import FatalError
from hpsearch.tasks import digits


def train(run, units, dropout, learning_rate, batch_size):
    import keras

    if keras.backend.backend() != "jax":
        raise FatalError("this study's loop is written in JAX; use --backend jax")
    import jax

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
    optimizer.build(model.trainable_variables)
    loss_of_rows = keras.losses.get(spec.loss)

    def loss(weights, others, x, y):
        predicted, others = model.stateless_call(weights, others, x, training=True)
        return keras.ops.mean(loss_of_rows(y, predicted)), others

    @jax.jit
    def step(weights, others, slots, x, y):
        (_, others), gradients = jax.value_and_grad(loss, has_aux=True)(weights, others, x, y)
        weights, slots = optimizer.stateless_apply(slots, gradients, weights)
        return weights, others, slots

    def predict(rows):
        return model.predict(rows, batch_size=1024, verbose=0)

    run.restore({"model": model, "optimizer": optimizer})
    parts = model.trainable_variables, model.non_trainable_variables, optimizer.variables
    x, y = run.train
    for _ in run.epochs():
        state = [[variable.value for variable in part] for part in parts]
        order = np.random.permutation(len(x))
        for first in range(0, len(x) - batch_size + 1, batch_size):
            rows = order[first : first + batch_size]
            state = step(*state, x[rows], y[rows])
        for part, values in zip(parts, state, strict=True):
            for variable, value in zip(part, values, strict=True):
                variable.assign(value)
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
