"""The page of all studies of a store."""

import re
from pathlib import Path

import pytest

from hpsearch.core.plan import Budget, Plan
from hpsearch.core.trial import Failure, Outcome, Suggestion
from hpsearch.doctor.findings import Diagnosis, Finding
from hpsearch.report.morning import list_next_steps
from hpsearch.results.overview import read_overview
from hpsearch.store import Heartbeat, Store
from tests.builders import EVIL, make_outcome, make_record
from tests.report.pages import Page

PLAN = Plan(4, 8, 8)


@pytest.fixture
def page(hpsearch):
    def write(*options):
        code, _, err = hpsearch("report", "--all", "-o", "report.html", *options)
        assert code == 0, err
        return Page(Path("report.html").read_text(encoding="utf-8"))

    return write


def begin(study, values, *, end="done", path="store.db", **options):
    """A search whose trials end with these values (None: it fails), and its run."""
    with Store(Path(path), create=True) as store:
        journal = store.begin_search(make_record(study=study, **options))
        with Heartbeat(store, journal.search, PLAN, Budget(), 1) as heartbeat:
            for number, value in enumerate(values):
                journal.append_answer(number, Suggestion({"a": number}, 2))
                if value == "unfinished":
                    continue
                failed = Outcome(failure=Failure("nan", "loss became nan\nmore", ""), seconds=1.0)
                journal.append_outcome(number, failed if value is None else make_outcome(value))
            heartbeat.end = end
        return journal.search


def test_each_study_stands_beside_its_first_point_with_costs_and_failures(page):
    begin("first", [0.5, 0.9, None, None])
    begin("second", [0.7, 0.6, "unfinished"], end="budget spent")
    found = page()
    second, first = found.scripts["numbers"]["studies"]  # the latest run comes first
    assert (first["study"], second["study"]) == ("first", "second")
    assert first["best"]["value"] != first["first"]["value"]
    assert first["gain"] == pytest.approx(first["best"]["value"] - first["first"]["value"])
    assert (first["complete"], first["failed"], second["unfinished"]) == (2, 2, 1)
    assert "2 trials failed with nan: loss became nan" in found.text
    assert "more" not in re.findall(r"failed with nan: (.*)", found.text)[0].split()
    assert "hpsearch refit first" in found.text
    assert "The search is not done; unfinished: 1 trial." in found.text
    assert "hpsearch run second" in found.text


@pytest.mark.parametrize(("direction", "values"), [("max", (0.5, 0.9)), ("min", (0.9, 0.5))])
def test_a_gain_is_positive_where_the_best_is_better(page, direction, values):
    begin("s", values, direction=direction)
    (study,) = page().scripts["numbers"]["studies"]
    assert (study["first"]["value"], study["best"]["value"]) == values
    assert study["gain"] == pytest.approx(0.4)


def test_the_first_value_is_of_the_longest_training_of_the_first_point():
    with Store(Path("store.db"), create=True) as store:
        journal = store.begin_search(make_record(study="s"))
        for number, (epochs, parent) in enumerate([(1, None), (1, None), (2, 0), (4, 2), (2, 1)]):
            journal.append_answer(number, Suggestion({"a": number}, epochs, parent=parent))
            journal.append_outcome(number, make_outcome(0.5 + number / 100, epochs=epochs))
    (found,) = read_overview(Path("store.db"))
    assert found.first.epochs == 4


def test_without_a_complete_trial_nothing_is_compared(page):
    begin("s", [None])
    found = page()
    assert "No trial is complete yet." in found.text
    assert "not known" in found.text
    assert "hpsearch refit" not in found.text


def test_a_best_that_is_the_first_point_is_called_so(page):
    begin("s", [0.9])
    assert "the first point is the best" in page().text


def test_texts_of_the_store_are_escaped(page):
    begin(EVIL, [0.5, None])
    found = page()
    assert (found.tags["script"], "img" in found.tags) == (2, False)
    assert EVIL in found.text


def test_what_the_doctor_finds_is_said_with_its_way_out():
    begin("s", [0.5, 0.6])
    (found,) = read_overview(Path("store.db"))
    finding = Finding(
        "edge", "a", 0.9, "the best lies at the edge of a", {}, "widen it", "a=Int(0, 9)"
    )
    diagnosis = Diagnosis(found.record.id, "s", "t", "s", 2, [finding], "hpsearch doctor s --all")
    steps = [(step.why, step.line) for step in list_next_steps(found, diagnosis, Path("store.db"))]
    assert ("The best lies at the edge of a. Widen it:", "a=Int(0, 9)") in steps


def test_a_name_and_all_exclude_each_other(hpsearch):
    for arguments in ([], ["s", "--all"]):
        code, _, err = hpsearch("report", *arguments)
        assert (code, "report needs the name of a study or task, or --all" in err) == (2, True)
