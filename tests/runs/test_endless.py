"""A search that nobody would wait for to the end begins at once."""

import json
from pathlib import Path

import pytest

from hpsearch import Asha, Auto
from hpsearch.runs import session

pytestmark = pytest.mark.slow

STUDY = """
from hpsearch import Holdout, Int, Space, Study
from hpsearch.tasks import digits
from spaces import mlp

study = Study(
    task=digits.task(),
    space=Space(layers=Int(1, 2), units=Int(8, 32)),
    build=mlp.model(),
    evaluator=Holdout(rows=300),
)
"""


class CountedSearch:
    """A search that notes each ask."""

    def __init__(self, search, asks):
        self.search, self.asks = search, asks

    def ask(self, trial):
        self.asks.append(trial)
        return self.search.ask(trial)

    def tell(self, trial, observation):
        self.search.tell(trial, observation)

    def continuable(self, trial):
        return self.search.continuable(trial)


@pytest.mark.parametrize(
    ("method", "cls"), [("auto:trials=100000", Auto), ("asha:trials=1000000000", Asha)]
)
def test_a_run_does_not_count_all_its_trials_first(hpsearch, tmp_path, monkeypatch, method, cls):
    asks, start = [], cls.start

    def start_counted(self, space, **options):
        return CountedSearch(start(self, space, **options), asks)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cls, "start", start_counted)
    monkeypatch.setattr(session, "_SECONDS_TO_COUNT", 0.0)
    Path("small.py").write_text(STUDY)
    options = ("--searcher", method, "--total-epochs", 2, "--inline", "--engine", "fit")
    code, out, err = hpsearch("run", "small.py", *options, "--store", "store.db")
    assert code == 0, err
    assert "budget spent" in out
    assert len(asks) < 10
    told = json.loads(hpsearch("watch", "small", "--json", "--store", "store.db")[1])
    assert told["plan_complete"] is False
    assert told["trials_planned"] >= 1
