"""A search seen from elsewhere while it runs: what is spent and left, what trains, the best."""

import io
import json
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from hpsearch import Float, Random, Space
from hpsearch.console.live import build_picture, estimate_seconds_left, format_summary
from hpsearch.core import progress
from hpsearch.core.errors import StoreError, StoreLostError
from hpsearch.core.metric import Metric
from hpsearch.core.plan import Budget, Plan, Rung
from hpsearch.core.progress import Throttle
from hpsearch.core.trial import Failure, Job, Outcome, ProgressReport, Suggestion
from hpsearch.executors import Inline, work_one_by_one
from hpsearch.runs.checkpoints import SearchCheckpoints
from hpsearch.runs.driver import Driver
from hpsearch.runs.loop import Loop
from hpsearch.runs.progress_writer import ProgressWriter
from hpsearch.runs.replay import SearchState
from hpsearch.store import Heartbeat, Store, default_place, monitor_search, rank_tasks, study_lock
from tests import fakes
from tests.attacks.searches import CHAIN_STUDY, CHAINED
from tests.builders import RECORD, make_outcome, make_record
from tests.conftest import ROOT

PLAN = Plan(5, 13, 16, ((Rung(3, 1), Rung(1, 3)), (Rung(1, 8),)))


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request, monkeypatch):
    if request.param == "postgresql":
        monkeypatch.setenv("HPSEARCH_STORE", request.getfixturevalue("database"))
    place = default_place()
    with study_lock(place, "s"), study_lock(place, "other"), Store(place, create=True) as opened:
        yield opened


def begun(store, plan=PLAN, budget=None, **changes):
    """A search whose trial 0 ended, 1 failed, 2 continues 0 and trains, and 3 waits."""
    journal = store.begin_search(make_record(**changes))
    heartbeat = Heartbeat(store, journal.search, plan, budget or Budget(), workers=2)
    for number in (0, 1):
        journal.append_answer(number, Suggestion({"units": 10 * number}, 1))
    journal.append_outcome(0, make_outcome(0.8, epochs=1))
    journal.append_outcome(1, Outcome(failure=Failure("nan", "loss became nan"), seconds=2.0))
    journal.append_answer(2, Suggestion({"units": 0}, 3, parent=0))
    journal.append_answer(3, Suggestion({"units": 70}, 8))
    heartbeat.write([ProgressReport(2, 0, 2.5, 0.85, "gpu 1")])
    return monitor_search(store, journal.search), journal, heartbeat


def drawn(watched, width=120, height=40):
    console = Console(width=width, height=height, file=io.StringIO(), color_system=None)
    console.print(build_picture(watched, width, height))
    return console.file.getvalue()


def test_it_sees_what_ended_what_trains_and_how_rungs_fill(store):
    watched, *_ = begun(store)
    assert [(told.trial, told.value) for told in watched.refresh()] == [(1, 0.8), (2, None)]
    assert (watched.n_ended, watched.epochs, watched.epochs_left(), watched.epochs_underway()) == (
        2,
        2,
        11,
        1.5,
    )
    assert [(r.trial, r.reached, r.value, r.device) for r in watched.running] == [
        (3, 2.5, 0.85, "gpu 1"),
        (4, None, None, ""),
    ]
    filled = {key: (rung.asked, rung.ended) for key, rung in watched.rungs.items()}
    assert filled == {(1, 1): (2, 2), (1, 3): (1, 0), (8, 8): (1, 0)}
    assert (watched.best.trial, dict(watched.failures)) == (1, {"nan": 1})
    assert watched.refresh() == []


def test_it_follows_in_small_steps_as_at_once(store):
    watched, journal, _ = begun(store)
    watched.refresh()
    journal.append_outcome(2, make_outcome(0.9, epochs=3))
    assert [told.trial for told in watched.refresh()] == [3]
    journal.append_outcome(3, make_outcome(0.7, epochs=8))
    watched.refresh()
    late = monitor_search(store, journal.search)
    late.refresh()
    for name in ("n_ended", "epochs", "rungs", "best", "running", "failures"):
        assert getattr(watched, name) == getattr(late, name), name
    assert (watched.best.value, watched.epochs_left(), watched.running) == (0.9, 1, [])


def test_lower_is_better_where_the_search_minimises(store):
    watched, journal, _ = begun(store, direction="min")
    journal.append_outcome(2, make_outcome(0.5, epochs=3))
    watched.refresh()
    assert watched.best.value == 0.5


def test_a_smaller_budget_leaves_less(store):
    watched, *_ = begun(store, budget=Budget(epochs=6))
    watched.refresh()
    assert watched.epochs_left() == 4


def test_what_is_left_is_told_by_epochs_and_by_trials(store):
    watched, *_ = begun(store)
    watched.refresh()
    low, high = estimate_seconds_left(watched, watched.run.began + 7.0)
    # 2 + 1.5 epochs took 7 s and 9.5 are left; 2 trials did, and 3 are left.
    assert (low, high) == (pytest.approx(3 / 2 * 7), pytest.approx(9.5 / 3.5 * 7))
    assert estimate_seconds_left(watched, watched.run.began + 1.0) is None


def test_a_least_number_of_trials_tells_nothing_of_what_is_left(store):
    """As of `Auto`, which makes many more trials than full trainings."""
    watched, *_ = begun(store, plan=Plan(1, 27, 27, complete=False, most_epochs=27))
    watched.refresh()
    low, high = estimate_seconds_left(watched, watched.run.began + 7.0)
    assert (low, high) == (pytest.approx((27 - 3.5) / 3.5 * 7), pytest.approx((27 - 3.5) / 3.5 * 7))


@pytest.mark.parametrize("width", [40, 120])
def test_the_picture_fits_its_window(store, width):
    watched, *_ = begun(store)
    watched.refresh()
    text = drawn(watched, width)
    assert max(map(len, text.splitlines())) <= width
    for part in ("4 of 13 epochs", "trial 3", "2.5/3", "0.85", "0.8 ", "failed: 1 nan", "1: 2/3"):
        assert part in text
    assert ("gpu 1" in text) == (width == 120)


def test_off_a_terminal_there_are_no_bars_and_no_trailing_blanks(hpsearch, store):
    watched, _, heartbeat = begun(store)
    watched.refresh()
    for text in (format_summary(watched), _ended(hpsearch, heartbeat)):
        assert "4 of 13 epochs" in text or "2 of 13 epochs" in text
        assert "1: 2/3" in text
        assert not set("━╺╸█▌░") & set(text)
        assert all(line == line.rstrip() for line in text.splitlines())
    assert "trial 3 2.5/3 0.85 gpu 1 units=0" in format_summary(watched)


def _ended(hpsearch, heartbeat):
    heartbeat.end = "stopped"
    with heartbeat:
        pass
    return hpsearch("watch")[1]


def test_a_low_window_shows_the_first_of_many(store):
    journal = store.begin_search(RECORD)
    heartbeat = Heartbeat(store, journal.search, Plan(50, 50, 50), Budget(), workers=50)
    for number in range(50):
        journal.append_answer(number, Suggestion({"units": number}, 5))
    heartbeat.write([ProgressReport(number, 0, 1.0) for number in range(50)])
    watched = monitor_search(store, journal.search)
    watched.refresh()
    text = drawn(watched, height=20)
    assert "44 more" in text
    assert len(text.splitlines()) < 20


def test_names_of_markup_are_names(store):
    watched, *_ = begun(store, study="[red]s[/red]")
    watched.refresh()
    assert "[red]s[/red]" in drawn(watched)


def test_it_says_how_a_run_ended_or_that_nothing_is_heard(store):
    watched, _, heartbeat = begun(store)
    other = 'UPDATE runs SET planned = replace(planned, \'"owner": "\', \'"owner": "0\')'
    store.db.write(lambda: store.db.execute(other))  # who owns the study now is another process
    watched.refresh()
    assert "no heartbeat since" in drawn(watched)
    heartbeat.end = "done"
    with heartbeat:
        pass
    watched.refresh()
    assert "ended: done" in drawn(watched)
    assert (watched.running, [each.trial for each in watched.waiting]) == ([], [3, 4])
    assert watched.waiting[0].reached is None
    assert "2 stopped, which the next run continues: trial 3, trial 4" in drawn(watched)


def test_a_repeat_that_ended_is_not_shown_though_its_last_progress_comes_later(store):
    watched, journal, heartbeat = begun(store)
    heartbeat.write([ProgressReport(0, 1, 0.5), ProgressReport(0, 2, 0.5)])
    journal.append_repeat(0, 1, make_outcome(0.7, epochs=1), 0.75, 0.1)
    heartbeat.write([ProgressReport(0, 1, 1.0)])  # on its way while the repeat ended
    watched.refresh()
    assert [each.repeat for each in watched.running if each.trial == 1] == [2]


def test_the_best_is_by_all_trainings_where_some_were_repeated(store):
    watched, journal, _ = begun(store)
    journal.append_outcome(2, make_outcome(0.9, epochs=3))
    journal.append_outcome(3, make_outcome(0.85, epochs=8))
    watched.refresh()
    assert watched.best.trial == 3
    journal.append_repeat(2, 1, make_outcome(0.5, epochs=3), 0.7, 0.1)
    watched.refresh()
    assert (watched.best.trial, watched.best.value) == (4, 0.85)


def test_what_a_killed_run_left_is_not_taken_for_news(store):
    watched, journal, _ = begun(store)
    Heartbeat(store, journal.search, PLAN, Budget(), workers=1)
    watched.refresh()
    assert watched.running[0].reached is None


def test_what_is_heard_in_another_thread_is_written_by_its_own(store):
    _, journal, heartbeat = begun(store)
    looked = []
    heard = ProgressWriter(heartbeat, lambda: looked.append(True), print)
    heard._thread = None  # as if the store were another thread's
    heard(ProgressReport(3, 0, 4.0, 0.7, "cpu"))
    assert looked == []
    heard._throttle = Throttle()
    heard.poll()
    watched = monitor_search(store, journal.search)
    watched.refresh()
    assert (watched.running[1].reached, looked) == (4.0, [True])


class Broken:
    """Stands for `Heartbeat` on a store that cannot be written just now."""

    def __init__(self, error):
        self.error = error

    def write(self, reports):
        raise self.error


def telling_work(job):
    progress.JobProgress(job, folds=1).of_fold(0)(1, 0.5)
    return make_outcome(0.5)


@pytest.mark.parametrize("error", [StoreError("disk full"), sqlite3.OperationalError("locked")])
def test_progress_that_cannot_be_written_fails_neither_trial_nor_run(error, monkeypatch):
    monkeypatch.setattr("hpsearch.runs.progress_writer._SECONDS", 0.0)
    said, states = [], []
    with Store(Path("store.db"), create=True) as store:
        journal = store.begin_search(RECORD)
        heard = ProgressWriter(Broken(error), lambda: states.append("drawn"), said.append)
        executor = Inline(lambda: (fakes.FACTS, work_one_by_one(telling_work)))
        executor.open()
        executor.listen(heard)
        loop_of(journal, executor, heard).run()
        executor.close()
        assert [row.value for row in rank_tasks(store)[0]] == [0.5] * 3
        assert journal.failures() == []
    assert len(said) == 1
    assert str(error) in said[0]


def test_a_picture_that_cannot_be_drawn_fails_no_run():
    def draw():
        raise ValueError("no such cell")

    said = []
    heard = ProgressWriter(None, draw, said.append)
    for _ in range(3):
        heard.poll()
    assert len(said) == 1


@pytest.mark.parametrize("inline", [True, False])
def test_a_store_that_is_lost_ends_the_run_but_fails_no_trial(inline, monkeypatch):
    monkeypatch.setattr("hpsearch.runs.progress_writer._SECONDS", 0.0)
    lost = StoreLostError("deleted")
    heard = ProgressWriter(Broken(lost), lambda: None, print)
    if not inline:
        heard._thread = None
    heard(ProgressReport(0, 0, 1.0))  # a trial says so in the middle of its training
    with pytest.raises(StoreLostError):
        heard.poll()


def loop_of(journal, executor, heard):
    search = Random(trials=3, epochs=2).start(Space(a=Float(0.0, 1.0)), seed=0)
    driver = Driver(executor, on_poll=heard.poll)
    metric, checkpoints = Metric("accuracy", "max"), SearchCheckpoints(Path("checkpoints"))
    return Loop(search, journal, SearchState(), driver, metric, checkpoints)


def test_a_trial_tells_the_mean_over_its_folds():

    seen = []
    progress.report_progress_to(seen.extend, seconds=0.0)
    try:
        told = progress.JobProgress(Job({}, 4, start_epoch=2, trial=7), folds=2)
        told.of_fold(0)(4, 0.5)
        told.of_fold(1)(3, 0.7)
    finally:
        progress.report_progress_to(None)
    assert [(r.trial, r.epochs, r.value) for r in seen] == [
        (7, 2.0, None),
        (7, 3.0, 0.5),
        (7, 3.5, pytest.approx(0.6)),
    ]


def test_nothing_is_reported_of_a_job_after_its_outcome():
    seen, first, second = [], Job({}, 4, trial=7), Job({}, 4, trial=8)
    progress.report_progress_to(seen.extend, seconds=3600.0)
    try:
        epoch = progress.JobProgress(first, folds=1).of_fold(0)
        epoch(4, 0.5)  # waits, as it comes soon after the first report
        progress.forget(first)
        progress._throttle = progress.Throttle()
        progress.JobProgress(second, folds=1)
    finally:
        progress.report_progress_to(None)
    assert [(each.trial, each.epochs) for each in seen] == [(7, 0.0), (8, 0.0)]


def test_the_command_tells_how_a_search_stands(hpsearch, store):
    begun(store)
    begun(store, study="other", task="boston")
    code, out, _ = hpsearch("watch", "s", "--json")
    stands = json.loads(out)
    assert (code, stands["trials"], stands["epochs"], stands["running_now"]) == (0, 2, 3.5, True)
    assert stands["running"][0] == {
        "trial": 3, "repeat": 0, "params": {"units": 0}, "begun": 1, "epochs": 3,
        "reached": 2.5, "value": 0.85, "device": "gpu 1",
    }  # fmt: skip
    assert set(stands["rungs"][0]) == {"begins", "epochs", "asked", "told"}
    assert json.loads(hpsearch("watch", "--json")[1])["study"] == "other"
    store.db.write(lambda: store.db.execute("UPDATE runs SET ended = 'stopped'"))
    stands = json.loads(hpsearch("watch", "s", "--json")[1])
    assert (stands["running"], [each["trial"] for each in stands["waiting"]]) == ([], [3, 4])


@pytest.mark.parametrize(
    ("arguments", "said"), [(["digit"], "did you mean 'digits'?"), (["x.py"], "it has digits")]
)
def test_a_study_that_is_not_there_is_one_line(hpsearch, store, arguments, said):
    begun(store, study="digits")
    code, out, err = hpsearch("watch", *arguments)
    assert (code, out) == (2, "")
    assert said in err


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="as the driver is")
def test_who_looks_on_sees_whole_trials_and_their_order(tmp_path):
    """Four workers; watched from another process by lines, and in this one as fast as it can."""
    Path("study.py").write_text(CHAIN_STUDY.replace("SEARCHER", "Random(trials=100, epochs=10)"))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.Popen(
        [sys.executable, "-c", CHAINED[1], "study.py", "--devices", "cpu:4", "--store", "store.db"],
        env=environment, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    path = Path("store.db")
    while not path.exists() or not _begun(path):
        assert run.poll() is None
        time.sleep(0.02)
    lines = subprocess.Popen(
        [sys.executable, "-m", "hpsearch", "watch", "study", "--store", "store.db"],
        env=environment, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    seen = []
    with Store(path) as store:
        watched = monitor_search(store, 1)
        while run.poll() is None:
            seen += watched.refresh()
            assert watched.n_ended + len(watched.running) == len(watched._asked)
        seen += watched.refresh()
        assert len(seen) == watched.n_ended == 100
        assert all(told.value is not None and told.epochs == 10 for told in seen)
    assert run.returncode == 0
    out, _ = lines.communicate(timeout=60)
    assert lines.returncode == 0
    assert "ended: done" in out
    assert "[100/100] trial" in out


def _begun(path):
    try:
        with Store(path) as store:
            return store.searches() != []
    except Exception:
        return False
