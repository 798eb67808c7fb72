"""Tables of curves, and the replay of searches on them (`tests/benchmarks`)."""

import numpy as np
import pytest

from hpsearch import Choice, Float, Hyperband, Int, Random, Space
from hpsearch.core.trial import Suggestion
from tests.benchmarks import curve_tables
from tests.benchmarks.curve_tables import Table, read_table, round_off, write_table
from tests.benchmarks.replay_curves import Replay, Rows, judge

SPACE = Space(
    optimizer=Choice("a", "b", "c"),
    units=Int(1, 64, log=True),
    rate=Float(0.0, 1.0),
    momentum=Float(0.0, 1.0, when={"optimizer": "b"}),
)


def make_table(rows=200, epochs=9, direction="min"):
    """Losses that fall with epochs, and are low where rate is near 0.3 and the optimizer is b."""
    rng = np.random.default_rng(0)
    points = [SPACE.sample(rng) for _ in range(rows)]
    ends = np.array([abs(p["rate"] - 0.3) + (p["optimizer"] != "b") for p in points])
    curves = ends[:, None, None] + 1 / np.arange(1, epochs + 1)[None, None, :]
    about = {
        "space": SPACE.to_json(), "direction": direction, "structure": ["optimizer"],
        "seconds_to_compile": 2.0, "seconds_alone": 0.9,
    }  # fmt: skip
    values = np.repeat(curves, 2, axis=1).astype(np.float32)
    return Table(
        points,
        -values if direction == "max" else values,
        np.full(rows, 0.3, np.float32),
        np.full(rows, 10),
        about,
    )


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(curve_tables, "FOLDER", tmp_path)


def test_a_table_is_read_as_it_was_written(folder):
    table = make_table(5)
    table.values[2, 1, 4:] = np.nan
    table.values[3, 0, 0] = np.inf
    assert read_table("made") is None
    write_table("made", table)
    found = read_table("made")
    assert (found.points, found.about) == (table.points, table.about)
    assert list(found.space) == list(SPACE)
    np.testing.assert_allclose(found.values, table.values, rtol=1e-4)
    np.testing.assert_array_equal(found.seconds, table.seconds)
    # A longer table begins with the shorter one, to the last bit.
    write_table("made", found.joined(make_table(3)))
    np.testing.assert_array_equal(read_table("made").values[:5], found.values)


def test_rounding_keeps_four_digits():
    values = np.array([0.0, 1.0, -3.14159265, 1e30, np.nan, -np.inf], np.float32)
    rounded = round_off(values)
    np.testing.assert_allclose(rounded, values, rtol=1e-4)
    np.testing.assert_array_equal(round_off(rounded), rounded)


def test_the_nearest_free_row_is_taken():
    rows = Rows(make_table(50))
    free = np.ones(50, bool)
    point = rows.table.points[7]
    assert rows.nearest(point, free) == 7
    free[7] = False
    second = rows.nearest(point, free)
    assert second != 7
    assert rows.table.points[second]["optimizer"] == point["optimizer"]


@pytest.mark.parametrize("direction", ["min", "max"])
def test_regret_is_0_at_the_best_row_and_1_at_the_median(direction):
    rows = Rows(make_table(direction=direction))
    best = min(rows.losses[:, -1])
    assert rows.regret(best) == 0.0
    assert rows.regret(np.median(rows.losses[:, -1])) == pytest.approx(1.0)
    assert rows.regret(9.0) == 1.0


def test_a_failed_row_is_told_as_failed_and_is_never_the_best():
    table = make_table(30)
    table.values[4, :, :3] = 5.0
    table.values[4, 0, 3:] = np.nan  # one fold diverges at the fourth epoch
    replay = Replay(Rows(table), 1)
    point = table.points[4]
    replay.row_of = {0: 4, 1: 4}
    replay.asked = {0: Suggestion(point, 3), 1: Suggestion(point, 9, 0)}
    assert replay._observe(0).loss == 5.0
    seen = replay._observe(1)
    assert (seen.loss, seen.curve) == (None, ())
    assert replay.found[-1] == (1.0, 0.0, 5.0)


def test_a_trial_that_continues_stays_in_its_row_and_pays_for_the_rest_only():
    replay = Replay(Rows(make_table()), 1)
    replay.run(Hyperband(max_epochs=9), seed=0)
    for trial, suggestion in replay.asked.items():
        if suggestion.parent is not None:
            assert replay.row_of[trial] == replay.row_of[suggestion.parent]
    new = [replay.row_of[t] for t, s in replay.asked.items() if s.parent is None]
    assert len(set(new)) == len(new)
    trained = sum(
        s.epochs - (0 if s.parent is None else replay.asked[s.parent].epochs)
        for s in replay.asked.values()
    )
    assert replay.spent == pytest.approx(trained / 9)


def test_side_by_side_takes_less_time_and_as_many_epochs():
    spent = {}
    for flight in (1, 12):
        rows = Rows(make_table())
        rows.best = -1.0  # so that no search ends before the other
        replay = Replay(rows, flight)
        replay.run(Random(trials=24, epochs=9), seed=0)
        spent[flight] = (replay.spent, replay.seconds)
    assert spent[1] == pytest.approx((24, 24 * 0.9 + 3 * 2.0))
    assert spent[12][0] == pytest.approx(24)
    assert 24 * 0.3 + 3 * 2.0 < spent[12][1] < spent[1][1] / 1.5


def test_a_model_finds_more_than_random_points():
    rows = Rows(make_table(400))
    found = {
        text: judge(text, rows, 1, range(3))
        for text in ("tpe:trials=60,epochs={epochs}", "random:trials=60,epochs={epochs}")
    }
    model, random = found.values()
    assert model[3] < random[3]
    assert all(0 <= regret <= 1 for regret in model + random)
    assert model[:5] == sorted(model[:5], reverse=True)


def test_rows_are_taken_again_only_once_each_is_taken():
    rows = Rows(make_table(10))
    rows.best = -1.0  # so that it goes on when the best row is found
    replay = Replay(rows, 4)
    replay.run(Random(trials=25, epochs=9), seed=0)
    taken = list(replay.row_of.values())
    assert sorted(taken[:10]) == sorted(taken[10:20]) == list(range(10))
    assert len(set(taken[20:])) == 5


def test_a_replay_ends_where_nothing_is_left_to_find():
    replay = Replay(Rows(make_table(10)), 1)
    replay.run(Random(trials=25, epochs=9), seed=0)
    assert len(replay.asked) <= 10
    assert replay.regrets()[3] == 0.0
