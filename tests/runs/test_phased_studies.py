"""A study whose models are trained in two phases: searched, killed, continued, refitted."""

import json
from pathlib import Path

import pytest

from tests.runs.whole_runs import check_continues, finish, start

pytestmark = pytest.mark.slow

STUDY = """
import keras
import numpy as np
from hpsearch import Choice, Data, Float, Hyperband, KFold, Space, Study, Task
from spaces import transfer

rng = np.random.default_rng(0)
y = rng.integers(0, 3, 150)
x = (rng.normal(size=(150, 8, 8, 1)) + y[:, None, None, None]).astype("float32")
task = Task("marks", Data(x[:120], y[:120], x[120:], y[120:]),
            "sparse_categorical_crossentropy", "loss")

def load_backbone():
    keras.utils.set_random_seed(3)
    return keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(4, 3, activation="relu"),
                             keras.layers.BatchNormalization()])

study = Study(
    task=task,
    space=Space(transfer.SPACE | {"learning_rate": Float(1e-4, 1e-2, log=True)}, transfer.phases(3), dropout=Float(0.0, 0.5),
                batch_size=Choice(10)),
    build=transfer.model(load_backbone),
    searcher=Hyperband(max_epochs=3, eta=3),
    evaluator=KFold(2),
)
"""


@pytest.mark.thorough
def test_two_phases_are_searched_killed_continued_and_refitted(hpsearch):
    file = Path("phases.py")
    file.write_text(STUDY)
    check_continues(file, 3)

    assert finish(start(file, "--inline", store="auto.db", engine="auto"))[0] == 0
    for trial in (1, 2):
        by_fit, by_auto = (
            json.loads(hpsearch("show", trial, "--json", "--store", store)[1])
            for store in ("store.db", "auto.db")
        )
        assert by_auto["value"] == pytest.approx(by_fit["value"], abs=1e-3)

    code, _, err = hpsearch("refit", file, "--seeds", 1)
    assert code == 0, err
    (card,) = (json.loads(path.read_text()) for path in Path("models").rglob("card.json"))
    assert card["test"]["rows"] == 30
