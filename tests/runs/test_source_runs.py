"""Whole studies over rows of a source: each gives what the same study over an array gives.

Everything is compared to the last bit: every curve, the weights of refitted models, predictions.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hpsearch import KFold, NestedKFold
from hpsearch.runs.load import Overrides, load_study
from tests.attacks.searches import journal
from tests.clusters import start_cluster
from tests.conftest import ROOT

pytestmark = pytest.mark.slow

STUDY = """
import numpy as np
from sklearn.preprocessing import StandardScaler

from hpsearch import *


class Rows(Source):
    def __init__(self, array):
        self.array = array

    def __len__(self):
        return len(self.array["a"] if isinstance(self.array, dict) else self.array)

    def rows(self, indices):
        if isinstance(self.array, dict):
            return {name: each[indices] for name, each in self.array.items()}
        return self.array[indices]


def build(spec, units, rate):
    import keras

    shapes = spec.input_shape if isinstance(spec.input_shape, dict) else {"x": spec.input_shape}
    inputs = {name: keras.Input(shape, name=name) for name, shape in shapes.items()}
    parts = list(inputs.values())
    joined = parts[0] if len(parts) == 1 else keras.layers.Concatenate()(parts)
    hidden = keras.layers.Dense(units, activation="tanh")(joined)
    hidden = keras.layers.Dropout(0.2)(hidden)
    outputs = keras.layers.Dense(spec.outputs, activation=spec.activation)(hidden)
    model = keras.Model(inputs if len(parts) > 1 else parts[0], outputs)
    model.compile(keras.optimizers.Adam(rate), loss=spec.loss, metrics=spec.metrics)
    return model


rng = np.random.default_rng(0)
x = (4 + rng.normal(size=(120, 4))).astype("float32")
y = (x @ [1.0, -1.0, 0.5, 0.5] + rng.normal(scale=0.5, size=120) > 4).astype(int)
weights = rng.random(120)
split = lambda rows: rows  # noqa: E731
wrap = Rows

study = Study(
    task=Task(
        "signs",
        Data(
            wrap(split(x[:90])), y[:90], wrap(split(x[90:])), y[90:],
            groups=np.arange(90) // 3,
        ),
        loss="sparse_categorical_crossentropy",
        metric="accuracy",
        preprocess=StandardScaler(),
    ),
    space=Space(units=Int(4, 16), rate=Float(1e-2, 1e-1, log=True), batch_size=Choice(16, 20)),
    build=build,
    searcher=Random(trials=3, epochs=3),
    evaluator=KFold(3),
)
"""  # fmt: skip
SPLIT_IN_TWO = (
    (
        "split = lambda rows: rows  #",
        'split = lambda rows: {"a": rows[:, :3], "b": rows[:, 3:]}  #',
    ),
    ("preprocess=StandardScaler()", 'preprocess={"a": StandardScaler()}'),
)
WEIGHTED = (
    (
        "groups=np.arange(90) // 3,",
        "sample_weight=weights[:90], sample_weight_test=list(weights[90:]),",
    ),
    (
        'metric="accuracy",',
        'metric="f1", metrics=["accuracy"], class_weight={0: 1, 1: 3}, weighted_metrics=True,',
    ),
)
GROUPS = (("KFold(3)", "KFold(3, groups=True)"),)
HOLDOUT = (("KFold(3)", "Holdout(0.3)"), ("preprocess=StandardScaler(),", ""))
HYPERBAND = (("Random(trials=3, epochs=3)", "Hyperband(max_epochs=4, eta=2)"),)


def write_both(write, *changes):
    """Write a study over an array and over a source; returns their files by kind."""
    files = {}
    for kind, how in {"array": "lambda rows: rows", "source": "Rows"}.items():
        wrapped = ("wrap = Rows", f"wrap = {how}")
        files[kind] = write(f"of_{kind}", *changes, wrapped, text=STUDY)
    return files


@pytest.fixture
def both(write, hpsearch):
    """Search a study twice, over an array and over a source: both(change, ...) -> their files."""

    def search(*changes, options=("--inline",)):
        files = write_both(write, *changes)
        for kind, file in files.items():
            code, _, err = hpsearch(
                "run", file, "--store", f"{kind}.db", "--engine", "fit", *options
            )
            assert code == 0, err
        assert journal(Path("source.db")) == journal(Path("array.db"))
        return files

    return search


def refit_both(hpsearch, files, *options):
    """Refit both studies, compare cards, weights and predictions; returns the folders by kind."""
    import keras

    cards, weights = {}, {}
    for kind, file in files.items():
        code, out, err = hpsearch(
            "refit", file, "--store", f"{kind}.db", "--engine", "fit", "--json", *options
        )
        assert code == 0, err
        cards[kind] = json.loads(out)
        saved = sorted(Path(cards[kind]["folder"]).glob("model-*.keras"))
        models = [keras.models.load_model(file, compile=False) for file in saved]
        weights[kind] = [array for model in models for array in model.get_weights()]
    for one, other in zip(weights["array"], weights["source"], strict=True):
        assert one.tobytes() == other.tobytes()
    folders = {kind: Path(card["folder"]) for kind, card in cards.items()}
    tables = {(folder / "test.csv").read_bytes() for folder in folders.values()}
    assert len(tables) == 1
    assert cards["source"]["test"].pop("fingerprint") == cards["array"]["test"].pop("fingerprint")
    for card in cards.values():
        for member in card["members"]:
            del member["trial"]  # with two workers, which one is asked for first is chance
    for part in ("validation", "test", "members"):
        assert cards["source"][part] == cards["array"][part]
    return folders


@pytest.mark.parametrize(
    ("changes", "options"),
    [
        ((), ("--inline",)),
        (GROUPS, ("--inline",)),
        (WEIGHTED, ("--inline",)),
        (SPLIT_IN_TWO, ("--inline",)),
        (HOLDOUT, ("--inline", "--repeats", "2", "--finalists", "2")),
        (HYPERBAND, ("--devices", "cpu:2")),
    ],
    ids=["folds", "groups", "weights", "two inputs", "repeats", "two workers"],
)
def test_a_search_and_its_refit_are_those_of_the_array(both, hpsearch, changes, options):
    refit_both(hpsearch, both(*changes, options=options), "--seeds", "2")


@pytest.mark.thorough
def test_an_ensemble_predicts_a_source_as_an_array(both, hpsearch):
    from hpsearch.models import kept
    from hpsearch.models.prediction import predict_rows

    files = both(*SPLIT_IN_TWO)
    folders = refit_both(hpsearch, files, "--ensemble", "3", "--seeds", "2")
    models = kept.load(folders["source"])
    namespace = {}
    exec(STUDY, namespace)
    x = namespace["x"]
    whole = {"a": x[:, :3], "b": x[:, 3:]}
    expected = predict_rows(models, whole).tobytes()
    assert predict_rows(models, namespace["Rows"](whole)).tobytes() == expected
    apart = {name: namespace["Rows"](each) for name, each in whole.items()}
    assert predict_rows(models, apart).tobytes() == expected
    assert len(models.models) > 2


@pytest.mark.thorough
def test_nested_folds_are_those_of_the_array(write):
    files = write_both(write, *GROUPS, ("Random(trials=3, epochs=3)", "Random(trials=2, epochs=2)"))
    found = [
        NestedKFold(KFold(2, groups=True), inner=KFold(2)).estimate(
            load_study(file, Overrides()), engine="fit"
        )
        for file in files.values()
    ]
    assert found[0] == found[1]


@pytest.mark.thorough
def test_on_the_other_backend_too(tmp_path):
    other = "tensorflow" if os.environ["KERAS_BACKEND"] == "jax" else "jax"
    chosen = f"{Path(__file__)}::test_a_search_and_its_refit_are_those_of_the_array"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"{chosen}[weights]"],
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": other, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.thorough
def test_workers_on_ray_read_the_source_themselves(both, hpsearch):
    cluster = start_cluster({"num_cpus": 1}, {"num_cpus": 1})
    try:
        both(options=("--ray", cluster.address))
    finally:
        cluster.shutdown()
