"""A study whose network adapts a layer to its rows: what was adapted is kept, and predicts."""

import json
from pathlib import Path

import numpy as np
import pytest

from hpsearch.models import kept
from hpsearch.models.prediction import predict_rows
from hpsearch.runs.load import Overrides, load_study
from hpsearch.training import backend
from tests.runs.whole_runs import check_continues

pytestmark = pytest.mark.slow

STUDY = """
import numpy as np
from hpsearch import Data, Float, Hyperband, KFold, Space, Study, Task

def load():
    rng = np.random.default_rng(0)
    x = rng.normal((500, -2000, 3), (3, 40, 0.1), size=(90, 3))
    y = ((x - (500, -2000, 3)) / (3, 40, 0.1)).sum(axis=1)
    return Data(x[:70], y[:70], x[70:], y[70:], columns=["a", "b", "c"])

def build(spec, learning_rate):
    import keras

    inputs = keras.Input(spec.input_shape)
    x = spec.adapt(keras.layers.Normalization())(inputs)
    x = keras.layers.Dense(4, "tanh")(x)
    model = keras.Model(inputs, keras.layers.Dense(1)(x))
    model.compile(keras.optimizers.Adam(learning_rate), spec.loss, metrics=spec.metrics)
    return model

study = Study(
    task=Task("sums", load, "mse", "mae"),
    space=Space(learning_rate=Float(1e-3, 1e-1, log=True)),
    build=build,
    searcher=Hyperband(max_epochs=3, eta=3),
    evaluator=KFold(2),
)
"""


def test_kept_models_have_what_was_adapted_to_all_rows(hpsearch, write):
    file = write("sums", text=STUDY)
    assert hpsearch("run", file, "--inline", "--trials", 2)[0] == 0
    code, out, err = hpsearch("refit", file, "--seeds", 2, "--json", "-o", "model")
    assert code == 0, err
    card = json.loads(out)
    assert card["backend"] == backend.choose()
    data = load_study(file, Overrides()).task.load()
    models = kept.load(Path("model"))  # no type needs trust
    for model in models.models:
        (layer,) = (each for each in model.layers if type(each).__name__ == "Normalization")
        np.testing.assert_allclose(np.ravel(layer.mean), data.x.mean(axis=0), rtol=1e-5)
        np.testing.assert_allclose(np.ravel(layer.variance), data.x.var(axis=0), rtol=1e-3)
    predicted = predict_rows(models, data.x_test)[:, 0]
    error = np.abs(predicted - data.y_test).mean()
    assert card["test"]["value"] == pytest.approx(error, rel=1e-5)

    np.savetxt("new.csv", data.x_test, delimiter=",", header="a,b,c", comments="")
    code, _, err = hpsearch("predict", "model", "new.csv", "-o", "out.csv")
    assert code == 0, err
    np.testing.assert_allclose(np.loadtxt("out.csv", skiprows=1), predicted, rtol=1e-4, atol=1e-5)


@pytest.mark.thorough
@pytest.mark.parametrize("engine", ["fit", *(["auto"] if backend.name() == "jax" else [])])
def test_it_is_killed_and_continued_with_an_equal_journal(write, engine):
    check_continues(write("sums", text=STUDY), 4, "--checkpoint-every", "1", engine=engine)


@pytest.mark.thorough
def test_it_is_so_on_tensorflow_too(check_on_tensorflow):
    check_on_tensorflow(
        f"{__file__}::test_kept_models_have_what_was_adapted_to_all_rows",
        f"{__file__}::test_it_is_killed_and_continued_with_an_equal_journal",
    )
