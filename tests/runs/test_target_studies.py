"""Whole studies whose points choose in which unit targets are learned: searched, killed, refitted."""

import json
from pathlib import Path

import numpy as np
import pytest

from hpsearch.runs.load import Overrides, load_study
from hpsearch.training import backend
from tests.runs.whole_runs import (
    check_continues,
    check_two_workers_agree,
    refit,
    run_undisturbed,
)

pytestmark = pytest.mark.slow

STUDY = """
import numpy as np
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from hpsearch import Choice, Data, Difference, Float, Hyperband, KFold, Random, Space, Study, Task
from spaces import mlp

LOG = FunctionTransformer(np.log, np.exp)

def load():
    series = 500 * np.exp(np.cumsum(np.random.default_rng(0).normal(0, 0.05, size=97)))
    x = np.lib.stride_tricks.sliding_window_view(series[:-1], 6).copy()
    y = series[6:]
    return Data(x[:71], y[:71], x[71:], y[71:], columns=[f"lag{n}" for n in range(6, 0, -1)])

def change(scale):
    return {
        "none": None,
        "standard": StandardScaler(),
        "log": [LOG, Difference("lag1"), StandardScaler()],
    }[scale]

study = Study(
    task=Task(
        "prices", load, "mse", "rmse", metrics=["mae"],
        preprocess=StandardScaler(), preprocess_y=change,
    ),
    space=Space(
        learning_rate=Float(1e-3, 1e-1, log=True), scale=Choice("none", "standard", "log")
    ),
    build=mlp.model(hidden=(4,)),
    searcher=Hyperband(max_epochs=3, eta=3),
    evaluator=KFold(2),
)
"""
POINTS = (
    (
        "evaluator=KFold(2),",
        "evaluator=KFold(2), start=[{'learning_rate': 0.02, 'scale': 'log'}, "
        "{'learning_rate': 0.05, 'scale': 'standard'}, {'learning_rate': 0.05, 'scale': 'none'}],",
    ),
    ("Hyperband(max_epochs=3, eta=3)", "Random(trials=3, epochs=3)"),
)


@pytest.mark.parametrize("engine", ["fit", *(["auto"] if backend.name() == "jax" else [])])
def test_it_is_killed_and_continued_with_an_equal_journal(write, engine):
    check_continues(write("prices", text=STUDY), 4, "--checkpoint-every", "1", engine=engine)


@pytest.mark.thorough
def test_two_workers_give_each_trial_its_value(write):
    file = write("prices", text=STUDY)
    run_undisturbed(file)
    check_two_workers_agree(file)


def rmse(predicted, y):
    return float(np.sqrt(np.mean((np.ravel(predicted) - y) ** 2)))


def test_kept_models_predict_in_the_unit_of_the_targets(hpsearch, write):
    file = write("prices", *POINTS, text=STUDY)
    assert hpsearch("run", file, "--inline")[0] == 0
    data = load_study(file, Overrides()).task.load()

    # All points are ranked in one unit; prices are learned best as returns.
    ranked = json.loads(hpsearch("rank", "--json")[1])
    assert [row["params"]["scale"] for row in ranked] == ["log", "standard", "none"]
    assert ranked[0]["value"] < 100 < ranked[2]["value"]

    from hpsearch.models import kept
    from hpsearch.models.prediction import predict_rows

    card = refit(hpsearch, file, "-o", "model", "--seeds", 2)
    assert card["metric"] == "rmse"
    (member,) = card["members"]
    assert "Difference(channel='lag1'" in member["preprocess_y"]
    assert "targets changed by [FunctionTransformer" in Path("model/card.md").read_text()
    assert json.loads(Path("model/model.json").read_text())["format"] == 6
    models = kept.load(Path("model"))  # no type needs trust
    predicted = predict_rows(models, data.x_test)
    assert card["test"]["value"] == pytest.approx(rmse(predicted, data.y_test), rel=1e-6)
    assert card["test"]["value"] < 100
    alone = np.mean(
        [
            rmse(each, data.y_test)
            for each in models.predict_each(models.prepare_inputs(data.x_test))
        ]
    )
    assert card["test"]["alone_mean"] == pytest.approx(alone, rel=1e-6)

    # Columns of a file are found by their names; the last lag is then another column.
    names = data.columns[::-1]
    np.savetxt("new.csv", data.x_test[:, ::-1], delimiter=",", header=",".join(names), comments="")
    code, _, err = hpsearch("predict", "model", "new.csv", "-o", "out.csv")
    assert code == 0, err
    np.testing.assert_allclose(np.loadtxt("out.csv", skiprows=1), predicted[:, 0], rtol=1e-5)

    # An index that contradicts itself is told in one line.
    index = json.loads(Path("model/model.json").read_text())
    difference = {"channel": 5, "input": "x"}
    steps = ["transformer", difference, "transformer"]
    assert index["targets"] == [{"": steps}, {"": steps}]
    for wrong, says in (
        ([{"": steps}], "not of each model"),
        ([{"": ["transformer"]}] * 2, "more transformers"),
        ([{"": [*steps, "transformer"]}] * 2, "fewer transformers"),
        ([{"price": steps}] * 2, "no model folder"),
        ([{"": [{**difference, "channel": 6}]}] * 2, "no model folder"),
        ([{"": [{**difference, "input": "z"}]}] * 2, "no model folder"),
        (3, "no model folder"),
    ):
        Path("model/model.json").write_text(json.dumps({**index, "targets": wrong}))
        code, _, err = hpsearch("predict", "model", "new.csv")
        assert code == 2, wrong
        assert says in err
        assert err.count("\n") == 1


@pytest.mark.thorough
def test_an_ensemble_of_several_units_is_the_mean_in_the_targets_own(hpsearch, write):
    file = write("prices", *POINTS, text=STUDY)
    assert hpsearch("run", file, "--inline")[0] == 0
    study = load_study(file, Overrides())
    task, data = study.task.with_kind_of(study.task.load().y), study.task.load()
    from hpsearch.models import kept, retrain
    from hpsearch.models.prediction import predict_rows
    from hpsearch.training.base import Fit

    split = retrain.all_rows(data)
    fits = [Fit(study.build, dict(point), split, 1, 3) for point in study.start]
    trained = list(retrain.train(task, data, fits, engine="auto", backend=backend.name()))
    kept.save(Path("all"), task, data, zip((0.5, 0.25, 0.25), trained, strict=True))
    models = kept.load(Path("all"))
    each = list(models.predict_each(models.prepare_inputs(data.x_test)))
    assert all(200 < np.median(one) < 2000 for one in each[:2])
    for one, alone in zip(each, trained, strict=True):
        raw = alone.model.predict(alone.transformer.transform(data.x_test), verbose=0)
        own = alone.targets.undo(raw, alone.targets.find_last_values(data.x_test))
        np.testing.assert_allclose(one, own, rtol=1e-5)
    mean = np.average(each, axis=0, weights=[0.5, 0.25, 0.25])
    np.testing.assert_allclose(predict_rows(models, data.x_test), mean, rtol=1e-6)

    card = refit(hpsearch, file, "--ensemble", 3, "-o", "model")
    assert card["validation"]["value"] < 100
    again = refit(hpsearch, file, "--ensemble", 3, "-o", "model")
    assert again["test"] == card["test"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            [("def change(scale)", "def change(scales)")],
            "preprocess_y needs the parameter 'scales'",
        ),
        (
            [('"none": None', '"none": 3')],
            "a Difference(), or a list of these, got 3 at scale='none'",
        ),
        ([('"rmse", metrics', '"loss", metrics')], "'loss' would be in the unit of preprocess_y="),
        ([('Difference("lag1")', 'Difference("lag7")')], "names a column that x has not"),
        ([("(np.log, np.exp)", "(np.log)")], "does not give targets back"),
        (
            [("def change(scale)", "def change(scale, batch_size=1)")],
            "goes to the fit, not to prepr",
        ),
    ],
)
def test_mistakes_are_told_in_one_line_before_the_search(hpsearch, write, changes, says):
    code, _, err = hpsearch("run", write("prices", *changes, text=STUDY), "--inline")
    assert code == 2
    assert says in err
    assert err.count("\n") == 1
    assert not Path("store.db").exists()


def test_a_changed_unit_is_another_search(hpsearch, write):
    text = STUDY.replace("preprocess_y=change", "preprocess_y=StandardScaler()")
    text = text.replace(', scale=Choice("none", "standard", "log")', "")
    for old, new in POINTS[1:]:
        text = text.replace(old, new)
    file = write("prices", text=text)
    assert hpsearch("run", file, "--inline")[0] == 0
    write("prices", text=text.replace("preprocess_y=StandardScaler()", "preprocess_y=None"))
    code, _, err = hpsearch("run", file, "--inline")
    assert code == 2
    assert "preprocess_y was StandardScaler(" in err


@pytest.mark.thorough
def test_it_is_so_on_tensorflow_too(check_on_tensorflow):
    check_on_tensorflow(
        f"{__file__}::test_it_is_killed_and_continued_with_an_equal_journal",
        f"{__file__}::test_kept_models_predict_in_the_unit_of_the_targets",
    )
