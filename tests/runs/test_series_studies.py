"""Whole studies of a series: windows whose lags are searched, validated forward in time."""

import json
from pathlib import Path

import numpy as np
import pytest

from hpsearch import Forward, Int, KerasSearchCV, NestedKFold, PerChannel, Random, Space, Study
from hpsearch.core.errors import HpsearchError
from hpsearch.models import kept
from hpsearch.models.prediction import predict_rows
from hpsearch.training import backend
from tests.runs.whole_runs import check_continues

pytestmark = pytest.mark.slow

TEXT = """
import keras
import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from hpsearch import *

rng = np.random.default_rng(0)
steps = np.arange(300)
series = np.stack([np.sin(steps / 8) + 0.1 * rng.normal(size=300), rng.normal(size=300)], 1)
windows = Windows(series.astype("float32"), lags=13, horizon=3, target=0)

def build(spec, units=4):
    model = keras.Sequential([keras.Input(spec.input_shape), keras.layers.Flatten(),
                              keras.layers.Dense(units, "relu"), keras.layers.Dense(spec.outputs)])
    model.compile("adam", loss=spec.loss, metrics=spec.metrics)
    return model

def prepare(lags, stride=1):
    return make_pipeline(Lags(lags, stride), PerChannel(StandardScaler()))

task = Task("waves", windows.data(test=0.2), "mse", "mae", preprocess=prepare,
            preprocess_y=[Difference(0), StandardScaler()])
study = Study(
    task=task, build=build, searcher=Hyperband(max_epochs=2, eta=2), evaluator=Forward(3),
    space=Space(lags=Choice(2, 4), stride=Choice(1, 4)), name="waves",
)
"""
SHORT = ("--searcher", "random:trials=2,epochs=1")


def write():
    file = Path("waves.py")
    file.write_text(TEXT)
    return file


@pytest.fixture
def made():
    names = {}
    exec(TEXT, names)  # functions of no file: nothing here sends them to another process
    return names


@pytest.mark.parametrize("engine", ["auto", pytest.param("fit", marks=pytest.mark.thorough)])
def test_it_is_searched_killed_continued_refitted_and_predicts_what_comes_next(
    hpsearch, made, engine
):
    file = write()
    check_continues(file, 2, "--engine", engine)
    code, out, err = hpsearch("refit", file, "--seeds", 1)
    assert code == 0, err
    assert "test, 57 rows" in out
    (folder,) = (path.parent for path in Path("models").rglob("card.json"))
    card = json.loads((folder / "card.json").read_text())
    assert card["backend"] == backend.choose()
    assert card["trust"] == []  # the package's own transformers need no trust
    models = kept.load(folder)
    windows, data = made["windows"], made["task"].load()
    assert np.isfinite(predict_rows(models, windows.last(3))).all()
    # Of the test's rows, the folder predicts what the refit did.
    error = np.abs(predict_rows(models, data.x_test[:])[:, 0] - data.y_test).mean()
    assert error == pytest.approx(card["test"]["value"], rel=1e-5)


@pytest.mark.thorough
def test_it_is_so_on_tensorflow(check_on_tensorflow):
    name = test_it_is_searched_killed_continued_refitted_and_predicts_what_comes_next.__name__
    check_on_tensorflow(f"{__file__}::{name}[fit]")


@pytest.mark.thorough
def test_workers_give_what_one_process_gives(hpsearch):
    file = write()
    values = []
    for store, where in (("a.db", ("--inline",)), ("b.db", ("--devices", "cpu:2"))):
        code, _, err = hpsearch("run", file, *where, *SHORT, "--store", store)
        assert code == 0, err
        ranked = json.loads(hpsearch("rank", "--json", "--store", store)[1])
        values.append(sorted(row["value"] for row in ranked))
    assert values[0] == pytest.approx(values[1], rel=1e-6)


@pytest.mark.thorough
def test_what_shows_a_search_names_forward(hpsearch):
    file = write()
    assert "Forward(folds=3)" in hpsearch("plan", file)[1]
    code, out, err = hpsearch(
        "run", file, "--inline", "--evaluator", "forward:3,gap=2,horizon=20,window=90", *SHORT
    )
    assert code == 0, err
    assert "mae by Forward(folds=3, horizon=20, gap=2, window=90)" in out
    for shown in (["doctor"], ["studies"], ["report", "waves", "-o", "waves.html"]):
        code, _, err = hpsearch(*shown)
        assert code == 0, err


@pytest.mark.parametrize(
    ("evaluator", "message"),
    [
        ("kfold:3", "train on rows that lie after"),
        ("holdout", "rows of task waves have times; use Forward()"),
        ("forward:3,shuffle=true", "keys folds, horizon, gap, window, shared_batches"),
        ("forward:3,horizon=90", "needs more than 270 instants, and task waves has 226"),
        ("forward:3,window=500", "window=500 has no effect"),
    ],
)
def test_what_cannot_work_ends_the_run_in_one_line(hpsearch, evaluator, message):
    code, _, err = hpsearch("run", write(), "--inline", "--evaluator", evaluator, *SHORT)
    assert code == 2
    assert message.removeprefix("train ") in err
    assert len(err.strip().splitlines()) == 1


@pytest.mark.skipif("backend.choose() != 'jax'", reason="only JAX trains side by side")
def test_trainers_agree_and_trials_of_other_lags_are_validated_on_the_same_instants(made):
    def evaluate(engine, lags, stride):
        point = {"lags": lags, "stride": stride}
        forward = Forward(3, gap=2, window=60)
        return forward.evaluate(made["build"], point, made["task"], epochs=2, engine=engine)

    alone, together, longer = evaluate("fit", 3, 4), evaluate("gang", 3, 4), evaluate("fit", 8, 1)
    assert np.allclose(alone.curves, together.curves, rtol=1e-5)
    assert alone.splits == longer.splits != ""
    assert alone.value != longer.value


@pytest.mark.thorough
def test_nested_folds_go_forward_too(made):
    study = made["study"]
    short = Study(
        task=study.task, build=study.build, space=study.space, searcher=Random(1, 1), name="short"
    )
    found = NestedKFold(outer=Forward(2), inner=Forward(2)).estimate(short)
    assert [fold.rows for fold in found.folds] == [75, 75]
    for outer in (2, NestedKFold().outer):
        with pytest.raises(HpsearchError, match=r"NestedKFold\(outer=Forward\(5\), inner="):
            NestedKFold(outer=outer, inner=Forward(2)).estimate(short)


@pytest.mark.thorough
def test_scikit_learn_searches_series_too(made):
    from sklearn.preprocessing import StandardScaler

    windows = made["windows"]
    search = KerasSearchCV(
        made["build"],
        Space(units=Int(2, 4)),
        Random(2, 1),
        cv=Forward(3),
        kind="regressor",
        preprocess=PerChannel(StandardScaler()),
    )
    search.fit(windows, windows.targets)
    assert search.n_splits_ == 3
    assert search.predict(windows.last(2)).shape == (2,)
    x = np.random.default_rng(0).normal(size=(60, 4))
    tables = KerasSearchCV(made["build"], {"units": [2]}, Random(1, 1), kind="regressor")
    tables.set_params(cv=Forward(2)).fit(x, x[:, 0], times=np.arange(60))
    for rows, y, more in ((windows, windows.targets, {}), (x, x[:, 0], {"times": np.arange(60)})):
        with pytest.raises(ValueError, match="lie after those it validates on"):
            tables.set_params(cv=3).fit(rows, y, **more)
