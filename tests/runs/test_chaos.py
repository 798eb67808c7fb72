"""Parent and workers are killed, stopped and ended at random instants; nothing is lost.

Everything is real but the training, whose epochs are links in a chain of hashes.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from tests.attacks.processes import family, no_orphans, own_errors
from tests.attacks.searches import CHAIN_STUDY, CHAINED, journal
from tests.conftest import ROOT, wait_for_checkpoints

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc"),
]

SEARCHERS = ["Hyperband(max_epochs=9, eta=3)", "Random(trials=12, epochs=6)"]

METHODS = [
    "hyperband:max_epochs=4,eta=2",
    "asha:max_epochs=4,eta=2,trials=12",
    "auto:trials=2,max_epochs=9",
    "bayes:trials=8,epochs=2",
    "bayes:trials=8,epochs=2,sampler=cmaes",
    "genetic:trials=6,epochs=2,population=3",
    "kerastunerhyperband:max_epochs=4,eta=2",
    "grid:epochs=2,points=2",
    "random:trials=8,epochs=2",
]


@pytest.fixture
def started(tmp_path):
    """started(*options): a run with three workers, known by a mark in its environment; before: code
    to run first.
    """
    mark, processes = uuid.uuid4().hex, []

    def start(*options, store="store.db", before=""):
        process = subprocess.Popen(
            [sys.executable, "-c", before + CHAINED[1], "study.py", "--devices", "cpu:3",
             "--store", store, *map(str, options)],
            env={**os.environ, "PYTHONPATH": str(ROOT), "HPSEARCH_MARK": mark},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        processes.append(process)
        return process

    start.mark = mark
    yield start
    for pid in family(mark):
        os.kill(pid, signal.SIGKILL)
    for process in processes:
        process.communicate()


def write(searcher):
    Path("study.py").write_text(CHAIN_STUDY.replace("SEARCHER", searcher))


def results(store="store.db"):
    """What was found, whatever its order."""
    return journal(Path(store))


def disturb(started, process, instant, dice):
    """One signal to the parent or to a worker."""
    time.sleep(instant)
    members = family(started.mark)
    workers = [pid for pid in members if pid != process.pid]
    target = dice.choice(workers) if workers and dice.random() < 0.6 else process.pid
    number = dice.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP])
    try:
        os.kill(target, number)
        if number == signal.SIGSTOP:
            if dice.random() < 0.3 and target != process.pid and os.getsid(target) == target:
                process.kill()  # a worker that has begun does not stay behind, though stopped
                return
            time.sleep(0.2)
            os.kill(target, signal.SIGCONT)
    except ProcessLookupError:
        pass


@pytest.mark.parametrize("runs", [6, pytest.param(40, marks=pytest.mark.thorough)])
def test_whatever_is_killed_every_run_ends_as_an_undisturbed_one(started, runs):
    wanted, lasts = {}, {}
    for searcher in SEARCHERS:
        write(searcher)
        began = time.monotonic()
        process = started(store="whole.db")
        _, err = process.communicate(timeout=60)
        assert (process.returncode, err) == (0, "")
        lasts[searcher] = time.monotonic() - began
        wanted[searcher] = results("whole.db")
        Path("whole.db").unlink()
    dice, disturbed = random.Random(0), 0
    for number in range(runs):
        searcher = SEARCHERS[number % len(SEARCHERS)]
        write(searcher)
        for attempt in range(10):
            began = time.monotonic()
            process = started()
            if attempt < 2:
                disturb(started, process, dice.uniform(0.1, 1.0) * lasts[searcher], dice)
            _, err = process.communicate(timeout=60)
            assert no_orphans(started.mark), f"run {number}, attempt {attempt}"
            if process.returncode == 0:
                if attempt == 0:  # the machine may be less busy than it was
                    lasts[searcher] = min(lasts[searcher], time.monotonic() - began)
                break
            assert "Traceback" not in own_errors(err), err
            disturbed += 1
        assert results() == wanted[searcher], f"run {number}"
        assert process.returncode == 0, f"run {number} was still disturbed at its tenth attempt"
        assert not list(Path().rglob("*.partial"))
        for path in Path().glob("store.db*"):
            path.unlink()
    assert disturbed >= runs // 3


def test_a_kill_just_after_a_search_has_begun_leaves_no_other_s_checkpoints_to_it(started):
    write(SEARCHERS[1])
    started(store="whole.db").communicate(timeout=60)
    other = Path("checkpoints/store.db-1/0/fold-0.npz")  # of a store that lay here and was deleted
    other.parent.mkdir(parents=True)
    other.write_text("[0.5, 0.5, 0.5]")
    died = "import os; from hpsearch.runs.checkpoints import SearchCheckpoints as C; C.clear = lambda self: os._exit(9);"
    process = started(before=died)
    process.communicate(timeout=60)
    assert process.returncode == 9
    started().communicate(timeout=60)
    assert results() == results("whole.db")


@pytest.mark.parametrize("method", METHODS)
def test_every_method_continues_after_a_kill(started, method):
    write("Random(trials=1, epochs=1)")
    options = ("--devices", "cpu", "--searcher", method)
    whole = started(*options, store="whole.db")
    whole.communicate(timeout=60)
    assert whole.returncode == 0
    process = started(*options)
    for _ in range(3):
        process.stdout.readline()
    process.kill()
    process.communicate()
    again = started(*options)
    again.communicate(timeout=60)
    assert again.returncode == 0
    assert results() == results("whole.db")


def test_one_two_and_eight_workers_find_the_same(started):
    write(SEARCHERS[0])
    found = []
    for workers in (1, 2, 8):
        process = started("--devices", f"cpu:{workers}", store=f"{workers}.db")
        process.communicate(timeout=60)
        found.append(results(f"{workers}.db"))
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_what_runs_reach_its_checkpoint(started, number):
    write("Random(trials=6, epochs=400)")
    process = started()
    wait_for_checkpoints(3)
    process.send_signal(number)
    out, err = process.communicate(timeout=10)
    assert process.returncode == 130
    assert "running trials at the end of their epoch; press Ctrl-C again to stop at once" in out
    assert err.strip() == "stopped; run the same command again to continue"
    held = [len(json.loads(p.read_text())) for p in Path("checkpoints").rglob("*.npz")]
    assert len(held) == 3
    assert all(0 < epochs < 400 for epochs in held)
    assert no_orphans(started.mark)


def test_hours_end_a_run_and_it_is_no_failure(started):
    write("Random(trials=400, epochs=50)")
    process = started("--hours", 3.0 / 3600)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    assert "budget spent (--hours" in out
    assert 0 < len(list(Path("checkpoints").rglob("*.npz"))) <= 6


def test_a_second_signal_stops_at_once(started):
    write("Random(trials=6, epochs=4000)")
    process = started()
    wait_for_checkpoints(3)
    for family_member in [p for p in family(started.mark) if p != process.pid]:
        os.kill(family_member, signal.SIGSTOP)  # they reach no checkpoint any more
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=10)
    assert (process.returncode, err.strip()) == (
        130,
        "stopped; run the same command again to continue",
    )
    assert no_orphans(started.mark)
