"""Layers that `build` adapts to the training rows: each fold has its own values, with any trainer."""

import numpy as np
import pytest

from hpsearch import Data, Task
from hpsearch.core.errors import BuildError
from hpsearch.training import backend
from hpsearch.training.adapting import LayerAdapter
from hpsearch.training.base import Fit, Split
from tests.rounding import loss_difference, rounding_bound
from tests.training.programs import forget_programs

slow = pytest.mark.slow
on_jax = pytest.mark.skipif(backend.name() != "jax", reason="gangs train on jax")

RNG = np.random.default_rng(0)
# Three blocks of rows, of very different means and spreads: a fold trains on one of them.
BLOCKS = [(0.0, 1.0), (500.0, 3.0), (-2000.0, 40.0)]
NUMBERS = np.concatenate([RNG.normal(m, s, (48, 3)) for m, s in BLOCKS]).astype("float32")
Y = np.concatenate(
    [((NUMBERS[48 * i : 48 * i + 48] - m) / s).sum(axis=1) for i, (m, s) in enumerate(BLOCKS)]
).astype("float32")
DATA = Data(NUMBERS, Y)
TASK = Task("blocks", DATA, loss="mse", metric="mae")
SPLITS = [
    Split(np.arange(48 * i, 48 * i + 36), np.arange(48 * i + 36, 48 * i + 48)) for i in range(3)
]
KINDS = [
    *("first", "weights"),
    *(pytest.param(k, marks=pytest.mark.thorough) for k in ("inside", "attributes", "closure")),
    pytest.param("discretization", marks=pytest.mark.thorough),
]


def own_layers():
    import keras

    class Weights(keras.layers.Layer):
        """Keeps what it was adapted to in weights that are not trained."""

        def build(self, shape):
            self.low = self.add_weight(
                shape=shape[1:], initializer="zeros", trainable=False, name="low"
            )

        def adapt(self, data):
            self.build(data.shape)
            self.built = True
            self.low.assign(data.min(axis=0))

        def call(self, inputs):
            return inputs - self.low

    class Attributes(keras.layers.Layer):
        """Keeps it beside, where no program sees that it differs."""

        def adapt(self, data):
            self.low = data.min(axis=0)

        def call(self, inputs):
            return inputs - self.low

    return Weights, Attributes


def network(kind, layers=1):
    def build(spec, learning_rate=1e-3, width=8):
        import keras

        inputs = keras.Input(spec.input_shape)
        x = inputs
        if kind == "inside":
            x = keras.layers.Dense(3)(x)
            layer = keras.layers.Normalization()
        elif kind == "discretization":
            layer = keras.layers.Discretization(num_bins=5)
        elif kind in ("weights", "attributes"):
            layer = own_layers()[kind == "attributes"]()
        else:
            layer = keras.layers.Normalization()
        adapted = spec.adapt(layer)
        if kind == "closure":
            mean = np.asarray(adapted.mean)
            x = keras.layers.Lambda(lambda rows: rows - mean)(x)
        else:
            x = adapted(x)
        for _ in range(layers):
            x = keras.layers.Dense(width, activation="tanh")(x)
        model = keras.Model(inputs, keras.layers.Dense(1)(x))
        model.compile(keras.optimizers.Adam(learning_rate), spec.loss, metrics=spec.metrics)
        return model

    return build


def fits(kind, epochs=4, **more):
    build = network(kind)
    return [
        Fit(build, {"learning_rate": 0.01, "batch_size": 12}, split, 7, epochs, **more)
        for split in SPLITS
    ]


def by_fit():
    backend.choose()
    from hpsearch.training.fit import FitTrainer

    return FitTrainer(TASK)


def gang(**options):
    backend.choose()
    from hpsearch.training.batched.trainer import BatchedTrainer

    return BatchedTrainer(TASK, **{"strict": True, "chunk": 3, **options})


@slow
@on_jax
@pytest.mark.parametrize("kind", KINDS)
def test_side_by_side_each_fold_has_the_values_that_its_own_layer_was_adapted_to(kind):
    forget_programs()
    some = fits(kind)
    expected = dict(by_fit().train(some, DATA))
    bound = rounding_bound(by_fit(), some[0], DATA, expected[0])
    assert loss_difference(dict(gang().train(some, DATA)), expected) < bound


@slow
@pytest.mark.thorough
@on_jax
def test_networks_of_several_widths_share_a_program_with_their_own_values():
    forget_programs()
    some = [
        Fit(network("first", 2), {"learning_rate": 0.01, "width": w}, SPLITS[w % 3], w, 4)
        for w in (4, 5, 9)
    ]
    expected = dict(by_fit().train(some, DATA))
    bound = rounding_bound(by_fit(), some[0], DATA, expected[0])
    found = dict(gang().train(some, DATA))
    assert loss_difference(found, expected) < bound


@slow
def test_a_layer_is_adapted_to_the_training_rows_alone_also_after_a_checkpoint(tmp_path):
    """Values that only validation rows have are nowhere in the layer."""
    seen = []

    def build(spec):
        model = network("first")(spec)
        seen.append(np.asarray(model.layers[1].adapt_mean))
        return model

    split = SPLITS[1]
    fit = Fit(build, {"batch_size": 12}, split, 0, 2, checkpoint_out=tmp_path / "2.npz")
    trainer = by_fit()
    dict(trainer.train([fit], DATA))
    longer = Fit(build, {"batch_size": 12}, split, 0, 4, checkpoint_in=tmp_path / "2.npz")
    whole = Fit(build, {"batch_size": 12}, split, 0, 4)
    continued, at_once = (dict(trainer.train([each], DATA))[0] for each in (longer, whole))
    assert continued.validation == at_once.validation
    for mean in seen:
        np.testing.assert_allclose(mean, NUMBERS[split.train].mean(axis=0), rtol=1e-5)
    assert not np.allclose(seen[0], NUMBERS[np.r_[split.train, split.validation]].mean(axis=0))


def test_an_input_is_named_where_there_are_several():
    from hpsearch.training.adapting import LayerAdapter

    class Layer:
        def adapt(self, data):
            self.data = data

    both = LayerAdapter(lambda: {"a": NUMBERS[:3], "b": NUMBERS[3:6]})
    np.testing.assert_array_equal(both.adapt(Layer(), "b").data, NUMBERS[3:6])
    with pytest.raises(BuildError, match=r"spec.adapt\(layer, name\) needs .* of a, b, got None"):
        both.adapt(Layer(), None)
    with pytest.raises(BuildError, match=r"has one input, .* leave the name out"):
        LayerAdapter(lambda: NUMBERS).adapt(Layer(), "x")
    with pytest.raises(BuildError, match=r"takes a layer with a method adapt\(data\).*got 3"):
        both.adapt(3, "a")
    with pytest.raises(BuildError, match="only predicts: there are no training rows"):
        LayerAdapter(lambda: NUMBERS[:0]).adapt(Layer(), None)
    with pytest.raises(
        BuildError, match=r"a layer Failing cannot be adapted .*: no rows like these"
    ):
        LayerAdapter(lambda: NUMBERS).adapt(Failing(), None)


def test_a_vocabulary_needs_a_layer_that_has_looked_words_up():
    from sklearn.preprocessing import StandardScaler

    from hpsearch.training.adapting import LayerAdapter

    def asked(fitted, name=None):
        return LayerAdapter(lambda: NUMBERS, lambda: fitted).get_vocabulary(name)

    for fitted in (None, StandardScaler()):
        with pytest.raises(
            BuildError, match=r"spec.get_vocabulary needs .*, and these are prepared"
        ):
            asked(fitted)
    with pytest.raises(BuildError, match=r"needs the name of an input, of a, b, got None"):
        asked({"a": None, "b": StandardScaler()})


class Failing:
    def adapt(self, data):
        raise ValueError("no rows like these")


def test_a_layer_that_exits_does_not_end_the_command():
    class Exits:
        def adapt(self, data):
            raise SystemExit(0)

    with pytest.raises(BuildError, match=r"a layer Exits cannot be adapted .*: SystemExit: 0"):
        LayerAdapter(lambda: NUMBERS).adapt(Exits(), None)
