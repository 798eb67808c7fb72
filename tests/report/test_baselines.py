"""Baselines in reports, figures and frames: in their places, and never as points."""

import pytest

from hpsearch.core.errors import StoreError
from hpsearch.evaluators import KFold
from hpsearch.plots.results import Results
from hpsearch.report.page import render
from hpsearch.results.best_so_far import collect_best_so_far
from hpsearch.results.report_data import read_report_data
from hpsearch.searchers import Random
from hpsearch.store import BASELINES, Store, TrialFilter
from tests.builders import fill_baselines
from tests.filled import fill

NAMES = ("gradient boosting", "majority class")


@pytest.fixture
def place(tmp_path):
    path = tmp_path / "s.db"
    with Store(path, create=True) as store:
        fill(store, Random(trials=12, epochs=6), KFold(3), folds=3)
        values = {"gradient boosting": [0.91, 0.9, 0.92], "majority class": [0.1, 0.11, 0.1]}
        fill_baselines(store, store.searches()[0], values)
    return path


def test_a_report_ranks_them_and_keeps_points_apart(place):
    [comparison] = read_report_data(place, study="filled").comparisons
    ranked = {row.baseline for row in comparison.whole_ranking}
    assert ranked == {None, *NAMES}
    assert len(comparison.ranking) == len(comparison.ranked_trials) == 12
    assert [family.trials["searcher"].nunique() for family in comparison.trials_by_space] == [1]
    assert comparison.best.baseline is None
    assert comparison.gain.baseline.baseline == "gradient boosting"
    page = render(read_report_data(place, study="filled")).decode()
    assert "gradient boosting (baseline)" in page
    assert 'class="headline"' in page
    assert ">baseline</button>" not in page  # no column of the space's parameters


def test_baselines_alone_make_no_report(place):
    with pytest.raises(StoreError, match="only baselines"):
        read_report_data(place, study="filled", only=TrialFilter(searchers=(BASELINES,)))


def test_frames_have_them_without_parameters_and_figures_without_them(place):
    results = Results(place)
    trials = results.trials
    assert sorted(trials["baseline"].dropna()) == sorted(NAMES)
    assert "params_baseline" not in trials
    best = collect_best_so_far(trials, results.searches)
    assert list(best.baselines) == ["gradient boosting"]  # the other is far off the scale
    assert len(best.curves) == 1
    assert results.plot_anytime().axes[0].texts[0].get_text() == "gradient boosting"
    assert results.plot_parallel()
    assert results.plot_importance()
