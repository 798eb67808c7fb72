import json
import math
from enum import IntEnum, StrEnum

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hpsearch import Choice, Data, Float, Int, Space, Study, Task
from hpsearch.core.errors import SpaceError

finite = st.floats(-1e6, 1e6, allow_nan=False)


@st.composite
def floats(draw, when=None):
    low, high = sorted((draw(finite), draw(finite)))
    log = draw(st.booleans()) and low > 1e-9
    return Float(low, high, log=log, when=when)


@st.composite
def stepped(draw, when=None):
    low, step = draw(st.integers(-50, 50)) / 10, draw(st.integers(1, 50)) / 10
    return Float(low, round(low + step * draw(st.integers(0, 20)), 1), step=step, when=when)


@st.composite
def ints(draw, when=None):
    low, step = draw(st.integers(-1000, 1000)), draw(st.sampled_from([None, 1, 3]))
    high = low + (step or 1) * draw(st.integers(0, 50))
    log = low > 0 and step is None and draw(st.booleans())
    return Int(low, high, log=log, step=step, when=when)


@st.composite
def choices(draw, when=None):
    options = st.one_of(st.text(max_size=4), st.integers(0, 9), st.booleans(), st.just(0.5))
    unique = {(type(o).__name__, o): o for o in draw(st.lists(options, min_size=1, max_size=5))}
    return Choice(*unique.values(), when=when)


@st.composite
def spaces(draw):
    """Up to six parameters, some of which exist only for some options of an earlier one."""
    parameters = {}
    for i in range(draw(st.integers(0, 6))):
        parents = [n for n, p in parameters.items() if isinstance(p, Choice)]
        when = None
        if parents and draw(st.booleans()):
            parent = draw(st.sampled_from(parents))
            options = parameters[parent].options
            when = {parent: tuple(options[: draw(st.integers(1, len(options)))])}
        kind = draw(st.sampled_from([floats, stepped, ints, choices]))
        parameters[f"p{i}"] = draw(kind(when=when))
    return Space(parameters)


@given(spaces(), st.integers(0, 2**31))
def test_samples_are_of_the_space(space, seed):
    point = space.sample(np.random.default_rng(seed))
    space.check(point)
    assert json.loads(json.dumps(point)) == point


@given(spaces(), st.data())
def test_unit_cube_and_back(space, data):
    u = data.draw(st.lists(st.floats(0, 1), min_size=len(space), max_size=len(space)))
    point = space.from_unit(u)
    space.check(point)
    again = space.from_unit(space.to_unit(point))
    assert again.keys() == point.keys()
    for name, value in point.items():
        if isinstance(value, float) and isinstance(space[name], Float):
            span = space[name].high - space[name].low
            assert math.isclose(again[name], value, rel_tol=1e-6, abs_tol=1e-9 * max(span, 1))
        else:
            assert again[name] == value


@given(spaces())
def test_json_and_back(space):
    again = Space.from_json(json.loads(json.dumps(space.to_json())))
    assert again.fingerprint == space.fingerprint
    assert again.changes_since(space) == []
    assert list(again) == list(space)


@given(spaces())
def test_probes_meet_every_parameter_that_can_exist(space):
    probes = space.probes()
    for point in probes:
        space.check(point)
    for name, parameter in space.items():
        if isinstance(parameter, Choice) and not parameter.when:
            assert {repr(p[name]) for p in probes} == {repr(o) for o in parameter.options}


@given(spaces(), st.integers(1, 3))
def test_grid_points_are_of_the_space_and_differ(space, points):
    assume(math.prod(len(p.grid(points)) for p in space.values()) <= 300)
    grid = list(space.grid(points))
    for point in grid:
        space.check(point)
    assert len({repr(sorted(p.items())) for p in grid}) == len(grid) >= 1


def test_every_discrete_value_gets_its_share():
    space = Space(a=Int(1, 3), b=Choice("x", "y"), c=Float(0.1, 0.5, step=0.1))
    rng = np.random.default_rng(0)
    points = [space.sample(rng) for _ in range(3000)]
    for name, count in (("a", 3), ("b", 2), ("c", 5)):
        _, seen = np.unique([str(p[name]) for p in points], return_counts=True)
        assert len(seen) == count
        assert seen.min() > 0.8 * 3000 / count


def test_log_ranges_are_uniform_in_the_logarithm():
    rng = np.random.default_rng(0)
    space = Space(lr=Float(1e-4, 1.0, log=True), units=Int(1, 1000, log=True))
    points = [space.sample(rng) for _ in range(2000)]
    assert 0.45 < np.mean([p["lr"] < 1e-2 for p in points]) < 0.55
    assert 0.40 < np.mean([p["units"] < 32 for p in points]) < 0.60


def test_numbers_of_numpys_are_taken_as_pythons():
    written = Space(a=Choice(0.5, 2), b=Int(1, 8), c=Float(0.5, 1.5))
    numpys = Space(
        a=Choice(np.float32(0.5), np.int64(2)),
        b=Int(np.int64(1), np.uint8(8)),
        c=Float(np.float32(0.5), np.float64(1.5)),
    )
    assert numpys.fingerprint == written.fingerprint
    assert repr(numpys) == repr(written)


class Layer(StrEnum):
    DENSE = "dense"
    GATED = "gated"


class Name(StrEnum):
    ADAM = "adam"

    def __str__(self) -> str:
        return "Adam, by its author"


class Width(IntEnum):
    NARROW = 8
    WIDE = 64


def test_members_of_enums_are_taken_as_their_values():
    of_enums = Space(
        layer=Choice(*Layer),
        name=Choice(Name.ADAM),
        width=Choice(*Width, when={"layer": Layer.DENSE}),
        units=Int(Width.NARROW, Width.WIDE),
    )
    written = Space(
        layer=Choice("dense", "gated"),
        name=Choice("adam"),
        width=Choice(8, 64, when={"layer": "dense"}),
        units=Int(8, 64),
    )
    assert of_enums.fingerprint == written.fingerprint
    point = of_enums.from_unit([0.0] * 4)
    given = {"layer": Layer.DENSE, "name": Name.ADAM, "width": Width.NARROW, "units": np.int64(8)}
    data = Data(np.zeros((9, 2)), np.arange(9.0))
    study = Study(task=Task("t", data, "mse"), space=written, build=dict, start=[given])
    assert study.start == (point,)
    assert {name: type(value) for name, value in point.items()} == {
        "layer": str, "name": str, "width": int, "units": int,
    }  # fmt: skip


def test_a_grid_of_few_points_over_very_many_values_is_quick():
    assert Float(0, 1, step=2**-30).grid(3) == [0.0, 0.5, 1.0]
    assert Int(0, 2**53).grid(3) == [0, 2**52, 2**53]


def test_steps_read_as_they_are_written():
    assert Float(0.1, 0.5, step=0.1).grid(None) == [0.1, 0.2, 0.3, 0.4, 0.5]


def test_conditions_chain():
    space = Space(
        c=Choice("u", "v", when={"b": 1}), b=Int(0, 1, when={"a": True}), a=Choice(True, False)
    )
    assert space.from_unit([0.0, 0.0, 1.0]) == {"a": False}
    assert space.from_unit([0.0, 0.0, 0.0]) == {"a": True, "b": 0}
    assert space.from_unit([0.9, 0.9, 0.0]) == {"a": True, "b": 1, "c": "v"}


def test_true_is_not_one():
    space = Space(a=Choice(True, 1, "1"))
    with pytest.raises(SpaceError, match=r"a=1\.0 is not in"):
        space.check({"a": 1.0})
    assert space.to_unit({"a": 1})[0] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Float(2, 1), r"low must not be above high; swap"),
        (lambda: Float(0, 1, log=True), r"a log range needs low > 0"),
        (lambda: Int(0, 8, log=True), r"a log range needs low > 0"),
        (lambda: Float(0, float("inf")), r"finite"),
        (lambda: Float(0, float("nan")), r"finite"),
        (lambda: Float(0, 1, step=0.3), r"use high=0\.9"),
        (lambda: Int(1, 6, step=2), r"use high=5"),
        (lambda: Float(1, 2, step=0.5, log=True), r"log and step cannot be combined"),
        (lambda: Float(0, 1, step=0), r"step must be above 0"),
        (lambda: Int(1, 2.5), r"high must be a whole number, got 2\.5"),
        (lambda: Int(True, 2), r"low must be a whole number, got True"),
        (lambda: Choice(), r"at least one option"),
        (lambda: Choice("a", "a"), r"occurs twice"),
        (lambda: Choice(None), r"got None; name it by a string"),
        (lambda: Space(a=3), r"a constant is Choice\(3\)"),
        (lambda: Space(a=Float(0, 1, when={"b": 1})), r"no other parameter"),
        (lambda: Space(a=Float(0, 1, when={"a": 1})), r"no other parameter"),
        (lambda: Space(a=Int(0, 1, when={"b": 2}), b=Int(0, 1)), r"drop what cannot occur"),
        (lambda: Space(a=Int(0, 1, when={"b": 0}), b=Float(0, 1)), r"make b a Choice"),
        (
            lambda: Space(a=Int(0, 1, when={"b": 0}), b=Int(0, 1, when={"a": 0})),
            r"conditions of a, b form a cycle",
        ),
        (lambda: Float(0, 10**400), r"high must be a number that a float holds"),
        (lambda: Float("0", 1), r"low must be a number, got '0'"),
        (lambda: Float(False, True), r"low must be a number, got False"),
        (lambda: Float(-1.7e308, 1.7e308), r"too wide for floats"),
        (lambda: Float(5e-324, 1e308, log=True), r"too wide for floats"),
        (lambda: Float(0, 1, step=float("nan")), r"step must be a finite number"),
        (lambda: Float(0, 1, step="0.1"), r"step must be a number"),
        (lambda: Float(0, 1, step=5e-324), r"more than 2\*\*53 steps"),
        (lambda: Float(1, 2, log="yes"), r"log is True or False"),
        (lambda: Int(1, 2**80), r"high must lie within 2\*\*53 of 0"),
        (lambda: Int(1, 10**5000), r"high must lie within .*, got <int>"),
        (lambda: Int(1, 4, step=0), r"step must be above 0"),
        (lambda: Choice(1, when=5), r"when= is a dict"),
        (lambda: Choice(1, when={5: 1}), r"when= names a parameter by"),
        (lambda: Choice("\ud800"), r"strings without surrogates"),
        (lambda: Choice(2**63), r"whole numbers of 64 bits"),
        (lambda: Choice(1j), r"strings, finite numbers and booleans"),
        (lambda: Choice([1, 2]), r"strings, finite numbers and booleans"),
        (lambda: Choice(0.1, np.float64(0.1)), r"occurs twice"),
        (lambda: Space(5), r"made of named ranges"),
        (lambda: Space({5: Int(0, 1)}), r"printable characters for a name, got 5"),
        (lambda: Space({"": Int(0, 1)}), r"printable characters"),
        (lambda: Space({"a\nb": Int(0, 1)}), r"printable characters"),
        (lambda: Space({"\udcff": Int(0, 1)}), r"printable characters"),
        (lambda: Space(a=Int(0, 1, when={"b": [[1]]}), b=Int(0, 1)), r"drop what cannot occur"),
        (lambda: Space(a=Int(0, 1, when={"b": range(10**12)}), b=Int(0, 9)), r"name at most"),
        (lambda: Space(a=Int(0, 9)).check("a"), r"a point is a dict"),
        (lambda: Space.from_json(5), r"does not describe a space: 5"),
        (
            lambda: Space.from_json({"a": {"type": "flat", "when": None}}),
            r"does not describe a space",
        ),
        (lambda: Space(a=Int(0, 9)).from_unit("a"), r"1 numbers in \[0, 1\], got 'a'"),
        (lambda: Space(a=Int(0, 9)).check({"a": [1]}), r"a=\[1\] is not in"),
        (lambda: Space(a=Int(0, 9)).grid(-1), r"a whole number of points >= 1, got -1"),
        (lambda: list(Space(a=Int(0, 9)).grid(True)), r"a whole number of points"),
        (lambda: list(Space(a=Int(0, 10**12)).grid()), r"would have 1,000,000,000,001 values"),
        (
            lambda: list(Space(a=Float(0, 1, step=2**-30)).grid()),
            r"would have 1,073,741,825 values",
        ),
    ],
)
def test_refuses_what_makes_no_sense(make, message):
    with pytest.raises(SpaceError, match=message):
        make()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"optimizer": "sgd"}, r"momentum is missing; it is Float\(0\.5, 0\.9"),
        ({"optimizer": "adam", "momentum": 0.6}, r"no effect.*only when optimizer is 'sgd'"),
        ({"optimizer": "sgd", "momentum": 0.95}, r"momentum=0\.95 is not in Float\(0\.5, 0\.9"),
        ({"optimizer": "sgd", "momentum": True}, r"momentum=True is not in"),
        ({"optimiser": "sgd"}, r"unknown parameter 'optimiser' \(did you mean 'optimizer'\?\)"),
    ],
)
def test_check_names_the_culprit_its_value_and_the_range(params, message):
    space = Space(
        optimizer=Choice("adam", "sgd"), momentum=Float(0.5, 0.9, when={"optimizer": "sgd"})
    )
    with pytest.raises(SpaceError, match=message):
        space.check(params)


@pytest.mark.parametrize("u", [[0.5], [0.5, 1.5], [0.5, float("nan")], [[0.5, 0.5]]])
def test_unit_points_have_the_right_shape_and_range(u):
    with pytest.raises(SpaceError, match=r"2 numbers in \[0, 1\]"):
        Space(a=Int(0, 1), b=Int(0, 1)).from_unit(u)


def test_says_what_changed():
    before = Space(a=Float(0.1, 0.5), b=Int(1, 3), c=Choice("x"))
    after = Space(a=Float(0.1, 0.6), c=Choice("x"), d=Int(1, 2))
    assert after.changes_since(before) == [
        "b is gone",
        "d is new",
        "a was Float(0.1, 0.5), now Float(0.1, 0.6)",
    ]


def test_repeated_parameters_exist_as_far_as_their_number_says():
    space = Space(
        Space.repeated("units", Int(8, 64), 3, count="depth", when={"kind": "mlp"}),
        Space.repeated("pool", Choice("max", "mean"), 2),
        kind=Choice("mlp", "cnn"),
    )
    rng = np.random.default_rng(0)
    for point in (space.sample(rng) for _ in range(50)):
        space.check(point)
        units = [name for name in point if name.startswith("units_")]
        assert units == [f"units_{i}" for i in range(1, point.get("depth", 0) + 1)]
        assert ("depth" in point) == (point["kind"] == "mlp")
        assert ("pool_2" in point) == (point["layers"] == 2)


@pytest.mark.parametrize("most", [0, -1, True, 2.0, "3", 1001])
def test_repeated_needs_a_number(most):
    with pytest.raises(SpaceError, match="needs a whole number from 1 to 1,000, got most="):
        Space.repeated("units", Int(8, 64), most)


def test_repeated_refuses_what_is_no_range_or_has_a_condition_of_its_own():
    for parameter in (3, Int(1, 2, when={"kind": "mlp"})):
        with pytest.raises(SpaceError, match=r"without when=, which it gives itself, got"):
            Space.repeated("units", parameter, 2)
    with pytest.raises(SpaceError, match="layers"):  # it would be said twice
        Space(Space.repeated("a", Int(1, 2), 2), Space.repeated("b", Int(1, 2), 2))
