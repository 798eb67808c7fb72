import json
import os
import signal
import sqlite3
import time
import types
import warnings

import numpy as np
import pytest
from sklearn import model_selection
from sklearn.base import clone
from sklearn.exceptions import FitFailedWarning

from hpsearch import Grid, KerasSearchCV, Random, TrialFailed
from hpsearch.core.errors import DeviceError, StudyError
from hpsearch.sklearn_api.searching import choose_place
from tests.sklearn_api.builds import FRAME, NAMES, RATES, X, build, encode_columns


def searching(trials=3, epochs=3, **options):
    options = {"cv": 2, "engine": "fit"} | options
    return KerasSearchCV(build, RATES, Random(trials=trials, epochs=epochs), **options)


def assert_same_results(one, other):
    times = ("mean_fit_time", "std_fit_time")
    table, expected = one.cv_results_, other.cv_results_
    assert table.keys() == expected.keys()
    for name in table.keys() - {*times, "params"}:
        np.testing.assert_array_equal(table[name], expected[name], err_msg=name)
    assert table["params"] == expected["params"]
    assert one.best_params_ == other.best_params_
    if one.refit:
        assert np.array_equal(one.predict_proba(X), other.predict_proba(X))


@pytest.fixture(scope="module")
def undisturbed():
    return searching().fit(X, NAMES)


def test_the_place_follows_the_keywords():
    def place(**given):
        options = {"n_jobs": None, "devices": None, "store": None, "verbose": 0}
        return choose_place(**{**options, "engine": "fit", "random_state": 0, **given})

    assert place(n_jobs=1).devices is None
    assert place(n_jobs=2).devices == "cpu:2"
    assert place(n_jobs=-1).devices == f"cpu:{len(os.sched_getaffinity(0))}"
    assert place(devices="cpu:3").devices == "cpu:3"
    assert place(verbose=True).verbose == 1
    for given, message in [
        ({"n_jobs": 0}, "n_jobs is a number of worker processes.*got 0"),
        ({"n_jobs": "2"}, "n_jobs is a number of worker processes"),
        ({"n_jobs": 2, "devices": "cpu:2"}, "n_jobs=2 counts workers, and devices='cpu:2' names"),
        ({"devices": 2}, "devices is a text"),
        ({"hours": 0}, "hours is how long to search, above 0, got 0"),
        ({"hours": float("inf")}, "hours is how long to search, above 0, got inf"),
        ({"hours": "1"}, "hours is how long to search, above 0, got '1'"),
        ({"error_score": "nan"}, "error_score is a number, or 'raise', got 'nan'"),
        ({"error_score": True}, "error_score is a number, or 'raise', got True"),
        ({"verbose": -1}, "verbose is a whole number from 0 on, got -1"),
        ({"store": "s.db", "random_state": None}, "give random_state= a whole number, got None"),
    ]:
        with pytest.raises(ValueError, match=message):
            place(**given)
    with pytest.raises(DeviceError, match="neither auto, cpu, cpu:N nor GPU numbers"):
        place(devices="nowhere")


@pytest.mark.slow
def test_two_workers_find_what_one_process_finds(undisturbed):
    assert_same_results(searching(n_jobs=2).fit(X, NAMES), undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize("inline", [True, False], ids=["in this process", "by workers"])
def test_a_fit_that_is_interrupted_goes_on_to_the_same_results(tmp_path, undisturbed, inline):
    pressed = []

    class Press(__import__("keras").callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                pressed.append(epoch)
                if len(pressed) == 3:  # in the middle of the second trial
                    signal.raise_signal(signal.SIGINT)

    store = tmp_path / "store.db"
    options = {"store": store} if inline else {"store": store, "devices": "cpu:2"}
    plain = searching(callbacks=lambda trial: [], refit=False).fit(X, NAMES)
    if inline:
        with pytest.raises(KeyboardInterrupt):
            searching(
                callbacks=lambda trial: [] if trial.is_probe else [Press()], refit=False, **options
            ).fit(X, NAMES)
    else:
        stop_after_first_trial(store, options)
    ended = sqlite3.connect(store).execute("SELECT COUNT(*) FROM told").fetchone()[0]
    assert ended < 3
    continued = searching(callbacks=lambda trial: [], refit=False, **options).fit(X, NAMES)
    assert_same_results(continued, plain)
    # Once more, nothing is trained.
    again = searching(callbacks=lambda trial: [], refit=False, **options).fit(X, NAMES)
    assert_same_results(again, plain)


def stop_after_first_trial(store, options):
    """Begin a fit with workers, and press Ctrl-C once its first trial has ended."""
    import threading

    def press():
        for _ in range(2000):
            time.sleep(0.05)
            try:
                found = sqlite3.connect(store).execute("SELECT COUNT(*) FROM told").fetchone()[0]
            except sqlite3.Error:
                continue
            if found:
                os.kill(os.getpid(), signal.SIGINT)
                return

    class Rest(__import__("keras").callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            time.sleep(0.2)

    thread = threading.Thread(target=press)
    thread.start()
    many = {"callbacks": lambda trial: [Rest()], "refit": False, **options}
    with pytest.raises(KeyboardInterrupt):
        searching(trials=300, **many).fit(X, NAMES)
    thread.join()


@pytest.mark.slow
def test_the_commands_read_a_store(tmp_path, capfd, hpsearch):
    store = tmp_path / "store.db"
    search = searching(
        trials=2, store=store, name="trees", preprocess=encode_columns(), refit=False
    ).fit(FRAME, NAMES)
    code, out, errors = hpsearch("rank", "--store", store, "--json")
    assert code == 0, errors
    assert json.loads(out)[0]["value"] == pytest.approx(search.best_score_)
    assert hpsearch("report", "trees", "--store", store, "-o", tmp_path / "page.html")[0] == 0
    assert "trees" in (tmp_path / "page.html").read_text()
    capfd.readouterr()
    more = searching(
        trials=3, store=store, name="trees", preprocess=encode_columns(), refit=False, verbose=2
    ).fit(FRAME, NAMES)
    printed = capfd.readouterr().out
    assert "Fitting 2 folds for each of 3 candidates" in printed
    assert "continuing after 2 trials" in printed
    assert "[3/3] trial 3" in printed
    assert more.cv_results_["params"][:2] == search.cv_results_["params"]
    with pytest.raises(StudyError, match=r"another search trees: .*the data changed; give name="):
        searching(store=store, name="trees", preprocess=encode_columns()).fit(FRAME[::-1], NAMES)
    with pytest.raises(StudyError, match="another search trees: preprocess was"):
        searching(store=store, name="trees").fit(X, NAMES)


@pytest.mark.slow
def test_verbose_prints_how_far_it_is(capsys):
    searching(trials=2, epochs=1, refit=False).fit(X, NAMES)
    assert capsys.readouterr().out == ""
    searching(trials=2, epochs=1, refit=False, verbose=1).fit(X, NAMES)
    assert capsys.readouterr().out == "Fitting 2 folds for each of 2 candidates\n"
    searching(trials=2, epochs=1, refit=False, verbose=2).fit(X, NAMES)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[1].startswith("[1/2] trial 1  accuracy")


@pytest.fixture
def clock(monkeypatch):
    """A clock that each epoch moves on by minutes: `epochs` counts those of a search.

    The first trial of a search ends in time; its second one takes longer than was foreseen.
    """
    import keras

    real, moved = time.monotonic, types.SimpleNamespace(seconds=0.0, epochs=0)
    monkeypatch.setattr(time, "monotonic", lambda: real() + moved.seconds)

    def pass_time(epoch, logs):
        moved.epochs += 1
        moved.seconds += 60.0 if moved.epochs <= 6 else 900.0  # three epochs of two folds

    def make_callbacks(trial):
        counts = not (trial.is_probe or trial.is_refit)
        return [keras.callbacks.LambdaCallback(on_epoch_end=pass_time)] if counts else []

    moved.callbacks = make_callbacks
    return moved


@pytest.mark.slow
def test_the_hours_end_a_search_which_then_trains_the_best_so_far(tmp_path, clock, undisturbed):
    # More trials than the time has room for; and the deadline falls into the middle of one.
    many = searching(trials=10_000, callbacks=clock.callbacks, hours=1.0).fit(X, NAMES)
    ended = len(many.cv_results_["params"])
    assert 6 < clock.epochs < 12
    assert 0 < ended < 10_000
    assert many.best_params_ in many.cv_results_["params"]
    assert many.predict(X).shape == (60,)
    # Where the hours are enough, they change nothing.
    assert_same_results(searching(hours=1.0).fit(X, NAMES), undisturbed)
    # With a store, another fit goes on where the hours ended.
    options = {"hours": 1.0, "store": tmp_path / "store.db", "refit": False}
    first = searching(trials=10_000, callbacks=clock.callbacks, **options)
    clock.epochs = 0
    begun = first.fit(X, NAMES).cv_results_["params"]
    clock.epochs = 0
    further = clone(first).fit(X, NAMES).cv_results_["params"]
    assert len(further) > len(begun)
    assert further[: len(begun)] == begun


def failing(**options):
    options = {"cv": 2, "engine": "fit"} | options
    space = {"rate": [0.01, 0.1]}
    return KerasSearchCV(build_unless_high, space, Grid(epochs=1), **options)


def build_unless_high(spec, rate):
    if rate > 0.05:
        raise TrialFailed("too high a rate")
    return build(spec, rate)


@pytest.mark.slow
def test_error_score_is_the_score_of_trials_that_failed():
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", FitFailedWarning)
        table = failing(error_score=-2.0).fit(X, NAMES).cv_results_
    (warning,) = [str(each.message) for each in told if each.category is FitFailedWarning]
    assert "1 of 2 trials failed" in warning
    failed = [params["rate"] > 0.05 for params in table["params"]].index(True)
    for column in ("split0_test_score", "split1_test_score", "mean_test_score"):
        assert table[column][failed] == -2.0
    assert table["std_test_score"][failed] == 0.0
    assert table["rank_test_score"][failed] == 2
    with (
        warnings.catch_warnings(action="ignore", category=FitFailedWarning),
        pytest.raises(ValueError, match="failed; give an error_score that ranks lower"),
    ):
        failing(error_score=2.0).fit(X, NAMES)


@pytest.mark.slow
@pytest.mark.parametrize("kept", [False, True], ids=["in memory", "in a store"])
def test_error_score_raise_ends_the_search_with_the_first_failure(tmp_path, kept):
    options = {"store": tmp_path / "store.db"} if kept else {}
    ends = pytest.raises(StudyError, match=r"trial of \{'rate': 0.1\} failed with failed: too high")
    with ends:
        failing(error_score="raise", **options).fit(X, NAMES)
    if kept:  # and as often as it is fitted again
        with ends:
            failing(error_score="raise", **options).fit(X, NAMES)


@pytest.mark.slow
def test_a_store_inside_a_cross_validation_is_refused_with_the_way_out(tmp_path):
    search = searching(trials=1, epochs=1, store=tmp_path / "store.db")
    with pytest.raises(
        StudyError, match=r"the data changed.*inside a cross-validation.*store=None"
    ):
        model_selection.cross_val_score(search, X, NAMES, cv=2, error_score="raise")
