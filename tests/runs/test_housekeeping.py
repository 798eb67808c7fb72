"""Deleting, cleaning and renaming beside real runs: a search goes on as if nothing had happened."""

import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from hpsearch.core.errors import HpsearchError
from hpsearch.runs import removal, session
from hpsearch.store import Store, list_studies, rank_tasks
from tests.runs.test_live_log import write_study
from tests.runs.whole_runs import finish, journal, start

pytestmark = pytest.mark.slow

HYPERBAND = ("--searcher", "hyperband:max_epochs=4,eta=2", "--checkpoint-every", "1")


def ended(place):
    with suppress(HpsearchError), Store(Path(place)) as store:
        return store.db.query(
            "SELECT a.id FROM asked a JOIN told t ON t.search = a.search AND t.trial = a.trial "
            "WHERE a.answer = 'suggest' ORDER BY t.seq"
        )
    return []


def wait_for_trials(process, count, place="store.db"):
    deadline = time.monotonic() + 120
    while len(ended(place)) < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.thorough
@pytest.mark.parametrize("trials", [2, 4])
def test_what_was_killed_cleaned_and_deleted_from_goes_on_to_the_same_journal(hpsearch, trials):
    file = write_study(seconds=0.15)
    assert finish(start(file, *HYPERBAND, store="whole.db"))[0] == 0
    process = start(file, *HYPERBAND)
    wait_for_trials(process, trials)
    process.kill()
    finish(process)
    code, _, err = hpsearch("clean", "--yes")
    assert code == 0, err
    # Also without the checkpoint of a trial that may be continued: it is trained again.
    (trial,) = ended("store.db")[0]
    code, _, err = hpsearch("delete", trial, "--yes")
    assert code == 0 or "which has not ended" in err
    assert hpsearch("clean", "--yes")[0] == 0
    code, _, err = finish(start(file, *HYPERBAND))
    assert code == 0, err
    assert journal("store.db") == journal("whole.db")
    # Done, it needs no checkpoints: what is left of them goes, and the search stays as it is.
    assert hpsearch("clean", "--yes")[0] == 0
    assert not list(Path("checkpoints").glob("store.db-*"))
    assert finish(start(file, *HYPERBAND))[0] == 0
    assert journal("store.db") == journal("whole.db")


def test_a_trial_is_deleted_under_a_running_watch(hpsearch):
    file = write_study(seconds=0.3, trials=6, epochs=4)
    process = start(file)
    wait_for_trials(process, 1)
    watch = subprocess.Popen(
        [sys.executable, "-m", "hpsearch", "watch", "--store", "store.db"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    wait_for_trials(process, 2)
    (first,) = ended("store.db")[0]
    code, out, err = hpsearch("delete", first, "--yes")
    assert code == 0, err
    code, _, err = hpsearch("delete", "own", "--yes")
    assert code == 2
    assert "study own is being run" in err
    code, _, err = finish(process)
    assert code == 0, err
    out, err = watch.communicate(timeout=60)
    assert (watch.returncode, err) == (0, "")
    assert "[6/6]" in out
    with Store(Path("store.db")) as store:
        assert first not in [row.trial for row in rank_tasks(store)[0]]
        assert list_studies(store)[0]["trials"] == 5


def test_a_study_that_is_renamed_while_its_run_begins_is_not_begun_anew(hpsearch, monkeypatch):
    file = write_study(seconds=0)
    assert hpsearch("run", file, "--inline", "--total-epochs", 8)[0] == 0
    lock = session.study_lock

    def rename_and_lock(store, study, say):
        removal.rename(store, study, "better", print)
        return lock(store, study, say)

    with monkeypatch.context() as patched:
        patched.setattr(session, "study_lock", rename_and_lock)
        code, _, err = hpsearch("run", file, "--inline")
    assert code == 2
    assert "study own was renamed to better just now" in err
    code, out, err = hpsearch("run", file, "--inline")
    assert code == 0, err
    assert "continuing after" in out + err
    with Store(Path("store.db")) as store:
        assert [record.study for record in store.searches()] == ["better"]


def test_a_renamed_study_goes_on_by_its_file(hpsearch):
    file = write_study(seconds=0, trials=4)
    assert hpsearch("run", file, "--inline", "--store", "whole.db")[0] == 0
    assert hpsearch("run", file, "--inline", "--total-epochs", 8)[0] == 0
    before = len(ended("store.db"))
    assert hpsearch("rename", "own", "better")[0] == 0
    for name in (file, "better"):
        code, out, err = hpsearch("run", name, "--inline")
        assert code == 0, err
        assert f"continuing after {before} trials" in out + err
        before = 4
    assert journal("store.db") == journal("whole.db")
    with Store(Path("store.db")) as store:
        assert [record.study for record in store.searches()] == ["better"]
    for command in (("report", "own"), ("watch", "own"), ("plan", file)):
        code, _, err = hpsearch(*command)
        assert code == 0, err
    # A search over again replaces the renamed one.
    assert hpsearch("run", file, "--inline", "--fresh")[0] == 0
    with Store(Path("store.db")) as store:
        assert [record.study for record in store.searches()] == ["better"]
    assert hpsearch("delete", "better", "--yes")[0] == 0
    assert hpsearch("run", file, "--inline", "--total-epochs", 8)[0] == 0
    with Store(Path("store.db")) as store:
        assert [record.study for record in store.searches()] == ["own"]
