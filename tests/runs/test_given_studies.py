"""Whole studies whose splits are given: searched by Hyperband, killed, continued, refitted."""

import json
import re
from pathlib import Path

import pytest

from hpsearch.training import backend
from tests.runs.whole_runs import check_continues

pytestmark = pytest.mark.slow

BEGIN = """
import keras
import numpy as np
from sklearn.model_selection import ShuffleSplit, TimeSeriesSplit
from hpsearch import Choice, Data, Float, Given, Hyperband, KFold, Space, Study, Task

rng = np.random.default_rng(0)
x = rng.normal(size=(180, 4)).astype("float32")
y = (x[:, 0] + 0.5 * rng.normal(size=180) > 0).astype("int64")
tested = x[150:], y[150:]

def build(spec, learning_rate):
    model = keras.Sequential([keras.Input(spec.input_shape), keras.layers.Dense(8, "relu"),
                              keras.layers.Dropout(0.2),
                              keras.layers.Dense(spec.outputs, activation=spec.activation)])
    model.compile(keras.optimizers.Adam(learning_rate), loss=spec.loss, metrics=spec.metrics)
    return model

def search(evaluator, data=Data(x[:150], y[:150], *tested)):
    return Study(task=Task("rows", data, "binary_crossentropy", "accuracy"), build=build,
                 space=Space(learning_rate=Float(1e-3, 1e-1, log=True), batch_size=Choice(20)),
                 searcher=Hyperband(max_epochs=3, eta=3), evaluator=evaluator)

numbers = np.arange(150)
"""

PAIRS = """
study = search([(numbers < 100, (numbers >= 100) & (numbers < 140)), (numbers % 2 == 0, numbers % 2 == 1)])
"""
STUDIES = {
    "pairs": PAIRS,
    "blocks": "study = search(KFold(3, shuffle=False))",
    "part": """
study = search(Given(), Data(x[:110], y[:110], *tested, x_val=x[110:150], y_val=y[110:150]))
""",
    "random": "study = search(ShuffleSplit(3, test_size=0.3))",
    "in time": "study = search(TimeSeriesSplit(3))",
}


def write(kind):
    file = Path("rows.py")
    file.write_text(BEGIN + STUDIES[kind])
    return file


@pytest.mark.parametrize("kind", [
    "pairs", *(pytest.param(kind, marks=pytest.mark.thorough) for kind in ("part", "random", "in time"))
])  # fmt: skip
def test_it_is_searched_killed_continued_and_refitted(hpsearch, kind):
    file = write(kind)
    check_continues(file, 3, "--engine", "fit")
    code, _, err = hpsearch("refit", file, "--seeds", 1, "--ensemble", 3, "--sealed")
    assert code == 0, err
    (card,) = (json.loads(path.read_text()) for path in Path("models").rglob("card.json"))
    assert card["rows"] == 150
    assert card.get("validation_rows") == (40 if kind == "part" else None)
    assert card["backend"] == backend.choose()


@pytest.mark.thorough
def test_folds_that_are_not_shuffled_are_searched_killed_and_continued():
    check_continues(write("blocks"), 3, "--engine", "fit")


@pytest.mark.thorough
def test_they_are_so_on_tensorflow(check_on_tensorflow):
    check_on_tensorflow(
        f"{__file__}::test_it_is_searched_killed_continued_and_refitted[pairs]",
        f"{__file__}::test_folds_that_are_not_shuffled_are_searched_killed_and_continued",
    )


SHORT = ("--searcher", "random:trials=2,epochs=1")


def test_a_part_is_trained_by_workers_ranked_and_refitted_with(hpsearch):
    file = write("part")
    code, _, err = hpsearch("run", file, "--devices", "cpu:2", *SHORT)
    assert code == 0, err
    code, out, err = hpsearch("run", file, *SHORT, "--inline", "--store", "inline.db")
    assert code == 0, err
    assert "accuracy by Given(), rows" in out
    first, second = (
        {row["trial"]: row["value"] for row in json.loads(hpsearch("rank", "--json", *where)[1])}
        for where in ((), ("--store", "inline.db"))
    )
    assert sorted(first.values()) == pytest.approx(sorted(second.values()))
    assert hpsearch("refit", file, *SHORT, "--seeds", 1, "--one-se")[0] == 0
    (card,) = Path("models").rglob("card.md")
    assert "the test's, the 40 that trials were validated on too, by" in card.read_text()
    assert hpsearch("plan", file)[1].startswith("rows: Hyperband(max_epochs=3), Given()")


def test_all_that_shows_a_search_names_the_rows_that_validate(hpsearch):
    """Also rows that no split validates on."""
    file = write("pairs")
    code, out, err = hpsearch("run", file, *SHORT, "--inline")
    assert code == 0, err
    label = r"Given\(parts=2 pairs, [0-9a-f]{16}\)"
    assert re.search(rf"{label}: of 150 rows, 55 are in no validation part", out)
    assert re.search(rf"rows: accuracy by {label}, rows", out)
    assert "2 models a trial" in hpsearch("plan", file)[1]
    for evaluator, shown in (
        ("given:shared_batches=true", "shared_batches=True"),
        ("kfold:3,shuffle=false", "KFold(folds=3, shuffle=False)"),
    ):
        code, out, err = hpsearch("run", file, "--inline", "--evaluator", evaluator, *SHORT)
        assert code == 0, err
        assert shown in out
    for shown in (["doctor"], ["studies"], ["report", "rows", "-o", "rows.html"]):
        code, _, err = hpsearch(*shown)
        assert code == 0, err


def test_splits_that_cannot_work_end_the_run_in_one_line(hpsearch):
    file = Path("rows.py")
    mistakes = {
        "study = search([([0, 1, 2], [2, 3])])": "trains on row 2 and validates on it too",
        "study = search([([0, 1], [400])])": "names row 400, and the data has 150 rows",
        "study = search(Given())": r"Given() needs Data(x_val=, y_val=)",
        STUDIES["part"].replace("Given()", "KFold(3)"): "use evaluator=Given(), or put all rows",
    }
    for text, says in mistakes.items():
        file.write_text(BEGIN + text)
        code, _, err = hpsearch("run", file, "--inline")
        assert code == 2
        assert says in err
        assert len(err.splitlines()) == 1
