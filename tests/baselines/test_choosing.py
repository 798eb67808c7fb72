"""Which baselines suit a task, and what is said where one does not."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from hpsearch import Data, Task
from hpsearch.baselines import SeasonalValue, check_given, choose_baselines
from hpsearch.baselines.inputs import count_tokens, describe_rows
from hpsearch.baselines.seasons import find_earlier_rows, guess_season
from hpsearch.core.errors import StudyError

RNG = np.random.default_rng(0)
TABLE = RNG.normal(size=(40, 3)).astype("float32")
CLASSES = np.arange(40) % 3
NUMBERS = TABLE[:, 0] * 2
HOURS = np.datetime64("2026-01-01T00") + np.arange(40) * np.timedelta64(1, "h")
CROSS = "sparse_categorical_crossentropy"


def names(data, loss=CROSS, given=None, **how):
    return list(choose_baselines(Task("t", data, loss=loss, **how), data, given).baselines)


def notes(data, loss=CROSS, given=None, **how):
    return list(choose_baselines(Task("t", data, loss=loss, **how), data, given).notes)


@pytest.mark.parametrize(
    ("data", "how", "wanted"),
    [
        (Data(TABLE, CLASSES), {}, ["majority class", "logistic regression", "gradient boosting"]),
        (
            Data(TABLE, NUMBERS),
            {"loss": "mse"},
            ["mean", "ridge regression", "gradient boosting"],
        ),
        (
            Data(TABLE, NUMBERS),
            {"loss": "mse", "metric": "mae"},
            ["median", "ridge regression", "gradient boosting"],
        ),
        (
            Data(TABLE, TABLE[:, :2] > 0),
            {"loss": "binary_crossentropy", "kind": "multilabel"},
            ["majority class", "logistic regression", "gradient boosting"],
        ),
        (
            Data(TABLE, np.eye(3)[CLASSES]),
            {"loss": "categorical_crossentropy"},
            ["majority class", "logistic regression", "gradient boosting"],
        ),
        (
            Data(RNG.random((40, 4, 4, 1)), CLASSES),
            {},
            ["majority class", "logistic regression"],
        ),
        (
            Data([f"word{i} other" for i in range(40)], CLASSES),
            {"preprocess": StandardScaler()},
            ["majority class", "TF-IDF, linear"],
        ),
        (
            Data(RNG.integers(0, 300, (40, 12)) * 0 + np.arange(12) * 30, CLASSES),
            {},
            ["majority class", "TF-IDF, linear"],
        ),
        (
            Data(TABLE, NUMBERS, times=HOURS),
            {"loss": "mse"},
            ["mean", "previous value", "seasonal value", "ridge regression", "gradient boosting"],
        ),
        (
            Data(RNG.random((40, 5, 2)), NUMBERS, times=np.arange(40)),
            {"loss": "mse"},
            ["mean", "previous value", "ridge regression", "gradient boosting"],
        ),
        (
            Data(np.zeros((40, 1001)), CLASSES),
            {},
            ["majority class", "logistic regression"],
        ),
    ],
)
def test_baselines_suit_the_task(data, how, wanted):
    assert names(data, **how) == wanted


def test_why_some_are_left_out_is_said():
    [note] = notes(Data(np.zeros((40, 1001)), CLASSES))
    assert "gradient boosting is left out" in note
    assert "1,001" in note


@pytest.mark.parametrize(
    ("data", "how", "said"),
    [
        (Data(TABLE, {"a": NUMBERS, "b": NUMBERS}), {"loss": {"a": "mse", "b": "mse"}}, "several"),
        (Data(TABLE, np.zeros((40, 5), int) + np.arange(5)), {"outputs": 5}, "several steps"),
        (
            Data(TABLE, np.full(40, 0.3)),
            {"loss": "binary_crossentropy"},
            "probabilities",
        ),
    ],
)
def test_a_task_that_no_baseline_can_learn_has_none_and_says_so(data, how, said):
    assert names(data, **how) == []
    [note] = notes(data, **how)
    assert note.startswith("no baselines: ")
    assert said in note


def test_streams_have_none():
    def batches(seed, batch_size):
        return [(TABLE, CLASSES)]

    data = Data.streams(batches, batches)
    assert names(data, outputs=3) == []
    assert "streams" in notes(data, outputs=3)[0]


def test_own_estimators_replace_those_that_suit_the_task():
    given = {"neighbours": KNeighborsClassifier(3), "gradient boosting": None}
    data = Data(TABLE, CLASSES)
    assert names(data, given=given) == ["neighbours", "gradient boosting"]
    assert names(data, given=()) == []
    assert names(data, given={"ridge regression": None}) == []
    [note] = notes(data, given={"ridge regression": None})
    assert "ridge regression" in note
    assert "does not suit" in note


def test_other_settings_of_an_own_estimator_are_told_apart():
    data = Data(TABLE, CLASSES)
    task = Task("t", data, loss=CROSS)
    one, other, same = (
        choose_baselines(task, data, {"k": KNeighborsClassifier(k)}).baselines["k"].settings
        for k in (3, 4, 3)
    )
    assert one != other
    assert one == same


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["ridge"], "a dict of estimators by name"),
        ({"": KNeighborsClassifier()}, "needs names"),
        ({"k": 3}, "needs an estimator"),
        ({"logistic": None}, "hpsearch makes itself"),
        ({"seasonal value": None}, "SeasonalValue(24)"),
    ],
)
def test_what_is_no_baseline_is_refused_in_one_line(given, said):
    with pytest.raises(StudyError, match=said.replace("(", r"\(").replace(")", r"\)")):
        check_given(given)


def test_a_season_needs_times_of_one_series():
    task = Task("t", Data(TABLE, NUMBERS), loss="mse")
    given = {"seasonal value": SeasonalValue(3)}
    assert "rows have no times" in notes(task.data, "mse", given)[0]
    twice = Data(TABLE, NUMBERS, times=np.repeat(np.arange(20), 2))
    assert "several series" in notes(twice, "mse", given)[0]


@pytest.mark.parametrize(
    ("unit", "step", "rows"),
    [("h", 1, 24), ("m", 30, 48), ("D", 1, 7), ("D", 7, 52), ("D", 30, 12), ("D", 200, None)],
)
def test_a_season_is_guessed_from_how_far_rows_are_apart(unit, step, rows):
    times = np.datetime64("2026-01-01T00:00") + np.arange(50) * np.timedelta64(step, unit)
    assert guess_season(times) == rows


def test_nobody_guesses_a_season_of_numbers():
    assert guess_season(np.arange("1980", "2020", dtype="datetime64[Y]")) is None
    assert guess_season(np.arange("1980-01", "1990-01", dtype="datetime64[M]")) == 12
    assert guess_season(np.arange(50)) is None
    assert guess_season(None) is None


@pytest.mark.parametrize("horizon", [0, 1, 5])
@pytest.mark.parametrize("steps", [1, 3])
def test_earlier_targets_are_known_when_the_row_is(horizon, steps):
    times = np.arange(30)
    data = Data(TABLE[:30], NUMBERS[:30], times=times, target_times=times + horizon)
    rows = np.arange(12, 30)
    found = find_earlier_rows(data, steps, rows)
    assert (found < rows).all()
    assert ((rows - found) % steps == 0).all()
    assert (times[found] + horizon <= times[rows]).all()
    # No later one would do.
    later = found + steps
    assert ((later >= rows) | (times[np.minimum(later, 29)] + horizon > times[rows])).all()


def test_words_are_counted_without_those_that_fill_up():
    counted = count_tokens(np.array([[0, 0, 2], [1, 2, 2], [9, 0, 0]]), words=3)
    assert counted.toarray().tolist() == [[0, 0, 1], [0, 1, 2], [0, 0, 0]]


def test_searched_preprocessing_is_not_the_baselines():
    frame = pd.DataFrame({"size": [1.0, np.nan] * 20, "colour": ["red", "blue", "red", None] * 10})
    data = Data(frame, CLASSES)

    def preprocess(share):
        return OneHotEncoder(min_frequency=share)

    chosen = choose_baselines(Task("t", data, loss=CROSS, preprocess=preprocess), data)
    assert list(chosen.baselines)[1:] == ["logistic regression", "gradient boosting"]
    found = chosen.task.preprocess.fit_transform(frame)
    assert found.shape == (40, 4)  # three colours, of which one is none, and a size
    assert np.isfinite(found.astype(float)).all()


def test_a_season_longer_than_the_series_is_no_baseline():
    day = Data(TABLE[:24], NUMBERS[:24], times=HOURS[:24])
    longer = Data(TABLE[:25], NUMBERS[:25], times=HOURS[:25])
    assert "seasonal value" in names(longer, "mse")
    assert "seasonal value" not in names(day, "mse")
    given = {"season": SeasonalValue(24)}
    assert names(longer, "mse", given) == ["season"]
    assert notes(day, "mse", given) == [
        "baseline season is left out: a season has 24 rows, and the data 24"
    ]


@pytest.mark.parametrize("most", [255, 90_000, 5_000_000])
def test_large_whole_numbers_are_of_a_table_and_few_words_are_counted(most):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 9, (40, 12))
    x[3, 4] = most
    task = Task("t", Data(x, np.arange(40) % 2), loss="binary_crossentropy", metric="accuracy")
    form = describe_rows(task, task.load())
    assert form.is_text == (most == 90_000)
    if form.is_text:
        counted = form.preprocess[0].transform(x)
        assert scipy.sparse.issparse(counted)
        assert counted.shape == (40, 50_000)
