"""`compare STUDY STUDY`: searches over each other, and which do not compare."""

import json
from pathlib import Path

import pytest

from hpsearch import Results
from hpsearch.results.study_overlay import overlay_studies
from hpsearch.store import Store
from tests.builders import RECORD, fill_store, make_record


@pytest.fixture(autouse=True)
def store():
    with Store(Path("store.db"), create=True) as store:
        fill_store(store, RECORD, 0.5, 0.9, 0.7)
        fill_store(store, make_record(study="t", searcher="Bayes()"), 0.6, 0.8)
        fill_store(store, make_record(study="other", task="boston"), 0.1)
        fill_store(store, make_record(study="data", data="e"), 0.1)
        store.begin_search(make_record(study="empty"))


def test_searches_of_two_studies_are_drawn_over_each_other(hpsearch):
    code, out, err = hpsearch("compare", "s", "t", "-o", "both.svg", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert [(s["name"], s["best"], s["best_so_far"]) for s in found["searches"]] == [
        ("s", 0.9, [0.5, 0.9, 0.9]), ("t", 0.8, [0.6, 0.8]),
    ]  # fmt: skip
    assert found["searches"][0]["epochs"] == [2.0, 4.0, 6.0]
    drawn = Path("both.svg").read_text()
    assert "digits: best so far" in drawn or "<svg" in drawn
    assert "s  best 0.9000, 3 trials" in err


def test_a_study_is_known_by_its_file_too():
    found = overlay_studies(Results(), ["t", "s"])
    assert sorted(found.best.names.values()) == ["s", "t"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("s", "other"), "their task differs: digits and boston"),
        (("s", "data"), "their data differs; name studies with the same data"),
        (("s", "empty"), "study empty has no complete trial yet"),
        (("s",), "has one search, and nothing to compare it with"),
        (("s", "1"), "trial 1 and study s do not compare"),
        (("s", "x"), "'x' is neither a trial number nor a study"),
        (("s", "t", "--loss"), "--loss has no effect on studies"),
    ],
)
def test_what_does_not_compare_is_refused_in_one_line(hpsearch, arguments, says):
    code, out, err = hpsearch("compare", *arguments)
    assert (code, out, len(err.splitlines())) == (2, "", 1), err
    assert says in err
    assert not Path("compare.png").exists()


def test_trials_are_compared_as_before(hpsearch):
    code, out, err = hpsearch("compare", 1, 2, "--json")
    assert code == 0, err
    assert [line["trial"] for line in json.loads(out)["trials"]] == [1, 2]
