"""refit and predict of studies with several outputs, and with sequences, from end to end."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from hpsearch import KFold, NestedKFold
from hpsearch.runs.load import Overrides, load_study
from hpsearch.store import Store, list_openings

pytestmark = pytest.mark.slow

PEOPLE = """
import numpy as np
from sklearn.preprocessing import StandardScaler

from hpsearch import *
from spaces import mlp

rng = np.random.default_rng(0)
x = rng.normal(size=(120, 3))
y = {"age": 3 * x[:, 0], "sex": (x[:, 1] > 0).astype(int), "job": rng.integers(0, 3, 120)}
searched, tested = ({name: of[rows] for name, of in y.items()} for rows in (slice(90), slice(90, 120)))

study = Study(
    task=Task(
        "people",
        Data(x[:90], searched, x_test=x[90:], y_test=tested, columns=("a", "b", "c")),
        loss={
            "age": "mse",
            "sex": "binary_crossentropy",
            "job": "sparse_categorical_crossentropy",
        },
        loss_weights={"sex": 0.5, "job": 2},
        preprocess=StandardScaler(),
    ),
    space=Space(learning_rate=Float(1e-2, 1e-1, log=True)),
    build=mlp.model((8,)),
    searcher=Random(trials=2, epochs=4),
    evaluator=KFold(3),
)
"""
TAGS = """
import numpy as np

from hpsearch import *

rng = np.random.default_rng(0)
x = rng.integers(0, 9, size=(120, 5))
y = (x + np.roll(x, 1, axis=1)) % 3
full = (np.arange(5) < rng.integers(3, 6, (120, 1))).astype(float)
y[full == 0] = 0

def build(spec, units=8):
    import keras

    inputs = keras.Input(spec.input_shape)
    hidden = keras.layers.Conv1D(units, 3, padding="same")(keras.layers.Embedding(9, 4)(inputs))
    outputs = keras.layers.Dense(spec.outputs, activation=spec.activation)(hidden)
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.Adam(0.02), loss=spec.loss, metrics=spec.metrics)
    return model

study = Study(
    task=Task(
        "tags",
        Data(x[:90], y[:90], x_test=x[90:], y_test=y[90:],
             sample_weight=full[:90], sample_weight_test=full[90:]),
        loss="sparse_categorical_crossentropy",
        metric="accuracy",
        weighted_metrics=True,
    ),
    space=Space(units=Int(8, 16)),
    build=build,
    searcher=Random(trials=2, epochs=4),
    evaluator=Holdout(0.3),
)
"""


@pytest.fixture
def refitted(write, hpsearch):
    """Write a study, search it, and refit an ensemble: refitted(text) -> its card, what it tells."""

    def made(name, text):
        file = write(name, text=text)
        code, _, err = hpsearch("run", file, "--inline")
        assert code == 0, err
        code, out, err = hpsearch("refit", file, "--json", "--ensemble", 2, "--seeds", 1)
        assert code == 0, err
        return json.loads(out), err

    return made


def predict(hpsearch, card, x, names):
    lines = [",".join(map(str, row)) for row in x]
    Path("new.csv").write_text("\n".join([",".join(names), *lines]) + "\n")
    code, out, err = hpsearch("predict", card["folder"], "new.csv")
    assert code == 0, err
    return list(csv.DictReader(out.splitlines()))


def read_test(card):
    with open(Path(card["folder"], "test.csv")) as file:
        names, *rows = csv.reader(file)
    return dict(zip(names, np.array(rows, float).T, strict=True))


def test_several_outputs_are_refitted_tested_once_and_predicted(hpsearch, refitted):
    card, told = refitted("people", PEOPLE)
    test, tested = card["test"], read_test(card)
    probabilities = np.column_stack([tested[f"job/predicted_{i}"] for i in range(3)])
    of_job = probabilities[np.arange(30), tested["job/true_0"].astype(int)]
    of_sex = np.where(tested["sex/true_0"] == 1, *(
        each(tested["sex/predicted_0"]) for each in (lambda p: p, lambda p: 1 - p)
    ))  # fmt: skip
    squares = (tested["age/true_0"] - tested["age/predicted_0"]) ** 2
    rows = squares - 0.5 * np.log(of_sex) - 2 * np.log(of_job)
    assert test["value"] == pytest.approx(rows.mean(), rel=1e-3)
    assert test["se"] == pytest.approx(rows.std(ddof=1) / np.sqrt(30), rel=1e-3)
    assert list(test["outputs"]) == list(card["validation"]["outputs"]) == ["age", "sex", "job"]
    assert test["outputs"]["age"]["rmse"] == pytest.approx(np.sqrt(squares.mean()), rel=1e-3)
    assert np.sum(test["outputs"]["sex"]["confusion"]) == 30
    for heading in ("## age", "## sex", "## job", "opened once, for this model"):
        assert heading in told
    with Store(Path("store.db")) as store:
        assert len(list_openings(store)) == 1

    namespace = {}
    exec(PEOPLE, namespace)
    found = predict(hpsearch, card, namespace["x"][90:], "abc")
    ages = [float(row["age/predicted"]) for row in found]
    assert ages == pytest.approx(tested["age/predicted_0"].tolist(), abs=1e-4)
    assert [int(row["job/class"]) for row in found] == probabilities.argmax(1).tolist()


def test_a_sequence_is_refitted_without_its_padding_and_predicted_by_steps(hpsearch, refitted):
    card, told = refitted("tags", TAGS)
    namespace = {}
    exec(TAGS, namespace)
    full, tested = namespace["full"][90:] > 0, read_test(card)
    true, guess, sure = (
        np.column_stack([tested[f"{of}_{step}"] for step in range(5)])
        for of in ("true", "predicted", "p")
    )
    right = (true == guess)[full].mean()
    assert card["test"]["value"] == pytest.approx(right)
    assert card["test"]["accuracy"] == pytest.approx(right)
    assert card["test"]["steps"] == np.sum(card["test"]["confusion"]) == full.sum()
    assert card["weights"] == "sample_weight of each step, in the training loss and the metrics"
    assert f"({(~full).sum()} of weight 0 left out)" in told

    found = predict(hpsearch, card, namespace["x"][90:], "abcde")
    classes = [[int(row[f"class_{step}"]) for step in range(5)] for row in found]
    assert classes == guess.tolist()
    assert [float(row["p_4"]) for row in found] == pytest.approx(sure[:, 4].tolist(), abs=1e-4)


def test_nested_folds_score_several_outputs_together(write):
    study = load_study(write("people", text=PEOPLE), Overrides())
    score = NestedKFold(2, inner=KFold(2)).estimate(study)
    assert score.metric.name == "loss"
    assert np.isfinite([score.value, score.se]).all()
    assert [fold.rows for fold in score.folds] == [45, 45]


def test_names_of_classes_do_not_go_with_several_outputs(write, hpsearch):
    file = write(
        "people", ("columns=", "coding=Coding(classes=('f', 'm')), columns="),
        ("from hpsearch import *", "from hpsearch import *\nfrom hpsearch.core.coding import Coding"),
        text=PEOPLE,
    )  # fmt: skip
    code, _, err = hpsearch("run", file, "--inline", "--searcher", "random:trials=1,epochs=1")
    assert (code, err.count("\n")) == (2, 1)
    assert "coding names classes, or a unit, of one output" in err
