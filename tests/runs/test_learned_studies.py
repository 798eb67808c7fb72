"""Whole studies of tasks of many kinds: searched by Hyperband with k-fold, killed, continued."""

import json
from pathlib import Path

import pytest

from tests.runs.whole_runs import check_continues, finish, start

pytestmark = pytest.mark.slow

BEGIN = """
import numpy as np
from hpsearch import Choice, Data, Float, Hyperband, Int, KFold, Space, Study, Task
from spaces import mlp

rng = np.random.default_rng(0)
x = rng.normal(size=(150, 6)).astype("float32")
hidden = x @ rng.normal(size=(6, 4)).astype("float32")
weights = rng.random(150)

def tagger(spec, units, learning_rate):
    import keras
    inputs = keras.Input(spec.input_shape)
    steps = keras.layers.Reshape((-1, 1))(inputs)
    steps = keras.layers.Conv1D(units, 3, padding="same", activation="relu")(steps)
    outputs = keras.layers.Dense(spec.outputs, activation=spec.activation)(steps)
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.Adam(learning_rate), loss=spec.loss, metrics=spec.metrics)
    return model

def worst(y_true, y_pred):
    return float(np.abs(y_true - y_pred).max())

def search(task, build):
    space = Space(units=Int(4, 12), learning_rate=Float(1e-3, 1e-1, log=True))
    return Study(task=task, space=space, build=build, searcher=Hyperband(max_epochs=4, eta=2),
                 evaluator=KFold(3))
"""

STUDIES = {
    "regression": """
data = Data(x[:120], hidden[:120, 0], x[120:], hidden[120:, 0], sample_weight=weights[:120])
task = Task("numbers", data, "mse", "r2", metrics=["mae", (worst, "min")])
study = search(task, mlp.model())
""",
    "labels": """
y = (hidden > 0).astype("float32")
task = Task("labels", Data(x[:120], y[:120], x[120:], y[120:]), "binary_crossentropy",
            "average_precision", metrics=["binary_accuracy", "f1_macro"])
study = search(task, mlp.model())
""",
    "outputs": """
y = {"kind": hidden[:, :3].argmax(axis=1), "size": hidden[:, 3]}
first, last = ({n: v[s] for n, v in y.items()} for s in (slice(120), slice(120, None)))
task = Task("outputs", Data(x[:120], first, x[120:], last),
            {"kind": "sparse_categorical_crossentropy", "size": "mse"}, "kind/accuracy",
            metrics=["size/mae", "kind/f1_macro", "loss"], loss_weights={"size": 0.5})
study = search(task, mlp.model())
""",
    "sequences": """
y = (x > 0).astype("int64") + (np.roll(x, 1, axis=1) > 0.5)
mask = (np.arange(6) < rng.integers(3, 7, size=150)[:, None]).astype("float32")
task = Task("steps", Data(x[:120], y[:120], x[120:], y[120:], sample_weight=mask[:120],
                          sample_weight_test=mask[120:]),
            "sparse_categorical_crossentropy", "accuracy", metrics=["f1_macro"],
            weighted_metrics=True)
study = search(task, tagger)
""",
}


@pytest.mark.thorough
@pytest.mark.parametrize("kind", STUDIES)
def test_it_is_searched_killed_continued_refitted_and_reported(hpsearch, kind):
    file = Path("kinds.py")
    file.write_text(BEGIN + STUDIES[kind])
    check_continues(file, 3)

    # Side by side it is the same training.
    assert finish(start(file, "--inline", store="auto.db", engine="auto"))[0] == 0
    by_fit, by_gang = (
        json.loads(hpsearch("show", 1, "--json", "--store", store)[1])
        for store in ("store.db", "auto.db")
    )
    assert by_gang["value"] == pytest.approx(by_fit["value"], abs=1e-3)
    for name, found in by_gang["metrics"].items():
        assert found["value"] == pytest.approx(by_fit["metrics"][name]["value"], abs=1e-3)

    best, *_ = json.loads(hpsearch("rank", "--json")[1])
    shown = json.loads(hpsearch("show", best["trial"], "--json")[1])
    assert shown["metrics"]
    code, _, err = hpsearch("refit", file)
    assert code == 0, err
    (card,) = (json.loads(path.read_text()) for path in Path("models").rglob("card.json"))
    assert card["test"]["rows"] == 30
    assert hpsearch("report", best["task"], "-o", "report.html")[0] == 0
    page = Path("report.html").read_text()
    assert all(name in page for name in shown["metrics"])
