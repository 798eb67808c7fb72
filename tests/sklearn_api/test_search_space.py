import numpy as np
import pytest
from scipy import stats

from hpsearch import Choice, Float, Int, Space
from hpsearch.core.errors import SpaceError
from hpsearch.sklearn_api.search_space import make_space


def test_lists_tuples_arrays_and_ranges_of_numbers_are_choices():
    space = make_space(
        {"a": [16, 32], "b": ("relu", "tanh"), "c": np.array([0.1, 0.5]), "d": range(2, 5)}
    )
    assert space["a"] == Choice(16, 32)
    assert space["b"] == Choice("relu", "tanh")
    assert space["c"] == Choice(0.1, 0.5)
    assert space["d"] == Choice(2, 3, 4)


def test_spaces_and_ranges_stay_as_they_are():
    space = Space(rate=Float(0.1, 0.2))
    assert make_space(space) is space
    mixed = make_space({"rate": Float(0.1, 0.2), "momentum": Choice(0.0, 0.9)})
    assert mixed["rate"] == space["rate"]


@pytest.mark.parametrize(
    ("distribution", "expected"),
    [
        (stats.uniform(0.1, 0.4), Float(0.1, 0.5)),
        (stats.uniform(loc=-1, scale=2), Float(-1.0, 1.0)),
        (stats.loguniform(1e-4, 1e-1), Float(1e-4, 1e-1, log=True)),
        (stats.loguniform(1, 10, scale=2), Float(2.0, 20.0, log=True)),
        (stats.reciprocal(1e-4, 1e-1), Float(1e-4, 1e-1, log=True)),
        (stats.randint(2, 9), Int(2, 8)),
        (stats.randint(low=0, high=3, loc=5), Int(5, 7)),
    ],
)
def test_a_distribution_is_the_range_that_draws_the_same(distribution, expected):
    made = make_space({"a": distribution})["a"]
    assert type(made) is type(expected)
    assert (made.low, made.high) == pytest.approx((expected.low, expected.high))
    assert made.log == expected.log
    # The quantiles are those of the distribution.
    units = np.linspace(0.05, 0.95, 19)
    if isinstance(made, Int):
        drawn = [made.decode(u) for u in (np.arange(1000) + 0.5) / 1000]
        shares = [drawn.count(value) / 1000 for value in range(made.low, made.high + 1)]
        masses = distribution.pmf(np.arange(made.low, made.high + 1))
        assert shares == pytest.approx(masses, abs=2e-3)
    else:
        assert [made.decode(u) for u in units] == pytest.approx(distribution.ppf(units))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"a": stats.norm(0, 1)}, "'a': norm is no distribution that a range draws exactly"),
        ({"a": stats.uniform}, "'a': .* is no distribution that a range draws"),
        ({"a": stats.loguniform(1e-3, 1, loc=1)}, "'a': loguniform with loc= is no range"),
        ({"a": stats.poisson(3)}, "'a': poisson is no distribution"),
        ({"a": 3}, r"'a': values to try are a list.*got 3; a constant is \[3\]"),
        ({"a": "relu"}, r"'a': values to try are a list.*a constant is \['relu'\]"),
        ({"a": np.zeros((2, 2))}, "'a': values to try are a list"),
        ({"a": []}, "'a': a Choice needs at least one option"),
        ({"a": [None, 0.1]}, "'a': Choice takes strings, finite numbers and booleans, got None"),
        ({"a": [1, 1]}, "'a': .*an option occurs twice"),
        ({3: [1]}, "a parameter needs a text of printable characters for a name, got 3"),
        ([{"a": [1]}], "space is a Space, or one dict of values by name"),
        (None, "space is a Space, or one dict of values by name"),
    ],
)
def test_refuses_in_one_line_what_is_no_range(given, message):
    with pytest.raises(SpaceError, match=message) as error:
        make_space(given)
    assert "\n" not in str(error.value)
