"""A generative adversarial network that draws digits, scored by a classifier that learns from them.

The accuracy is that on real digits, of a classifier that has seen none but generated ones (Esteban,
Hyland and Rätsch, Real-valued time series generation with recurrent conditional GANs, 2017): it is
low where they look wrong, and also where they all look alike.
"""

import numpy as np

from hpsearch import Float, Hyperband, Int, Space, Study
from hpsearch.core.errors import FatalError
from hpsearch.tasks import digits

BATCH, NOISE, CLASSES, DRAWN = 64, 16, 10, 1000


def make_models(units, columns):
    import keras

    def network(inputs, outputs, activation):
        layers = [keras.layers.Dense(units), keras.layers.LeakyReLU(0.2)]
        last = keras.layers.Dense(outputs, activation)
        return keras.Sequential([keras.Input((inputs + CLASSES,)), *layers, last])

    return network(NOISE, columns, "sigmoid"), network(columns, 1, None)


def train(run, units, learning_rate, momentum):
    import keras
    from sklearn.linear_model import LogisticRegression

    if keras.backend.backend() != "jax":
        raise FatalError("this study's loop is written in JAX; use --backend jax")
    import jax
    import jax.numpy as jnp

    generator, critic = models = make_models(units, run.spec.input_shape[0])
    optimizers = [keras.optimizers.Adam(learning_rate, beta_1=momentum) for _ in models]
    for optimizer, model in zip(optimizers, models, strict=True):
        optimizer.build(model.trainable_variables)

    def judge(weights, x, labels):
        """How real rows of these classes look: a logit each."""
        return critic.stateless_call(weights, [], jnp.concatenate([x, labels], axis=1))[0]

    def draw(weights, noise, labels):
        return generator.stateless_call(weights, [], jnp.concatenate([noise, labels], axis=1))[0]

    def critic_loss(weights, drawing, x, noise, labels):
        real = judge(weights, x, labels)
        false = judge(weights, draw(drawing, noise, labels), labels)
        return jnp.mean(jax.nn.softplus(-real) + jax.nn.softplus(false))

    def generator_loss(weights, judging, noise, labels):
        return jnp.mean(jax.nn.softplus(-judge(judging, draw(weights, noise, labels), labels)))

    @jax.jit
    def step(state, x, noise, labels):
        (drawing, drawn_slots), (judging, judged_slots) = state
        found = jax.grad(critic_loss)(judging, drawing, x, noise, labels)
        judging, judged_slots = optimizers[1].stateless_apply(judged_slots, found, judging)
        found = jax.grad(generator_loss)(drawing, judging, noise, labels)
        drawing, drawn_slots = optimizers[0].stateless_apply(drawn_slots, found, drawing)
        return (drawing, drawn_slots), (judging, judged_slots)

    def learn_from_drawn():
        """A classifier that has seen generated digits alone."""
        dice = np.random.default_rng(run.seed)
        classes = np.arange(DRAWN) % CLASSES
        noise = dice.normal(size=(DRAWN, NOISE)).astype("float32")
        inputs = np.concatenate([noise, np.eye(CLASSES, dtype="float32")[classes]], axis=1)
        drawn = generator.predict(inputs, batch_size=DRAWN, verbose=0)
        return LogisticRegression(max_iter=200).fit(drawn, classes)

    def predict(rows):
        return learn_from_drawn().predict_proba(rows)

    everything = {"models": list(models), "optimizers": optimizers}
    run.restore(everything)
    parts = [
        (model.trainable_variables, optimizer.variables)
        for model, optimizer in zip(models, optimizers, strict=True)
    ]
    x, y = run.train
    labels = np.eye(CLASSES, dtype="float32")[y.reshape(-1)]
    for _ in run.epochs():
        state = [[[v.value for v in variables] for variables in part] for part in parts]
        order = np.random.permutation(len(x))
        for first in range(0, len(x) - BATCH + 1, BATCH):
            rows = order[first : first + BATCH]
            noise = np.random.normal(size=(BATCH, NOISE)).astype("float32")
            state = step(state, x[rows], noise, labels[rows])
        for part, values in zip(parts, state, strict=True):
            for variables, new in zip(part, values, strict=True):
                for variable, value in zip(variables, new, strict=True):
                    variable.assign(value)
        run.report(**run.measure(predict))
        run.save(everything)
    return predict


study = Study(
    task=digits.task(),
    space=Space(
        units=Int(64, 256, log=True),
        learning_rate=Float(3e-4, 1e-2, log=True),
        momentum=Float(0.0, 0.9),
    ),
    train=train,
    searcher=Hyperband(max_epochs=27, eta=3),
)
