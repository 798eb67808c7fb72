"""A study whose data comes in streams: searched, killed, continued, repeated, refitted."""

import json
from pathlib import Path

import pytest

from tests.runs.whole_runs import check_continues, finish, start

pytestmark = pytest.mark.slow

STUDY = """
import keras
import numpy as np
from hpsearch import Choice, Data, Float, Given, Hyperband, Space, Study, Task

rng = np.random.default_rng(0)
X = rng.normal(size=(300, 6)).astype("float32")
Y = (X[:, 0] + X[:, 1] ** 2 > 0.5).astype("int64") + (X[:, 2] > 0.6)
PARTS = {"train": slice(0, 160), "validation": slice(160, 230), "test": slice(230, 300)}


def part(name):
    x, y = X[PARTS[name]], Y[PARTS[name]]

    def stream(seed, batch_size):
        order = np.random.default_rng(seed).permutation(len(x))
        for start in range(0, len(x), batch_size):
            at = order[start : start + batch_size]
            yield x[at], y[at]

    return stream


def load():
    return Data.streams(part("train"), part("validation"), part("test"), version="1")


def build(spec, rate):
    inputs = keras.Input(spec.input_shape)
    x = keras.layers.Dropout(0.1)(keras.layers.Dense(16, "relu")(inputs))
    model = keras.Model(inputs, keras.layers.Dense(spec.outputs, spec.activation)(x))
    model.compile(keras.optimizers.Adam(rate), loss=spec.loss, metrics=spec.metrics)
    return model


study = Study(
    task=Task("flows", load, "sparse_categorical_crossentropy", "accuracy", outputs=3),
    space=Space(rate=Float(1e-3, 1e-1, log=True), batch_size=Choice(40)),
    build=build,
    searcher=Hyperband(max_epochs=3, eta=3),
    evaluator=Given(),
)
"""


def write():
    file = Path("flows.py")
    file.write_text(STUDY)
    return file


def test_streams_are_searched_killed_continued_repeated_and_refitted(hpsearch):
    file = write()
    check_continues(file, 3)
    assert hpsearch("run", file, "--inline", "--repeats", 2)[0] == 0

    code, _, err = hpsearch("refit", file, "--seeds", 2)
    assert code == 0, err
    (path,) = Path("models").rglob("card.json")
    card = json.loads(path.read_text())
    (member,) = card["members"]
    trial = json.loads(hpsearch("show", member["trial"], "--json")[1])
    assert card["rows"] is None
    assert card["test"]["rows"] == 70
    assert card["test"]["opening"] == 1
    assert member["epochs"] == member["best_epoch"]
    # Predictions of the validation stream meet their own targets.
    at_best = trial["curves"][0]["validation"][trial["best_epoch"] - 1]
    assert card["validation"]["accuracy"] == pytest.approx(at_best)
    assert "Trained on the train stream, without the validation's" in (
        path.with_name("card.md").read_text()
    )

    # An ensemble is chosen on the rows of the validation stream, in its own order.
    code, _, err = hpsearch("refit", file, "--ensemble", 3, "--seeds", 1, "--sealed")
    assert code == 0, err


@pytest.mark.thorough
def test_two_workers_find_the_same(hpsearch):
    file = write()
    assert finish(start(file, "--inline", store="inline.db"))[0] == 0
    assert finish(start(file, "--devices", "cpu:2", store="two.db"))[0] == 0
    values = [
        sorted(row["value"] for row in json.loads(hpsearch("rank", "--json", "--store", store)[1]))
        for store in ("inline.db", "two.db")
    ]
    assert values[0] == values[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--evaluator", "kfold"), "streams come in parts already, which cannot be split; use"),
        (("--engine", "gang"), "--engine gang needs rows to train on side by side"),
    ],
)
def test_what_streams_cannot_do_is_said_in_one_line(hpsearch, options, message):
    code, _, err = hpsearch("run", write(), "--inline", *options)
    assert code == 2
    assert message in err
    assert err.count("\n") == 1


def test_auto_says_once_why_fits_are_trained_one_after_the_other(hpsearch):
    code, out, err = hpsearch("run", write(), "--inline", "--trials", 1)
    assert code == 0, err
    assert (out + err).count("by fit: the data comes in streams") == 1


def test_another_version_is_another_search(hpsearch):
    file = write()
    assert hpsearch("run", file, "--inline", "--trials", 1)[0] == 0
    file.write_text(file.read_text().replace('version="1"', 'version="2"'))
    code, _, err = hpsearch("run", file, "--inline")
    assert code == 2
    assert "the data changed" in err
