"""Baselines are trained beside a search, once, and leave the search as it is."""

import os
import signal
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression, SGDClassifier

from hpsearch import Data, KFold, Space, Study, Task
from hpsearch.core.errors import HpsearchError
from hpsearch.core.parameters import Float
from hpsearch.core.trial import Facts, Job, Outcome
from hpsearch.runs import baseline_process, baseline_search
from hpsearch.runs.arguments import choose_baseline_mode
from hpsearch.runs.baseline_bound import bound_processor_time
from hpsearch.runs.baseline_search import are_trained, train_baselines
from hpsearch.runs.identity import make_search_record
from hpsearch.runs.load import Overrides
from hpsearch.runs.options import RunOptions
from hpsearch.store import Store, rank_tasks, read_metrics
from tests.runs.whole_runs import finish, journal, start

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4)).astype("float32")
DATA = Data(X, (X[:, 0] > 0).astype(int))
LINEAR = LogisticRegression()
FEW = {"majority class": None, "linear": LINEAR}

STUDY = """
from hpsearch import *
from hpsearch.tasks import digits
from sklearn.linear_model import LogisticRegression


def train(run, rate):
    for _ in run.epochs():
        run.report(accuracy=rate, loss=1 - rate)
        run.save({"rate": rate})


study = Study(
    task=digits.task(),
    space=Space(rate=Float(0.0, 0.5)),
    train=train,
    searcher=Random(trials=3, epochs=2),
    evaluator=KFold(2),
    baselines={"majority class": None, "linear": LogisticRegression()},
)
"""


def train(run, rate):
    raise AssertionError("the search is not run here")


def study_of(baselines=FEW):
    task = Task("t", DATA, loss="sparse_categorical_crossentropy", metric="accuracy")
    space = Space(rate=Float(0.0, 0.5))
    return Study(
        name="s", task=task, space=space, train=train, evaluator=KFold(3), baselines=baselines
    )


def train_all(study, **options):
    """Train the baselines of a study in this process; what was said, and the run's options."""
    options = RunOptions(
        None, Path("store.db"), Overrides(), "jax", **{"baselines": "quick", **options}
    )
    record = make_search_record(study, None, Facts(DATA.fingerprint, "", "jax", {}))
    said = []
    with ExitStack() as opened:
        train_baselines(study, record, options, opened, said.append)
    return said, record, options


def trained():
    """By search of baselines, the names of those that ended, and whether they failed."""
    with Store(Path("store.db")) as store:
        return [
            {
                search_names[event.trial]: event.outcome.failure is not None
                for event in store.journal(search.id).events()
                if hasattr(event, "outcome")
            }
            for search in store.searches()
            if search.has_baselines
            for search_names in [_names(store, search)]
        ]


def _names(store, search):
    return [
        event.answer.params["baseline"]
        for event in store.journal(search.id).events()
        if hasattr(event, "answer") and hasattr(event.answer, "params")
    ]


def test_each_is_trained_once():
    said, record, options = train_all(study_of())
    assert len(said) == 2
    assert said[0].startswith("baseline majority class: accuracy 0.")
    assert train_all(study_of())[0] == []
    assert trained() == [{"majority class": False, "linear": False}]
    with Store(Path("store.db")) as store:
        assert are_trained(store, record, FEW, options)
        assert not are_trained(store, record, None, options)
        assert not are_trained(store, replace(record, seed=9), FEW, options)


def test_other_metrics_are_recorded_too():
    study = study_of(FEW | {"drawing": SGDClassifier(loss="log_loss")})
    study = replace(study, task=replace(study.task, metrics=("f1_macro",)))
    train_all(study)
    train_all(study, repeats=1)
    with Store(Path("store.db")) as store:
        [search] = store.searches()
        recorded = read_metrics(store, [search.id])
    assert [[*each.at_best] for each in recorded.values()] == [["f1_macro"]] * 3


def test_a_study_whose_baselines_change_trains_the_new_ones_only():
    train_all(study_of())
    changed = FEW | {"linear": LogisticRegression(C=0.1), "prior": DummyClassifier()}
    train_all(study_of(changed))
    assert trained()[1] == {"linear": False, "prior": False}
    train_all(study_of())  # nothing is new
    assert len(trained()) == 2


def test_one_that_was_begun_goes_on_where_it_stopped(monkeypatch):
    train_all(study_of())
    os.rename("store.db", "whole.db")
    ended = []

    def stop(work, job):
        if len(ended) == 1:
            raise KeyboardInterrupt
        ended.append(job)
        return do(work, job)

    do = baseline_search._do
    with monkeypatch.context() as patch:
        patch.setattr(baseline_search, "_do", stop)
        with pytest.raises(KeyboardInterrupt):
            train_all(study_of())
    assert trained() == [{"majority class": False}]
    train_all(study_of())
    assert journal("store.db") == journal("whole.db")


def burn(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


class Slow(DummyClassifier):
    def fit(self, x, y, sample_weight=None):
        burn(0.3)
        return super().fit(x, y)


def test_one_that_takes_too_long_fails_says_so_and_is_trained_in_full(monkeypatch):
    monkeypatch.setattr(baseline_search, "_QUICK_SECONDS", 0.2)
    study = study_of({"slow": Slow, "prior": DummyClassifier()})
    said, record, quick = train_all(study)
    assert said[0].startswith("baseline slow: failed: it takes more than 0.2 seconds")
    assert "--baselines full" in said[0]
    assert trained() == [{"slow": True, "prior": False}]
    full = replace(quick, baselines="full")
    with Store(Path("store.db")) as store:
        assert are_trained(store, record, study.baselines, quick)  # not tried in each run
        assert not are_trained(store, record, study.baselines, full)
    train_all(study, baselines="full")
    assert trained()[1] == {"slow": False}


def test_the_bound_is_of_processor_time():
    def work(jobs):
        time.sleep(0.4)
        yield 0, Outcome()

    assert list(bound_processor_time(work, 0.3)([Job({}, 1)])) == [(0, Outcome())]


def test_those_that_draw_are_repeated_with_the_finalists():
    study = study_of({"drawing": SGDClassifier(loss="log_loss"), "majority class": None})
    train_all(study)
    _, record, options = train_all(study, repeats=2)
    with Store(Path("store.db")) as store:
        [[*rows]] = rank_tasks(store)
        assert {row.baseline: row.repeats for row in rows} == {"drawing": 2, "majority class": 0}
        assert are_trained(store, record, study.baselines, options)
        assert not are_trained(store, record, study.baselines, replace(options, repeats=3))


def test_other_data_than_the_searchs_is_refused():
    study = study_of()
    options = RunOptions(None, Path("store.db"), Overrides(), "jax", baselines="quick")
    record = make_search_record(study, None, Facts("other", "", "jax", {}))
    with ExitStack() as opened, pytest.raises(HpsearchError, match="data has changed"):
        train_baselines(study, record, options, opened, print)


@pytest.mark.parametrize(
    ("given", "variable", "mode"),
    [(None, None, "quick"), (None, "off", "off"), ("full", "off", "full")],
)
def test_the_mode_is_given_or_the_variables(given, variable, mode, monkeypatch):
    monkeypatch.delenv("HPSEARCH_BASELINES")
    if variable:
        monkeypatch.setenv("HPSEARCH_BASELINES", variable)
    assert choose_baseline_mode(given) == mode


def test_an_unknown_mode_is_refused_in_one_line(hpsearch, write, monkeypatch):
    monkeypatch.setenv("HPSEARCH_BASELINES", "some")
    code, _, err = hpsearch("run", write(text=STUDY), "--inline")
    assert code == 2
    assert "HPSEARCH_BASELINES is off, quick, full, got 'some'" in err


def events_of_study(path):
    """The journal of the study's own search, without ids, which count all trials of a store."""
    with Store(Path(path)) as store:
        places = [n for n, each in enumerate(store.searches()) if not each.has_baselines]
    [place] = places
    return [(event[0], event[1]) for event in journal(path)[place]]


@pytest.mark.slow
def test_a_run_trains_them_beside_the_search_which_stays_the_same(hpsearch, write, monkeypatch):
    file = write(text=STUDY)
    code, _, err = hpsearch("run", file, "--inline", "--store", "off.db", "--baselines", "off")
    assert code == 0, err
    code, out, err = hpsearch("run", file, "--inline", "--store", "on.db", "--baselines", "full")
    assert code == 0, err
    assert "baseline linear: accuracy" in out + err
    assert events_of_study("on.db") == events_of_study("off.db")
    with Store(Path("on.db")) as store:
        [[*rows]] = rank_tasks(store)
        one, other = store.searches()
    assert {row.baseline for row in rows} == {None, "majority class", "linear"}
    assert one.comparison == other.comparison

    def refuse(*_):
        raise AssertionError("all of them are trained")

    monkeypatch.setattr(baseline_process.BaselineProcess, "start", refuse)
    assert hpsearch("run", file, "--inline", "--store", "on.db", "--baselines", "full")[0] == 0
    # Over, with them.
    started = []
    monkeypatch.setattr(baseline_process.BaselineProcess, "start", lambda *_: started.append(1))
    assert (
        hpsearch("run", file, "--inline", "--store", "on.db", "--baselines", "quick", "--fresh")[0]
        == 0
    )
    assert started


@pytest.mark.slow
def test_they_end_with_a_run_that_is_killed_and_go_on_in_the_next(write):
    file = write(text=STUDY)
    process = start(file, "--inline", "--baselines", "full")
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and not owner():
        time.sleep(0.05)
    child = owner()
    assert child
    process.send_signal(signal.SIGKILL)
    process.communicate()
    while time.monotonic() < deadline and owner():
        time.sleep(0.05)
    assert owner() == ""  # the system killed it, too
    assert finish(start(file, "--inline", "--baselines", "full"))[0] == 0
    assert trained() == [{"majority class": False, "linear": False}]


def owner():
    """The process that trains the baselines, "" where none does."""
    try:
        with Store(Path("store.db")) as store:
            return store.db.find_owner("small/baselines") or ""
    except HpsearchError:
        return ""
