"""Refits of training functions: kept without code, tested once, and predicting by their study."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.slow

STUDY = """
import numpy as np
from hpsearch import *
from sklearn.preprocessing import StandardScaler

rng = np.random.default_rng(0)
x = rng.normal(size=(150, 3)).astype("float32")
y = (x @ np.array([1.0, -2.0, 0.5]) + 0.3 * rng.normal(size=150)).astype("float32")
task = Task("line", Data(x[:120], y[:120], x[120:], y[120:], columns=("a", "b", "c")), "mse", "mae",
            preprocess=StandardScaler())
space = Space(rate=Float(1e-2, 1e-1, log=True))

TRAIN

study = Study(task=task, train=train, space=space, searcher=Random(trials=2, epochs=2),
              evaluator=KFold(2))
"""

PLAIN = """
def train(run, rate):
    x, y = run.train
    state = run.restore() or {"weights": np.zeros((x.shape[1], 1))}
    weights = state["weights"]
    def predict(rows):
        return rows @ weights
    for epoch in run.epochs():
        assert run.is_refit == (len(x) == 120)
        weights = weights - rate * x.T @ (x @ weights - y) / len(x)
        if not run.is_refit:
            run.report(**run.measure(predict))
        run.save({"weights": weights})
    return predict
"""

FILES = """
def train(run, rate):
    place = run.folder / "weights.npy"
    if run.restore() is None:
        np.save(place, np.zeros((3, 1)))
    def predict(rows):
        return rows @ np.load(place)
    for epoch in run.epochs():
        x, y = run.train
        np.save(place, np.load(place) - rate * x.T @ (predict(x) - y) / len(x))
        run.report(**run.measure(predict))
        run.save()
    return predict
"""

KERAS = """
def train(run, rate):
    import keras
    from spaces import mlp
    model = mlp.model((4,))(run.spec, learning_rate=rate)
    run.restore(model)
    def predict(rows):
        return model.predict(rows, verbose=0)
    for epoch in run.epochs():
        model.fit(*run.train, verbose=0)
        run.report(**run.measure(predict))
        run.save(model)
    return predict
"""

FOREST = """
from sklearn.ensemble import RandomForestRegressor
from hpsearch.training import sklearn_model
space = Space(max_depth=Int(1, 9))
train = sklearn_model(lambda max_depth: RandomForestRegressor(max_depth=max_depth),
                      by="n_estimators", step=5)
"""


def write_study(function):
    file = Path("own.py")
    file.write_text(STUDY.replace("TRAIN", function))
    return file


def write_rows():
    rows = np.random.default_rng(1).normal(size=(5, 3))
    Path("rows.csv").write_text("a,b,c\n" + "".join(",".join(map(str, r)) + "\n" for r in rows))
    return rows


@pytest.mark.parametrize("function", [PLAIN, FILES, KERAS, FOREST], ids=["arrays", "files", "keras", "forest"])  # fmt: skip
@pytest.mark.parametrize("how", [(), ("--ensemble", "2", "--seeds", "2")], ids=["one", "ensemble"])
def test_it_is_refitted_kept_tested_and_predicts(hpsearch, function, how):
    file = write_study(function)
    assert hpsearch("run", file, "--inline")[0] == 0
    code, out, err = hpsearch("refit", file, "-o", "m", "--json", *how)
    assert code == 0, err
    card = json.loads(out)
    assert card["test"]["rows"] == 30
    assert not list(Path("m").glob("*.keras"))
    rows = write_rows()
    code, out, err = hpsearch("predict", "m", "rows.csv", "--study", file)
    assert code == 0, err
    predicted = [float(row["predicted"]) for row in csv.DictReader(out.splitlines())]
    assert np.corrcoef(predicted, rows @ [1, -2, 0.5])[0, 1] > 0.8

    # The same command finds it kept, and tested.
    code, again, err = hpsearch("refit", file, "-o", "m", "--json", *how)
    assert code == 0, err
    assert json.loads(again)["test"] == card["test"]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("    return predict\n", "", "returns no predict, which refit and ensembles need"),
        ('        run.save({"weights": weights})\n', "", "saves nothing, and refit makes its"),
        ('run.save({"weights": weights})', 'run.save({"weights": 0 * weights})', "predicts other"),
        ("run.restore() or {", "{", "never calls run.restore()"),
        ("    x, y = run.train", "    x, y = run.train; x.max()", "has no rows and only restores"),
        (
            "        if not run.is_refit:\n",
            "        1 / (len(run.validation[0]) - 1)\n        if not run.is_refit:\n",
            "gives it one of them to validate on: report nothing where run.is_refit",
        ),
    ],
)
def test_what_could_not_predict_is_refused_before_it_is_trained(hpsearch, old, new, says):
    file = write_study(PLAIN.replace(old, new))
    assert hpsearch("run", file, "--inline")[0] == 0
    code, _, err = hpsearch("refit", file)
    assert code == 2
    assert says in err
    assert len(err.strip().splitlines()) == 1


@pytest.fixture
def refitted(hpsearch):
    file = write_study(PLAIN)
    assert hpsearch("run", file, "--inline")[0] == 0
    assert hpsearch("refit", file, "-o", "m")[0] == 0
    write_rows()
    return file


def test_the_study_is_named_to_predict(hpsearch, refitted):
    code, _, err = hpsearch("predict", "m", "rows.csv")
    assert code == 2
    assert "name the study's file, which is run: --study studies/x.py" in err
    other = Path("other.py")
    other.write_text(refitted.read_text().replace("rate", "speed"))
    code, _, err = hpsearch("predict", "m", "rows.csv", "--study", other)
    assert code == 2
    assert "is no model of this study" in err
    other.write_text(
        "from spaces import mlp\n"
        + refitted.read_text().replace("train=train", "build=mlp.model()")
    )
    code, _, err = hpsearch("predict", "m", "rows.csv", "--study", other)
    assert code == 2
    assert "leave --study out" in err


def rewrite(path, **changes):
    from hpsearch.training import checkpoint

    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files if name != "checksum"}
    about = json.loads(bytes(arrays["run"])) | changes
    arrays["run"] = checkpoint.text_array(json.dumps(about))
    arrays["checksum"] = checkpoint.text_array(checkpoint.compute_checksum(arrays))
    np.savez(path, **arrays)


@pytest.mark.parametrize(
    "changes",
    [
        {"params": {"rate": 99.0}},
        {"params": 3},
        {"seed": -1},
        {"seed": "x"},
        {"rows": 2**80},
        {"x": [[10**30], "<f4"]},
        {"x": [[3], "O"]},
        {"kind": "none"},
        {"outputs": [1]},
        None,
    ],
)
def test_a_changed_model_is_refused_in_one_line(hpsearch, refitted, changes):
    path = Path("m/model-1.npz")
    if changes is None:
        path.write_bytes(path.read_bytes()[:-9])
    else:
        rewrite(path, **changes)
    code, _, err = hpsearch("predict", "m", "rows.csv", "--study", refitted)
    assert code == 2, err
    assert "is no model of this study" in err
    assert len(err.strip().splitlines()) == 1


def test_nested_folds_need_no_predict():
    from hpsearch import NestedKFold
    from hpsearch.runs.load import Overrides, load_study

    study = load_study(write_study(PLAIN.replace("    return predict\n", "")), Overrides())
    score = NestedKFold(2, inner=None).estimate(study)
    assert score.value < 2
