"""Studies that record several metrics: run, continued with others, and read."""

import dataclasses
import json
from pathlib import Path

import pytest

from hpsearch import Choice, Holdout, Random, Space, Study, Task
from hpsearch.core.trial import Facts
from hpsearch.runs.identity import find_changes, make_search_record
from hpsearch.store import Store
from hpsearch.tasks import digits


def own(y_true, y_pred):
    return 0.5


def study(**changes):
    def build(spec, a):
        raise NotImplementedError

    task = Task(
        "t", data=digits.load, loss="sparse_categorical_crossentropy", metric="accuracy", **changes
    )
    space = Space(a=Choice(1, 2))
    return Study(task=task, space=space, build=build, searcher=Random(2, 2), name="s")


def test_metrics_beside_the_task_s_may_change_under_a_search(tmp_path):
    file = tmp_path / "s.py"
    file.write_text("")
    found = [
        make_search_record(study(**changes), file, Facts("", "", "none", {}))
        for changes in ({}, {"metrics": ["f1_macro"]}, {"metrics": [(own, "max"), "roc_auc"]})
    ]
    for before in found:
        for now in found:
            assert find_changes(now, before) == []
            assert now.comparison == before.comparison


METRICS = (
    "task=digits.task()",
    'task=replace(digits.task(), metrics=["f1_macro", (worst, "min")])',
)
OWN = (
    "from spaces import mlp\n",
    "from spaces import mlp\nfrom dataclasses import replace\n\n\n"
    "def worst(y_true, y_pred):\n    return float(abs(1 - y_pred.sum(axis=1)).max())\n",
)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["fit", "gang"])
def test_a_search_goes_on_with_more_metrics(hpsearch, write, engine):
    run = ("run", "small.py", "--inline", "--engine", engine)
    write()
    assert hpsearch(*run, "--trials", 1)[0] == 0
    write("small", METRICS, OWN)
    code, out, err = hpsearch(*run)
    assert code == 0, err
    assert "continuing after 1 trial" in out
    with Store(Path("store.db")) as store:
        folds = [store.journal(1).outcome(trial).score.folds[0] for trial in range(3)]
    assert [list(fold.metrics) for fold in folds] == [[], *[["f1_macro", "worst"]] * 2]
    assert len(folds[1].metrics["worst"]["train"]) == 2
    rows = json.loads(hpsearch("rank", "--metric", "f1_macro", "--json")[1])
    assert sorted(row["trial"] for row in rows) == [2, 3]
    assert {row["metric"] for row in rows} == {"f1_macro"}
    for row in rows:
        details = json.loads(hpsearch("show", row["trial"], "--json")[1])
        assert details["metrics"]["f1_macro"]["value"] == pytest.approx(row["value"])
        assert details["metrics"]["worst"]["direction"] == "min"
    # A direction that is another one now is not ranked with those of before.
    write("small", (METRICS[0], METRICS[1].replace('"min"', '"max"')), OWN)
    assert hpsearch(*run, "--trials", 4)[0] == 0
    code, _, err = hpsearch("rank", "--metric", "worst")
    assert (code, "which cannot be ranked together" in err) == (2, True)
    assert hpsearch("rank", "--metric", "f1_macro")[0] == 0


@pytest.mark.slow
def test_a_score_of_a_notebook_has_them():
    task = dataclasses.replace(digits.task(), metrics=["f1_macro"])
    from spaces import mlp

    score = Holdout(rows=300).evaluate(mlp.model(hidden=(8,)), {}, task, epochs=3, seed=0)
    (value,) = score.metrics_at_best["f1_macro"]
    assert value == score.folds[0].metrics["f1_macro"]["validation"][score.best_epoch - 1]
    assert f"f1_macro: {value:.4f}" in score._repr_html_()
