"""Commands that pages, findings and messages show are run as they stand, and do what is said."""

import html
import json
import os
import re
import shlex
from pathlib import Path

import pytest

from hpsearch.store import Store
from tests.attacks.searches import journal

STUDY = """
import numpy as np
from hpsearch import *

def load():
    draws = np.random.default_rng(0)
    x = draws.normal(size=(40, 2)).astype("float32")
    return Data(x, (x @ [[1.0], [2.0]] + draws.normal(scale=0.3, size=(40, 1))).astype("float32"))

def train(run, rate, kind):
    (x, y), weights = run.train, (run.restore() or {"weights": np.zeros((2, 1))})["weights"]
    for epoch in run.epochs():
        if kind != "line" and epoch > 1:
            raise ValueError(f"no {kind} yet")
        weights = weights - rate * x.T @ (x @ weights - y) / len(x)
        run.report(**run.measure(lambda rows: rows @ weights, train=True))
        run.save({"weights": weights})
    return lambda rows: rows @ weights

study = Study(
    task=Task("lines", load, loss="mse", metric="loss"),
    space=Space(rate=Float(1e-3, 1.0, log=True), kind=Choice("line", "cube")),
    train=train,
    searcher=Random(trials=2, epochs=2),
    evaluator=KFold(4),
)
"""
STORE = "of mine.db"
# None of these is the study file's own.
GIVEN = ("--searcher", "random:trials=30,epochs=3", "--evaluator", "kfold:folds=5", "--seed", "0")


@pytest.fixture(autouse=True)
def own_study(tmp_path):
    (tmp_path / "of mine").mkdir()
    Path("of mine/-lines.py").write_text(STUDY.replace("searcher=", "seed=7, searcher="))


@pytest.fixture
def run_shown(hpsearch):
    """Run a command as it is shown; training stays in this process."""

    def run(line, *more):
        program, command, *words = shlex.split(line)
        assert program == "hpsearch"
        inline = ("--inline",) if command == "run" else ()
        code, out, err = hpsearch(command, *inline, *more, *words)
        assert code == 0, (line, err)
        return out + err

    return run


def shown_on(page):
    """The commands of a page."""
    text = Path(page).read_text(encoding="utf-8")
    return [html.unescape(line) for line in re.findall(r'<pre class="command">(.*?)</pre>', text)]


def count_searches(path=STORE):
    with Store(Path(path)) as store:
        return len(store.searches())


@pytest.mark.slow
def test_the_commands_of_pages_and_findings_go_on_with_their_search(
    hpsearch, run_shown, monkeypatch
):
    study = ["of mine/-lines.py", *GIVEN, "--store", STORE, "--inline"]
    assert hpsearch("run", "--total-epochs", "12", *study)[0] == 0
    # The search was broken off: what the morning page says continues it.
    assert hpsearch("report", "--all", "-o", "all.html", "--store", STORE)[0] == 0
    (command,) = [line for line in shown_on("all.html") if line.startswith("hpsearch")]
    run_shown(command)
    assert count_searches() == 1
    assert len(journal(Path(STORE))) == 30
    # It is done: what the doctor finds, and what the page says now, is of the same search.
    findings = json.loads(hpsearch("doctor", "--json", "--store", STORE)[1])[0]
    advised = [f["line"] for f in findings["findings"] if f["line"].startswith("hpsearch")]
    assert hpsearch("report", "--all", "-o", "all.html", "--store", STORE)[0] == 0
    advised += [line for line in shown_on("all.html") if line.startswith("hpsearch")]
    assert any(line.startswith("hpsearch refit") for line in advised)
    for line in {*advised, findings["show_all"]}:
        # By models of Keras alone, and these are none.
        if "--engine gang" not in line:
            run_shown(line)
    assert count_searches() == 1
    # The page's command repeats the search: elsewhere it gives the same values.
    assert hpsearch("report", "-o", "one.html", "--store", STORE, "--", "-lines")[0] == 0
    (command,) = shown_on("one.html")
    monkeypatch.setenv("HPSEARCH_STORE", os.path.abspath("again.db"))
    run_shown(command)
    assert journal(Path("again.db")) == journal(Path(STORE))


@pytest.mark.slow
def test_the_commands_of_messages_run(hpsearch, run_shown):
    file = Path("of mine/-lines.py")
    file.write_text(STUDY.replace('"line", "cube"', '"cube"'))
    study = [str(file), "--inline", "--store", STORE, *GIVEN]
    code, _, err = hpsearch("run", *study)
    assert code == 2
    shown = err.rpartition("see the traceback by: ")[2].strip()
    assert "no cube yet" in run_shown(shown)
    out = hpsearch("rename", "--store", STORE, "--", "-lines", "-better")[1]
    (command,) = re.findall(r"(hpsearch run .*?) goes on with it", out)
    file.write_text(file.read_text().replace("raise ValueError", "print"))
    run_shown(command, "--fresh")
    with Store(Path(STORE)) as store:
        assert {search.study for search in store.searches()} == {"-better"}
    hpsearch("delete", "--yes", "--store", STORE, "--", "-better")
    if found := re.search(r"(hpsearch clean.*?) frees them", hpsearch("show", "--store", STORE)[1]):
        run_shown(found[1], "--yes")


def test_a_study_that_init_wrote_is_run_by_the_command_it_names(hpsearch):
    rows = "".join(f"{i},{i % 7},{'ab'[i % 2]}\n" for i in range(60))
    Path("of mine/a table.csv").write_text("x,y,kind\n" + rows)
    code, _, err = hpsearch("init", "of mine/a table.csv", "--target", "kind", "-o", "./-x.py")
    if code == 0:
        (command,) = re.findall(r"run it: hpsearch run (.*)", err)
        assert hpsearch("plan", *shlex.split(command))[0] == 0
    code, _, err = hpsearch("init", "of mine/a table.csv", "--target", "kind")
    assert code == 0, err
    (command,) = re.findall(r"run it: hpsearch run (.*)", err)
    assert hpsearch("plan", *shlex.split(command))[0] == 0
