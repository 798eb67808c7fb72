"""The bitcoin study on its stand-in: recurrent networks, changes of prices, forward in time."""

import json
from pathlib import Path

import numpy as np
import pytest

from hpsearch.models import kept
from hpsearch.tasks import bitcoin
from hpsearch.training import backend
from tests.runs.whole_runs import check_continues

pytestmark = [pytest.mark.slow, pytest.mark.thorough]

TEXT = """
from hpsearch import *
from hpsearch.tasks import bitcoin
from spaces import recurrent

study = Study(
    task=bitcoin.task(most_lags=12),
    space=Space(
        recurrent.kinds("lstm", "tcn"),
        lags=Choice(6, 12),
        units=Choice(4),
        recurrent_dropout=Choice(0.0, 0.2, when={"kind": "lstm"}),
        optimizer=Choice("adam"),
        learning_rate=Choice(0.01),
    ),
    build=recurrent.model(),
    searcher=Hyperband(max_epochs=3, eta=3),
    evaluator=Forward(2),
)
"""


@pytest.fixture
def file(monkeypatch):
    monkeypatch.setenv("HPSEARCH_DATA", "stand-in")
    path = Path("kinds.py")
    path.write_text(TEXT)
    return path


@pytest.mark.parametrize("engine", ["fit", "auto"])
def test_it_is_killed_continued_refitted_and_predicts_prices(hpsearch, file, engine):
    check_continues(file, 3, engine=engine)
    code, _, err = hpsearch("refit", file, "--seeds", 1)
    assert code == 0, err
    (folder,) = (path.parent for path in Path("models").rglob("card.json"))
    card = json.loads((folder / "card.json").read_text())
    assert card["backend"] == backend.choose()
    assert card["trust"] == []
    # The kept folder takes windows of prices, and gives prices.
    models, data = kept.load(folder), bitcoin.task(most_lags=12).load()
    x = np.asarray(data.x_test[np.arange(len(data.y_test))])
    each = list(models.predict_each(models.prepare_inputs(x)))
    predicted = models.average(each).reshape(-1)
    rmse = np.sqrt(np.mean((predicted - data.y_test) ** 2))
    assert rmse == pytest.approx(card["test"]["value"], rel=1e-4)
    naive = np.sqrt(np.mean((x[:, -1, 0] - data.y_test) ** 2))
    assert rmse < 2 * naive < 100  # dollars, of prices near 8,000


def test_workers_give_what_one_process_gives(hpsearch, file):
    values = []
    for store, where in (("a.db", ("--inline",)), ("b.db", ("--devices", "cpu:2"))):
        short = ("--searcher", "random:trials=2,epochs=1", "--store", store)
        code, _, err = hpsearch("run", file, *where, *short)
        assert code == 0, err
        ranked = json.loads(hpsearch("rank", "--json", "--store", store)[1])
        values.append(sorted(row["value"] for row in ranked))
    assert values[0] == pytest.approx(values[1], rel=1e-6)


@pytest.mark.skipif(backend.name() != "jax", reason="starts TensorFlow from a JAX process")
def test_it_is_so_on_tensorflow(check_on_tensorflow):
    name = test_it_is_killed_continued_refitted_and_predicts_prices.__name__
    check_on_tensorflow(f"{__file__}::{name}[fit]")
