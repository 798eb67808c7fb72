"""`hpsearch.open`, and scores: what is given back, by numbers that can be computed beside."""

import html
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import hpsearch as hp
from hpsearch.core import ties
from hpsearch.core.errors import HpsearchError
from hpsearch.core.trial import Curve, Score
from hpsearch.store import Store, Target, add_tags
from tests.builders import RECORD, fill_store, make_record
from tests.doctor.searches import SICK, healthy
from tests.python_api.test_study import make_study


def score(*values, splits="same"):
    folds = tuple(Curve((v,), (v,), (v,), (v,), rows=10, train_rows=30) for v in values)
    return Score(sum(values) / len(values), 0.03, 1, folds, splits)


def test_a_difference_is_paired_where_the_folds_are_the_same():
    first, second = score(0.9, 0.8, 0.7), score(0.85, 0.77, 0.66)
    paired = first - second
    assert paired.value == pytest.approx(0.04)
    assert paired.se == pytest.approx(ties.standard_error([0.05, 0.03, 0.04], 10 / 30))
    assert (paired.folds, paired.significant) == (3, True)
    other = first - score(0.85, 0.77, 0.66, splits="other")
    assert other.se == pytest.approx(math.hypot(0.03, 0.03))
    assert (other.folds, other.significant) == (0, None)
    with pytest.raises(TypeError):
        first - 0.5


def test_a_score_draws_itself():
    axes = score(0.9, 0.8).plot().axes
    assert len(axes) == 1
    assert len(axes[0].lines) == 4  # two folds, their mean, and the best epoch


def test_open_hides_nothing_and_refuses_a_store_that_is_not_there():
    assert "open" not in hp.__all__
    with pytest.raises(HpsearchError):
        hp.open("nowhere.db")


def test_importing_it_stays_cheap():
    code = "import hpsearch, sys; hpsearch.Study.run; print([m for m in sys.modules if m in heavy])"
    heavy = "heavy = ('keras', 'pandas', 'rich', 'IPython', 'cloudpickle', 'matplotlib', 'click');"
    ended = subprocess.run([sys.executable, "-c", heavy + code], capture_output=True, text=True)
    assert ended.stdout == "[]\n", ended.stderr


def test_filters_rank_what_they_leave_among_themselves():
    with Store(Path("store.db"), create=True) as store:
        fill_store(store, make_record(study="first"), 0.5, 0.9)
        fill_store(store, make_record(study="second", searcher="Grid()"), 0.7, 0.6)
        fill_store(store, make_record(study="apart", data="other"), 0.8)
        add_tags(store, Target("first", 1), ["good"])
    opened = hp.open("store.db")

    def ranked(*name, **only):
        return [(row.study, row.value) for row in opened.rank(*name, **only)]

    assert ranked("first") == ranked("second")
    assert ranked("first", tags="good") == [("first", 0.5)]
    assert ranked("first", searchers=["grid"]) == [("second", 0.7), ("second", 0.6)]
    assert ranked("first", studies=("first",)) == [("first", 0.9), ("first", 0.5)]
    with pytest.raises(HpsearchError, match="no tag 'bad'"):
        opened.rank("first", tags="bad")
    with pytest.raises(HpsearchError, match="no complete trial of study first, study apart"):
        opened.rank("first", studies="apart")


@pytest.mark.slow
def test_what_a_search_found_is_given_back():
    study = make_study(evaluator=hp.KFold(2))
    study.run(inline=True, display=None)
    store = hp.open()
    assert list(store.studies["study"]) == ["made"]
    assert store.rank("digits") == store.rank("made") == study.rank()
    best = store.best("digits")
    assert best.params == store.rank()[0].params
    assert best.curves.shape == (2, 2)
    first, second = (row.trial for row in store.rank()[:2])
    compared = store.compare(first, second)
    by_scores = store.trial(first).score - store.trial(second).score
    assert compared.difference.value == pytest.approx(by_scores.value)
    assert compared.difference.se == pytest.approx(by_scores.se)
    assert compared.difference.folds == 2
    with pytest.raises(HpsearchError, match=r"has no file.*study=study"):
        best.refit()
    rows = study.task.load().x[:7]
    predicted = best.predict(rows, study=study)  # trains, and opens no test
    assert predicted.shape == (7, 10)
    assert np.allclose(predicted.sum(axis=1), 1.0, atol=1e-5)
    assert np.allclose(store.best("made").predict(rows), predicted)  # by what was kept
    assert best.model().output_shape == (None, 10)
    assert study.refit(sealed=True).card["test"] is None


def test_what_people_write_on_trials_is_written_shown_and_filtered_by():
    with Store(Path("store.db"), create=True) as made:
        fill_store(made, RECORD, 0.5, 0.9)
        fill_store(made, make_record(study="t", searcher="Hyperband(max_epochs=9)"), 0.7)
    store = hp.open("store.db")
    store.tag(1, "good", "fast")
    store.tag("t", "good")
    store.note(1, "try a wider one")

    def trials(**only):
        return [row.trial for row in store.rank("digits", **only)]

    assert trials(tags="good") == [3, 1]
    assert trials(tags=["good", "fast"]) == [1]
    assert trials(searchers="hyperband") == trials(studies=["t"]) == [3]
    shown = store.rank("digits")
    assert "try a wider one" in repr(shown)
    assert "fast, good" in shown._repr_html_()
    assert shown.frame.loc[1, "note"] == "try a wider one"
    store.tag(1, "fast", remove=True)
    with pytest.raises(HpsearchError, match="no tag 'fast'; it has good"):
        store.rank("digits", tags="fast")
    with pytest.raises(HpsearchError, match=r"no complete trial of .*searcher hyperband, tag good"):
        store.rank("digits", studies="s", searchers="hyperband", tags="good")
    with pytest.raises(HpsearchError, match="at least one tag"):
        store.tag(1)
    store.rename("t", "better")
    assert trials(studies="better") == [3]
    folders = [Path("elsewhere", "store.db-1", str(number)) for number in (0, 1)]
    for folder in folders:
        folder.mkdir(parents=True)
    store.delete(1, checkpoints="elsewhere")
    assert [folder.exists() for folder in folders] == [False, True]
    assert trials() == [2, 3] or trials() == [3, 2]
    store.delete("better")
    assert trials() == [2]


def test_the_doctor_is_asked_for_a_study_a_task_or_all():
    with Store(Path("store.db"), create=True) as made:
        for name, (_, _, sick) in list(SICK.items())[:2]:
            replace(sick, study=name.replace(" ", "_")).fill(made, task="both")
        replace(healthy(300), study="fit").fill(made, task="fit")
    store = hp.open("store.db")
    assert [each.study for each in store.doctor()] == [
        *(name.replace(" ", "_") for name in list(SICK)[:2]),
        "fit",
    ]
    assert [each.study for each in store.doctor("fit")] == ["fit"]
    both = store.doctor("both")
    assert len(both) == 2
    for found in both:
        sentence = found.findings[0].text
        assert sentence in repr(both)
        assert html.escape(sentence) in both._repr_html_()
    assert "nothing found" in repr(store.doctor("fit"))
    with pytest.raises(HpsearchError, match="neither a study nor a task"):
        store.doctor("nothing")
