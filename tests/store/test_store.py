import dataclasses
import os
import sqlite3
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.model_selection import KFold

from hpsearch import Given, Results
from hpsearch.core.errors import NoStoreError, OldStoreError, StoreError, plain_text
from hpsearch.core.plan import Budget, Plan
from hpsearch.core.trial import Curve, Failure, Outcome, Pause, ProgressReport, Score, Suggestion
from hpsearch.store import (
    AskedEvent,
    Heartbeat,
    Store,
    has_store,
    list_openings,
    list_studies,
    monitor_search,
    open_test,
    rank_tasks,
    read_last_run,
    read_trial,
    record_test_result,
    study_lock,
)
from hpsearch.store.database import run_statements
from tests.builders import RECORD, VERSION_3, fill_store, make_outcome, make_record

finite = st.floats(allow_nan=False, allow_infinity=False)
curves = st.lists(finite, min_size=1, max_size=4).map(tuple)
params = st.dictionaries(
    st.text(max_size=5), st.one_of(finite, st.integers(-(2**53), 2**53), st.booleans(), st.text())
)
outcomes = st.one_of(
    st.builds(
        Outcome,
        score=st.builds(
            Score,
            value=finite,
            se=st.none() | finite,
            best_epoch=st.just(1),
            folds=st.lists(
                st.builds(
                    Curve, curves, curves, curves, curves, rows=st.integers(1, 9),
                    train_rows=st.integers(0, 9),
                    n_weights=st.integers(0, 9), seconds=finite, failure=st.none(),
                ),
                min_size=1, max_size=3,
            ).map(tuple),
        ),
        failure=st.none(),
        seconds=finite, n_weights=st.integers(0, 9), peak_bytes=st.integers(0, 2**40),
    ),
    st.builds(
        Outcome, score=st.none(), failure=st.builds(Failure, st.just("nan"), st.text(), st.text()),
        seconds=finite, n_weights=st.integers(0, 9), peak_bytes=st.integers(0, 2**40),
    ),
)  # fmt: skip
answers = st.one_of(
    st.sampled_from(Pause),
    st.builds(Suggestion, params, st.integers(1, 99), st.none() | st.integers(0, 9)),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(pairs=st.lists(st.tuples(answers, outcomes), max_size=6))
def test_what_is_journaled_comes_back_as_it_was(place, pairs):
    wanted = []
    with Store(place, create=True) as store:
        journal = store.begin_search(RECORD)
        for number, (answer, outcome) in enumerate(pairs):
            journal.append_answer(number, answer)
            wanted.append((number, answer))
            if isinstance(answer, Suggestion):
                journal.append_outcome(number, outcome)
                wanted.append((number, held(outcome)))
    with Store(place) as store:
        found = [
            (e.trial, e.answer if isinstance(e, AskedEvent) else e.outcome)
            for e in store.journal(journal.search).events()
        ]
    pauses = [i for i, (_, a) in enumerate(wanted) if isinstance(a, Pause)]
    repeated = {i for i in pauses if i and wanted[i - 1][1] == wanted[i][1]}
    assert found == [w for i, w in enumerate(wanted) if i not in repeated]


def held(outcome):
    """An outcome as a store can hold it: what no database holds of a failure is spelled out."""
    if outcome.failure is None:
        return outcome
    kind, message, detail = dataclasses.astuple(outcome.failure)
    failure = Failure(kind, plain_text(message), plain_text(detail))
    return dataclasses.replace(outcome, failure=failure)


def test_a_long_journal_comes_back_in_order(place):
    """Longer than what is read at a time."""
    with Store(place, create=True) as store:
        journal = store.begin_search(RECORD)
        for number in range(300):
            journal.append_answer(number, Suggestion({"a": number}, 1))
            if number % 2:
                journal.append_outcome(number - 1, make_outcome(number / 1000, folds=2))
        events = list(store.journal(journal.search).events())
    kinds = [(type(e).__name__, e.trial) for e in events]
    expected = []
    for number in range(300):
        expected.append(("AskedEvent", number))
        if number % 2:
            expected.append(("ToldEvent", number - 1))
    assert kinds == expected
    told = [e.outcome.score for e in events if not isinstance(e, AskedEvent)]
    assert all(len(score.folds) == 2 for score in told)
    assert [score.value for score in told] == [n / 1000 for n in range(1, 300, 2)]


def test_a_pause_is_journaled_once_until_something_happens(place):
    with Store(place, create=True) as store:
        journal = store.begin_search(RECORD)
        journal.append_answer(0, Suggestion({}, 1))
        for _ in range(3):
            journal.append_answer(1, Pause.WAIT)
            store.journal(journal.search).append_answer(1, Pause.WAIT)  # as a continued run would
        journal = store.journal(journal.search)
        journal.append_outcome(0, make_outcome(0.5))
        journal.append_answer(1, Pause.WAIT)
        kinds = [e.answer if isinstance(e, AskedEvent) else "told" for e in journal.events()]
    assert kinds == [Suggestion({}, 1), Pause.WAIT, "told", Pause.WAIT]


def test_trials_are_called_by_ids_of_their_own_across_searches(place):
    with Store(place, create=True) as store:
        one, two = store.begin_search(RECORD), store.begin_search(make_record(study="t"))
        ids = [
            j.append_answer(n, Suggestion({}, 1))
            for n, j in ((0, one), (0, two), (1, one), (1, two))
        ]
    assert ids == [1, 2, 3, 4]


def test_a_trial_is_told_once(place):
    with Store(place, create=True) as store:
        journal = fill_store(store, RECORD, 0.5)
        with pytest.raises(StoreError, match="another run writes"):
            journal.append_outcome(0, make_outcome(0.6))
        assert [r.value for r in rank_tasks(store)[0]] == [0.5]


def test_two_writers_of_one_search_are_noticed(place):
    with Store(place, create=True) as store, Store(place) as _:
        journal = store.begin_search(RECORD)
        with Store(place, create=True) as other:
            rival = other.journal(journal.search)
            journal.append_answer(0, Suggestion({}, 1))
            with pytest.raises(StoreError, match="another run writes"):
                rival.append_answer(0, Suggestion({}, 1))


def test_readers_see_whole_trials_while_a_run_writes(place):
    """Whatever a reader finds ranked has all its folds."""
    seen, done = [], threading.Event()

    def look(store):
        for ranking in rank_tasks(store):
            seen.extend(len(read_trial(store, row.trial)["curves"]) for row in ranking[-2:])

    def read():
        with Store(place) as store:
            while not done.is_set():
                look(store)
            look(store)

    with Store(place, create=True) as store:
        journal = fill_store(store, RECORD, 0.5, folds=3)
        reader = threading.Thread(target=read)
        reader.start()
        for number in range(1, 100):
            journal.append_answer(number, Suggestion({}, 1))
            journal.append_outcome(number, make_outcome(0.5, folds=3))
        done.set()
        reader.join()
    assert set(seen) == {3}


def test_reading_writes_nothing(place):
    with Store(place, create=True) as store:
        fill_store(store, RECORD, 0.5)
    with Store(place) as store, pytest.raises(StoreError, match="cannot be written"):
        store.begin_search(RECORD)


def test_best_comes_first_in_either_direction(place):
    with Store(place, create=True) as store:
        fill_store(store, RECORD, 0.5, 0.9, 0.7)
        fill_store(store, make_record(task="boston", measure="mae", direction="min"), 2.5, 1.0, 9.0)
        values = {r[0].task: [row.value for row in r] for r in rank_tasks(store)}
    assert values == {"digits": [0.9, 0.7, 0.5], "boston": [1.0, 2.5, 9.0]}


@pytest.mark.parametrize("difference", ["data", "measure", "evaluator", "task"])
def test_only_what_compares_is_ranked_together(difference, place):
    with Store(place, create=True) as store:
        fill_store(store, RECORD, 0.5)
        fill_store(store, make_record(study="t", **{difference: "other"}), 0.6)
        assert [len(r) for r in rank_tasks(store)] == [1, 1]


def test_searches_of_pairs_of_rows_go_on_by_their_present_label(place):
    pairs = list(KFold(3).split(np.zeros(60)))
    now = make_record(evaluator=Given(pairs).label)
    earlier = make_record(evaluator="FixedSplits(pairs=3 given, 3e96838d98299526)")
    with Store(place, create=True) as store:
        fill_store(store, earlier, 0.5)
        (search,) = store.searches()
        assert search.key == now.key
        fill_store(store, now, 0.6)
        assert len(rank_tasks(store)) == 1  # they compare


def test_studies_searchers_and_seeds_are_ranked_together(place):
    with Store(place, create=True) as store:
        fill_store(store, RECORD, 0.5)
        fill_store(store, make_record(study="t"), 0.7)
        fill_store(store, make_record(searcher="Grid()", seed=3, backend="tensorflow"), 0.6)
        (ranking,) = rank_tasks(store, "digits")
    assert [(r.rank, r.value, r.study, r.searcher) for r in ranking] == [
        (1, 0.7, "t", "Random()"),
        (2, 0.6, "s", "Grid()"),
        (3, 0.5, "s", "Random()"),
    ]


def test_ties_are_within_one_standard_error_of_the_first(place):
    with Store(place, create=True) as store:
        fill_store(store, RECORD, 0.90, 0.895, 0.88, se=0.01)
        fill_store(store, make_record(task="other"), 0.9, 0.9)
        other, digits = sorted(rank_tasks(store), key=lambda r: -ord(r[0].task[0]))
    assert [r.tied for r in digits] == [True, True, False]
    assert [r.tied for r in other] == [None, None]


def test_a_continued_trial_is_ranked_once_where_it_went_furthest(place):
    with Store(place, create=True) as store:
        journal = fill_store(store, RECORD, 0.5, 0.6)
        journal.append_answer(2, Suggestion({"a": 1}, 4, parent=1))
        assert len(rank_tasks(store)[0]) == 2  # the child still runs
        journal.append_outcome(2, make_outcome(0.8, epochs=4))
        journal.append_answer(3, Suggestion({"a": 0}, 4, parent=0))
        journal.append_outcome(3, Outcome(failure=Failure("nan", "loss became nan")))
        assert [(r.value, r.epochs) for r in rank_tasks(store)[0]] == [(0.8, 4), (0.5, 2)]


def test_a_failure_whose_message_no_file_can_hold_is_spelled_out(place):
    with Store(place, create=True) as store:
        journal = store.begin_search(RECORD)
        journal.append_answer(0, Suggestion({}, 1))
        journal.append_outcome(0, Outcome(failure=Failure("exception", "no \ud800", "a NUL: \0")))
        failure = journal.outcome(0).failure
        assert (failure.message, failure.detail) == ("no \\ud800", "a NUL: \\x00")


def test_failures_are_not_ranked_but_counted(place):
    with Store(place, create=True) as store:
        journal = fill_store(store, RECORD, 0.5)
        journal.append_answer(1, Suggestion({}, 1))
        journal.append_outcome(1, Outcome(failure=Failure("nan", "loss became nan", "Traceback")))
        journal.append_answer(2, Suggestion({}, 1))
        (row,) = list_studies(store)
        assert (row["trials"], row["failed"], row["stopped"], row["best"]) == (2, 1, 1, 0.5)
        assert len(rank_tasks(store)[0]) == 1
        assert journal.failures() == ["nan: loss became nan"]
        assert read_trial(store, 2)["detail"] == "Traceback"
        assert read_trial(store, 3)["state"] == "stopped"


def test_what_no_run_trains_is_stopped(place):
    with Store(place, create=True) as store:
        journal = fill_store(store, RECORD, 0.5)
        journal.append_answer(1, Suggestion({}, 1))

        def stands():
            (row,) = list_studies(store)
            return read_trial(store, 2)["state"], row["running"], row["stopped"]

        with study_lock(place, "s"):
            heartbeat = Heartbeat(store, journal.search, Plan(2, 2, 2), Budget(), workers=1)
            assert stands() == ("running", 1, 0)
            assert Results(place).trials.at[2, "state"] == "running"
        assert stands() == ("stopped", 0, 1)  # as after a kill: it said nothing of its end
        assert Results(place).trials.at[2, "state"] == "stopped"
        with study_lock(place, "s"):
            assert stands() == ("running", 1, 0)
            with heartbeat:
                pass
            assert stands() == ("stopped", 0, 1)


@pytest.mark.parametrize("hours", [-48, 48])
def test_no_clock_says_whether_a_run_lives(hours, place, monkeypatch):
    with Store(place, create=True) as store, monkeypatch.context() as patch:
        journal = fill_store(store, RECORD, 0.5)
        journal.append_answer(1, Suggestion({}, 1))
        now = time.time()
        patch.setattr("hpsearch.store.runs.time.time", lambda: now + 3600 * hours)
        with study_lock(place, "s"):
            heartbeat = Heartbeat(store, journal.search, Plan(2, 2, 2), Budget(), workers=1)
            heartbeat.write([ProgressReport(1, 0, 0.5), ProgressReport(0, 1, 0.5)])
            patch.undo()
            assert read_trial(store, 2)["state"] == "running"
        assert read_trial(store, 2)["state"] == "stopped"
        with study_lock(place, "s"):  # the next run knows nothing of what that one trained
            Heartbeat(store, journal.search, Plan(2, 2, 2), Budget(), workers=1)
            watched = monitor_search(store, journal.search)
            watched.refresh()
            assert [(each.trial, each.repeat, each.reached) for each in watched.running] == [
                (2, 0, None)
            ]


def test_a_retired_search_leaves_the_rankings_but_not_the_store(place):
    with Store(place, create=True) as store:
        fill_store(store, RECORD, 0.9)
        (old,) = store.searches()
        store.begin_search(RECORD, instead_of=[old])
        assert rank_tasks(store) == []
        assert len(store.searches()) == 1
        assert read_trial(store, 1)["value"] == 0.9
        assert read_trial(store, 1)["retired"] is True


def test_unknown_tasks_and_trials_are_named(place):
    with Store(place, create=True) as store:
        fill_store(store, RECORD, 0.9)
        with pytest.raises(StoreError, match="no task 'mnist'; it has digits"):
            rank_tasks(store, "mnist")
        with pytest.raises(StoreError, match="no trial 7; its trials are 1 to 1"):
            read_trial(store, 7)


def test_a_missing_store_is_not_made_by_reading(place):
    for _ in range(2):
        assert not has_store(place)
        with pytest.raises(NoStoreError, match=r"no store (at|in) .*; run a study first"):
            Store(place)
    assert not list(Path().iterdir())


def test_a_store_whose_maker_was_killed_is_made_again():
    Path("store.db").touch()  # what SQLite leaves before the first commit
    with pytest.raises(NoStoreError, match="run a study first"):
        Store(Path("store.db"))
    with Store(Path("store.db"), create=True) as store:
        fill_store(store, RECORD, 0.5)
    with Store(Path("store.db")) as store:
        assert len(rank_tasks(store)) == 1


def test_directions_are_never_mixed(place):
    with Store(place, create=True) as store:
        fill_store(store, RECORD, 0.5)
        fill_store(store, make_record(study="t", direction="min"), 0.6)
        assert [len(r) for r in rank_tasks(store)] == [1, 1]


def test_a_study_is_owned_by_one_run_at_a_time(place, monkeypatch):
    monkeypatch.setattr("hpsearch.store.lease.RENEW_SECONDS", 0.1)
    with study_lock(place, "s"), study_lock(place, "t"):
        with (
            pytest.raises(StoreError, match=rf"process {os.getpid()}.*; wait for it"),
            study_lock(place, "s"),
        ):
            pass
    with study_lock(place, "s"):
        pass


def test_the_same_model_tested_twice_at_once_is_one_opening(place):
    with Store(place, create=True) as store:
        search = fill_store(store, RECORD, 0.5).search
    start = threading.Barrier(4)

    def test(found):
        with Store(place, create=True) as store:
            start.wait()
            opening = open_test(store, search, "test", {"a": 1})
            found.append(record_test_result(store, opening, len(found) + 0.5, None, {}).value)

    found = []
    threads = [threading.Thread(target=test, args=(found,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Store(place) as store:
        (opening,) = list_openings(store)
    assert found == [opening.value] * 4


def test_runs_that_write_at_once_share_no_trial_s_number(place):
    """Each from a connection of its own; what each told is whole."""
    with Store(place, create=True) as store:
        journals = [store.begin_search(make_record(study=f"s{i}")).search for i in range(4)]
    ids, failed = {}, []

    def write(search):
        try:
            with Store(place, create=True) as store:
                journal = store.journal(search)
                ids[search] = [journal.append_answer(n, Suggestion({"a": n}, 1)) for n in range(20)]
                for number in range(20):
                    journal.append_outcome(number, make_outcome(number / 100, folds=2))
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=write, args=(search,)) for search in journals]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len({id_ for some in ids.values() for id_ in some}) == 80
    with Store(place) as store:
        assert len(rank_tasks(store)[0]) == 80
        assert [len(list(store.journal(s).events())) for s in journals] == [40] * 4


def test_frames_hold_what_was_told(place):
    with Store(place, create=True) as store:
        journal = fill_store(store, RECORD, 0.5, 0.6, folds=2)
        journal.append_answer(2, Suggestion({"a": 7}, 4, parent=1))
        journal.append_answer(3, Suggestion({"b": "x"}, 4))
        journal.append_outcome(3, Outcome(failure=Failure("nan", "loss became nan", "Traceback")))
        journal.append_repeat(1, 1, make_outcome(0.7), 0.65, 0.1)
        fill_store(store, make_record(study="t", task="other"), 0.1)
    found = Results(place, task="digits")
    assert list(found.trials["state"]) == ["complete", "complete", "stopped", "failed"]
    assert list(found.trials["params_a"][:3]) == [0, 1, 7]
    assert found.trials["parent"][3] == 2
    assert found.repeats[["trial", "repeat", "value", "epochs"]].values.tolist() == [[2, 1, 0.7, 2]]
    assert len(found.curves) == 2 * 2 * 2 + 2
    assert list(found.curves["validation"][:4]) == [0.5] * 4
    assert list(found.failures["kind"]) == ["nan"]
    assert len(Results(place).trials) == 5


def test_how_far_trials_are_is_known_until_they_end(place):
    with Store(place, create=True) as store:
        journal = fill_store(store, RECORD, 0.5)
        journal.append_answer(1, Suggestion({}, 4))
        heartbeat = Heartbeat(store, journal.search, Plan(2, 8, 8), Budget(), workers=1)
        heartbeat.write([ProgressReport(1, 0, 1.0, 0.4, "gpu 0"), ProgressReport(0, 1, 0.5)])
        heartbeat.write([ProgressReport(1, 0, 2.0, None, "gpu 0")])
        live = "SELECT trial, repeat, epochs, value, device FROM live ORDER BY trial"
        assert store.db.query(live) == [(0, 1, 0.5, None, ""), (1, 0, 2.0, None, "gpu 0")]
        journal.append_outcome(1, make_outcome(0.6))
        assert [row[0] for row in store.db.query(live)] == [0]


@pytest.mark.parametrize("create", [True, False])
def test_files_of_others_are_left_alone(create):
    with sqlite3.connect("other.db") as db:
        db.execute("CREATE TABLE t (a)")
    db.close()
    Path("text.db").write_text("hello, this is no database at all")
    for name in ("other.db", "text.db"):
        before = Path(name).read_bytes()
        with pytest.raises(StoreError, match=r"another program|cannot be opened as a store"):
            Store(Path(name), create=create)
        assert Path(name).read_bytes() == before


def set_version(place, version, changes=""):
    """Make a store of another version; changes: statements that make its tables so."""
    name = "PRAGMA user_version" if isinstance(place, Path) else "UPDATE hpsearch SET version"
    with Store(place, create=True) as store:
        store.db.write(lambda: run_statements(store.db, f"{changes}; {name} = {version}"))


@pytest.mark.parametrize("create", [True, False])
def test_a_newer_store_is_refused(place, create):
    set_version(place, 99)
    with pytest.raises(StoreError, match="version 99, newer than"):
        Store(place, create=create)


VERSION_2 = f"""
{VERSION_3}
DROP TABLE live; DROP TABLE runs;
ALTER TABLE told DROP COLUMN device; ALTER TABLE told DROP COLUMN started;
ALTER TABLE repeats DROP COLUMN device; ALTER TABLE repeats DROP COLUMN started;
"""


def test_an_older_store_is_upgraded_by_who_writes_and_refused_to_who_reads(place):
    with Store(place, create=True) as store:
        journal = fill_store(store, RECORD, 0.5)
        before = list(journal.events())
    set_version(place, 2, VERSION_2)
    with pytest.raises(OldStoreError, match="of version 2, older than the 7"):
        Store(place)
    assert has_store(place)
    with Store(place, create=True) as store:
        assert list(store.journal(journal.search).events()) == before
        fill_store(store, make_record(study="t"), 0.6)
    with Store(place) as store:
        assert [row.value for row in rank_tasks(store)[0]] == [0.6, 0.5]


def test_a_plan_that_a_disk_damaged_is_one_line(tmp_path):
    with Store(tmp_path / "s.db", create=True) as store:
        search = fill_store(store, RECORD, 0.5).search
        Heartbeat(store, search, Plan(2, 2, 2), Budget(), workers=1)
    with sqlite3.connect(tmp_path / "s.db") as db:
        db.execute("UPDATE runs SET planned = 'Inf'")
    db.close()
    with Store(tmp_path / "s.db") as store, pytest.raises(StoreError, match="cannot be read"):
        read_last_run(store, search)
