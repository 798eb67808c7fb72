"""What a search brought over its baselines."""

from dataclasses import replace

import pytest

from hpsearch.core.metric import Metric
from hpsearch.core.trial import Suggestion
from hpsearch.results.baseline_gain import (
    compare_with_baseline,
    describe_gain,
    describe_progress,
    find_gain,
    read_gain,
    read_gain_of_trial,
    read_gains,
)
from hpsearch.results.metric_values import standard_error
from hpsearch.store import BASELINES, Store, TrialFilter, rank_by_metric, rank_tasks
from tests.builders import (
    append_outcomes,
    fill_baselines,
    make_outcome_of_folds,
    make_outcome_with_metrics,
    make_record,
)

KFOLD = make_record(evaluator="KFold()")
LOSS = make_record(evaluator="KFold()", measure="mae", direction="min")
HOLDOUT = make_record()

# A search's values by fold, those of the baselines, and what is said.
CASES = {
    "better": (
        KFOLD,
        [0.95, 0.96, 0.97],
        {"gradient boosting": [0.93, 0.94, 0.949], "majority class": [0.1, 0.1, 0.1]},
        "0.9600 ± 0.0100, better than gradient boosting by 0.0203 ± 0.0005",
    ),
    "better, where low values are": (
        LOSS,
        [2.0, 2.5, 3.0],
        {"ridge regression": [3.1, 3.5, 4.1]},
        "2.5000 ± 0.0100, better than ridge regression by 1.07 ± 0.05",
    ),
    "no better": (
        KFOLD,
        [0.95, 0.96, 0.97],
        {"logistic regression": [0.96, 0.94, 0.975]},
        "0.9600 ± 0.0100, no better than logistic regression: a plain model would do",
    ),
    "worse": (
        KFOLD,
        [0.95, 0.96, 0.97],
        {"gradient boosting": [0.98, 0.991, 1.0]},
        "0.9600 ± 0.0100, gradient boosting is better by 0.0303 ± 0.0005: a plain model would do",
    ),
    "on a single split, by both errors": (
        HOLDOUT,
        [0.96],
        {"gradient boosting": [0.94]},
        "0.9600 ± 0.0100, better than gradient boosting by 0.020 ± 0.014",
    ),
    "on a single split, within both errors": (
        HOLDOUT,
        [0.96],
        {"gradient boosting": [0.948]},
        "0.9600 ± 0.0100, no better than gradient boosting: a plain model would do",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_best_trial_is_compared_with_the_best_baseline(name):
    search, values, baselines, said = CASES[name]
    with Store(None) as store:
        append_outcomes(store, search, make_outcome_of_folds(values))
        fill_baselines(store, search, baselines)
        [ranking] = rank_tasks(store)
        gain = find_gain(store, ranking)
        assert describe_gain(gain) == said
        assert describe_gain(read_gain(store, store.searches()[0])) == said
        assert [describe_gain(each) for each in read_gains(store, "s")] == [said]
        of_trial = read_gain_of_trial(store, 1)
        assert (of_trial.value, of_trial.verdict) == (gain.value, gain.verdict)


@pytest.mark.parametrize(
    ("repeats", "said"),
    [
        (
            [[0.935, 0.948, 0.92]] * 3,
            "0.9408 ± 0.0100, no better than logistic regression: a plain ",
        ),
        (
            [[0.95, 0.93, 0.9515]] * 3,
            "0.9479 ± 0.0100, no better than logistic regression: a plain ",
        ),
        (
            [[0.95, 0.96, 0.97]] * 3,
            "0.9600 ± 0.0100, better than logistic regression by 0.0203 ± 0.0",
        ),
        (
            [[0.90, 0.91, 0.92]] * 3,
            "0.9225 ± 0.0100, logistic regression is better by 0.0172 ± 0.0",
        ),
    ],
)
def test_repeats_decide_with_the_first_training_whether_a_gain_is_one(repeats, said):
    """The baseline, which draws nothing, has one training, and the first of the trial was lucky."""
    first = [0.95, 0.96, 0.97]
    mean = sum(map(sum, [first, *repeats])) / 12
    with Store(None) as store:
        journal = append_outcomes(store, KFOLD, make_outcome_of_folds(first))
        for number, folds in enumerate(repeats, 1):
            journal.append_repeat(0, number, make_outcome_of_folds(folds), mean, 0.01)
        fill_baselines(store, KFOLD, {"logistic regression": [0.93, 0.94, 0.949]})
        [ranking] = rank_tasks(store)
        assert describe_gain(find_gain(store, ranking)).startswith(said)
        other = next(row for row in ranking if row.tied is not None and row.rank == 2)
        assert other.tied == ("no better" in said)


def test_without_errors_the_error_is_said_to_be_unknown():
    with Store(None) as store:
        append_outcomes(store, HOLDOUT, make_outcome_of_folds([0.96], se=None))
        fill_baselines(store, HOLDOUT, {"ridge regression": [0.95]}, se=None)
        [ranking] = rank_tasks(store)
        assert describe_gain(find_gain(store, ranking)) == (
            "0.96, better than ridge regression by 0.0100 (the error of the difference is not known)"
        )


def test_an_error_of_zero_says_nothing_of_other_rows():
    with Store(None) as store:
        append_outcomes(store, HOLDOUT, make_outcome_of_folds([1.0], se=0.0))
        fill_baselines(store, HOLDOUT, {"ridge regression": [1.0]}, se=0.0)
        [ranking] = rank_tasks(store)
        assert find_gain(store, ranking).verdict == "not known"


def test_by_another_metric_its_values_are_paired():
    """By accuracy the baseline is better; by the gap, which should be low, the search is."""
    measured = make_outcome_with_metrics([[0.8], [0.9], [0.7]], {"gap": [[2.0], [2.5], [3.0]]})
    baseline = make_outcome_with_metrics([[0.9], [0.98], [0.8]], {"gap": [[3.1], [3.5], [4.1]]})
    with Store(None) as store:
        for record, outcome, point in (
            (KFOLD, measured, {"a": 1}),
            (replace(KFOLD, searcher=BASELINES), baseline, {"baseline": "mean"}),
        ):
            journal = store.begin_search(record, metrics=[Metric("gap", "min")])
            journal.append_answer(0, Suggestion(point, 1))
            journal.append_outcome(0, outcome)
        [ranking] = rank_by_metric(store, None, "gap", standard_error)
        gain = find_gain(store, ranking.rows, metric="gap")
        assert compare_with_baseline(gain) == "better than mean by 1.07 ± 0.05"
        [own] = rank_tasks(store)
        assert find_gain(store, own).verdict == "worse"


def test_folds_of_another_seed_are_not_paired():
    """Their errors are independent, and a gain that pairs would show is within them."""
    with Store(None) as store:
        append_outcomes(store, KFOLD, make_outcome_of_folds([0.95, 0.96, 0.97]))
        fill_baselines(
            store, make_record(evaluator="KFold()", seed=1), {"mean": [0.94, 0.95, 0.961]}
        )
        gain = read_gain(store, store.searches()[0])
        assert gain.verdict == "no better"
        assert gain.se == pytest.approx(0.01 * 2**0.5)


def test_there_is_no_gain_without_a_baseline_that_compares():
    with Store(None) as store:
        append_outcomes(store, KFOLD, make_outcome_of_folds([0.95, 0.96, 0.97]))
        fill_baselines(store, make_record(data="other", evaluator="KFold()"), {"mean": [0.5] * 3})
        search = store.searches()[0]
        assert read_gain(store, search) is None
        assert describe_progress(store, search) is None
        assert read_gain_of_trial(store, 1) is None


def test_baselines_alone_bring_nothing():
    with Store(None) as store:
        fill_baselines(store, KFOLD, {"mean": [0.5, 0.6, 0.7]})
        [ranking] = rank_tasks(store)
        assert find_gain(store, ranking) is None
        assert read_gains(store, "s") == []


def test_progress_counts_baselines_that_ended():
    with Store(None) as store:
        append_outcomes(store, KFOLD, make_outcome_of_folds([0.95, 0.96, 0.97]))
        fill_baselines(
            store, KFOLD, {"majority class": [0.1] * 3, "gradient boosting": [0.9, 0.91, 0.92]}
        )
        assert describe_progress(store, store.searches()[0]) == (
            "2 of 2, the best is gradient boosting: accuracy 0.9100 ± 0.0100"
        )


def test_a_ranking_marks_baselines_and_none_is_the_simplest():
    with Store(None) as store:
        outcomes = [make_outcome_of_folds(v, n_weights=w) for v, w in FEW_WEIGHTS]
        append_outcomes(store, KFOLD, *outcomes)
        fill_baselines(store, KFOLD, {"gradient boosting": [0.955, 0.966, 0.975]})
        [ranking] = rank_tasks(store)
        assert [row.baseline for row in ranking] == ["gradient boosting", None, None]
        assert [row.to_json()["baseline"] for row in ranking][:2] == ["gradient boosting", None]
        # Within one standard error of the best point of the space, not of the baseline.
        assert [row.trial for row in ranking if row.one_se] == [2]
        [only] = rank_tasks(store, only=TrialFilter(searchers=(BASELINES,)))
        assert [row.baseline for row in only] == ["gradient boosting"]
        assert not any(row.one_se for row in only)


FEW_WEIGHTS = [([0.952, 0.963, 0.972], 500), ([0.945, 0.955, 0.965], 100)]
