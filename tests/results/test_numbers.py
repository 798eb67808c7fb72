"""What figures and the report draw, as numbers: on frames made by hand, or of a store."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hpsearch import Choice, Float, Int, Results, Space
from hpsearch.core.errors import ReportError
from hpsearch.core.trial import Suggestion
from hpsearch.results.best_so_far import best_so_far, own_epochs
from hpsearch.results.importance import compute_importance
from hpsearch.results.parameter_axes import (
    axis_labels,
    jittered_positions,
    jittered_unit_positions,
    unit_position,
)
from hpsearch.results.scales import scale_values, value_labels, value_range
from hpsearch.results.search_names import name_searches
from hpsearch.results.timeline import build_timeline, device_use
from hpsearch.results.trial_filters import leaf_trials, pareto_front
from hpsearch.store import Store
from tests.builders import make_outcome, make_record


def at(seconds):
    return pd.to_datetime(pd.Series(seconds, dtype="float64"), unit="s", utc=True)


def trials(*spans, device="a", search=1):
    """Complete trials that trained from begin to end; values 1, 2, 3 ..."""
    count = len(spans)
    frame = pd.DataFrame(
        {
            "device": device, "search": search, "state": "complete", "direction": "min",
            "value": np.arange(1.0, count + 1), "epochs": 10, "parent": pd.array([None] * count, "Int64"),
            "started": at([begin for begin, _ in spans]), "ended": at([end for _, end in spans]),
            "seconds": [end - begin for begin, end in spans],
        }
    )  # fmt: skip
    return frame.set_index(pd.RangeIndex(1, count + 1, name="trial"))


NO_REPEATS = pd.DataFrame(
    {name: [] for name in ("trial", "repeat", "value", "seconds", "device", "started", "ended")}
)


def test_the_best_so_far_counts_epochs_once_and_no_pauses():
    frame = trials((0, 10), (10, 30), (1000, 1010), (1010, 1020))
    frame["value"] = [0.5, np.nan, 0.4, 0.6]
    frame["parent"] = pd.array([None, None, 1, None], "Int64")
    frame.loc[3, "epochs"] = 30
    curve = best_so_far(frame)
    assert curve["epochs"].tolist() == [10, 20, 40, 50]
    assert curve["seconds"].tolist() == [10, 30, 40, 50]
    assert curve["best"].tolist() == [0.5, 0.5, 0.4, 0.4]
    assert curve["record"].tolist() == [True, False, True, False]
    higher = best_so_far(frame.assign(direction="max"))
    assert higher["best"].tolist() == [0.5, 0.5, 0.5, 0.6]


def test_running_trials_have_not_been_found_yet():
    frame = trials((0, 10), (10, 30))
    frame.loc[2, ["ended", "value"]] = None
    assert best_so_far(frame).index.tolist() == [1]
    found = build_timeline(frame, NO_REPEATS)
    assert found.bars["trial"].tolist() == [1]


def test_the_timeline_has_trials_and_repeats_side_by_side_in_lanes():
    first = trials((0, 30), (10, 20), (20, 40), (50, 60))
    again = NO_REPEATS.assign(trial=[2, 2], repeat=[1, 2], value=[0.1, np.nan], device="b",
                              seconds=5.0, started=at([500, 505]), ended=at([505, 510]))  # fmt: skip
    found = build_timeline(first, again)
    own = found.bars[found.bars["device"] == "a"]
    assert own["lane"].tolist() == [0, 1, 1, 0]
    assert found.pauses == [60.0]
    repeats = found.bars[found.bars["repeat"] > 0]
    assert repeats[["trial", "repeat", "state", "begin", "end"]].values.tolist() == [
        [2, 1, "repeat", 60.0, 65.0],
        [2, 2, "failed", 65.0, 70.0],
    ]
    use = device_use(found.bars)
    assert use.loc["a", ["trials", "repeats", "busy"]].tolist() == [4, 0, 50]
    assert use.loc["a", "together"] == pytest.approx(70 / 50)
    assert use.loc["b", ["trials", "repeats", "busy"]].tolist() == [0, 2, 10]


def test_a_device_is_idle_only_while_its_searches_run():
    frame = trials((0, 10), (0, 5), (20, 30), device=["a", "b", "c"], search=[1, 1, 2])
    use = device_use(build_timeline(frame, NO_REPEATS).bars)
    assert use["busy"].tolist() == [10, 5, 10]
    assert use["idle"].tolist() == [0, 5, 0]
    assert use["share"].tolist() == [1, 0.5, 1]


def test_where_devices_are_not_known_there_is_no_timeline():
    frame = trials((0, 10))
    assert build_timeline(frame.assign(device=""), NO_REPEATS) is None
    assert build_timeline(frame.assign(started=pd.NaT), NO_REPEATS) is None


def test_more_trials_at_a_time_than_can_be_seen_share_lanes():
    bars = build_timeline(trials(*[(0, 10)] * 50), NO_REPEATS).bars
    assert bars["lane"].max() == 31


def test_rankings_have_the_furthest_trials():
    with Store(Path("store.db"), create=True) as store:
        journal = store.begin_search(make_record())
        journal.append_answer(0, Suggestion({"a": 1}, 2))
        journal.append_outcome(0, make_outcome(0.5, epochs=2))
        journal.append_answer(1, Suggestion({"a": 1}, 6, parent=0))
        journal.append_outcome(1, make_outcome(0.6, epochs=6))
    found = Results().trials
    assert own_epochs(found).tolist() == [2, 4]
    assert leaf_trials(found).index.tolist() == [2]


def test_the_front_is_what_nothing_smaller_beats():
    frame = pd.DataFrame(
        {"value": [0.9, 0.8, 0.95, 0.7, 0.8], "parameters": [10, 5, 20, 30, 5], "direction": "max"},
        index=[1, 2, 3, 4, 5],
    )
    assert pareto_front(frame).index.tolist() == [2, 1, 3]
    assert pareto_front(frame.assign(direction="min")).index.tolist() == [2, 4]


def test_a_value_far_off_is_not_on_the_scale_but_at_its_edge():
    frame = pd.DataFrame({"value": [1.0, 2.0, 3.0, 4.0, 900.0], "direction": "min"})
    assert value_range(frame) == (1.0, 4.0)
    assert scale_values(frame).tolist() == pytest.approx([0, 1 / 3, 2 / 3, 1, 1])
    assert value_labels(frame)[-1] == (1.0, "≥ 4")
    falling = pd.DataFrame({"value": [-900.0, 1.0, 2.0, 3.0, 4.0], "direction": "max"})
    assert value_range(falling) == (1.0, 4.0)
    assert value_labels(falling)[0] == (0.0, "≤ 1")
    alone = frame.head(1)
    assert value_range(alone) == (1.0, 1.0)
    assert np.isfinite(scale_values(alone)).all()


def test_searches_are_told_apart_by_what_differs():
    searches = [
        make_record(id=1, study="one"),
        make_record(id=2, study="two", seed=1),
        make_record(id=3, study="two", seed=2),
    ]
    assert name_searches(searches) == {1: "one", 2: "two, seed 1", 3: "two, seed 2"}


@pytest.mark.parametrize(
    "parameter",
    [
        Float(1e-4, 1e-1, log=True),
        Float(0.0, 0.5),
        Int(1, 3),
        Int(8, 256, log=True),
        Choice(1, True, "a"),
    ],
)
def test_an_axis_is_labelled_where_its_values_lie(parameter):
    values = parameter.options if isinstance(parameter, Choice) else (parameter.low, parameter.high)
    labelled = dict(axis_labels(parameter))
    assert [unit_position(parameter, value) for value in (values[0], values[-1])] == [0.0, 1.0]
    assert {0.0, 1.0} <= set(labelled)
    assert np.isnan(unit_position(parameter, None))
    column = pd.Series([*values, None], index=range(len(values) + 1), dtype=object)
    for drawn in (
        jittered_unit_positions(parameter, column),
        jittered_positions(parameter, column),
    ):
        assert np.isnan(drawn).tolist() == [False] * len(values) + [True]


def test_importance_finds_the_parameter_that_decides():
    rng = np.random.default_rng(0)
    space = Space(
        good=Float(0.0, 1.0), idle=Float(0.0, 1.0), kind=Choice("a", "b"), same=Int(1, 1),
        sometimes=Int(1, 9, when={"kind": "a"}),
    )  # fmt: skip
    with Store(Path("store.db"), create=True) as store:
        journal = store.begin_search(
            make_record(direction="min", space=json.dumps(space.to_json()))
        )
        for number in range(40):
            point = space.sample(rng)
            journal.append_answer(number, Suggestion(point, 6))
            journal.append_outcome(number, make_outcome(point["good"]))
    found = compute_importance(Results().trials, space)
    assert found.index[0] == "good"
    assert set(found.index) == {"good", "idle", "kind", "sometimes"}
    assert found["importance"].sum() == pytest.approx(1.0)
    assert (found["error"] > 0).all()
    shuffled = Results().trials.sample(frac=1, random_state=0)
    pd.testing.assert_frame_equal(found, compute_importance(shuffled, space))
    with pytest.raises(ReportError, match="10 complete trials or more, got 3"):
        compute_importance(Results().trials.head(3), space)
    same = Results().trials.assign(
        params_good=0.5, params_idle=0.5, params_kind="b", params_sometimes=None
    )
    with pytest.raises(ReportError, match="all points are the same"):
        compute_importance(same, space)
