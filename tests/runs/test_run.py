"""Whole runs: studies that really train, are stopped, killed, continued and changed."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hpsearch import KFold
from hpsearch.store import Store
from hpsearch.tasks import digits
from spaces import mlp
from tests.conftest import ROOT, wait_for_checkpoints
from tests.rounding import sum_tolerance
from tests.runs.whole_runs import (
    RUN,
    check_two_workers_agree,
    finish,
    journal,
    run_here,
    run_undisturbed,
    start,
)

pytestmark = pytest.mark.slow


def test_runs_ranks_and_continues(hpsearch, write):
    file = write()
    code, out, err = hpsearch("run", file, "--inline")
    assert (code, err) == (0, "")
    assert re.search(r"\[3/3\] trial [123]  accuracy", out)
    assert "digits: accuracy by Holdout(rows=300), small, Random(epochs=2)" in out
    first = journal("store.db")
    code, out, _ = hpsearch("run", file, "--inline")
    assert code == 0
    assert "continuing after 3 trials" in out
    assert journal("store.db") == first
    hpsearch("run", "small", "--inline", "--trials", 4)
    assert json.loads(hpsearch("studies", "--json")[1])[0]["trials"] == 4
    assert journal("store.db")[0][: len(first[0])] == first[0]


def test_a_worker_process_gives_the_same_journal(hpsearch, write):
    file = write()
    hpsearch("run", file, "--inline", "--store", "inline.db", "--engine", "fit")
    assert finish(start(file, store="worker.db"))[0] == 0
    assert journal("worker.db") == journal("inline.db")


def test_folds_continue_from_their_own_checkpoints(hpsearch, write):
    """Survivors have, epoch by epoch, the curve of a trial that never stopped."""
    folds = ("Holdout(rows=300)", "KFold(2)")
    searcher = ("Random(trials=3, epochs=2)", "Hyperband(max_epochs=4, eta=4)")
    assert hpsearch("run", write("halving", searcher, folds), "--inline")[0] == 0
    rows = json.loads(hpsearch("rank", "--json")[1])
    survivor = next(row for row in rows if row["trial"] == 5)
    assert survivor["epochs"] == 4
    curves = json.loads(hpsearch("show", 5, "--json")[1])["curves"]
    score = KFold(2).evaluate(mlp.model(hidden=(8,)), survivor["params"], digits.task(), epochs=4)
    for fold, curve in enumerate(score.folds):
        assert curves[fold]["validation_loss"] == pytest.approx(
            curve.validation_loss, rel=sum_tolerance(curve.rows)
        )
    assert sorted(p.name for p in Path("checkpoints/store.db-1/4").iterdir()) == [
        "fold-0.npz",
        "fold-1.npz",
    ]
    assert "which may have lowered their rank" in hpsearch("rank")[1]


METHODS = ["hyperband:max_epochs=4,eta=4", "grow_then_regularize:trials=6,epochs=2,steps=3"]


@pytest.mark.parametrize("method", METHODS)
def test_methods_run_by_kfold_and_continue_after_a_kill(write, method):
    """One whose trials continue others, and one that trains in full; the others are killed, with
    training that takes no time, in test_chaos.py.
    """
    changes = [("Holdout(rows=300)", "KFold(2)")]
    if method.startswith("grow"):
        changes += [("hidden=(8,)", ""), ("dropout=", "units=Int(4, 16), dropout=")]
    file = write("small", *changes)
    options = ("--inline", "--searcher", method)
    run_undisturbed(file, "--searcher", method)
    process = start(file, *options)
    for _ in range(3):
        process.stdout.readline()
    process.kill()
    process.communicate()
    assert finish(start(file, *options))[0] == 0
    assert journal("store.db") == journal("whole.db")


def test_repeats_that_were_killed_go_on_and_end_as_if_they_had_not_been(hpsearch, write):
    file = write("small", ("Holdout(rows=300)", "KFold(2)"))
    options = ("--repeats", "3", "--finalists", "1")
    run_undisturbed(file, *options)
    process = start(file, *options)
    assert any("repeat 1" in line for line in process.stdout)
    process.kill()
    process.communicate()
    assert finish(start(file, *options))[0] == 0

    def ranked(store):
        rows = json.loads(hpsearch("rank", "--json", "--store", store)[1])
        return [(row["trial"], row["value"], row["se"], row["repeats"]) for row in rows]

    assert ranked("store.db") == ranked("whole.db")
    assert ranked("store.db")[0][3] == 3
    assert journal("store.db") == journal("whole.db")  # the search itself knows nothing of them


def test_other_searchers_evaluators_and_seeds_get_searches_of_their_own(hpsearch, write):
    file = write()
    for options in (
        (),
        ("--seed", 1),
        ("--searcher", "grid:points=2", "--trials", 2, "--epochs", 1),
        ("--evaluator", "kfold:folds=2", "--trials", 1),
    ):
        assert hpsearch("run", file, "--inline", *options)[0] == 0
    found = json.loads(hpsearch("studies", "--json")[1])
    assert [s["trials"] for s in found] == [3, 3, 2, 1]
    rows = json.loads(hpsearch("rank", "digits", "--json")[1])
    assert {r["evaluator"]: r["rank"] for r in rows} == {
        "Holdout(rows=300, shuffle=True)": 8,
        "KFold(folds=2, groups=False, repeats=1)": 1,
    }


MINE = "task=Task('digits', digits.load, loss='sparse_categorical_crossentropy'"
CHANGES = {
    "range": (("0.5)", "0.6)"), "dropout was Float(0.0, 0.5), now Float(0.0, 0.6)"),
    "gone": (('optimizer=Choice("adam", "sgd")', ""), "optimizer is gone"),
    "patience": (("evaluator=", "patience=2, evaluator="), "patience was None, now 2"),
    "direction": (("task=digits.task()", MINE + ", metric='accuracy', direction='min')"),
                  "direction was max, now min"),
    "loss": (("task=digits.task()", MINE.replace("'sparse_categorical_crossentropy'",
              "__import__('keras').losses.SparseCategoricalCrossentropy(name='other')")
              + ", metric='accuracy')"), "loss was"),
    "data": (
        ("task=digits.task()", "task=Task('digits', lambda: Data(digits.load().x + 1, "
         "digits.load().y), loss='sparse_categorical_crossentropy', metric='accuracy')"),
        "the data changed",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CHANGES)
def test_a_changed_study_is_refused_and_fresh_starts_over(hpsearch, write, case):
    change, message = CHANGES[case]
    assert hpsearch("run", write(), "--inline", "--trials", 1)[0] == 0
    before = journal("store.db")
    code, out, err = hpsearch("run", write("small", change), "--inline", "--trials", 1)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert message in err
    assert "--fresh" in err
    assert journal("store.db") == before
    assert hpsearch("run", write("small", change), "--inline", "--trials", 1, "--fresh")[0] == 0
    assert [r["trial"] for r in json.loads(hpsearch("rank", "--json")[1])] == [2]
    assert json.loads(hpsearch("show", 1, "--json")[1])["retired"] is True


REFUSED = {
    "no model": ("mlp.model(hidden=(8,))", "lambda spec, **params: 3", "must return a compiled"),
    "not compiled": (
        "mlp.model(hidden=(8,))",
        "lambda spec, **p: __import__('keras').Sequential([__import__('keras').Input((64,))])",
        "not compiled",
    ),
    "build raises": ("mlp.model(hidden=(8,))", "lambda spec, **p: p['nothing']", "bad.py:9"),
    "unknown name": ("dropout=", "droput=", "'droput' (did you mean 'dropout'?)"),
    "unknown optimizer": ('"sgd"', '"sgdd"', "unknown optimizer 'sgdd' (did you mean 'sgd'?)"),
    "folds": ("Holdout(rows=300)", "KFold(200)", "class 8 has 141; use at most 141 folds"),
    "rows": ("Holdout(rows=300)", "Holdout(rows=1437)", "leaves 0 of 1437 rows to train on"),
    "no data": (
        "digits.task()",
        "Task('t', lambda: open('data.csv'), loss='mse')",
        "bad.py:7: FileNotFoundError: [Errno 2] No such file",
    ),
    "labels": (
        "digits.task()",
        "Task('t', lambda: Data([[1.0]] * 9, [-1, 1, 1] * 3), loss='binary_crossentropy')",
        "needs targets from 0 to 1, got y from -1 to 1",
    ),
    "preprocess": (
        "digits.task()",
        "Task('t', lambda: Data([[[1.0]]] * 9, [1.0] * 9), loss='mse', "
        "preprocess=__import__('sklearn.preprocessing').preprocessing.StandardScaler())",
        "fails on the task's x: ValueError",
    ),
    "batch size": ("dropout=Float(0.0, 0.5)", "batch_size=Int(0, 8)", "at least 1, got 0"),
    "momentum": (
        'optimizer=Choice("adam", "sgd")',
        "optimizer=Choice('adam'), momentum=Float(0, 1)",
        "has no effect on adam",
    ),
    "nan": (
        "digits.task()",
        "Task('t', Data([[float('nan')], [1.0]] * 9, [1, 2] * 9), loss='mse')",
        "x holds NaN or infinity in",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_studies_that_cannot_work_are_refused_in_one_line(hpsearch, write, case):
    old, new, message = REFUSED[case]
    evaluator = [("Holdout(rows=300)", "Holdout()")] if "digits.task()" in old else []
    code, out, err = hpsearch("run", write("bad", (old, new), *evaluator), "--inline")
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1, err
    assert message in err
    assert not Path("store.db").exists()


def test_refusals_come_through_a_worker_process_too(write):
    code, out, err = finish(start(write("bad", ('"sgd"', '"sgdd"'))))
    assert (code, out) == (2, "")
    assert err.splitlines() == [err.strip()]
    assert not Path("store.db").exists()


def test_a_study_file_may_import_keras_first(write):
    file = write("small", ("from hpsearch import *", "import keras\nfrom hpsearch import *"))
    environment = {k: v for k, v in os.environ.items() if k != "KERAS_BACKEND"}
    code, _, err = finish(start(file, "--trials", 1, env=environment))
    assert (code, err) == (0, "")
    with Store(Path("store.db")) as store:
        assert store.searches()[0].backend == "jax"


def test_when_every_trial_fails_the_causes_are_grouped(hpsearch, write):
    file = write("small", ('"adam", "sgd"', '"sgd"'), ("mlp.model(hidden=(8,))", "build"))
    file.write_text(
        "def build(spec, **params):\n"
        "    params['learning_rate'] = 1e30\n"
        "    return mlp.model(hidden=(8,))(spec, **params)\n" + file.read_text()
    )
    code, out, _ = hpsearch("run", file, "--inline")
    assert code == 1
    assert "3 trials failed with nan: train_loss became nan in epoch 1" in out


def test_a_study_whose_trials_all_failed_says_so_beside_others_that_did_not(hpsearch, write):
    assert hpsearch("run", write("good"), "--inline", "--trials", 1)[0] == 0
    wild = ("mlp.model(hidden=(8,))", "lambda s, **p: mlp.model((8,))(s, **p, learning_rate=1e30)")
    code, out, _ = hpsearch("run", write("wild", wild), "--inline", "--searcher", "random:trials=2")
    assert code == 1
    assert "2 trials failed with nan" in out


def test_preprocessing_by_a_function_continues(hpsearch, write):
    task = MINE + ", metric='accuracy', preprocess=FunctionTransformer(np.sqrt))"
    file = write(
        "small",
        ("task=digits.task()", task),
        (
            "from spaces",
            "import numpy as np\nfrom sklearn.preprocessing import FunctionTransformer\nfrom spaces",
        ),
    )
    for _ in range(2):
        code, out, err = finish(start(file, "--inline", "--trials", 1))
        assert (code, err) == (0, "")
    assert "continuing after 1 trials" in out


def test_run_in_json_is_the_ranking(hpsearch, write):
    code, out, err = hpsearch("run", write(), "--inline", "--json", "--trials", 2)
    assert code == 0
    assert [row["rank"] for row in json.loads(out)] == [1, 2]
    assert "[2/2] trial 2" in err


def test_a_second_run_of_a_study_is_refused_while_the_first_lives(write):
    file = write("small", ("epochs=2", "epochs=60"), ("trials=3", "trials=4"))
    first = start(file)
    first.stdout.readline()
    first.send_signal(signal.SIGSTOP)  # so that it cannot end before the second one begins
    code, out, err = finish(start(file, "--fresh"))
    assert (code, out) == (2, "")
    assert f"study small is being run by process {first.pid}; wait for it" in err
    first.kill()
    first.communicate()
    assert finish(start(file))[0] == 0


def test_a_replaced_worker_does_not_train_an_edited_study(write):
    file = write("small", ("epochs=2", "epochs=60"), ("trials=3", "trials=4"))
    process = start(file)
    process.stdout.readline()
    write("small", ("epochs=2", "epochs=60"), ("trials=3", "trials=4"), ("(8,)", "(64,)"))
    kill_worker(process.pid)
    code, _, err = finish(process)
    assert code == 2
    assert "has changed since the run began" in err
    told = [event for event in journal("store.db")[0] if len(event) == 2]
    assert all(event[1][-1] == 64 * 8 + 8 + 8 * 10 + 10 for event in told)


@pytest.mark.parametrize("options", [(), ("--inline",)], ids=["worker", "inline"])
def test_ctrl_c_stops_cleanly_and_the_same_command_continues(write, options):
    file = write("small", ("epochs=2", "epochs=40"), ("trials=3", "trials=4"))
    run_undisturbed(file)
    process = start(file, *options, start_new_session=True)
    process.stdout.readline()  # a trial has ended
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the whole group
    code, _, err = finish(process)
    assert code == 130
    assert err.strip() == "stopped; run the same command again to continue"
    assert 1 <= sum(len(e) == 2 for e in journal("store.db")[0]) < 4
    assert finish(start(file, *options))[0] == 0
    assert journal("store.db") == journal("whole.db")


@pytest.mark.thorough
@pytest.mark.parametrize("options", [(), ("--inline",)], ids=["worker", "inline"])
def test_killed_at_random_instants_and_continued_is_the_same_journal(write, options):
    """SIGKILL, four times in each way to run, at instants from start-up to after the end."""
    file = write("small", ("trials=3", "trials=8"), ("epochs=2", "epochs=6"))
    began = time.monotonic()
    assert finish(start(file, *options, store="whole.db"))[0] == 0
    duration = time.monotonic() - began
    dice, kills, ended = random.Random(0), 0, 0
    while kills < 4:
        process = start(file, *options)
        try:
            process.communicate(timeout=dice.uniform(0.1, 1.1 * duration))
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            kills += 1
            continue
        assert process.returncode == 0
        assert journal("store.db") == journal("whole.db")
        ended += 1
        Path("store.db").unlink()
    assert finish(start(file, *options))[0] == 0
    assert journal("store.db") == journal("whole.db")


def found(path):
    """Of each trial all values of its curves. By what it is, because numbers depend on who ends first."""
    asked, curves = {}, {}
    for event in journal(path)[0]:
        if len(event) == 3:
            if event[2] is not None:  # else a pause
                asked[event[0]] = event[1]
        else:
            point = json.dumps([asked[event[0]].params, asked[event[0]].epochs], sort_keys=True)
            curves[point] = [value for fold in event[1][3] for curve in fold for value in curve]
    return curves


@pytest.mark.parametrize("options", [("--inline",), ("--devices", "cpu:2")], ids=" ".join)
def test_trials_side_by_side_that_are_killed_and_continued_end_as_they_would(write, options):
    """Survivors of whole rungs, by folds: whoever trains beside them, before or after the kill."""
    file = write(
        "small",
        ("Random(trials=3, epochs=2)", "Hyperband(max_epochs=9, eta=3)"),
        ("Holdout(rows=300)", "KFold(3)"),
        ("dropout=", "learning_rate=Float(1e-3, 1e-2, log=True), dropout="),
    )
    began = time.monotonic()
    assert finish(start(file, store="whole.db", engine="auto"))[0] == 0
    duration = time.monotonic() - began
    dice = random.Random(0)
    for _ in range(2):
        process = start(file, *options, "--checkpoint-every", 2, engine="gang")
        try:
            process.communicate(timeout=dice.uniform(0.3, 0.9) * duration)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
    assert finish(start(file, *options, engine="gang"))[0] == 0
    curves, expected = found("store.db"), found("whole.db")
    assert sorted(curves) == sorted(expected)
    for trial, values in curves.items():
        assert values == pytest.approx(expected[trial], rel=sum_tolerance(1797 // 3))


def test_trials_side_by_side_are_stopped_at_a_checkpoint_of_each(write):
    one = ('Choice("adam", "sgd")', 'Choice("adam")')
    file = write("small", ("epochs=2", "epochs=1500"), ("trials=3", "trials=4"), one)
    process = start(file, "--checkpoint-every", 1, engine="gang", start_new_session=True)
    wait_for_checkpoints(4)
    os.killpg(process.pid, signal.SIGINT)
    code, _, err = finish(process)
    assert code == 130, err
    assert len(list(Path("checkpoints").rglob("*.npz"))) == 4


def test_a_killed_worker_costs_no_trial(write):
    file = write("small", ("epochs=2", "epochs=30"), ("trials=3", "trials=4"))
    run_undisturbed(file)
    process = start(file)
    process.stdout.readline()
    kill_worker(process.pid)
    assert finish(process)[0] == 0
    assert journal("store.db") == journal("whole.db")


def kill_worker(parent):
    lines = subprocess.run(["ps", "-wweo", "pid=,ppid=,args="], capture_output=True, text=True)
    rows = [line.split(None, 2) for line in lines.stdout.splitlines()]
    workers = [int(pid) for pid, of, args in rows if int(of) == parent and "spawn_main" in args]
    assert len(workers) == 1
    os.kill(workers[0], signal.SIGKILL)


def test_the_digits_study_needs_nothing_and_is_good(hpsearch):
    study = ROOT / "studies" / "digits_dropout.py"
    store = str(Path("digits.db").resolve())
    code, _, err = finish(start(study, cwd=ROOT, store=store, engine="auto"))  # as by default
    assert (code, err) == (0, "")
    rows = json.loads(hpsearch("rank", "--json", "--store", "digits.db")[1])
    assert rows[0]["value"] >= 0.95


@pytest.mark.thorough
@pytest.mark.realdata
def test_the_mnist_study_is_good(hpsearch):
    study = ROOT / "studies" / "mnist_dropout.py"
    code, _, err = hpsearch("run", study, "--inline", "--trials", 2, "--epochs", 3)
    assert (code, err) == (0, "")
    rows = json.loads(hpsearch("rank", "mnist", "--json")[1])
    assert rows[0]["value"] >= 0.97
    assert rows[0]["parameters"] == 567_434


@pytest.mark.realdata
def test_a_data_file_cut_off_is_refused(hpsearch, tmp_path, monkeypatch):
    whole = Path(os.environ["HPSEARCH_DATA"], "mnist.npz").read_bytes()
    (tmp_path / "mnist.npz").write_bytes(whole[: len(whole) // 2])
    monkeypatch.setenv("HPSEARCH_DATA", str(tmp_path))
    code, out, err = hpsearch("run", ROOT / "studies" / "mnist_l2.py", "--inline")
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert "is damaged" in err
    assert not Path("store.db").exists()


def test_a_full_disk_stops_the_study_cleanly(write):
    """A limit on what a process may write to one file stands in for the disk's end."""
    large = ("hidden=(8,)", "hidden=(600, 600)")
    file = write("small", large, ("trials=3", "trials=2"))
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000));"
    process = subprocess.Popen(
        [sys.executable, "-c", limit + RUN, file, "--store", "store.db", "--engine", "fit"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    code, _, err = finish(process)
    assert code == 2
    assert "the disk is full" in err
    assert len(err.splitlines()) == 1
    assert not list(Path("checkpoints").rglob("*.partial"))
    run_here(file)
    run_undisturbed(file)
    assert journal("store.db") == journal("whole.db")


def test_two_workers_give_the_results_of_one(write):
    file = write("small", ("Random(trials=3, epochs=2)", "Hyperband(max_epochs=4, eta=4)"))
    run_undisturbed(file)  # a worker alone: test_a_worker_process_gives_the_same_journal
    check_two_workers_agree(file)


@pytest.mark.thorough
def test_a_trial_killed_in_the_middle_goes_on_from_its_checkpoint(write):
    file = write("small", ("epochs=2", "epochs=300"), ("trials=3", "trials=1"))
    whole = finish(start(file, store="whole.db"))
    assert whole[0] == 0
    process = start(file, "--checkpoint-every", 5)
    saved = Path("checkpoints/store.db-1/0/fold-0.npz")
    deadline = time.monotonic() + 60
    while not saved.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.communicate()
    assert saved.exists()
    assert finish(start(file))[0] == 0
    assert journal("store.db") == journal("whole.db")
