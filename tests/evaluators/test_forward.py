"""Rolling origin: no row of the future, or with a target of the future, is ever trained on."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import KFold as SklearnKFold
from sklearn.model_selection import TimeSeriesSplit

from hpsearch import Data, Forward, Given, Holdout, KFold, Task, Windows
from hpsearch.core.errors import DataError
from hpsearch.core.trial import Curve


def make_task(data):
    return Task("series", data, loss="mse")


def rows_of(count, **times):
    return Data(np.arange(count * 2.0).reshape(count, 2), np.arange(count * 1.0), **times)


def split(evaluator, data):
    return evaluator.splits(make_task(data), data, seed=0)


TIMES = st.lists(st.integers(0, 3), min_size=24, max_size=60).map(np.cumsum)


@settings(max_examples=200, deadline=None)
@given(
    times=TIMES,
    ahead=st.integers(0, 9),
    folds=st.integers(2, 5),
    horizon=st.one_of(st.none(), st.integers(1, 5)),
    gap=st.integers(0, 4),
    window=st.one_of(st.none(), st.integers(1, 10)),
)
def test_nothing_of_the_future_is_trained_on(times, ahead, folds, horizon, gap, window):
    data = rows_of(len(times), times=times, target_times=times + ahead)
    evaluator = Forward(folds, horizon=horizon, gap=gap, window=window)
    instants = np.unique(times, return_inverse=True)[1]
    count = instants[-1] + 1
    size = horizon or count // (folds + 1)
    begins = count - size * np.arange(folds, 0, -1)
    starts = np.searchsorted(instants, begins)
    pasts = [
        (instants < begin - gap) & (times + ahead <= times[start])
        for begin, start in zip(begins, starts, strict=True)
        if size and begin > gap
    ]
    if len(pasts) < folds or not all(past.any() for past in pasts):
        with pytest.raises(DataError, match="instants"):
            split(evaluator, data)
        return
    if window is not None and len(np.unique(instants[pasts[-1]])) <= window:
        with pytest.raises(DataError, match="has no effect"):
            split(evaluator, data)
        return
    splits = split(evaluator, data)
    assert len(splits) == folds
    for each, begin, past in zip(splits, begins, pasts, strict=True):
        # All that is known by then is trained on, and nothing else.
        if window is not None:
            past &= instants > instants[past].max() - window
            assert len(np.unique(instants[each.train])) <= window
        assert each.train.tolist() == np.flatnonzero(past).tolist()
        assert times[each.train].max() < times[each.validation[0]]
        assert times[each.train].max() + ahead <= times[each.validation[0]]
        whole = (instants >= begin) & (instants < begin + size)
        assert each.validation.tolist() == np.flatnonzero(whole).tolist()
    assert splits[-1].validation[-1] == len(times) - 1


@pytest.mark.parametrize("gap", [0, 2])
@pytest.mark.parametrize("horizon", [None, 3])
@pytest.mark.parametrize("window", [None, 7])
def test_without_times_folds_are_those_of_scikit_learn(gap, horizon, window):
    theirs = TimeSeriesSplit(4, test_size=horizon, gap=gap, max_train_size=window)
    data = rows_of(43)
    found = split(Forward(4, horizon=horizon, gap=gap, window=window), data)
    for each, (train, validation) in zip(found, theirs.split(data.x), strict=True):
        assert each.train.tolist() == train.tolist()
        assert each.validation.tolist() == validation.tolist()


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(70, 99), min_size=1, max_size=3),
    lags=st.integers(1, 6),
    horizon=st.integers(1, 5),
    steps=st.integers(1, 3),
    seed=st.integers(0, 9),
)
def test_windows_of_many_series_are_validated_on_the_future_alone(
    lengths, lags, horizon, steps, seed
):
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(len(lengths)), lengths)
    # Each value says its own time, so that windows and targets tell what they know.
    times = np.concatenate([rng.integers(0, 9) + np.arange(length) for length in lengths])
    mixed = rng.permutation(len(times))
    mixed = mixed[np.argsort(times[mixed], kind="stable")]
    windows = Windows(
        times[mixed].astype(float),
        lags=lags,
        horizon=horizon,
        steps=steps,
        groups=groups[mixed],
        times=times[mixed],
    )
    data = windows.data(test=0.2)
    assert np.diff(data.times).min() >= 0
    known_at_test = data.x_test[:][:, -1].min()
    assert max(data.x[:].max(), data.y.max()) <= known_at_test
    for each in split(Forward(3), data):
        x, y = data.x[each.train], data.y[each.train]
        begin = data.x[each.validation][:, -1].min()
        assert x.max() < begin
        assert y.max() <= begin
        assert (data.x[each.validation][:, -1] >= begin).all()


def test_several_rows_of_one_instant_are_never_parted():
    times = np.repeat(np.arange(30), 4)
    for each in split(Forward(4, gap=1), rows_of(120, times=times)):
        assert len(each.validation) == 4 * 6
        assert not set(times[each.train]) & set(times[each.validation])


def test_holdout_of_the_last_rows_is_purged_too():
    times = np.repeat(np.arange(20), 3)
    data = rows_of(60, times=times, target_times=times + 4)
    (found,) = split(Holdout(rows=10, shuffle=False), data)
    assert found.validation.tolist() == list(range(50, 60))
    assert times[found.train].max() + 4 == times[50]
    early = rows_of(60, times=times, target_times=times + 19)
    with pytest.raises(DataError, match="leaves no row of task series to train on"):
        split(Holdout(rows=10, shuffle=False), early)


@pytest.mark.parametrize(
    "evaluator", [KFold(3), KFold(3, shuffle=False), Holdout(), Given(SklearnKFold(3))]
)
def test_what_trains_on_the_future_is_refused_where_rows_have_times(evaluator):
    with pytest.raises(DataError, match=r"times; use Forward\(\)"):
        split(evaluator, rows_of(30, times=np.arange(30)))
    split(evaluator, rows_of(30))


def test_given_splits_are_held_to_the_same_rule():
    data = rows_of(40, times=np.arange(40), target_times=np.arange(40) + 3)
    split(Given(TimeSeriesSplit(4, gap=2)), data)
    with pytest.raises(DataError, match=r"trains on row 6, .* known .* at row 8"):
        split(Given(TimeSeriesSplit(4)), data)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Forward(shuffle=True), "keeps rows in their order, got shuffle=True"),
        (lambda: Forward(1), "folds >= 2, got folds=1"),
        (lambda: Forward(gap=-1), "gap >= 0 instants, got gap=-1"),
        (lambda: Forward(gap=1.5), "gap >= 0"),
        (lambda: Forward(horizon=0), "horizon >= 1"),
        (lambda: Forward(window=0), "window >= 1"),
    ],
)
def test_options_that_make_no_sense_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("evaluator", "ahead", "message"),
    [
        (Forward(40), 0, "needs more than 40 instants, and task series has 30"),
        (Forward(5, horizon=6), 0, "needs more than 30 instants"),
        (Forward(5, gap=5), 0, "more than 30 instants.*fewer folds, or a smaller horizon or gap"),
        (Forward(5), 9, "fold 0 of .* has no row to train on: none of the targets of its 5"),
        (Forward(5, window=25), 0, "window=25 has no effect: .* all of its 25 instants"),
    ],
)
def test_folds_that_have_nothing_to_train_on_are_refused(evaluator, ahead, message):
    times = np.arange(30)
    with pytest.raises(DataError, match=message) as raised:
        split(evaluator, rows_of(30, times=times, target_times=times + ahead))
    assert "\n" not in str(raised.value)


def test_its_error_is_that_of_the_means_of_blocks():
    score = Forward(4).score([Curve(validation=(v,)) for v in (1.0, 2.0, 3.0, 6.0)],
                             make_task(rows_of(9)).objective)  # fmt: skip
    assert score.se == pytest.approx(np.std([1, 2, 3, 6], ddof=1) / 2)
