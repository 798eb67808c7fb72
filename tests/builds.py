"""Ways to build a model that read, change or copy its first weights."""

from collections.abc import Callable
from typing import Any

import numpy as np

BUILDS: dict[str, Callable[..., Any]] = {}


def _way(change: Callable[..., Any]) -> Callable[..., Any]:
    """Keep a build: the network of `network`, after a change of its weights."""

    def build(spec: Any) -> Any:
        model = network(spec)
        return change(model, spec) or model

    BUILDS[change.__name__] = build
    return build


def network(spec: Any, *, layers: int = 2, **options: Any) -> Any:
    import keras

    x = inputs = keras.Input(spec.input_shape)
    for _ in range(layers):
        x = keras.layers.Dense(9, activation="relu", **options)(x)
    model = keras.Model(inputs, keras.layers.Dense(spec.outputs, spec.activation)(x))
    model.compile(keras.optimizers.Adam(0.01), loss=spec.loss, metrics=spec.metrics)
    return model


def rows(spec: Any, n: int = 8) -> tuple[Any, Any]:
    x = np.random.normal(size=(n, *spec.input_shape)).astype("float32")
    return x, np.arange(n) % spec.outputs


@_way
def assign_half(model, spec):
    kernel = model.layers[1].kernel
    kernel.assign(kernel * 0.5)


@_way
def assign_in_place(model, spec):
    kernel = model.layers[1].kernel
    kernel.assign_sub(kernel / 2)
    kernel.assign_add(0.1 * kernel.value)


@_way
def set_weights(model, spec):
    model.set_weights([w * 0.5 for w in model.get_weights()])


@_way
def set_weights_of_another(model, spec):
    model.set_weights(network(spec).get_weights())


@_way
def set_weights_of_a_clone(model, spec):
    import keras

    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    clone.compile("adam", loss=spec.loss, metrics=spec.metrics)
    return clone


@_way
def clone(model, spec):
    import keras

    cloned = keras.models.clone_model(model)
    cloned.compile("adam", loss=spec.loss, metrics=spec.metrics)
    return cloned


@_way
def copy_a_kernel(model, spec):
    import keras

    first, second = network(spec).layers[2], model.layers[2]
    second.kernel.assign(keras.ops.transpose(first.kernel))


@_way
def deepcopy_a_variable(model, spec):
    import copy

    before = copy.deepcopy(model.layers[1].kernel)
    model.layers[1].kernel.assign(np.ones(before.shape))
    model.layers[1].kernel.assign(2 * before)


@_way
def as_arrays(model, spec):
    import keras

    kernel = model.layers[1].kernel
    kernel.assign(keras.ops.convert_to_numpy(kernel) * 2)
    kernel.assign(np.asarray(kernel) + kernel.numpy())


@_way
def orthogonal_again(model, spec):
    import keras

    q, _ = np.linalg.qr(keras.ops.convert_to_numpy(model.layers[2].kernel))
    model.layers[2].kernel.assign(q)
    model.layers[1].kernel.assign(keras.initializers.Orthogonal(gain=0.3)((*spec.input_shape, 9)))


@_way
def constrain(model, spec):
    import keras

    kernel = model.layers[1].kernel
    kernel.assign(keras.constraints.UnitNorm(axis=0)(kernel))


@_way
def scale_by_output(model, spec):
    """Data-dependent initialization (LSUV): read what the network predicts."""
    x, _ = rows(spec)
    spread = float(np.std(model(x)))
    model.layers[-1].kernel.assign(model.layers[-1].kernel / (spread + 0.1))


@_way
def call(model, spec):
    x, _ = rows(spec)
    model.layers[-1].bias.assign(np.asarray(model(x)).mean(axis=0))


@_way
def call_statelessly(model, spec):
    x, _ = rows(spec)
    variables = model.trainable_variables, model.non_trainable_variables
    values = [[v.value for v in part] for part in variables]
    predicted, _ = model.stateless_call(*values, x)
    model.layers[-1].bias.assign(np.asarray(predicted).mean(axis=0))


@_way
def call_in_a_stateless_scope(model, spec):
    import keras

    x, _ = rows(spec)
    with keras.StatelessScope():
        predicted = model(x)
    model.layers[-1].bias.assign(np.asarray(predicted).mean(axis=0))


@_way
def predict(model, spec):
    x, _ = rows(spec)
    model.layers[-1].bias.assign(model.predict(x, verbose=0).mean(axis=0))


@_way
def evaluate(model, spec):
    found = model.evaluate(*rows(spec), verbose=0, return_dict=True)
    model.layers[-1].bias.assign(np.full(spec.outputs, found["loss"]))


@_way
def pretrain(model, spec):
    model.fit(*rows(spec, 64), epochs=2, batch_size=16, verbose=0)


@_way
def pretrain_a_part(model, spec):
    import keras

    inner = keras.Model(model.inputs, model.layers[1].output)
    head = keras.Sequential([inner, keras.layers.Dense(1)])
    head.compile("sgd", "mse")
    head.fit(*rows(spec, 32), epochs=1, verbose=0)
    inner.trainable = False
    model.compile("adam", loss=spec.loss, metrics=spec.metrics)


@_way
def train_on_a_batch(model, spec):
    model.train_on_batch(*rows(spec))


@_way
def a_file_of_weights(model, spec):
    import tempfile
    from pathlib import Path

    other = network(spec)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "w.weights.h5")
        other.save_weights(path)
        model.load_weights(path)


@_way
def a_saved_model(model, spec):
    import tempfile
    from pathlib import Path

    import keras

    with tempfile.TemporaryDirectory() as folder:
        network(spec).save(Path(folder, "m.keras"))
        loaded = keras.models.load_model(Path(folder, "m.keras"), compile=False)
    loaded.compile("adam", loss=spec.loss, metrics=spec.metrics)
    return loaded


@_way
def a_tree_of_state(model, spec):
    import keras

    tree = model.get_state_tree(value_format="numpy_array")["trainable_variables"]
    halved = keras.tree.map_structure(lambda array: 0.5 * array, tree)
    model.set_state_tree({"trainable_variables": halved})


@_way
def average(model, spec):
    others = [network(spec) for _ in range(2)]
    for mine, *theirs in zip(model.variables, *[o.variables for o in others], strict=True):
        mine.assign(sum((v.value for v in theirs), 0 * mine))


@_way
def noise(model, spec):
    """Drawn by generators of Keras and NumPy that are seeded before, and by none after."""
    import keras

    kernel, bias = model.layers[1].weights
    kernel.assign_add(keras.random.normal(kernel.shape, stddev=0.1))
    bias.assign(np.random.normal(size=bias.shape))


@_way
def by_the_optimizer(model, spec):
    model.optimizer.apply([0.5 * v.value for v in model.trainable_variables],
                          model.trainable_variables)  # fmt: skip


@_way
def own_initializers(model, spec):
    """An initializer that draws by a generator, in the order in which variables are made."""
    import keras

    def drawn(shape, dtype=None):
        return np.random.normal(size=shape).astype(dtype or "float32")

    return network(spec, kernel_initializer=drawn, bias_initializer=keras.initializers.Constant(3))


@_way
def one_seed_generator(model, spec):
    """Shared by initializers: what they draw depends on the order of calls."""
    import keras

    generator = keras.random.SeedGenerator(4)
    drawing = keras.initializers.RandomNormal(seed=generator)
    model = network(spec, kernel_initializer=drawing)
    model.layers[-1].bias.assign(keras.random.normal((spec.outputs,), seed=generator))
    return model


@_way
def an_initializer_that_changes(model, spec):
    import keras

    values, normal = np.full(9, 2.0, "float32"), keras.initializers.RandomNormal(seed=1)
    constant = keras.initializers.Constant(values)
    model = network(spec, kernel_initializer=normal, bias_initializer=constant)
    values += 1
    normal.stddev = 1e6
    return model


@_way
def an_initializer_that_calls_another(model, spec):
    import keras

    class Halved(keras.initializers.GlorotUniform):
        def __call__(self, shape, dtype=None):
            return 0.5 * super().__call__(shape, dtype=dtype)

    return network(spec, kernel_initializer=Halved())


@_way
def tied_weights(model, spec):
    """A layer that keeps something of another's weights when it is first called."""
    import keras

    class Tied(keras.layers.Layer):
        def __init__(self, other):
            super().__init__()
            self.other = other

        def build(self, shape):
            self.spread = float(np.std(self.other.kernel.numpy()))
            self.bias = self.add_weight(shape=(64,), initializer="zeros")
            self.bias.assign(keras.ops.mean(self.other.kernel, axis=1))

        def call(self, x):
            return x @ keras.ops.transpose(self.other.kernel) / self.spread + self.bias

    dense = keras.layers.Dense(9)
    inputs = keras.Input(spec.input_shape)
    x = Tied(dense)(dense(inputs))
    model = keras.Model(inputs, keras.layers.Dense(spec.outputs, spec.activation)(x))
    model.compile("adam", loss=spec.loss, metrics=spec.metrics)
    return model


@_way
def a_value_while_shapes_are_inferred(model, spec):
    """A layer that measures its own weights in its first call, which is a symbolic one."""
    import keras

    class Normed(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.norm = None

        def build(self, shape):
            self.kernel = self.add_weight(shape=(shape[-1], 9), initializer="glorot_uniform")

        def call(self, x):
            if self.norm is None:
                self.norm = float(np.linalg.norm(keras.ops.convert_to_numpy(self.kernel)))
            return x @ self.kernel / self.norm

    inputs = keras.Input(spec.input_shape)
    outputs = keras.layers.Dense(spec.outputs, spec.activation)(Normed()(inputs))
    model = keras.Model(inputs, outputs)
    model.layers[-1].bias.assign(np.full(spec.outputs, model.layers[1].norm or 0.0))
    model.compile("adam", loss=spec.loss, metrics=spec.metrics)
    return model


@_way
def recurrent(model, spec):
    import keras

    inputs = keras.Input(spec.input_shape)
    x = keras.layers.LSTM(6)(keras.layers.Reshape((8, 8))(inputs))
    model = keras.Model(inputs, keras.layers.Dense(spec.outputs, spec.activation)(x))
    model.layers[2].set_weights([0.5 * w for w in model.layers[2].get_weights()])
    model.compile("adam", loss=spec.loss, metrics=spec.metrics)
    return model
