"""What an epoch may take is estimated when a search begins, and the search goes on with that."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from hpsearch import Auto
from hpsearch.core.errors import StudyError
from hpsearch.core.trial import Facts
from hpsearch.runs.identity import find_changes, find_epoch_seconds
from hpsearch.store import AskedEvent, Store
from hpsearch.training import backend
from tests.runs import test_default_point as studies

STUDY = """
import numpy as np

from hpsearch import *
from spaces import mlp

rng = np.random.default_rng(0)
x = rng.normal(size=(80, 3))

study = Study(
    task=Task("plane", data=Data(x, x @ [1.0, -1.0, 0.5]), loss="mse"),
    space=Space(units=Int(4, 16), learning_rate=Float(1e-3, 1e-1, log=True), batch_size=Choice(20)),
    build=mlp.model(),
    searcher=Auto(trials=2, max_epochs=9),
    evaluator=KFold(2),
)
"""


def record(seconds, tmp_path):
    facts = Facts("", "", "jax", {}, epoch_seconds=seconds)
    return studies.make_record(studies.make_study(searcher=Auto()), tmp_path, facts)


def test_a_search_goes_on_with_what_was_expected_when_it_began(tmp_path):
    begun, now = record(0.25, tmp_path), record(0.5, tmp_path)
    assert find_epoch_seconds(begun) == 0.25
    assert find_epoch_seconds(record(0.0, tmp_path)) == 0.0
    assert not find_changes(now, begun)
    assert now.key == begun.key


@pytest.mark.parametrize("seconds", ["1", [2], float("nan"), True])
def test_a_damaged_estimate_is_refused(tmp_path, seconds):
    begun = record(0.25, tmp_path)
    training = json.loads(begun.training) | {"epoch_seconds": seconds}
    with pytest.raises(StudyError, match=r"epoch_seconds of study .* is damaged.*--fresh"):
        find_epoch_seconds(replace(begun, training=json.dumps(training)))


@pytest.mark.skipif(backend.name() != "jax", reason="gangs train on jax")
@pytest.mark.parametrize(("engine", "epochs"), [("gang", 9), ("fit", 1)])
def test_auto_opens_with_full_trainings_where_these_are_known_to_be_short(
    hpsearch, write, engine, epochs
):
    file = write("plane", text=STUDY)
    code, _, err = hpsearch("run", file, "--inline", "--engine", engine)
    assert code == 0, err
    with Store(Path("store.db")) as store:
        (search,) = store.searches()
        asked = [e.answer for e in store.journal(search.id).events() if isinstance(e, AskedEvent)]
        assert (find_epoch_seconds(search) > 0) == (engine == "gang")
    assert asked[0].epochs == epochs
