"""Metrics beside the task's in frames, curves, commands and exports, as far as they need no Keras."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from hpsearch import Results
from hpsearch.core.errors import ReportError
from hpsearch.core.metric import Metric
from hpsearch.core.trial import Suggestion
from hpsearch.results.overlay import overlay_curves
from hpsearch.store import Store
from tests.builders import make_outcome, make_outcome_with_metrics, make_record

RECORD = make_record(evaluator="KFold(folds=2, groups=False, repeats=1)")
METRICS = (Metric("f1", "max"), Metric("loss", "min"))
FIRST = make_outcome_with_metrics(
    [[0.5, 0.8, 0.7], [0.6, 0.9, 0.7]],
    {"f1": [[0.9, 0.3, 0.2], [0.9, 0.5, 0.2]], "loss": [[3.0, 2.0, 1.0], [3.0, 4.0, 1.0]]},
)
SECOND = make_outcome_with_metrics(
    [[0.5, 0.7, 0.6], [0.5, 0.7, 0.6]],
    {"f1": [[0.1, 0.6, 0.2], [0.1, 0.8, 0.2]], "loss": [[3.0, 9.0, 1.0], [3.0, 9.0, 1.0]]},
)
UNDEFINED = make_outcome_with_metrics(
    [[0.5, 0.6, 0.4], [0.5, 0.6, 0.4]],
    {"f1": [[0.9, math.nan, 0.2], [0.9, 0.9, 0.4]], "loss": [[1, 1, 1], [1, 1, 1]]},
)


@pytest.fixture
def journal():
    """Trial 1 is of before the metrics; f1 of trial 4 is not defined at its best epoch."""
    with Store(Path("store.db"), create=True) as store:
        journal = store.begin_search(RECORD)
        journal.append_answer(0, Suggestion({"a": 0}, 3))
        journal.append_outcome(0, make_outcome(0.4, folds=2, epochs=3))
        journal = store.journal(journal.search, METRICS)
        for number, outcome in enumerate((FIRST, SECOND, UNDEFINED), 1):
            journal.append_answer(number, Suggestion({"a": number}, 3))
            journal.append_outcome(number, outcome)
        yield journal


@pytest.fixture
def plain():
    """A store without such metrics."""
    with Store(Path("store.db"), create=True) as store:
        journal = store.begin_search(RECORD)
        journal.append_answer(0, Suggestion({"a": 0}, 3))
        journal.append_outcome(0, make_outcome(0.4, folds=2, epochs=3))


def test_trials_have_the_values_at_the_best_epoch(journal):
    trials = Results().trials
    assert trials["metrics_f1"].tolist() == pytest.approx(
        [math.nan, 0.4, 0.7, math.nan], nan_ok=True
    )
    assert trials["metrics_loss"].tolist() == pytest.approx([math.nan, 3, 9, 1], nan_ok=True)
    assert trials["params_a"].tolist() == [0, 1, 2, 3]


def test_trials_have_them_over_all_trainings(journal):
    journal.append_repeat(1, 1, SECOND, 0.775, 0.01)
    assert Results().trials.at[2, "metrics_f1"] == pytest.approx((0.3 + 0.5 + 0.6 + 0.8) / 4)


def test_curves_have_them_on_both_kinds_of_rows(journal):
    results = Results()
    second = results.curves.query("trial == 2 and fold == 1")
    assert second["validation_metrics_f1"].tolist() == [0.9, 0.5, 0.2]
    assert second["train_metrics_loss"].tolist() == [3.0, 4.0, 1.0]
    assert second["train_loss"].tolist() == [0.1] * 3  # the loss that was minimised
    assert results.curves.query("trial == 1")["validation_metrics_f1"].isna().all()
    undefined = results.curves.query("trial == 4 and fold == 0")["validation_metrics_f1"]
    assert undefined.tolist() == pytest.approx([0.9, math.nan, 0.2], nan_ok=True)


def test_all_parts_of_the_curves_have_the_same_columns(journal, monkeypatch):
    """The first part has only trials of before the metrics."""
    monkeypatch.setattr("hpsearch.store.flat._PAGE", 1)
    results = Results()
    parts = list(results.curve_frames())
    assert len(parts) == 4
    pd.testing.assert_frame_equal(pd.concat(parts, ignore_index=True), results.curves)


def test_without_them_no_frame_has_a_column_more(plain):
    results = Results()
    columns = ["trial", "repeat", "fold", "epoch", "train", "validation"]
    assert list(results.curves) == [*columns, "train_loss", "validation_loss"]
    assert not [name for name in results.trials if name.startswith("metrics")]


def test_curves_of_a_metric_are_drawn_with_its_own_best_epoch(journal):
    drawn = overlay_curves(Results(), [2, 3], metric="f1", smooth=0.0)
    assert (drawn.measure, drawn.direction) == ("f1", "max")
    assert [line.validation for line in drawn.lines] == [
        pytest.approx([0.9, 0.4, 0.2]),
        pytest.approx([0.1, 0.7, 0.2]),
    ]
    assert [line.best_epoch for line in drawn.lines] == [1, 2]
    assert [line.best_epoch for line in overlay_curves(Results(), [2, 3], metric="loss").lines] == [
        3,
        3,
    ]


def test_the_task_s_own_metric_has_its_usual_curves(journal):
    usual = overlay_curves(Results(), [1, 2])
    assert overlay_curves(Results(), [1, 2], metric="accuracy") == usual


@pytest.mark.parametrize(
    ("trials", "options", "message"),
    [
        ([1], {"metric": "f1"}, r"trial 1 did not record a metric 'f1'; it has accuracy"),
        ([2], {"metric": "losss"}, r"\(did you mean 'loss'\?\); it has accuracy, f1, loss"),
        ([2], {"metric": "f1", "loss": True}, "not both"),
    ],
)
def test_curves_that_are_not_there_are_told(journal, trials, options, message):
    with pytest.raises(ReportError, match=message):
        overlay_curves(Results(), trials, **options)


def test_a_metric_that_is_never_defined_is_told(journal):
    never = [[math.nan] * 3] * 2
    outcome = make_outcome_with_metrics([[0.5] * 3] * 2, {"f1": never})
    journal.append_answer(4, Suggestion({"a": 4}, 3))
    journal.append_outcome(4, outcome)
    with pytest.raises(ReportError, match="f1 of trial 5 is not defined at any epoch"):
        overlay_curves(Results(), [5], metric="f1")


def test_figures_take_a_metric(journal):
    assert isinstance(Results().compare(2, 3, metric="f1"), Figure)
    figure = Results().plot_curves(2, 4, metric="f1")
    assert figure.axes[0].get_ylabel() == "f1"


def test_rank_by_a_metric(hpsearch, journal):
    code, out, err = hpsearch("rank", "--metric", "f1", "--json")
    rows = json.loads(out)
    assert code == 0
    assert [(row["rank"], row["trial"], row["metric"]) for row in rows] == [
        (1, 3, "f1"),
        (2, 2, "f1"),
    ]
    assert [row["value"] for row in rows] == pytest.approx([0.7, 0.4])
    assert "digits: f1 by KFold(folds=2)" in err
    assert "0.7000 ± 0.1000" in err
    assert "2 trials left out, without a value of f1" in err
    assert "--repeats" not in err  # these take their finalists by the task's own metric


def test_rank_by_the_task_s_own_metric_is_the_usual_one(hpsearch, journal):
    assert hpsearch("rank", "--metric", "accuracy", "--json") == hpsearch("rank", "--json")


def test_rank_by_an_unknown_metric_is_one_line(hpsearch, journal):
    code, out, err = hpsearch("rank", "--metric", "mae")
    assert (code, out) == (2, "")
    assert err == (
        "hpsearch: error: no trial recorded a metric 'mae'; recorded are: accuracy, f1, loss\n"
    )


def test_rank_where_no_trial_has_a_value_says_so(hpsearch):
    with Store(Path("store.db"), create=True) as store:
        journal = store.begin_search(RECORD, metrics=METRICS)
        journal.append_answer(0, Suggestion({"a": 0}, 3))
        journal.append_outcome(0, UNDEFINED)
    code, out, err = hpsearch("rank", "--metric", "f1", "--json")
    assert (code, json.loads(out)) == (0, [])
    assert "digits, KFold(folds=2): 1 trial left out, without a value of f1" in err


def test_show_has_each_metric_with_its_error(hpsearch, journal):
    out = hpsearch("show", 3)[1]
    assert "metrics  f1 0.7000 ± 0.1000\n" in out
    assert "\n              loss 9.0000 ± 0.0000\n" in out
    details = json.loads(hpsearch("show", 3, "--json")[1])
    assert details["metrics"]["f1"] == {
        "direction": "max",
        "value": pytest.approx(0.7),
        "se": pytest.approx(0.1),
        "folds": [0.6, 0.8],
    }
    assert details["curves"][1]["metrics"]["f1"]["validation"] == [0.1, 0.8, 0.2]


def test_show_says_that_a_metric_is_not_defined(hpsearch, journal):
    assert "metrics  f1 not defined\n" in hpsearch("show", 4)[1]
    details = json.loads(hpsearch("show", 4, "--json")[1])
    assert details["metrics"]["f1"]["value"] is None
    assert details["metrics"]["f1"]["folds"] == [None, 0.9]


def test_show_without_metrics_is_as_before(hpsearch, plain):
    assert "metrics" not in hpsearch("show", 1)[1]
    assert json.loads(hpsearch("show", 1, "--json")[1])["metrics"] == {}


def test_compare_by_a_metric(hpsearch, journal):
    code, out, _ = hpsearch("compare", 2, 3, "--metric", "f1", "--json")
    assert code == 0
    found = json.loads(out)
    assert (found["metric"], found["direction"]) == ("f1", "max")
    assert [each["best_value"] for each in found["trials"]] == pytest.approx([0.9, 0.7])
    assert Path("compare.png").stat().st_size > 0


def test_compare_by_a_metric_that_a_trial_lacks_is_one_line(hpsearch, journal):
    code, _, err = hpsearch("compare", 1, 2, "--metric", "f1")
    assert (code, len(err.splitlines())) == (2, 1)


def test_numbers_of_frames_and_show_are_the_same(hpsearch, journal):
    trials = Results().trials
    for trial in (2, 3):
        shown = json.loads(hpsearch("show", trial, "--json")[1])["metrics"]
        for name in ("f1", "loss"):
            assert np.isclose(shown[name]["value"], trials.at[trial, f"metrics_{name}"])
