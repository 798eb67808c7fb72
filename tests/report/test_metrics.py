"""A report of studies that recorded several metrics."""

import json
import math
import re
from pathlib import Path

import pytest

from hpsearch.core.metric import Metric
from hpsearch.core.trial import Suggestion
from hpsearch.store import Store
from tests.builders import EVIL, make_outcome, make_outcome_with_metrics, make_record
from tests.report.pages import Page


@pytest.fixture
def page(hpsearch):
    def write(name="s"):
        code, _, err = hpsearch("report", name, "-o", "report.html")
        assert code == 0, err
        return Page(Path("report.html").read_text(encoding="utf-8"))

    return write


def fill(names, trials=3):
    """Trials whose metrics rise with their number; the first of before they were recorded."""
    record = make_record(evaluator="KFold(folds=2)")
    with Store(Path("store.db"), create=True) as store:
        journal = store.begin_search(record)
        journal.append_answer(0, Suggestion({"a": 0}, 2))
        journal.append_outcome(0, make_outcome(0.4, folds=2))
        journal = store.journal(journal.search, [Metric(name, "max") for name in names])
        for number in range(1, trials):
            value = 0.5 + number / 100
            metrics = {n: [[value, value / 2], [value, value / 4]] for n in names}
            journal.append_answer(number, Suggestion({"a": number}, 2))
            journal.append_outcome(
                number, make_outcome_with_metrics([[0.1, value], [0.1, value]], metrics)
            )


def test_the_ranking_has_a_column_a_metric(page):
    fill(["f1"])
    found = page()
    rows = [row for row in found.rows if row]
    assert [row[4] for row in rows] == [
        str(0.375 * 0.52),
        str(0.375 * 0.51),
        "",
    ]


def test_the_best_has_its_metrics_on_its_card(page):
    fill(["f1"])
    assert re.search(r"f1\s*0\.1950 ± 0\.0650", page().text)


def test_each_metric_has_a_figure_with_the_best_epoch_of_the_task_s(page):
    fill(["f1"], trials=12)
    found = page()
    drawn = found.scripts["drawings"]["part0-metrics-0"]
    lines = [trace for trace in drawn["data"] if trace["mode"] == "lines"]
    assert [line["name"] for line in lines] == [f"#{n} trial {13 - n}" for n in range(1, 7)]
    assert lines[0]["y"] == pytest.approx([0.61, 0.375 * 0.61])
    marks = [trace for trace in drawn["data"] if trace["mode"] == "markers"]
    assert {tuple(mark["x"]) for mark in marks} == {(2,)}
    assert drawn["layout"]["title"]["text"] == "f1, higher is better"
    assert "part0-metrics" in found.ids
    go = pytest.importorskip("plotly.graph_objects")
    go.Figure(json.loads(re.sub(r"var\(--[\w-]+\)", "#123456", json.dumps(drawn))))


def test_a_metric_that_is_not_defined_is_told_and_not_drawn(page):
    with Store(Path("store.db"), create=True) as store:
        journal = store.begin_search(make_record(), metrics=[Metric("f1", "max")])
        journal.append_answer(0, Suggestion({"a": 0}, 1))
        outcome = make_outcome_with_metrics([[0.5]], {"f1": [[math.nan]]})
        journal.append_outcome(0, outcome)
    found = page()
    assert "part0-metrics" not in found.ids
    assert re.search(r"f1\s*not defined", found.text)


def test_names_of_metrics_stay_text(page):
    fill([EVIL])
    found = page()
    assert found.tags["script"] == 5
    assert "img" not in found.tags
    assert "<img" not in json.dumps(found.scripts["drawings"])


def test_without_such_metrics_the_page_has_nothing_of_them(page):
    fill([], trials=1)
    found = page()
    assert not [name for name in found.ids if "metrics" in name]
    assert "Other metrics" not in found.text
