"""What the data cannot tell apart: paired tests, one standard error, repeats."""

import dataclasses
import json
import math
import sqlite3
import time
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from hpsearch import Holdout, KFold, Results
from hpsearch.core import ties
from hpsearch.core.errors import OldStoreError
from hpsearch.core.metric import Metric
from hpsearch.core.trial import Curve, Failure, Outcome, Score
from hpsearch.selection.choice import ModelChoice, _choose_rows
from hpsearch.store import (
    Journal,
    Store,
    list_openings,
    list_studies,
    monitor_search,
    open_test,
    rank_tasks,
    read_trial,
    record_test_result,
)
from hpsearch.store.database import run_statements
from tests.builders import RECORD, VERSION_3, append_outcomes, make_outcome_of_folds, make_record

ACCURACY = Metric("accuracy", "max")


@pytest.mark.parametrize("seed", range(5))
def test_without_shared_rows_it_is_the_paired_t_test(seed):
    rng = np.random.default_rng(seed)
    first, second = rng.normal(0.0, 1.0, 12), rng.normal(0.7, 1.0, 12)
    told = stats.ttest_rel(first, second).pvalue < 0.05
    assert ties.are_indistinguishable([[d] for d in first - second], share=0.0) is not told
    # Seeds on a single split.
    assert ties.are_indistinguishable([list(first - second)], share=0.5) is not told


def test_shared_rows_widen_the_error_as_nadeau_and_bengio_have_it():
    # Ten-fold cross-validation: variance times 1/10 + 1/9, 9 degrees of freedom.
    differences = [0.01, 0.02, 0.00, 0.03, 0.01, 0.02, 0.02, 0.01, 0.00, 0.03]
    error = math.sqrt((1 / 10 + 1 / 9) * np.var(differences, ddof=1))
    assert ties.standard_error(differences, 1 / 9) == pytest.approx(error)
    t = np.mean(differences) / error
    assert t == pytest.approx(3.025, abs=5e-3)
    assert not ties.are_indistinguishable([[d] for d in differences], 1 / 9)  # 2.262 is the limit
    assert ties.are_indistinguishable([[d - 0.006] for d in differences], 1 / 9)


def test_a_further_seed_brings_no_further_folds():
    once = [[0.010], [0.022], [0.035], [0.004], [0.024]]
    assert ties.are_indistinguishable(once, 0.25)
    assert ties.are_indistinguishable([seeds * 5 for seeds in once], 0.25)
    # There is no noise of seeds in it.
    assert ties.count_repeats_needed([seeds * 2 for seeds in once], 0.25) is None


def test_more_repeats_are_as_many_as_would_do():
    """Where half of the variance over folds is the seeds'."""
    rng = np.random.default_rng(2)
    seeds = [list(fold + rng.normal(0, 0.012, 2)) for fold in 0.012 + rng.normal(0, 0.004, 5)]
    more = ties.count_repeats_needed(seeds, share=0.25)
    assert ties.are_indistinguishable(seeds, 0.25)
    passing = np.mean([np.var(each, ddof=1) for each in seeds])
    means = [np.mean(each) for each in seeds]
    lasting = np.var(means, ddof=1) - passing / 2

    def told_apart(repeats):
        error = math.sqrt((lasting + passing / repeats) * (1 / 5 + 0.25))
        return np.mean(means) > stats.t.ppf(0.975, 4) * error

    assert more >= 1
    assert told_apart(2 + more)
    assert not told_apart(2 + more - 1)


def test_more_seeds_on_a_single_split_are_as_many_as_would_do():
    differences = [0.01, 0.05, -0.02, 0.04]
    more = ties.count_repeats_needed([differences], share=0.25)
    mean, deviation = np.mean(differences), np.std(differences, ddof=1)

    def told_apart(seeds):
        return mean > stats.t.ppf(0.975, seeds - 1) * deviation / math.sqrt(seeds)

    assert told_apart(4 + more)
    assert not told_apart(4 + more - 1)


@pytest.fixture
def ranked(place):
    """The ranking of a search of these outcomes."""

    def ranked(*outcomes, **changes):
        with Store(place, create=True) as store:
            append_outcomes(store, make_record(**changes), *outcomes)
            return rank_tasks(store)[-1]

    return ranked


FIRST = [0.90, 0.92, 0.94, 0.96]
WORSE = [v - 0.01 - d for v, d in zip(FIRST, (0.0, 0.001, 0.0, 0.001), strict=True)]


def test_a_tie_is_decided_by_folds_not_by_the_error_of_the_mean(ranked):
    mixed = [0.95, 0.87, 0.97, 0.91]
    rows = ranked(
        make_outcome_of_folds(FIRST, se=0.02),
        make_outcome_of_folds(WORSE),
        make_outcome_of_folds(mixed),
    )
    assert [(row.trial, row.tied) for row in rows] == [(1, True), (3, True), (2, False)]
    assert rows[1].more_repeats is None  # nobody trains that often


def test_other_splits_are_not_paired(place):
    with Store(place, create=True) as store:
        append_outcomes(store, RECORD, make_outcome_of_folds(FIRST, se=0.02))
        append_outcomes(store, make_record(seed=1), make_outcome_of_folds(WORSE))
        append_outcomes(store, make_record(searcher="Grid()"), make_outcome_of_folds(WORSE))
        rows = rank_tasks(store)[0]
    assert [(row.trial, row.tied) for row in rows] == [(1, True), (2, True), (3, False)]


@pytest.mark.parametrize(("share", "tied"), [({}, False), ({"train_rows": 0}, True)])
def test_folds_of_unknown_training_rows_are_not_paired(share, tied, ranked):
    rows = ranked(
        make_outcome_of_folds(FIRST, se=0.02, **share), make_outcome_of_folds(WORSE, **share)
    )
    assert rows[1].tied is tied


def test_the_simplest_within_one_error_has_the_fewest_parameters_then_epochs(ranked):
    rows = ranked(
        make_outcome_of_folds([0.95], se=0.01, n_weights=900),
        make_outcome_of_folds([0.945], se=0.01, n_weights=300, epochs=9),
        make_outcome_of_folds([0.942], se=0.01, n_weights=300, epochs=5),
        make_outcome_of_folds([0.93], se=0.01, n_weights=1),
    )
    assert [row.trial for row in rows if row.one_se] == [3]


def test_what_failed_when_repeated_is_no_one_error_choice(place):
    with Store(place, create=True) as store:
        best, simple = (
            make_outcome_of_folds([0.95], n_weights=900),
            make_outcome_of_folds([0.945], n_weights=3),
        )
        journal = append_outcomes(
            store, RECORD, best, simple, make_outcome_of_folds([0.944], n_weights=30)
        )
        failed = Outcome(failure=Failure("nan", "loss became nan"))
        journal.append_repeat(1, 1, failed, 0.945, 0.01)
        rows = rank_tasks(store)[0]
        assert [row.trial for row in rows if row.one_se] == [3]
        assert [row.trial for row in _choose_rows(rows, ModelChoice(ensemble=3))] == [1, 3]
        for number in (0, 2):  # where all did, it is still the simplest
            journal.append_repeat(number, 1, failed, (0.95, 0, 0.944)[number], 0.01)
        assert [row.trial for row in rank_tasks(store)[0] if row.one_se] == [2]


@pytest.mark.parametrize(("folds", "tied"), [(5, True), (6, False)])
def test_folds_that_all_differ_alike_are_judged_by_their_signs(folds, tied, ranked):
    """Their standard error of 0 would make any difference certain."""
    first, other = [1.0 - 0.01 * n for n in range(folds)], [0.99 - 0.01 * n for n in range(folds)]
    rows = ranked(make_outcome_of_folds(first, se=0.0), make_outcome_of_folds(other, se=0.0))
    assert [row.tied for row in rows] == [True, tied]
    assert rows[1].more_repeats is None


def test_an_error_of_zero_tells_no_trials_apart(ranked):
    rows = ranked(
        make_outcome_of_folds([1.0], se=0.0),
        make_outcome_of_folds([1.0], se=0.0),
        make_outcome_of_folds([0.99], se=0.0),
    )
    assert [row.tied for row in rows] == [True, True, None]


def test_seeds_that_all_differ_alike_need_as_many_as_the_sign_test():
    assert ties.are_indistinguishable([[0.01] * 3], 0.25)
    assert ties.count_repeats_needed([[0.01] * 3], 0.25) == 3
    assert not ties.are_indistinguishable([[0.01] * 6], 0.25)
    assert ties.count_repeats_needed([[0.0] * 3], 0.25) is None


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_an_accuracy_of_all_or_no_rows_has_an_error(value):
    errors = [Holdout().standard_error([value], ACCURACY, rows) for rows in (1, 20, 200)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] == pytest.approx(1 / 200, rel=0.02)
    almost = abs(value - 1 / 200)
    assert Holdout().standard_error([almost], ACCURACY, 200) >= errors[-1]


def test_without_an_error_there_is_no_one_error_choice(ranked):
    assert not any(
        row.one_se
        for row in ranked(
            make_outcome_of_folds([0.9], se=None), make_outcome_of_folds([0.8], se=None)
        )
    )


@pytest.mark.parametrize(("direction", "first"), [("max", 2), ("min", 1)])
def test_repeats_count_in_the_ranking(direction, first, place):
    with Store(place, create=True) as store:
        journal = append_outcomes(
            store,
            make_record(direction=direction),
            make_outcome_of_folds([0.95]),
            make_outcome_of_folds([0.94]),
        )
        journal.append_repeat(0, 1, make_outcome_of_folds([0.91]), 0.93, 0.005)
        row, other = rank_tasks(store)[0]
        shown, (listed,) = read_trial(store, 1), list_studies(store)
    assert row.trial == first
    repeated = row if row.trial == 1 else other
    assert (repeated.value, repeated.se, repeated.repeats, repeated.seconds) == (0.93, 0.005, 1, 2)
    assert [(each["repeat"], each["value"]) for each in shown["repeats"]] == [(0, 0.95), (1, 0.91)]
    assert (shown["value"], shown["se"], shown["seconds"]) == (0.93, 0.005, 2)
    assert (listed["best_trial"], listed["best"]) == (row.trial, row.value)


@pytest.mark.parametrize("back", [0.0, 3600.0])
def test_repeats_that_end_out_of_order_give_one_value_to_all_who_read(back, place, monkeypatch):
    """Also where the clock is set back between the two."""
    with Store(place, create=True) as store:
        journal = append_outcomes(
            store, RECORD, make_outcome_of_folds([0.95]), make_outcome_of_folds([0.94])
        )
        journal.append_repeat(0, 2, make_outcome_of_folds([0.91]), 0.93, 0.02)
        now = time.time() - back
        with monkeypatch.context() as patch:
            patch.setattr("hpsearch.store.journal.time.time", lambda: now)
            journal.append_repeat(0, 1, make_outcome_of_folds([0.99]), 0.95, 0.03)
        row = next(row for row in rank_tasks(store)[0] if row.trial == 1)
        shown, (listed,) = read_trial(store, 1), list_studies(store)
        watched = monitor_search(store, journal.search)
        watched.refresh()
    framed = Results(place).trials.loc[1]
    values = [(each["value"], each["se"]) for each in (row._asdict(), shown, framed)]
    assert values == [(0.95, 0.03)] * 3
    assert (row.repeats, framed["repeats"], len(shown["repeats"])) == (2, 2, 3)
    assert listed["best"] == watched.best.value == 0.95


def test_what_ends_while_a_trial_is_shown_is_seen_whole_or_not_at_all(place, monkeypatch):
    with Store(place, create=True) as store:
        journal = append_outcomes(store, RECORD, make_outcome_of_folds([0.95]))
        journal.append_repeat(0, 1, make_outcome_of_folds([0.91]), 0.93, 0.02)
        read = Journal.trainings

        def ends_meanwhile(self, number):
            found = read(self, number)
            journal.append_repeat(
                0, len(journal.ended_repeats(0)) + 1, make_outcome_of_folds([0.99]), 0.95, 0.03
            )
            return found

        with Store(place) as reader, monkeypatch.context() as patch:
            patch.setattr(Journal, "trainings", ends_meanwhile)
            shown = read_trial(reader, 1)
        assert ([each["repeat"] for each in shown["repeats"]], shown["value"]) == ([0, 1], 0.93)
        assert len(read_trial(store, 1)["repeats"]) == 3


def test_repeats_of_a_store_of_version_3_are_in_the_order_of_their_times(place):
    with Store(place, create=True) as store:
        journal = append_outcomes(
            store, RECORD, make_outcome_of_folds([0.95]), make_outcome_of_folds([0.9])
        )
        for number, repeat in enumerate((2, 1, 3)):
            journal.append_repeat(
                0, repeat, make_outcome_of_folds([0.91]), 0.9 + number / 100, 0.02
            )
        before = rank_tasks(store)
        version = "PRAGMA user_version = 3" if isinstance(place, Path) else (
            "UPDATE hpsearch SET version = 3")  # fmt: skip
        store.db.write(lambda: run_statements(store.db, f"{VERSION_3} {version}"))
    with Store(place, create=True) as store:
        assert store.db.query("SELECT repeat FROM repeats ORDER BY seq") == [(2,), (1,), (3,)]
        assert rank_tasks(store) == before


@pytest.fixture
def repeated(place):
    """The ranking of two trials on one split, with repeats of values (first's, second's)."""

    def repeated(first, second, *seeds, se=0.01):
        with Store(place, create=True) as store:
            journal = append_outcomes(
                store,
                RECORD,
                make_outcome_of_folds([first], se=se),
                make_outcome_of_folds([second], se=se),
            )
            for repeat, values in enumerate(seeds, 1):
                for trial_, own in enumerate(values):
                    journal.append_repeat(
                        trial_, repeat, make_outcome_of_folds([own]), (first, second)[trial_], se
                    )
            return rank_tasks(store)[0]

    return repeated


@pytest.mark.parametrize(
    ("se", "tied"),
    [(0.01, True), (0.001, False), (None, None)],  # None: nothing of other rows
)
def test_seeds_on_one_split_tell_nothing_apart_within_its_error(repeated, se, tied):
    always_worse = (0.951, 0.9461), (0.949, 0.9439)
    assert repeated(0.95, 0.945, *always_worse, se=se)[1].tied is tied


def test_seeds_on_one_split_can_tie_trials(repeated):
    row = repeated(0.95, 0.945, (0.948, 0.95), (0.952, 0.94), se=0.001)[1]
    assert row.tied is True
    assert row.more_repeats > 1


def test_who_failed_when_repeated_ranks_behind(place):
    with Store(place, create=True) as store:
        journal = append_outcomes(
            store, RECORD, make_outcome_of_folds([0.95]), make_outcome_of_folds([0.90])
        )
        journal.append_repeat(0, 1, make_outcome_of_folds([0.97]), 0.96, 0.01)
        failed = Outcome(failure=Failure("nan", "loss became nan"))
        journal.append_repeat(0, 2, failed, 0.96, 0.01)
        rows = rank_tasks(store)[0]
    assert [(row.trial, row.repeats, row.failed_repeats) for row in rows] == [(2, 0, 0), (1, 1, 1)]


def test_trainings_over_folds_are_combined_fold_by_fold():
    scores = [make_outcome_of_folds([0.8, 0.9]).score, make_outcome_of_folds([0.82, 0.94]).score]
    value, se = KFold(2).combined(scores, ACCURACY)
    assert value == pytest.approx(0.865)
    assert se == pytest.approx(np.std([0.81, 0.92], ddof=1) / math.sqrt(2))


def test_trainings_are_combined_at_one_epoch():
    curves = [1.0, 2.0, 2.0], [2.0, 2.0, 1.0]
    scores = [Score(1.0, None, 1, (Curve(validation=tuple(c), rows=5),)) for c in curves]
    value, _ = Holdout().combined(scores, Metric("mae", "min"))
    assert value == 1.5  # the best epoch of each alone would give 1


def test_trainings_on_one_split_add_the_error_of_the_seeds():
    scores = [make_outcome_of_folds([v], rows=100).score for v in (0.90, 0.92, 0.94)]
    value, se = Holdout().combined(scores, ACCURACY)
    assert value == pytest.approx(0.92)
    assert se == pytest.approx(math.hypot(math.sqrt(0.92 * 0.08 / 100), 0.02 / math.sqrt(3)))
    # The seeds' alone is no error: it knows nothing of other rows.
    assert Holdout().combined(scores, Metric("mae", "min")) == (pytest.approx(0.92), None)


def test_an_opening_is_recorded_before_its_verdict_and_told_apart_after(place):
    model = {"members": [{"trial": 1, "params": {"a": 0.5}, "epochs": 3}], "seeds": 2}
    with Store(place, create=True) as store:
        search = append_outcomes(store, RECORD, make_outcome_of_folds([0.9])).search
        first = open_test(store, search, "test", model)
        assert (first.nth, first.value) == (1, None)
        assert open_test(store, search, "test", model).id == first.id  # it goes on
        record_test_result(store, first, 0.8, 0.01, {"rows": 5})
        assert open_test(store, search, "test", model).report == {"rows": 5}
        second = open_test(store, search, "test", {**model, "seeds": 3})
        other = open_test(store, search, "another test", model)
        assert (second.nth, other.nth) == (2, 1)
        assert [o.value for o in list_openings(store, "digits")] == [0.8, None, None]
        assert list_openings(store, "mnist") == []


@pytest.mark.slow
def test_the_command_that_the_refusal_names_upgrades_a_store(hpsearch, write):
    file = write()
    assert hpsearch("run", file, "--inline", "--trials", 1)[0] == 0
    with sqlite3.connect("store.db") as db:
        db.executescript(VERSION_1)
    db.close()
    code, _, err = hpsearch("rank")
    assert (code, "hpsearch run NAME" in err) == (2, True)
    assert hpsearch("plan", file)[0] == 0
    assert hpsearch("run", "small", "--inline", "--trials", 2)[0] == 0
    assert len(json.loads(hpsearch("rank", "--json")[1])) == 2


VERSION_1 = f"""
{VERSION_3}
DROP TABLE repeats; DROP TABLE openings; DROP TABLE verdicts; DROP TABLE live; DROP TABLE runs;
ALTER TABLE told DROP COLUMN device; ALTER TABLE told DROP COLUMN started;
CREATE TABLE old (
  search INTEGER NOT NULL REFERENCES searches, trial INTEGER NOT NULL, fold INTEGER NOT NULL,
  train TEXT NOT NULL, validation TEXT NOT NULL,
  train_loss TEXT NOT NULL, validation_loss TEXT NOT NULL,
  rows INTEGER NOT NULL, parameters INTEGER NOT NULL, seconds REAL NOT NULL,
  PRIMARY KEY (search, trial, fold)
) WITHOUT ROWID;
INSERT INTO old SELECT search, trial, fold, train, validation, train_loss, validation_loss,
  rows, parameters, seconds FROM curves;
DROP TABLE curves;
ALTER TABLE old RENAME TO curves;
PRAGMA user_version = 1;
"""


def test_a_store_of_the_first_version_is_upgraded_by_who_writes_and_refused_to_who_reads():
    path = Path("store.db")
    with Store(path, create=True) as store:
        journal = append_outcomes(
            store,
            RECORD,
            make_outcome_of_folds(FIRST),
            make_outcome_of_folds([v - 0.1 for v in FIRST]),
        )
        before = list(journal.events())
    with sqlite3.connect(path) as db:
        db.executescript(VERSION_1)
    db.close()
    with pytest.raises(OldStoreError, match=r"of version 1, older than the 6 .* upgrades it"):
        Store(path)
    with Store(path, create=True) as store:
        after = list(store.journal(journal.search).events())
        store.journal(journal.search).append_repeat(0, 1, make_outcome_of_folds(FIRST), 0.93, 0.01)
        assert rank_tasks(store)[0][0].repeats == 1

    def without_train_rows(event):
        score = getattr(getattr(event, "outcome", None), "score", None)
        if score is None:
            return event
        folds = [dataclasses.replace(fold, train_rows=0) for fold in score.folds]
        return event.trial, score.value, folds

    assert list(map(without_train_rows, after)) == list(map(without_train_rows, before))
    with Store(path) as store:  # and now it can be read
        assert len(rank_tasks(store)[0]) == 2
