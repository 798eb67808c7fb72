"""Metrics beside the task's: what the store keeps of them, and how trials rank by them."""

import json
import math
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from hpsearch.core.errors import OldStoreError, StoreError
from hpsearch.core.metric import Metric
from hpsearch.core.trial import Curve, Suggestion
from hpsearch.results.metric_values import standard_error
from hpsearch.store import (
    Store,
    rank_by_metric,
    rank_tasks,
    read_all_curves,
    read_metrics,
    read_trial,
)
from hpsearch.store.database import CURVE_LISTS, run_statements
from hpsearch.store.rows import curve_rows
from tests.builders import (
    RECORD,
    VERSION_6,
    fill_store,
    make_outcome,
    make_outcome_with_metrics,
    make_record,
)

METRICS = (Metric("f1", "max"), Metric("gap", "min"))
KFOLD = make_record(evaluator="KFold(folds=2, groups=False, repeats=1)")
# By the task's metric, epoch 2 is best; by f1, epoch 1 is.
FIRST = make_outcome_with_metrics(
    [[0.5, 0.8], [0.6, 0.9]], {"f1": [[0.9, 0.3], [0.9, 0.5]], "gap": [[1.0, 2.0], [3.0, 4.0]]}
)
SECOND = make_outcome_with_metrics(
    [[0.5, 0.7], [0.5, 0.7]], {"f1": [[0.1, 0.6], [0.1, 0.8]], "gap": [[1.0, 9.0], [3.0, 9.0]]}
)
UNDEFINED = make_outcome_with_metrics(
    [[0.5, 0.6], [0.5, 0.6]], {"f1": [[0.9, math.nan], [0.9, 0.9]], "gap": [[1, 1], [1, 1]]}
)


def fill(store, *outcomes, record=KFOLD, metrics=METRICS):
    journal = store.begin_search(record, metrics=metrics)
    for number, outcome in enumerate(outcomes):
        journal.append_answer(number, Suggestion({"a": number}, 2))
        journal.append_outcome(number, outcome)
    return journal


def rank(store, name, task=None):
    return rank_by_metric(store, task, name, standard_error)


def test_outcomes_are_read_back_as_they_were(place):
    with Store(place, create=True) as store:
        journal = fill(store, FIRST, UNDEFINED)
        journal.append_repeat(0, 1, SECOND, 0.8, 0.01)
    with Store(place) as store:
        found = store.journal(1)
        outcomes = [event.outcome for event in found.events() if hasattr(event, "outcome")]
        assert outcomes == [FIRST, UNDEFINED]
        assert found.trainings(0)[1].score.folds == SECOND.score.folds


def test_without_metrics_nothing_is_kept_of_them(place):
    with Store(place, create=True) as store:
        fill_store(store, RECORD, 0.5)
        assert store.db.query("SELECT metrics FROM curves") == [(None,)]
        assert read_metrics(store, [1]) == {}


def test_a_metric_whose_direction_is_not_known_is_not_written(place):
    with Store(place, create=True) as store:
        with pytest.raises(ValueError, match="which way metric 'gap' is better"):
            fill(store, FIRST, metrics=METRICS[:1])
        assert store.db.query("SELECT count(*) FROM told") == [(0,)]


def test_curves_that_no_reader_would_take_are_not_written(place):
    short = {"train": (0.5,), "validation": (0.5,)}
    (fold,) = make_outcome(0.5).score.folds
    score = replace(make_outcome(0.5).score, folds=(replace(fold, metrics={"f1": short}),))
    with Store(place, create=True) as store:
        with pytest.raises(ValueError, match="'f1' have another length than 2"):
            fill(store, replace(make_outcome(0.5), score=score))
        assert store.db.query("SELECT count(*) FROM told") == [(0,)]


def test_a_value_is_that_at_the_best_epoch_of_the_task_s_metric(place):
    with Store(place, create=True) as store:
        fill(store, FIRST, SECOND)
        (ranking,) = rank(store, "f1")
        assert [(row.trial, row.measure) for row in ranking.rows] == [(2, "f1"), (1, "f1")]
        assert [row.value for row in ranking.rows] == pytest.approx([0.7, 0.4])
        # The folds' standard deviation over the root of their number, as KFold has it.
        assert [row.se for row in ranking.rows] == pytest.approx([0.1, 0.1])
        assert not ranking.by_own


def test_of_a_metric_that_falls_the_lowest_is_first(place):
    with Store(place, create=True) as store:
        fill(store, SECOND, FIRST)
        (ranking,) = rank(store, "gap")
        assert [(row.trial, row.value) for row in ranking.rows] == [(2, 3.0), (1, 9.0)]


def test_ties_are_by_the_values_of_this_metric(place):
    """By accuracy the two differ in every fold alike; by f1 one fold is for each."""

    def outcome(values, f1):
        return make_outcome_with_metrics([[v] for v in values], {"f1": [[v] for v in f1]})

    record = make_record(evaluator="KFold(folds=6)")
    with Store(place, create=True) as store:
        fill(
            store,
            outcome([0.91, 0.92, 0.93, 0.94, 0.95, 0.96], [0.5, 0.7, 0.5, 0.7, 0.5, 0.7]),
            outcome([0.71, 0.73, 0.72, 0.75, 0.74, 0.76], [0.7, 0.5, 0.7, 0.5, 0.7, 0.4]),
            record=record,
        )
        assert [row.tied for row in rank_tasks(store)[0]][1] is False
        (ranking,) = rank(store, "f1")
        assert [(row.trial, row.tied) for row in ranking.rows] == [(1, True), (2, True)]


def test_by_the_task_s_own_metric_the_ranking_is_the_usual_one(place):
    with Store(place, create=True) as store:
        journal = fill(store, FIRST, SECOND, UNDEFINED)
        journal.append_repeat(1, 1, SECOND, 0.99, 0.001)
        fill_store(store, make_record(task="boston", measure="loss (mse), weighted"), 0.1)
        for task, name in (("digits", "accuracy"), ("boston", "loss")):
            (ranking,) = rank(store, name, task)
            assert [ranking.rows] == rank_tasks(store, task)
            assert (ranking.by_own, ranking.left_out) == (True, 0)


def test_trials_without_a_value_are_left_out_and_counted(place):
    with Store(place, create=True) as store:
        journal = fill(store, make_outcome(0.9, folds=2), metrics=())  # before it was recorded
        journal = store.journal(journal.search, METRICS)
        for number, outcome in enumerate((UNDEFINED, FIRST), 1):
            journal.append_answer(number, Suggestion({"a": number}, 2))
            journal.append_outcome(number, outcome)
        (ranking,) = rank(store, "f1")
        assert [row.trial for row in ranking.rows] == [3]
        assert ranking.left_out == 2


def test_a_trial_with_repeats_counts_over_all_of_them(place):
    """The best epoch too is that over all trainings: here the first, where each alone has 2 or 1."""
    again = make_outcome_with_metrics(
        [[1.0, 0.5], [1.0, 0.5]], {"f1": [[0.3, 0.0], [0.5, 0.0]], "gap": [[0, 0], [0, 0]]}
    )
    with Store(place, create=True) as store:
        journal = fill(store, FIRST)
        journal.append_repeat(0, 1, again, 0.775, 0.01)
        (ranking,) = rank(store, "f1")
        assert ranking.rows[0].value == pytest.approx((0.9 + 0.9 + 0.3 + 0.5) / 4)
        assert read_metrics(store, [1])[1].best_epoch == read_trial(store, 1)["best_epoch"] == 1
        # A repeat that lacks the metric, as of a run before it was added.
        journal.append_repeat(0, 2, make_outcome(0.7, folds=2), 0.75, 0.01)
        (ranking,) = rank(store, "f1")
        assert (ranking.rows, ranking.left_out) == ([], 1)


def test_a_metric_that_nobody_recorded_is_told_with_what_is_known(place):
    with Store(place, create=True) as store:
        fill(store, FIRST)
        with pytest.raises(StoreError) as told:
            rank(store, "acuracy")
    assert str(told.value) == (
        "no trial recorded a metric 'acuracy' (did you mean 'accuracy'?); recorded are: accuracy, "
        "f1, gap"
    )


def test_both_directions_of_one_name_do_not_rank_together(place):
    with Store(place, create=True) as store:
        fill(store, FIRST)
        turned = (Metric("f1", "min"), METRICS[1])
        fill(
            store, SECOND, record=make_record(study="t", evaluator=KFOLD.evaluator), metrics=turned
        )
        with pytest.raises(StoreError, match="'max' in trial 1 and 'min' in trial 2"):
            rank(store, "f1")
        assert len(rank(store, "gap")[0].rows) == 2


HOLDOUT = "Holdout(fraction=0.2, shuffle=True)"


@pytest.mark.parametrize(
    ("evaluator", "name", "values", "error"),
    [
        (HOLDOUT, "accuracy", [0.8], math.sqrt(0.8 * 0.2 / 100)),
        (HOLDOUT, "sign/binary_accuracy", [0.8], math.sqrt(0.8 * 0.2 / 100)),
        (HOLDOUT, "balanced_accuracy", [0.8], None),
        (HOLDOUT, "f1", [0.8], None),
        ("KFold(folds=2, groups=False, repeats=1)", "f1", [0.7, 0.9], 0.1),
        ("KFold(folds=2, groups=False, repeats=1)", "f1", [0.8], None),  # a fold is missing
        ("Mine(folds=2)", "balanced_accuracy", [0.7, 0.9], None),
        ("KFold(folds=2, sorted=True)", "f1", [0.7, 0.9], None),  # of a later version
        ("not a label", "f1", [0.7, 0.9], None),
    ],
)
def test_an_error_is_by_the_rule_of_the_evaluator(evaluator, name, values, error):
    found = standard_error(evaluator, Metric(name, "max"), [values], 100)
    assert found == (error if error is None else pytest.approx(error))


def test_seeds_add_to_the_error_of_a_single_split():
    metric = Metric("accuracy", "max")
    one = standard_error(HOLDOUT, metric, [[0.8]], 100)
    two = standard_error(HOLDOUT, metric, [[0.7], [0.9]], 100)
    assert two == pytest.approx(math.hypot(one, 0.1))


def test_curves_are_read_with_their_directions(place):
    with Store(place, create=True) as store:
        fill(store, FIRST)
        ((_, _, _, first), (_, _, _, second)) = next(read_all_curves(store, [1]))
        assert first.metrics["f1"].direction == "max"
        assert first.metrics["gap"].direction == "min"
        assert second.metrics["gap"].validation == (3.0, 4.0)


@pytest.mark.slow
def test_two_metrics_of_a_million_epochs_are_written_and_read():
    """The bound on rows leaves room for them: 21 bytes a value, as where all digits count."""
    epochs = 10**6
    long = (0.12345678901234567,) * epochs
    both = {"train": long, "validation": long}
    curve = Curve(long, long, long, long, metrics={"f1": both, "gap": both})
    with Store(Path("store.db"), create=True) as store:
        journal = store.begin_search(RECORD, metrics=METRICS)
        journal.append_answer(0, Suggestion({"a": 1}, epochs))
        outcome = make_outcome(0.5)
        score = type(outcome.score)(long[0], None, 1, (curve,))
        journal.append_outcome(0, type(outcome)(score, None, 1.0, 10, 0))
        assert journal.outcome(0).score.folds == (curve,)


GOOD = '{"f1": {"direction": "max", "train": [0.5, 0.5], "validation": [0.5, null]}}'
DAMAGES = {
    "no JSON": "{",
    "another JSON": "[]",
    "no metrics": "{}",
    "no curves": '{"f1": 7}',
    "no direction": GOOD.replace('"direction": "max", ', ""),
    "another direction": GOOD.replace("max", "up"),
    "a further key": GOOD.replace('"direction"', '"weighted": true, "direction"'),
    "a text in a curve": GOOD.replace("null", '"0.5"'),
    "a truth in a curve": GOOD.replace("null", "true"),
    "a number that is none": GOOD.replace("null", "NaN"),
    "no list": GOOD.replace("[0.5, 0.5]", "0.5"),
    "another length": GOOD.replace("[0.5, 0.5]", "[0.5]"),
    "deep JSON": "[" * 100_000 + "]" * 100_000,
    "a number beyond floats": GOOD.replace("null", "1" + "0" * 400),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("digest", ["kept", "none"])
def test_damaged_metrics_are_refused(place, damage, digest):
    """Without a digest too: their text is never guessed at."""
    with Store(place, create=True) as store:
        fill(store, FIRST)
        lists = ", lists = NULL" if digest == "none" else ""
        change = f"UPDATE curves SET metrics = :text{lists} WHERE fold = 1"
        store.db.write(lambda: store.db.execute(change, [{"text": DAMAGES[damage]}]))
        for read in (
            lambda: list(store.journal(1).events()),
            lambda: read_trial(store, 1),
            lambda: rank(store, "f1"),
            lambda: list(read_all_curves(store, [1])),
            lambda: read_metrics(store, [1]),
        ):
            with pytest.raises(StoreError) as told:
                read()
            assert "cannot be read as a store" in str(told.value)
            assert len(str(told.value).splitlines()) == 1


@pytest.mark.parametrize("text", [GOOD.replace("0.5", "0.6"), None])
def test_other_metrics_than_were_written_are_refused(place, text):
    with Store(place, create=True) as store:
        fill(store, FIRST)
        change = "UPDATE curves SET metrics = :text WHERE fold = 1"
        store.db.write(lambda: store.db.execute(change, [{"text": text}]))
        with pytest.raises(StoreError, match="not what was written"):
            list(store.journal(1).events())


def test_a_blob_in_place_of_metrics_is_refused():
    path = Path("store.db")
    with Store(path, create=True) as store:
        fill(store, FIRST)
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE curves SET lists = NULL, digest = NULL, metrics = CAST(metrics AS BLOB)")
        db.commit()
    with Store(path) as store, pytest.raises(StoreError, match="cannot be read"):
        list(store.journal(1).events())


def test_opening_a_store_does_not_read_the_metrics():
    path = Path("store.db")
    with Store(path, create=True) as store:
        fill(store, FIRST)
        store.db.write(lambda: store.db.execute("UPDATE curves SET metrics = 'x'"))
    with Store(path) as store:
        assert rank_tasks(store)[0][0].value == FIRST.score.value


# What turns a store of this version into one of version 4.
VERSION_5 = f"{VERSION_6}ALTER TABLE told DROP COLUMN cost;ALTER TABLE repeats DROP COLUMN cost;"
VERSION_4 = f"{VERSION_5}ALTER TABLE curves DROP COLUMN metrics;"


def test_a_store_of_version_4_is_upgraded_and_its_digests_stay_valid(place):
    name = "PRAGMA user_version" if isinstance(place, Path) else "UPDATE hpsearch SET version"
    with Store(place, create=True) as store:
        journal = fill_store(store, KFOLD, 0.5, folds=2)
        before = list(journal.events())
        store.db.write(lambda: run_statements(store.db, f"{VERSION_4} {name} = 4"))
    with pytest.raises(OldStoreError, match="of version 4, older than the 7"):
        Store(place)
    with Store(place, create=True) as store:
        journal = store.journal(journal.search, METRICS)
        assert list(journal.events()) == before
        assert store.db.query("SELECT count(lists) FROM curves") == [(2,)]
        journal.append_answer(1, Suggestion({"a": 1}, 2))
        journal.append_outcome(1, FIRST)
    with Store(place) as store:
        assert [row.trial for row in rank(store, "f1")[0].rows] == [2]


def test_the_digest_of_a_row_without_metrics_is_that_of_version_4():
    """Over the four curves alone, by the code of version 4."""
    from hpsearch.store.database import digest_values

    (row,) = curve_rows(make_outcome(0.5).score, {})
    assert row["lists"] == digest_values([row[name] for name in CURVE_LISTS])


def test_show_has_undefined_values_as_null(place):
    with Store(place, create=True) as store:
        fill(store, UNDEFINED)
        details = read_trial(store, 1)
    curves = json.loads(json.dumps(details["curves"], allow_nan=False))
    assert curves[0]["metrics"]["f1"]["validation"] == [0.9, None]
