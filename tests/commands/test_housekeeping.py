"""Deleting, renaming, tags, notes, filters, sizes and cleaning, on both kinds of store."""

import json
import os
import shlex
import time
from pathlib import Path

import pytest

from hpsearch import Results
from hpsearch.core.errors import StoreError
from hpsearch.core.plan import Budget, Plan
from hpsearch.core.seeds import canonical_json
from hpsearch.core.trial import Failure, Outcome, Pause, Suggestion
from hpsearch.runs import disk, removal
from hpsearch.store import (
    Heartbeat,
    Store,
    Target,
    Url,
    add_tags,
    find_present_name,
    hide_trial,
    list_openings,
    list_studies,
    monitor_search,
    open_test,
    parse_place,
    rank_tasks,
    read_study_rows,
    remove_study,
    rename_study,
    set_note,
    study_lock,
)
from tests.builders import RECORD, fill_store, make_outcome, make_record

TABLES = ("searches", "retired", "asked", "told", "curves", "repeats", "openings", "verdicts",
          "live", "runs", "hidden", "removed", "former_names", "tags", "notes")  # fmt: skip


@pytest.fixture(params=["sqlite", "postgresql"])
def where(request):
    """What --store takes, of either kind."""
    return "store.db" if request.param == "sqlite" else request.getfixturevalue("database")


def begin_run(store, journal, end="done"):
    beat = Heartbeat(store, journal.search, Plan(2, 8, 8), Budget(), workers=1)
    beat.end = end
    beat.__exit__()


def count_rows(store):
    return {table: store.db.query(f"SELECT count(*) FROM {table}")[0][0] for table in TABLES}


def assert_nothing_dangles(place):
    """No row names a search, trial or opening that is not there; and the store opens again."""
    with Store(place) as store:
        for table, column, of in (
            ("retired", "search", "searches.id"), ("retired", "successor", "searches.id"),
            *((t, "search", "searches.id") for t in ("asked", "told", "curves", "repeats", "live",
                                                      "runs", "openings", "former_names")),
            *((t, "trial", "asked.id") for t in ("hidden", "tags", "notes")),
            ("verdicts", "opening", "openings.id"),
        ):  # fmt: skip
            parent, key = of.split(".")
            assert not store.db.query(
                f"SELECT 1 FROM {table} c WHERE c.{column} IS NOT NULL AND NOT EXISTS "
                f"(SELECT 1 FROM {parent} p WHERE p.{key} = c.{column})"
            ), (table, column)


def make_folder(path, size=1000):
    path.mkdir(parents=True)
    (path / "fold-0.npz").write_bytes(b"x" * size)
    return path


def make_model(place, name, study, *members):
    """A folder as `refit` keeps it. members: trials and their points."""
    with Store(place) as store:
        folder = store.folder / "models" / Path(store.name).stem / name
    folder.mkdir(parents=True)
    (folder / "model.json").write_text('{"inputs": {}, "weights": [1.0]}')
    card = {"study": study, "members": [{"trial": t, "params": p} for t, p in members]}
    (folder / "card.json").write_text(json.dumps(card))
    return folder


def checkpoints_of(place, search):
    with Store(place) as store:
        return disk.checkpoint_folder(store.folder.absolute() / "checkpoints", store.name, search)


def test_a_deleted_trial_is_seen_nowhere_and_its_search_replays_as_before(where, hpsearch):
    place = parse_place(where)
    with Store(place, create=True) as store:
        journal = fill_store(store, RECORD, 0.5, 0.9, 0.7)
        journal.append_answer(3, Suggestion({"a": 9}, 2))
        journal.append_outcome(3, Outcome(failure=Failure("nan", "loss became nan", "")))
        add_tags(store, Target("s", 2), ["good"])
        set_note(store, Target("s", 2), "the best")
        events = list(journal.events())
    files = [make_folder(checkpoints_of(place, journal.search) / "1")]
    files.append(make_model(place, "s-1", "s", (2, {"a": 1})))
    other = make_folder(checkpoints_of(place, journal.search) / "2")
    ensemble = make_model(place, "s-2", "s", (2, {"a": 1}), (3, {"a": 2}))
    foreign = make_model(place, "s-3", "s", (2, {"a": 77}))  # of another store's trial 2
    code, out, err = hpsearch("delete", 2, "--yes", "--store", where)
    assert code == 0, err
    assert "checkpoints: 1.0 kB" in out
    assert str(files[1]) in out.replace("\n", "")
    assert not any(path.exists() for path in files)
    assert other.exists()
    assert ensemble.exists()
    assert foreign.exists()
    assert hpsearch("delete", 4, "--yes", "--store", where)[0] == 0
    with Store(place) as store:
        assert [row.trial for row in rank_tasks(store)[0]] == [3, 1]
        assert list(store.journal(journal.search).events()) == events
        assert store.journal(journal.search).failures() == []
        (row,) = list_studies(store)
        assert (row["trials"], row["failed"], row["best_trial"]) == (2, 0, 3)
        assert count_rows(store)["tags"] == count_rows(store)["notes"] == 0
    found = Results(place)
    assert list(found.trials.index) == [1, 3]
    assert set(found.curves["trial"]) == {1, 3}
    assert len(found.failures) == 0
    for again in ("show", "delete", "tag"):
        code, _, err = hpsearch(again, 2, *(["t"] if again == "tag" else []), "--store", where)
        assert code == 2
        assert "trial 2 was deleted" in err
    assert_nothing_dangles(place)


def test_what_a_search_still_needs_is_refused(where, hpsearch):
    place = parse_place(where)
    with Store(place, create=True) as store:
        journal = fill_store(store, RECORD, 0.5, 0.9)
        journal.append_answer(2, Suggestion({"a": 1}, 4, parent=1))
    for trial, why in ((2, "is continued by trial 3, which has not ended"), (3, "has not ended")):
        code, _, err = hpsearch("delete", trial, "--yes", "--store", where)
        assert code == 2
        assert len(err.splitlines()) == 1
        assert f"trial {trial} {why}" in err
    with Store(place, create=True) as store:
        store.journal(journal.search).append_outcome(2, make_outcome(0.95, epochs=4))
    assert hpsearch("delete", 2, "--yes", "--store", where)[0] == 0
    with Store(place) as store:
        assert [row.trial for row in rank_tasks(store)[0]] == [3, 1]
    assert Results(place).trials["parent"].isna().all()  # nobody names the deleted trial
    # A deleted continuation no longer stands for the trial that it continued.
    with Store(place, create=True) as store:
        store.db.write(lambda: store.db.execute("DELETE FROM hidden"))
        hide_trial(store, 3)
        assert [row.trial for row in rank_tasks(store)[0]] == [2, 1]


def test_a_deleted_study_leaves_no_row_but_that_its_test_was_opened(where, hpsearch):
    place = parse_place(where)
    with Store(place, create=True) as store:
        old = fill_store(store, RECORD, 0.5)
        (first,) = store.searches()
        journal = store.begin_search(make_record(seed=1), instead_of=[first])
        journal.append_answer(0, Suggestion({"a": 0}, 2))
        journal.append_outcome(0, make_outcome(0.6))
        journal.append_repeat(0, 1, make_outcome(0.7), 0.65, 0.1)
        journal.append_answer(1, Suggestion({"a": 1}, 2))
        begin_run(store, journal, "stopped")
        other = fill_store(store, make_record(study="t"), 0.4)
        opened = open_test(store, journal.search, "rows", {"members": [{"trial": 2}]})
        set_note(store, Target("s"), "old")
        add_tags(store, Target("s", 1), ["x"])
        rename_study(store, "s", "renamed")
    files = [make_folder(checkpoints_of(place, j.search) / "0") for j in (old, journal)]
    files.append(make_model(place, "s-1", "s", (1, {"a": 0})))
    kept = make_folder(checkpoints_of(place, other.search) / "0")
    code, out, err = hpsearch("delete", "renamed", "--yes", "--store", where)
    assert code == 0, err
    assert "3 trials" in out
    assert "its test was opened once, which stays on record" in out
    assert not any(path.exists() for path in files)
    assert kept.exists()
    assert_nothing_dangles(place)
    with Store(place, create=True) as store:
        assert [s.study for s in store.searches()] == ["t"]
        assert [o.id for o in list_openings(store)] == [opened.id]
        left = count_rows(store)
        assert (left["searches"], left["asked"], left["told"], left["curves"]) == (2, 1, 1, 1)
        assert left["repeats"] == left["runs"] == left["tags"] == left["notes"] == 0
        # Nobody's numbers are given again, so that notes elsewhere do not change their meaning.
        again = fill_store(store, make_record(study="renamed"), 0.8)
        assert again.search > other.search
        assert rank_tasks(store)[0][0].trial > 4
    code, _, err = hpsearch("delete", "s", "--yes", "--store", where)
    assert code == 2
    assert "neither a trial number nor a study" in err


def test_numbers_of_the_last_study_are_not_given_again(where):
    place = parse_place(where)
    with Store(place, create=True) as store:
        first = fill_store(store, RECORD, 0.5, 0.6)
        remove_study(store, "s")
        again = fill_store(store, RECORD, 0.7)
        assert again.search == first.search + 1
        assert [row.trial for row in rank_tasks(store)[0]] == [3]


def test_a_study_that_runs_is_not_deleted_and_its_trials_are_hidden(where, hpsearch, monkeypatch):
    place = parse_place(where)
    with Store(place, create=True) as store:
        journal = fill_store(store, RECORD, 0.5, 0.9)
    checkpoint = make_folder(checkpoints_of(place, journal.search) / "1")
    if isinstance(place, Url):
        monkeypatch.setattr("hpsearch.store.lease.RENEW_SECONDS", 0.2)
    with study_lock(place, "s") as fence:
        for command in (("delete", "s", "--yes"), ("rename", "s", "u")):
            code, _, err = hpsearch(*command, "--store", where)
            assert code == 2
            assert "being run" in err.splitlines()[-1]
        with Store(place, create=True, fence=fence) as store:
            beat = Heartbeat(store, journal.search, Plan(4, 8, 8), Budget(), workers=1)
            watched = monitor_search(store, journal.search)
            watched.refresh()
            assert watched.best.trial == 2
            code, out, err = hpsearch("delete", 2, "--yes", "--store", where)
            assert code == 0, err
            assert "which stay while the search runs" in out
            # A watch sees it go, and the run goes on.
            assert watched.refresh() == []
            assert (watched.best.trial, watched.n_ended) == (1, 2)
            journal = store.journal(journal.search)
            journal.append_answer(2, Suggestion({"a": 5}, 2))
            journal.append_outcome(2, make_outcome(0.8))
            assert [each.trial for each in watched.refresh()] == [3]
            assert watched.best.trial == 3
            beat.end = "stopped"
            beat.__exit__()
        assert checkpoint.exists()
    assert hpsearch("clean", "--yes", "--store", where)[0] == 0
    assert not checkpoint.exists()
    # A watch of a study that was deleted ends, and breaks nothing.
    with Store(place) as reading:
        watched = monitor_search(reading, journal.search)
        watched.refresh()
        assert hpsearch("delete", "s", "--yes", "--store", where)[0] == 0
        assert watched.refresh() == []
        assert watched.run is None
    assert_nothing_dangles(place)


def test_a_delete_that_is_killed_in_the_middle_leaves_a_whole_store(where, hpsearch, monkeypatch):
    place = parse_place(where)
    with Store(place, create=True) as store:
        journal = fill_store(store, RECORD, 0.5, 0.9)
        before = count_rows(store)
    folder = make_folder(checkpoints_of(place, journal.search) / "0")
    # Killed within the transaction, at each of its statements: nothing happened.
    for statements in range(1, 14):
        with Store(place, create=True) as store:
            execute, left = store.db.execute, [statements]

            def dying(statement, rows=({},), execute=execute, left=left):
                left[0] -= 1
                if left[0] == 0:
                    raise KeyboardInterrupt
                execute(statement, rows)

            store.db.execute = dying
            with pytest.raises(KeyboardInterrupt):
                remove_study(store, "s")
        assert_nothing_dangles(place)
        with Store(place) as store:
            assert count_rows(store) == before

    # Killed between the rows and the files: `clean` finds what is left.
    def die(path):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(disk, "remove_path", die)
        assert hpsearch("delete", "s", "--yes", "--store", where)[0] == 130
    assert folder.exists()
    assert_nothing_dangles(place)
    code, out, _ = hpsearch("clean", "--yes", "--json", "--store", where)
    assert code == 0
    assert [each["deleted"] for each in json.loads(out)["files"]] == [True]
    assert not folder.exists()


def test_nothing_is_deleted_without_an_answer(hpsearch):
    with Store(Path("store.db"), create=True) as store:
        fill_store(store, RECORD, 0.5)
    before = Path("store.db").read_bytes()
    code, _, err = hpsearch("delete", "s")
    assert code == 2
    assert err.splitlines()[-1].endswith(
        "nobody is here to answer whether to delete study s; add --yes"
    )
    assert Path("store.db").read_bytes() == before
    with pytest.raises(StoreError, match="no study 'x'"), Store(Path("store.db")) as store:
        read_study_rows(store, "x")


def test_a_renamed_study_is_found_by_its_file(where, hpsearch):
    place = parse_place(where)
    Path("s.py").write_text("study = 1")
    file = str(Path("s.py").resolve())
    with Store(place, create=True) as store:
        fill_store(store, make_record(file=file), 0.5)
        fill_store(store, make_record(study="t", file="t.py"), 0.5)
        add_tags(store, Target("s"), ["mine"])
    for new, why in (("t", "already"), ("a/b", "without / and"), ("12", "is no number")):
        code, _, err = hpsearch("rename", "s", new, "--store", where)
        assert code == 2
        assert why in err
    code, out, err = hpsearch("rename", "s", "better", "--store", where)
    assert code == 0, err
    shown = "" if isinstance(place, Path) else f" --store {shlex.quote(str(place))}"
    assert f"hpsearch run {file}{shown} goes on with it" in out
    with Store(place, create=True) as store:
        assert find_present_name(store, "s", file) == "better"
        assert find_present_name(store, "s", "/elsewhere/s.py") == "s"  # another study
        assert find_present_name(store, "better", file) == "better"
        assert rank_tasks(store)[0][0].tags == ("mine",)
        rename_study(store, "better", "best")
        rename_study(store, "best", "s")
        assert find_present_name(store, "s", file) == "s"
        assert find_present_name(store, "better", file) == "s"
    assert_nothing_dangles(place)
    assert hpsearch("report", "better", "--store", where)[0] == 0
    assert hpsearch("rename", "s", "last", "--store", where)[0] == 0
    code, out, _ = hpsearch("tag", "s.py", "found", "--store", where)  # its file has its old name
    assert (code, out) == (0, "study last has the tags found, mine\n")


def test_tags_and_notes_filter_and_are_shown(where, hpsearch):
    with Store(parse_place(where), create=True) as store:
        fill_store(store, RECORD, 0.5, 0.9)
        fill_store(store, make_record(study="t", searcher="Hyperband(max_epochs=9)"), 0.7)
    code, _, err = hpsearch("tag", 1, "good", "fast", "--store", where)
    assert code == 0, err
    assert hpsearch("tag", "t", "good", "--store", where)[0] == 0
    assert hpsearch("note", 1, "try  a wider\none", "--store", where)[0] == 0
    code, out, err = hpsearch("rank", "--tag", "good", "--json", "--store", where)
    rows = json.loads(out)
    assert [(r["rank"], r["trial"], r["tags"], r["note"]) for r in rows] == [
        (1, 3, ["good"], None), (2, 1, ["fast", "good"], "try a wider one"),
    ]  # fmt: skip
    assert "fast, good" in err
    assert "try a wider one" in err
    for options, trials in (
        (("--tag", "good", "--tag", "fast"), [1]), (("--study", "t"), [3]),
        (("--searcher", "hyperband"), [3]), (("--searcher", "Random()"), [2, 1]),
        (("--study", "t", "--tag", "fast"), []),
    ):  # fmt: skip
        _, out, _ = hpsearch("rank", *options, "--json", "--store", where)
        assert [r["trial"] for r in json.loads(out)] == trials
    for options in (("--tag", "god"), ("--study", "x"), ("--searcher", "bayes")):
        code, _, err = hpsearch("rank", *options, "--store", where)
        assert code == 2
        assert f"the store has no {options[0][2:]} '{options[1]}'" in err
    _, out, _ = hpsearch("report", "digits", "--tag", "fast", "--json", "--store", where)
    assert json.loads(out)["trials"] == 1
    code, _, err = hpsearch("report", "digits", "--study", "t", "--tag", "fast", "--store", where)
    assert code == 2
    assert "has no trial of study t, tag fast" in err
    assert json.loads(hpsearch("show", 1, "--json", "--store", where)[1])["tags"] == [
        "fast",
        "good",
    ]
    assert hpsearch("tag", 1, "fast", "--remove", "--store", where)[0] == 0
    code, _, err = hpsearch("tag", 1, "fast", "--remove", "--store", where)
    assert code == 2
    assert "trial 1 has no tag 'fast'; it has good" in err
    assert hpsearch("note", 1, "", "--store", where)[1].strip() == "trial 1 has no note"
    for bad in ("a b", "", "x" * 65, "a,b"):
        code, _, err = hpsearch("tag", 1, bad, "--store", where)
        assert code == 2
        assert "a tag has 1 to 64" in err


def test_sizes_and_cleaning(where, hpsearch):
    place = parse_place(where)
    with Store(place, create=True) as store:
        done = fill_store(store, RECORD, 0.5)
        done.append_answer(1, Pause.DONE)
        begin_run(store, done)
        stopped = fill_store(store, make_record(study="t"), 0.5)
        stopped.append_answer(1, Suggestion({"a": 7}, 2))
        begin_run(store, stopped, "stopped")
        # Done by its journal, but its repeats are not: they go on from checkpoints.
        repeating = fill_store(store, make_record(study="u"), 0.5)
        repeating.append_answer(1, Pause.DONE)
        begin_run(store, repeating, "stopped")
        folder = store.folder.absolute()
    made = {j.search: make_folder(checkpoints_of(place, j.search) / "0", 5000)
            for j in (done, stopped, repeating)}  # fmt: skip
    orphan = make_folder(checkpoints_of(place, 99) / "0")
    (folder / "checkpoints" / "notes").mkdir()
    stale, fresh = (folder / f".hpsearch-{n * 16}.partial" for n in "ab")
    for file in (stale, fresh):
        file.write_bytes(b"x" * 10)
    os.utime(stale, (time.time() - 2 * 86400,) * 2)
    _, out, err = hpsearch("show", "--json", "--store", where)
    sizes = {row["study"]: row for row in json.loads(out)}
    assert {row["checkpoint_bytes"] for row in sizes.values()} == {5000}
    assert sizes["t"]["trials"] == 2
    assert sizes["t"]["bytes"] > 100
    assert "5.0 kB" in err
    _, out, _ = hpsearch("show", "t", "--json", "--store", where)
    assert [row["study"] for row in json.loads(out)] == ["t"]
    code, out, _ = hpsearch("clean", "--dry-run", "--store", where)
    assert code == 0
    assert "checkpoints of s, whose search is done" in out
    assert made[done.search].exists()
    assert hpsearch("clean", "--store", where)[0] == 2  # nobody is there to answer
    code, out, err = hpsearch("clean", "--yes", "--store", where)
    assert code == 0, err
    assert not made[done.search].exists()
    assert made[stopped.search].exists()
    assert made[repeating.search].exists()
    assert not orphan.exists()
    assert not stale.exists()
    assert fresh.exists()
    assert (folder / "checkpoints" / "notes").exists()
    assert "nothing to clean" in hpsearch("clean", "--yes", "--store", where)[1]


def test_what_a_run_began_again_meanwhile_is_not_cleaned():
    place = Path("store.db")
    with Store(place, create=True) as store:
        done = fill_store(store, RECORD, 0.5)
        done.append_answer(1, Pause.DONE)
        begin_run(store, done)
    kept = make_folder(checkpoints_of(place, done.search) / "0")
    root = Path("checkpoints").absolute()
    with Store(place, create=True) as store:
        found = disk.find_leftovers(store, root, is_default_root=True)
        assert len(found) == 1
        # Between the question and the answer a larger budget went on, and was stopped.
        store.journal(done.search).append_answer(1, Suggestion({"a": 3}, 4, parent=0))
        begin_run(store, done, "stopped")
    said = []
    assert removal.clean(place, root, found, is_default_root=True, say=said.append) == []
    assert kept.exists()


def test_folders_of_other_stores_are_not_cleaned_from_a_shared_folder(hpsearch):
    place = Path("store.db")
    with Store(place, create=True) as store:
        gone = fill_store(store, RECORD, 0.5)
        remove_study(store, "s")
    mine = make_folder(Path(f"all/store.db-{gone.search}/0"))
    other = make_folder(Path("all/store.db-77/0"))
    assert hpsearch("clean", "--yes", "--checkpoints", "all")[0] == 0
    assert not mine.exists()
    assert other.exists()


def test_models_of_deleted_studies_are_cleaned_where_no_other_store_has_them(hpsearch):
    place = Path("store.db")
    with Store(place, create=True) as store:
        fill_store(store, RECORD, 0.5)
    model = make_model(place, "s-1", "s", (1, {"a": 0}))
    own = make_model(place, "x-1", "x", (1, {"a": 0}))
    with Store(place, create=True) as store:
        remove_study(store, "s")
        assert canonical_json({"a": 0}) == '{"a":0}'
    with Store(Path("store.sqlite"), create=True) as other:
        fill_store(other, RECORD, 0.5)
    assert hpsearch("clean", "--yes")[0] == 0
    assert model.exists()
    Path("store.sqlite").unlink()
    assert hpsearch("clean", "--yes")[0] == 0
    assert not model.exists()
    assert own.exists()


def test_a_cleaned_file_is_smaller(hpsearch):
    with Store(Path("store.db"), create=True) as store:
        for n in range(20):
            fill_store(store, make_record(study=f"s{n}"), 0.5, 0.6, epochs=2000)
        for n in range(19):
            remove_study(store, f"s{n}")
    before = Path("store.db").stat().st_size
    assert hpsearch("clean", "--yes")[0] == 0
    assert Path("store.db").stat().st_size < before / 4
    with Store(Path("store.db")) as store:
        assert len(rank_tasks(store)[0]) == 2
