"""A store as frames and figures, as far as they need no Keras."""

import io
import json
import sqlite3
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from hpsearch import Choice, Float, Int, Results, Space
from hpsearch.core.errors import NoStoreError, ReportError, StoreError
from hpsearch.core.trial import Curve, Failure, Outcome, Score, Suggestion
from hpsearch.store import Store, rank_tasks
from tests.builders import make_record

SPACE = Space(
    dropout=Float(0.0, 0.5),
    rate=Float(1e-4, 1e-1, log=True),
    layers=Int(1, 3),
    optimizer=Choice("adam", "sgd"),
    momentum=Float(0.0, 0.9, when={"optimizer": "sgd"}),
    big=Choice(True, False),
)
FIGURES = [
    lambda r, **ax: r.plot_anytime(**ax),
    lambda r, **ax: r.plot_anytime(against="hours", **ax),
    lambda r, **ax: r.plot_timeline(**ax),
    lambda r, **ax: r.plot_parallel(**ax),
    lambda r, **ax: r.plot_importance(**ax),
    lambda r, **ax: r.plot_pareto(**ax),
]
MANY = [
    lambda r: r.plot_slices(),
    lambda r: r.plot_curves(),
    lambda r: r.plot_curves(2, 5, loss=True),
    lambda r: r.compare(1, 2, 3),
    lambda r: r.compare(1, smooth=0, training=True),
]


def trained(value, *, folds=1, epochs=6, n_weights=100, seed=0):
    rng = np.random.default_rng([seed, int(value * 1e6)])

    def curve():
        down = value + 1 / np.arange(1, epochs + 1)
        noisy = tuple((down + rng.uniform(0, 0.1, epochs)).tolist())
        return Curve(tuple(down), noisy, tuple(down / 2), tuple(down / 3), rows=5, train_rows=20)

    made = tuple(curve() for _ in range(folds))
    return Outcome(
        Score(value, 0.01, epochs, made), None, 2.5, n_weights, 2**20, "cpu 0", 1000.0 + value
    )


@pytest.fixture
def journal():
    """A study with complete, failed and running trials, one of them repeated."""
    with Store(Path("store.db"), create=True) as store:
        search = make_record(
            task="mine", measure="mae", direction="min", space=json.dumps(SPACE.to_json())
        )
        journal = store.begin_search(search)
        rng = np.random.default_rng(0)
        for number in range(12):
            journal.append_answer(number, Suggestion(SPACE.sample(rng), 6))
            value = 0.5 + 0.1 * (number % 5)
            journal.append_outcome(number, trained(value, folds=2, n_weights=100 + 50 * number))
        journal.append_answer(12, Suggestion(SPACE.sample(rng), 6))
        failure = Failure("nan", "loss became nan", "Traceback ...")
        journal.append_outcome(
            12, Outcome(failure=failure, seconds=1.0, device="cpu 1", started=1003.0)
        )
        journal.append_answer(13, Suggestion(SPACE.sample(rng), 6))
        yield journal


def test_frames_hold_what_the_store_does(journal):
    trials = Results().trials
    assert list(trials.index) == list(range(1, 15))
    assert trials["state"].value_counts().to_dict() == {"complete": 12, "failed": 1, "stopped": 1}
    with sqlite3.connect("store.db") as db:
        for id_, value, seconds, params in db.execute(
            "SELECT a.id, t.value, t.seconds, a.params FROM asked a JOIN told t USING (trial)"
        ):
            row = trials.loc[id_]
            assert row["value"] == value or (value is None and np.isnan(row["value"]))
            assert row["seconds"] == seconds
            point = row[row.index.str.startswith("params_")].dropna()
            assert point.rename(lambda name: name.removeprefix("params_")).to_dict() == json.loads(
                params
            )
    assert trials.at[1, "parameters"] == 100
    assert trials.at[1, "device"] == "cpu 0"
    assert trials.at[1, "started"] == pd.Timestamp(1000.5, unit="s", tz="UTC")
    assert trials.loc[14, ["value", "ended", "parameters"]].isna().all()


def test_a_parameter_that_does_not_exist_is_missing(journal):
    trials = Results().trials
    without = trials["params_optimizer"] == "adam"
    assert (trials["params_momentum"].isna() == without).all()


def test_curves_have_a_row_an_epoch_of_each_fold(journal):
    results = Results()
    assert len(results.curves) == 12 * 2 * 6
    told = trained(0.5, folds=2).score
    own = results.curves.query("trial == 1 and fold == 1")
    assert own["epoch"].tolist() == [1, 2, 3, 4, 5, 6]
    assert own["validation"].tolist() == list(told.folds[1].validation)
    assert own["train_loss"].tolist() == list(told.folds[1].train_loss)


def test_failures_have_their_traceback(journal):
    (row,) = Results().failures.reset_index().to_dict("records")
    assert (row["trial"], row["kind"], row["message"]) == (13, "nan", "loss became nan")
    assert row["traceback"] == "Traceback ..."


def test_a_repeated_trial_has_the_value_of_all_its_trainings(journal):
    journal.append_repeat(0, 1, trained(0.6, folds=2, seed=1), 0.55, 0.02)
    results = Results()
    row = results.trials.loc[1]
    assert (row["value"], row["se"], row["repeats"]) == (0.55, 0.02, 1)
    assert results.curves.query("trial == 1")["repeat"].unique().tolist() == [0, 1]


def test_repeats_have_a_row_each(journal):
    journal.append_repeat(0, 1, trained(0.6, seed=1), 0.55, 0.02)
    failed = Outcome(failure=Failure("nan", "loss became nan"), seconds=1.0, device="cpu 1")
    journal.append_repeat(0, 2, failed, None, None)
    repeats = Results().repeats
    assert repeats[["trial", "repeat", "device"]].values.tolist() == [
        [1, 1, "cpu 0"],
        [1, 2, "cpu 1"],
    ]
    assert repeats["value"].tolist() == [0.6, pytest.approx(np.nan, nan_ok=True)]
    assert repeats["failure"].fillna("").tolist() == ["", "nan"]
    assert repeats.at[0, "started"] == pd.Timestamp(1000.6, unit="s", tz="UTC")
    assert Results(study="s").repeats["ended"].notna().all()


def test_trials_of_a_search_put_aside_are_left_out(journal):
    with Store(Path("store.db"), create=True) as store:
        store.begin_search(make_record(task="mine", seed=1), instead_of=store.searches())
    results = Results()
    assert results.trials.empty
    assert results.curves.empty


def test_studies_tasks_and_evaluators_can_be_chosen(journal):
    with Store(Path("store.db"), create=True) as store:
        other = store.begin_search(make_record(study="other", task="mnist", evaluator="KFold(3)"))
        other.append_answer(0, Suggestion({"units": 8}, 2))
    assert len(Results().trials) == 15
    for which in ({"study": "other"}, {"task": "mnist"}, {"evaluator": "KFold(3)"}):
        assert Results(**which).trials["params_units"].tolist() == [8]
    assert "params_dropout" not in Results(task="mnist").trials


def test_what_is_not_in_the_store_is_refused(journal):
    with pytest.raises(StoreError, match=r"no study 'ss'.*it has s$"):
        Results(study="ss")
    with pytest.raises(StoreError, match="no task 'mnist'; it has mine"):
        Results(task="mnist")
    with pytest.raises(NoStoreError, match="no store at nowhere"):
        Results("nowhere.db")


def test_an_empty_store_has_empty_frames_with_all_columns(journal):
    full = Results()
    with Store(Path("empty.db"), create=True):
        pass
    empty = Results("empty.db")
    frames = empty.trials, empty.repeats, empty.curves, empty.failures
    assert [len(frame) for frame in frames] == [0, 0, 0, 0]
    assert list(empty.repeats.dtypes) == list(full.repeats.dtypes)
    fixed = [name for name in full.trials if not name.startswith("params_")]
    assert list(empty.trials) == fixed
    assert list(empty.curves) == list(full.curves)
    assert empty.trials.dtypes["value"] == full.trials.dtypes["value"]
    assert "no study yet" in repr(empty)
    with pytest.raises(ReportError, match="no trial is complete yet"):
        empty.plot_anytime()


@pytest.mark.parametrize("draw", FIGURES)
def test_figures_show_themselves_and_can_be_put_into_others(journal, draw):
    results = Results()
    own = draw(results)
    png, size = own._repr_png_()
    assert Image.open(io.BytesIO(png)).width == pytest.approx(1.5 * size["width"], abs=2)
    figure = Figure()
    assert draw(results, ax=figure.add_subplot()) is figure
    for ax in (own.axes[0], figure.axes[0]):
        assert ax.get_title(loc="left")
        assert ax.get_xlabel() or any(tick.get_text() for tick in ax.get_xticklabels())


@pytest.mark.parametrize("draw", MANY)
def test_figures_of_several_panels(journal, draw):
    figure = draw(Results())
    assert figure._repr_png_()[0].startswith(b"\x89PNG")
    assert all(ax.get_xlabel() for ax in figure.axes if ax.get_label() != "<colorbar>")


def test_drawing_leaves_pyplot_and_its_settings_alone(journal):
    import matplotlib

    pyplot = sys.modules.get("matplotlib.pyplot")
    figures = [] if pyplot is None else pyplot.get_fignums()
    names = [name for name in matplotlib.rcParams if name != "backend"]  # which loads pyplot
    before = [matplotlib.rcParams[name] for name in names]
    Results().plot_pareto()
    assert [matplotlib.rcParams[name] for name in names] == before
    assert sys.modules.get("matplotlib.pyplot") is pyplot
    assert figures == ([] if pyplot is None else pyplot.get_fignums())


def test_the_anytime_curve_is_the_best_of_what_ended(journal):
    (ax,) = Results().plot_anytime().axes
    best = ax.lines[0].get_ydata()
    values = Results().trials["value"].iloc[:13]
    assert best.tolist() == values.cummin().ffill().tolist()
    assert ax.lines[0].get_xdata()[-1] == 12 * 6


def test_searches_of_one_study_are_told_apart(journal):
    with Store(Path("store.db"), create=True) as store:
        search = make_record(
            task="mine", measure="mae", direction="min", space=json.dumps(SPACE.to_json()), seed=7
        )
        other = store.begin_search(search)
        other.append_answer(0, Suggestion({"dropout": 0.1, "rate": 0.01}, 6))
        other.append_outcome(0, trained(0.4))
    (legend,) = [ax.get_legend() for ax in Results().plot_anytime().axes]
    assert [text.get_text() for text in legend.texts] == ["s, seed 0", "s, seed 7"]


def test_a_value_far_worse_than_all_others_is_drawn_at_the_edge(journal):
    far = Suggestion(SPACE.sample(np.random.default_rng(3)), 6)
    journal.append_answer(20, far)
    journal.append_outcome(20, trained(90.0))
    results = Results()
    assert results.trials["value"].max() == 90.0
    for figure in (results.plot_slices(), results.plot_pareto()):
        assert figure.axes[0].get_ylim()[1] < 2
    assert "1 far off the scale" in results.plot_slices().get_suptitle()
    assert any(text.get_text() == "≥ 0.9" for text in results.plot_parallel().axes[0].texts)


def test_values_that_do_not_compare_are_not_drawn_together(journal):
    with Store(Path("store.db"), create=True) as store:
        other = store.begin_search(make_record(study="other", task="mnist"))
        other.append_answer(0, Suggestion({"units": 8}, 2))
        other.append_outcome(0, trained(0.9))
    with pytest.raises(
        ReportError, match=r"within one task.*mine, mnist.*Results\(..., task='mine'\)"
    ):
        Results().plot_pareto()
    assert Results(task="mine").plot_pareto().axes


def test_trials_that_tell_no_number_of_weights_are_not_drawn_against_it(journal):
    with Store(Path("store.db"), create=True) as store:
        other = store.begin_search(make_record(study="other", task="own"))
        other.append_answer(0, Suggestion({"units": 8}, 2))
        other.append_outcome(0, trained(0.9, n_weights=0))
        assert rank_tasks(store)[-1][0].one_se
    with pytest.raises(ReportError, match="no trial tells how many weights"):
        Results(task="own").plot_pareto()


def test_names_and_options_are_drawn_as_they_are():
    """A dollar sign begins a formula in matplotlib, and < a tag in HTML."""
    space = Space(kind=Choice("$a", "<b>$"))
    with Store(Path("store.db"), create=True) as store:
        search = make_record(study="<i>$s", space=json.dumps(space.to_json()))
        journal = store.begin_search(search)
        for number, kind in enumerate(("$a", "<b>$") * 5):
            journal.append_answer(number, Suggestion({"kind": kind}, 6))
            journal.append_outcome(number, trained(0.1 * number))
    results = Results()
    figure = results.compare(1, 2)
    assert "trial 1: kind=$a" in [text.get_text() for text in figure.legends[0].texts]
    for drawn in (
        figure,
        results.plot_slices(),
        results.plot_parallel(),
        results.plot_importance(),
    ):
        assert drawn._repr_png_()
    assert "<i>" not in results._repr_html_()
    assert "&lt;i&gt;$s" in results._repr_html_()
