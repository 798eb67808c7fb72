"""The doctor finds what is wrong with made-up searches, and nothing where nothing is."""

import json
import re
import shlex
import time
from dataclasses import replace

import numpy as np
import pytest

from hpsearch import (
    Choice,
    Float,
    Given,
    Grid,
    GrowThenRegularize,
    Holdout,
    Int,
    KFold,
    Random,
    Space,
)
from hpsearch.core.metric import Metric
from hpsearch.core.trial import Curve, Failure, Outcome, Score, Suggestion
from hpsearch.doctor.diagnose import CHECKS, diagnose_searches, find_findings
from hpsearch.doctor.evidence import read_evidence
from hpsearch.doctor.findings import MOST_SHOWN
from hpsearch.doctor.ranges import cut, widen
from hpsearch.store import Store
from hpsearch.store.openings import open_test, record_test_result
from tests.builders import RECORD, append_outcomes, make_outcome, make_record
from tests.doctor.searches import INSIDE, SICK, SPACE, Made, healthy

HEALTHY = range(300, 320)


def findings_of(made, **changes):
    with Store(None) as store:
        made.fill(store, **changes)
        return find_findings(read_evidence(store, store.searches()[0]))


@pytest.mark.parametrize("name", SICK)
def test_a_sick_search_is_diagnosed_and_its_cause_shown(name):
    check, subject, made = SICK[name]
    shown = findings_of(made)[:MOST_SHOWN]
    assert [f for f in shown if f.check == check and subject in ("", f.subject)], shown


@pytest.mark.parametrize("seed", HEALTHY)
def test_a_healthy_search_gives_no_alarm(seed):
    assert findings_of(healthy(seed)) == []


def test_the_healthy_searches_are_of_many_shapes():
    made = [healthy(seed) for seed in HEALTHY]
    assert len({type(each.searcher) for each in made}) >= 4
    assert {each.accuracy for each in made} == {True, False}
    assert {type(each.evaluator) for each in made} == {KFold, Holdout}
    assert len({len(each.space) for each in made}) == 3


def test_the_figures_are_those_of_the_search():
    made = SICK["out of memory"][2]
    [finding] = [f for f in findings_of(made) if f.check == "failures"]
    with Store(None) as store:
        made.fill(store)
        trials = read_evidence(store, store.searches()[0]).trials
    failed = [t for t in trials if t.params["units"] > 32]
    assert finding.figures["failed"] == len(failed)
    assert finding.figures["ended"] == len(trials)
    assert f"all {len(failed)} with units > 32 do" in finding.sentence
    assert finding.line == "units=Int(8, 32, log=True)"


def test_a_test_that_was_opened_twice_is_told_to_all_studies_of_the_task(tmp_path):
    with Store(tmp_path / "s.db", create=True) as store:
        first = Made(study="one", best=INSIDE, searcher=Random(trials=4, epochs=5)).fill(store)
        Made(study="two", best=INSIDE, searcher=Random(trials=4, epochs=5)).fill(store)
        for trial in (1, 2):
            members = {"members": [{"trial": trial}], "seeds": 1}
            opening = open_test(store, first, "rows", members)
            record_test_result(store, opening, 0.8, 0.01, {})
            found = diagnose_searches(tmp_path / "s.db")
            checks = [[f.check for f in each.findings] for each in found]
            # Once is what a test is for.
            assert checks == ([[], []] if trial == 1 else [["test"], ["test"]])
    assert "opened 2 times" in found[1].findings[0].sentence


def test_findings_come_gravest_first_and_have_no_more_than_they_need():
    for _, _, made in SICK.values():
        found = findings_of(made)
        assert found == sorted(found, key=lambda f: -f.weight)
        for finding in found:
            assert 0 < finding.weight <= 1
            assert finding.way_out
            assert "nan" not in finding.sentence.replace("with nan", "").replace("became nan", "")
            assert len(finding.sentence) < 300
            json.dumps(finding.figures)


def odd_searches():
    nan = Failure("nan", "the loss became nan", "")
    values = tuple(make_outcome(value) for value in np.linspace(0.5, 0.9, 30))
    yield "none", []
    yield "all failed", [Outcome(failure=nan, seconds=1.0)] * 2
    yield "one", [make_outcome(0.5)]
    yield "all equal", [make_outcome(0.5, se=0.0, folds=3)] * 40
    yield "no error", values
    broken = Curve((0.1, np.nan, 0.2), (0.3, 0.2, 0.4), (np.nan,) * 3, (0.1, np.nan, 0.2))
    yield "broken curves", [Outcome(Score(0.4, None, 3, (broken,) * 2))] * 25
    yield "no message", [Outcome(failure=Failure("exception", "", ""))] * 25
    # A training function need not report values on training rows.
    lacking = Curve((np.nan,) * 6, (0.3,) * 6, (np.nan,) * 6, (0.3,) * 6, rows=5)
    yield "not reported", [Outcome(Score(0.3 + i / 99, 0.01, 3, (lacking,))) for i in range(25)]


@pytest.mark.parametrize(("name", "outcomes"), [*odd_searches()])
@pytest.mark.parametrize("space", ["{}", Space(a=Int(0, 60)), Space(a=Choice("x", "y"))])
def test_whatever_a_store_holds_is_read(name, outcomes, space):
    text = space if space == "{}" else json.dumps(space.to_json())
    with Store(None) as store:
        append_outcomes(store, make_record(space=text), *outcomes)
        found = find_findings(read_evidence(store, store.searches()[0]))
    assert all(f.check in ("failures", "edge", "budget", "folds") for f in found), found
    assert ("failures" in [f.check for f in found]) == (name == "no message")


def test_few_trials_are_told_nothing_but_how_they_fail():
    for name, (check, _, made) in SICK.items():
        few = replace(made, searcher=Random(trials=8, epochs=20))
        checks = {f.check for f in findings_of(few)}
        assert checks <= {"failures"} or check == "folds", name


class Negated(Made):
    """Ranked by an error that is negated, whose best value is 0, and that comes near to it."""

    metric = Metric("neg_mean_squared_error", "max")

    def _curve(self, params, epochs, most, fold):
        curve = super()._curve(params, epochs, most, fold)
        near = {
            n: [max(0.0005, v - 0.095) for v in getattr(curve, n)] for n in ("train", "validation")
        }
        return replace(curve, **{name: tuple(-v for v in values) for name, values in near.items()})


def test_what_learns_nearly_all_by_a_negated_error_does_not_underfit():
    made = Negated(gap=0.0, pace=0.1, noise=0.003, accuracy=False)
    found = findings_of(made, measure=made.metric.name, direction="max")
    assert "underfitting" not in {f.check for f in found}, found


@pytest.mark.parametrize(
    "searcher", [GrowThenRegularize(trials=40, epochs=20), Grid(epochs=10, points=3)]
)
def test_searchers_with_a_mind_of_their_own_give_no_alarm(searcher):
    assert findings_of(Made(best=INSIDE | {"optimizer": (0.5, 0.2)}, searcher=searcher)) == []


def test_a_searcher_of_ones_own_is_no_obstacle():
    found = findings_of(SICK["stops too early"][2], searcher="Mine of 2024")
    assert found[0].check == "underfitting"
    assert found[0].line == ""


@pytest.mark.parametrize(
    ("parameter", "side", "wider"),
    [
        (Float(1e-4, 1e-2, log=True), "high", Float(1e-4, 0.1, log=True)),
        (Float(0.1, 0.5), "low", Float(0.0, 0.5)),
        (Float(0.0, 0.5), "low", None),
        (Float(-1.0, 1.0), "low", Float(-3.0, 1.0)),
        (Float(0.0, 1.0, step=0.25), "high", Float(0.0, 2.0, step=0.25)),
        (Int(1, 4), "low", None),
        (Int(2, 4), "low", Int(1, 4)),
        (Int(16, 64, step=16), "low", Int(16, 64, step=16)),
        (Int(8, 64, log=True), "low", Int(2, 64, log=True)),
        (Choice(1, 2, 3), "high", Choice(1, 2, 3, 4)),
        (Choice(0.1, 0.01, 0.001), "low", Choice(0.0001, 0.001, 0.01, 0.1)),
        (Choice("a", "b", "c"), "high", None),
        (Choice(16, 64), "high", None),
    ],
)
def test_a_range_goes_on_where_it_can(parameter, side, wider):
    found = widen("x", parameter, side)
    if wider == parameter:
        assert found is None
    elif isinstance(wider, Choice):
        assert found.options == wider.options
    else:
        assert found == wider


def test_no_dropout_reaches_one():
    assert widen("dropout", Float(0.0, 0.5), "high") == Float(0.0, 0.8)
    assert widen("dropout", Float(0.0, 0.9), "high") is None
    assert widen("momentum", Float(0.0, 0.9), "high") == Float(0.0, 0.99)
    assert cut(Float(1e-4, 1e-1, log=True), "high", 0.00347) == Float(1e-4, 0.0034, log=True)


def test_each_check_can_find_something_and_none_is_left_out():
    found = {f.check for _, _, made in SICK.values() for f in findings_of(made)} | {"test"}
    assert len(found) == len(CHECKS)


def test_a_thousand_trials_take_less_than_a_second_of_work():
    made = Made(
        space=SPACE, best=INSIDE, searcher=Random(trials=1000, epochs=27), evaluator=KFold(3)
    )
    with Store(None) as store:
        made.fill(store)
        began = time.process_time()
        find_findings(read_evidence(store, store.searches()[0]))
        print(f"{time.process_time() - began:.2f} s of processor time")


def store_of(path, *names):
    with Store(path, create=True) as store:
        for name in names:
            made = replace(SICK[name][2], study=name.replace(" ", "_"))
            made.fill(store, task=name)


def test_the_command_shows_three_findings_and_all(hpsearch, tmp_path):
    store_of(tmp_path / "store.db", "overfit on a split", "all raise")
    code, out, _ = hpsearch("doctor", "overfit_on_a_split")
    assert code == 0
    assert "overfit_on_a_split: 3 findings" in out
    assert "1. All overfit: 30 of 30 trials" in out
    assert "   -> let the space regularize more: dropout=Float(0.0, 0.8)" in out
    code, out, _ = hpsearch("doctor", "--all", "--json")
    found = json.loads(out)
    assert [each["study"] for each in found] == ["overfit_on_a_split", "all_raise"]
    assert {"check", "subject", "weight", "sentence", "figures", "way_out", "line"} == set(
        found[0]["findings"][0]
    )
    assert "all_raise: 1 finding" in hpsearch("doctor", "all raise")[1]  # the task's name


def test_the_command_says_where_nothing_can_be_known(hpsearch, tmp_path):
    with Store(tmp_path / "store.db", create=True) as store:
        assert hpsearch("doctor")[1] == "no search yet; run a study first\n"
        journal = append_outcomes(store, RECORD, make_outcome(0.5))
        journal.append_answer(1, Suggestion({"a": 1}, 2))
    code, out, _ = hpsearch("doctor", "s.py")
    assert out == ("s: nothing found in 1 complete trial; most checks need 20\n")
    code, _, err = hpsearch("doctor", "z")
    assert code == 2
    assert "'z' is neither a study nor a task" in err


def test_the_report_begins_with_what_to_do(hpsearch, tmp_path):
    store_of(tmp_path / "store.db", "out of memory", "all raise")
    assert hpsearch("report", "out_of_memory", "-o", "r.html")[0] == 0
    text = (tmp_path / "r.html").read_text()
    assert text.index("What to do next") < text.index("<h3>Ranking</h3>")
    assert "<code>units=Int(8, 32, log=True)</code>" in text
    assert "units &gt; 32" in text
    with Store(tmp_path / "store.db", create=True) as store:
        replace(healthy(HEALTHY[0]), study="fit").fill(store, task="fit")
    assert hpsearch("report", "fit", "-o", "fit.html")[0] == 0
    assert "What to do next" not in (tmp_path / "fit.html").read_text()


def test_commands_are_typed_as_they_stand(hpsearch, tmp_path, monkeypatch):
    """They name another store than the default, and call a study that has no file from Python."""
    names = ("a flat hill", "all raise", "the default is as good")
    store_of(tmp_path / "other.db", *names)
    found = diagnose_searches(tmp_path / "other.db")
    lines = [f.line for each in found for f in each.findings if "other.db" in f.line]
    other = str(tmp_path / "other.db")
    assert f"hpsearch run a_flat_hill --repeats 5 --finalists 5 --store {other}" in lines
    assert any(line.startswith("hpsearch show ") for line in lines)
    assert any(line.startswith("hpsearch refit the_default_is_as_good --trial") for line in lines)
    code, _, err = hpsearch(*shlex.split(next(x for x in lines if "hpsearch show" in x))[1:])
    assert code == 0, err
    monkeypatch.setenv("HPSEARCH_STORE", other)
    text = hpsearch("doctor", "a flat hill", "--store", other)[1]
    assert "hpsearch run a_flat_hill --repeats 5 --finalists 5\n" in text
    with Store(None) as store:
        SICK["a flat hill"][2].fill(store, file="")
        [evidence] = [read_evidence(store, each, tmp_path / "x.db") for each in store.searches()]
    assert "study.run(repeats=5, finalists=5, store=" in next(
        f.line for f in find_findings(evidence) if f.check == "budget"
    )


def test_the_doctor_looks_at_the_searches_that_rankings_count(hpsearch, tmp_path):
    """A changed searcher begins another search beside the first; --fresh replaces its own."""
    random, grid = Random(trials=4, epochs=5), Random(trials=5, epochs=6)
    with Store(tmp_path / "store.db", create=True) as store:
        Made(study="s", best=INSIDE, searcher=random).fill(store)
        Made(study="s", best=INSIDE, searcher=grid).fill(store)
        first, second = store.searches("s")
        again = store.begin_search(replace(second, id=0), instead_of=[second])
    found = json.loads(hpsearch("doctor", "s", "--json")[1])
    assert [each["search"] for each in found] == [first.id, again.search]


def folds_finding(evaluator):
    with Store(None) as store:
        Made(best={"units": (0.5, 0.1)}, noise=0.03, evaluator=evaluator).fill(store)
        (evidence,) = [read_evidence(store, each, None) for each in store.searches()]
        return next(f for f in find_findings(evidence) if f.check == "folds")


def test_only_folds_that_differ_when_repeated_are_to_be_repeated():
    """And what the study says of its folds is said again."""
    repeated = folds_finding(KFold(5, groups=True))
    assert re.fullmatch(r"evaluator=KFold\(groups=True, repeats=\d+\)", repeated.line)
    fifths = [(np.flatnonzero(np.arange(9) % 5 != k), np.arange(k, 9, 5)) for k in range(5)]
    for evaluator in (KFold(5, shuffle=False), Given(fifths)):
        found = folds_finding(evaluator)
        assert "repeat" not in found.way_out
        assert "--one-se" in found.line
