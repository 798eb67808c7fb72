import pytest

from hpsearch import Choice, Float, Grid, Int, Random, Space, searchers
from hpsearch.errors import SpaceError
from hpsearch.searchers.base import rehearse
from tests.contracts.searcher import SPACE, SearcherContract, drive, suggestions
from tests.fakes import Halving

SEARCHERS = [
    Random(trials=7, epochs=3),
    Grid(epochs=3, points=2),
    Grid(epochs=3, trials=5, points=3),
]


class TestSearchers(SearcherContract):
    @pytest.fixture(params=[*SEARCHERS, Halving(points=5, epochs=4)], ids=repr)
    def searcher(self, request):
        return request.param


def test_no_searcher_escapes_the_contract():
    assert {type(s).__name__ for s in SEARCHERS} == set(searchers.__all__) - {"Search", "Searcher"}


def test_more_random_trials_continue_the_same_sequence():
    few, many = (suggestions(drive(Random(trials=n, epochs=1), seed=5)) for n in (4, 9))
    assert few == many[:4]


def test_random_points_do_not_depend_on_how_many_run_at_once():
    alone, crowd = (suggestions(drive(Random(9, 1), inflight=n, order=n)) for n in (1, 5))
    assert alone == crowd


def test_random_covers_every_option():
    seen = {s.params["optimizer"] for s in suggestions(drive(Random(trials=60, epochs=1)))}
    assert seen == {"sgd", "adam", "rmsprop"}


def test_grid_is_every_combination_once():
    space = Space(a=Choice(1, 2), b=Float(0.0, 1.0), c=Int(1, 3))
    points = [tuple(s.params.values()) for s in suggestions(drive(Grid(1, points=3), space=space))]
    assert sorted(points) == [(a, b, c) for a in (1, 2) for b in (0.0, 0.5, 1.0) for c in (1, 2, 3)]


def test_grid_varies_only_what_exists():
    points = [s.params for s in suggestions(drive(Grid(1, points=2)))]
    assert len({str(sorted(p.items())) for p in points}) == len(points)
    assert all(("momentum" in p) == (p["optimizer"] == "sgd") for p in points)


def test_grid_over_a_continuous_range_needs_points():
    with pytest.raises(SpaceError, match=r"Float\(.*needs a number of points: Grid\(points=5\)"):
        Grid(1).start(Space(a=Float(0.0, 1.0)), seed=0)


def test_grid_refuses_a_flood():
    space = Space({f"p{i}": Int(1, 100) for i in range(5)})
    with pytest.raises(SpaceError, match="more than 100,000 combinations"):
        Grid(1).start(space, seed=0)


def test_plan_counts_what_continuing_saves():
    plan = rehearse(Halving(points=4, epochs=10), SPACE)
    assert (plan.trials, plan.epochs, plan.epochs_from_scratch) == (
        6,
        4 * 5 + 2 * 5,
        4 * 5 + 2 * 10,
    )


@pytest.mark.parametrize(
    "options", [{"trials": 0}, {"epochs": 0}, {"trials": 2.5}, {"epochs": True}]
)
def test_counts_are_whole_and_positive(options):
    with pytest.raises(ValueError, match=r"Random needs (trials|epochs) >= 1, got"):
        Random(**{"trials": 1, "epochs": 1, **options})
