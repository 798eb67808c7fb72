"""Whole searches by training functions of the study's own: killed, continued, ranked, shown."""

import json
import os
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.report.pages import Page
from tests.runs.whole_runs import finish, journal, start

pytestmark = pytest.mark.slow

BEGIN = """
import numpy as np
from hpsearch import *

rng = np.random.default_rng(0)
x = rng.normal(size=(150, 3)).astype("float32")
y = (x @ np.array([1.0, -2.0, 0.5]) + 0.3 * rng.normal(size=150)).astype("float32")
task = Task("line", Data(x[:120], y[:120], x[120:], y[120:]), "mse", "mae", metrics=["r2"])
"""

PLAIN = """
def train(run, rate, batch_size=20):
    x, y = run.train
    state = run.restore() or {"weights": np.zeros((3, 1)), "steps": 0}
    weights = state["weights"]
    for epoch in run.epochs():
        for rows in np.array_split(np.random.permutation(len(x)), len(x) // batch_size):
            weights = weights - rate * x[rows].T @ (x[rows] @ weights - y[rows]) / len(rows)
        run.report(**run.measure(lambda rows: rows @ weights))
        run.save({"weights": weights, "steps": epoch})
    return lambda rows: rows @ weights
"""

KERAS = """
def train(run, rate, batch_size=20):
    import keras
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, "tanh"),
                              keras.layers.Dropout(0.2), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(rate), "mse")
    run.restore(model)
    x, y = run.train
    def predict(rows):
        return model.predict(rows, verbose=0)
    for epoch in run.epochs():
        for rows in np.array_split(np.random.permutation(len(x)), len(x) // batch_size):
            model.train_on_batch(x[rows], y[rows])
        run.report(**run.measure(predict, train=True))
        run.save(model)
    return predict
"""

END = """
study = Study(task=task, train=train, evaluator=KFold(3),
              space=Space(rate=Float(1e-3, 1e-1, log=True), batch_size=Choice(10, 20, 40)),
              searcher=Hyperband(max_epochs=4, eta=2))
"""


def write_study(*parts, name="own"):
    file = Path(f"{name}.py")
    file.write_text("".join(parts))
    return file


@pytest.mark.parametrize("function", [PLAIN, KERAS], ids=["plain", "keras"])
def test_it_is_searched_by_hyperband_with_kfold_killed_and_continued(function):
    smaller = ("max_epochs=4", "max_epochs=2") if function is KERAS else ("", "")
    file = write_study(BEGIN, function, END.replace(*smaller))
    whole = finish(start(file, "--inline", store="whole.db"))
    assert whole[0] == 0, whole
    assert "one after the other" not in whole[1] + whole[2]
    process = start(file, "--inline")
    for _ in range(3):
        process.stdout.readline()
    process.kill()
    process.communicate()
    assert finish(start(file, "--inline", engine="auto"))[0] == 0
    assert journal("store.db") == journal("whole.db")
    if function is PLAIN:
        workers = finish(start(file, "--devices", "cpu", store="workers.db"))
        assert workers[0] == 0, workers
        assert journal("workers.db") == journal("whole.db")


@pytest.mark.thorough
def test_it_is_so_on_tensorflow(check_on_tensorflow):
    check_on_tensorflow(
        f"{__file__}::test_it_is_searched_by_hyperband_with_kfold_killed_and_continued[keras]"
    )


@pytest.mark.parametrize(
    "searcher",
    [
        "random:trials=4,epochs=2",
        "grid:epochs=2,points=2",
        "bayes:trials=4,epochs=2",
        "auto:trials=4,max_epochs=3",
        "asha:trials=4,max_epochs=3",
        "genetic:trials=6,epochs=2,population=3",
    ],
)
def test_every_searcher_takes_it(hpsearch, searcher):
    file = write_study(BEGIN, PLAIN, END)
    code, _, err = hpsearch("run", file, "--inline", "--searcher", searcher)
    assert code == 0, err
    assert json.loads(hpsearch("rank", "--json")[1])


def test_all_that_shows_a_search_copes_with_curves_that_were_not_reported(hpsearch):
    file = write_study(
        BEGIN,
        PLAIN.replace(
            "**run.measure(lambda rows: rows @ weights)",
            """
        mae=float(np.abs(run.validation[0] @ weights - run.validation[1]).mean())""",
        ),
        END,
    )
    code, _, err = hpsearch("run", file, "--inline", "--trials", 6, "--repeats", 2)
    assert code == 0, err
    (best, *_) = json.loads(hpsearch("rank", "--json")[1])
    shown = json.loads(hpsearch("show", best["trial"], "--json")[1])
    assert set(shown["curves"][0]["train_loss"]) == {None}
    assert "NaN" not in hpsearch("show", best["trial"], "--json")[1]
    assert None not in shown["curves"][0]["validation"]
    for command in (
        ("show", best["trial"]),
        ("rank",),
        ("rank", "--metric", "r2"),
        ("compare", best["trial"], "-o", "curves.png"),
        ("compare", best["trial"], "--json", "-o", "more.png"),
        ("report", "line", "-o", "report.html"),
        ("export", "tensorboard", "-o", "logs"),
        ("export", "optuna", "-o", "optuna.db"),
    ):
        code, _, err = hpsearch(*command)
        assert code == 0, (command, err)
    drawn = json.dumps(Page(Path("report.html").read_text()).scripts)
    assert "training" in drawn
    assert "NaN" not in drawn
    code, _, err = hpsearch("compare", best["trial"], "--loss", "-o", "loss.png")
    assert code == 2
    assert "is not defined at any epoch" in err
    from hpsearch import Results

    results = Results()
    assert results.curves["train_loss"].isna().all()
    results.plot_curves()
    results.compare(best["trial"], training=True)


def test_a_searcher_that_compares_curves_says_what_it_needs(hpsearch):
    file = write_study(BEGIN, PLAIN, END.replace("batch_size", "units").replace("10, 20", "1, 2"))
    file.write_text(file.read_text().replace("batch_size=20", "units=20, batch_size=20"))
    method = "grow_then_regularize:trials=4,epochs=3,steps=2"
    code, _, err = hpsearch("run", file, "--inline", "--searcher", method)
    assert code == 2
    assert "report loss= and train_loss= in each epoch" in err
    file.write_text(file.read_text().replace("@ weights))", "@ weights, train=True))", 1))
    code, _, err = hpsearch("run", file, "--inline", "--searcher", method)
    assert code == 0, err


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("rate, batch", "rat, batch", "does not take the parameter 'rate' of the space"),
        ("rate, batch", "rate, more, batch", "train needs the parameter 'more'"),
        ("run.report(**run.measure(lambda rows: rows @ weights))", "pass", "without run.report"),
        ("rows @ weights))", "rows @ weights), acuracy=1)", "unknown acuracy="),
    ],
)
def test_mistakes_of_the_function_end_the_run_in_one_line(hpsearch, old, new, says):
    file = write_study(BEGIN, PLAIN.replace(old, new, 1), END)
    code, _, err = hpsearch("run", file, "--inline")
    assert code == 2
    assert says in err
    assert len(err.strip().splitlines()) == 1


def test_gang_is_refused(hpsearch):
    file = write_study(BEGIN, PLAIN, END)
    code, _, err = hpsearch("run", file, "--inline", "--engine", "gang")
    assert code == 2
    assert "this study trains by a function of its own; use --engine auto, or fit" in err


def test_a_function_that_fails_at_a_point_fails_its_trials_only(hpsearch):
    fails = PLAIN.replace(
        "    x, y = run.train",
        """
    if batch_size == 20:
        raise ValueError("too many rows")
    x, y = run.train""",
    )
    file = write_study(BEGIN, fails, END.replace("Hyperband(max_epochs=4, eta=2)", "Random(9, 1)"))
    code, out, err = hpsearch("run", file, "--inline")
    assert code == 0, err
    assert "train fails at some points; trials of these points will fail: ValueError" in out + err
    assert "too many rows" in out


@pytest.mark.thorough
def test_on_a_ray_cluster_it_gives_the_same_journal(tmp_path):
    pytest.importorskip("ray")
    from tests.clusters import start_cluster

    file = write_study(BEGIN, PLAIN, END)
    cluster = start_cluster({"num_cpus": 1})
    try:
        where = ("--ray", cluster.address, "--checkpoints", f"file://{tmp_path}/far")
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        ended = finish(start(file, *where, store="ray.db", env=environment))
        assert ended[0] == 0, ended
    finally:
        cluster.shutdown()
    assert list(Path("far").rglob("fold-0.npz"))
    assert finish(start(file, "--inline", store="whole.db"))[0] == 0
    assert journal("ray.db") == journal("whole.db")
