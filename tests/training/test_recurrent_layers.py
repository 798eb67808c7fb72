"""Recurrent layers that keep a state, which is refused, and those that draw their dropout."""

import keras
import numpy as np
import pytest

from hpsearch import Data, Holdout, Task
from hpsearch.core.errors import BuildError
from hpsearch.training import backend
from hpsearch.training.base import Fit
from hpsearch.training.engines import make_trainer

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(0)
X = RNG.normal(size=(48, 6, 2)).astype("float32")
DATA = Data(X, X[:, -1, 0])
TASK = Task("order", DATA, loss="mse", metric="mae")
(SPLIT,) = Holdout().splits(TASK, DATA, seed=0)


def network(spec, layer, batch=8):
    """A model with this layer, and minibatches of a fixed size unless `batch` is None."""
    inputs = keras.Input(batch_shape=(batch, *spec.input_shape))
    hidden = layer(inputs)
    if len(hidden.shape) > 2:
        hidden = keras.layers.Flatten()(hidden)
    model = keras.Model(inputs, keras.layers.Dense(1)(hidden))
    model.compile("adam", loss=spec.loss, metrics=spec.metrics)
    return model


def steps_of_steps(spec):
    inner = keras.layers.LSTM(3, stateful=True)
    return network(
        spec,
        lambda x: keras.layers.TimeDistributed(inner)(keras.layers.Reshape((3, 2, 2))(x)),
    )


def submodel(spec):
    inner = keras.Sequential([keras.layers.LSTM(3, stateful=True)])
    return network(spec, inner)


STATEFUL = {
    "LSTM": lambda spec: network(spec, keras.layers.LSTM(3, stateful=True)),
    "GRU": lambda spec: network(spec, keras.layers.GRU(3, stateful=True)),
    "RNN": lambda spec: network(
        spec, keras.layers.RNN([keras.layers.LSTMCell(3), keras.layers.GRUCell(2)], stateful=True)
    ),
    "ConvLSTM1D": lambda spec: network(
        spec,
        lambda x: keras.layers.ConvLSTM1D(2, 1, stateful=True)(keras.layers.Reshape((6, 2, 1))(x)),
    ),
    "Bidirectional": lambda spec: network(
        spec, keras.layers.Bidirectional(keras.layers.LSTM(3, stateful=True))
    ),
    "TimeDistributed": steps_of_steps,
    "submodel": submodel,
    # Here Keras asks for minibatches of a fixed size, which would be no way out.
    "any minibatch": lambda spec: network(spec, keras.layers.LSTM(3, stateful=True), batch=None),
}


@pytest.mark.parametrize("engine", ["fit", "auto"])
@pytest.mark.parametrize("kind", STATEFUL)
def test_a_layer_that_keeps_its_state_is_refused_with_the_reason(kind, engine):
    trainer = make_trainer(TASK, engine, backend.name())
    with pytest.raises(BuildError, match="keeps its state from one minibatch") as refused:
        trainer.probe(STATEFUL[kind], [{}], SPLIT, DATA)
    assert "shuffled and cut into folds" in str(refused.value)
    assert "train=" in str(refused.value)
    assert "\n" not in str(refused.value)


STUDY = """
import keras
import numpy as np
from hpsearch import *

rng = np.random.default_rng(0)
x = rng.normal(size=(48, 6, 2)).astype("float32")

def build(spec, units):
    model = keras.Sequential([
        keras.Input(spec.input_shape),
        keras.layers.LSTM(units, stateful={stateful}),
        keras.layers.Dense(1),
    ])
    model.compile("adam", loss=spec.loss, metrics=spec.metrics)
    return model

study = Study(
    task=Task("order", Data(x, x[:, -1, 0]), loss="mse", metric="mae"),
    space=Space(units=Int(2, 4)),
    build=build,
    searcher=Random(trials=2, epochs=1),
)
"""


@pytest.mark.parametrize("engine", ["auto", "fit"])
def test_a_study_is_refused_before_anything_is_trained(hpsearch, write, engine):
    file = write("keeps", ("{stateful}", "True"), text=STUDY)
    code, out, err = hpsearch("run", file, "--inline", "--engine", engine)
    assert code == 2
    assert "keeps its state from one minibatch to the next (stateful=True)" in err
    assert "Traceback" not in out + err


def test_other_errors_of_build_stay_what_they_are(hpsearch, write):
    file = write("odd", ("{stateful}", "True if units > 0 else units / 0"), text=STUDY)
    file.write_text(file.read_text().replace("Int(2, 4)", "Choice(0)"))
    code, _, err = hpsearch("run", file, "--inline")
    assert code == 2
    assert "ZeroDivisionError" in err


def own_dropout(**options):
    return lambda spec: network(spec, keras.layers.LSTM(3, **options), batch=None)


@pytest.mark.skipif(backend.name() != "jax", reason="gangs train on jax")
@pytest.mark.parametrize("options", [{"recurrent_dropout": 0.2}, {"dropout": 0.2}])
def test_a_layer_that_draws_its_dropout_in_validation_is_left_to_fit(options):
    """Keras draws the masks there too; a program that does not would go on with other ones."""
    gang = make_trainer(TASK, "gang", "jax")
    with pytest.raises(BuildError, match="LSTM draws random numbers in validation too"):
        gang.probe(own_dropout(**options), [{}], SPLIT, DATA)


@pytest.mark.skipif(backend.name() != "jax", reason="gangs train on jax")
def test_by_auto_it_trains_exactly_as_by_fit():
    fit = Fit(own_dropout(recurrent_dropout=0.4), {}, SPLIT, seed=0, epochs=3)
    auto, alone = (
        curve.validation_loss
        for engine in ("auto", "fit")
        for _, curve in make_trainer(TASK, engine, "jax").train([fit], DATA)
    )
    assert auto == alone
