import importlib.util
import itertools
from dataclasses import replace

import numpy as np
import pytest

from hpsearch import Choice, Float, Int, Space, searchers
from hpsearch.core.errors import HpsearchError, SpaceError
from hpsearch.core.trial import Observation, Pause, Suggestion
from hpsearch.searchers import (
    Asha,
    Auto,
    Bayes,
    Genetic,
    Grid,
    GrowThenRegularize,
    Hyperband,
    KerasTunerHyperband,
    Random,
)
from hpsearch.searchers.base import Limited, SelfPlanning, plan_search, rehearse_search
from hpsearch.searchers.bayes import NEEDS
from hpsearch.searchers.brackets import brackets
from tests.contracts.searcher import SPACE, SearcherContract, by_point, drive, suggestions
from tests.fakes import Halving

SEARCHERS = [
    Random(trials=7, epochs=3),
    Auto(trials=6, max_epochs=9),
    Auto(trials=3, max_epochs=3),
    Grid(epochs=3, points=2),
    Grid(epochs=3, trials=5, points=3),
    Hyperband(max_epochs=9, eta=3),
    Hyperband(max_epochs=10, eta=2, min_epochs=2, iterations=2),
    Hyperband(max_epochs=9, eta=3, trials=12),
    Hyperband(max_epochs=9, eta=3, iterations=2, brackets=1),
    Asha(trials=40, max_epochs=9, eta=3),
    Bayes(trials=25, epochs=3),
    Bayes(trials=12, epochs=3, sampler="qmc"),
    Bayes(trials=12, epochs=3, sampler="cmaes"),
    Bayes(trials=14, epochs=3, sampler="gp"),
    Genetic(trials=25, epochs=3, population=5),
    GrowThenRegularize(trials=25, epochs=3),
    KerasTunerHyperband(max_epochs=9, eta=3),
]


def marked(searcher):
    """KerasTuner imports Keras, and a Gaussian process PyTorch, which not everybody has."""
    marks = [pytest.mark.slow] if isinstance(searcher, KerasTunerHyperband) else []
    if isinstance(searcher, Bayes):
        missing = [
            name for name in NEEDS[searcher.sampler] if importlib.util.find_spec(name) is None
        ]
        marks.append(pytest.mark.skipif(bool(missing), reason=f"needs {missing}"))
        marks += [pytest.mark.slow] if searcher.sampler == "gp" else []
    return pytest.param(searcher, marks=marks)


class TestSearchers(SearcherContract):
    @pytest.fixture(params=[marked(s) for s in [*SEARCHERS, Halving(points=5, epochs=4)]], ids=repr)
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
    for huge in (Int(1, 10**12), Int(1, 10**12, log=True), Float(0, 1), Float(0, 1, step=2**-30)):
        with pytest.raises(SpaceError, match="would have 100,000,000 values; give Grid"):
            Grid(points=10**8).start(Space(x=huge), seed=0)
    with pytest.raises(SpaceError, match="would have 1,000,000,000,000 values"):
        Grid().start(Space(x=Int(1, 10**12)), seed=0)
    with pytest.raises(SpaceError, match="more than 100,000 combinations"):
        Grid(1).start(space, seed=0)


def test_plan_counts_what_continuing_saves():
    plan = rehearse_search(Halving(points=4, epochs=10), SPACE)
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


@pytest.mark.parametrize(
    ("max_epochs", "eta", "count"), [(81, 3, 5), (243, 3, 6), (1000, 10, 4), (100, 3, 5), (1, 2, 1)]
)
def test_brackets_are_counted_in_whole_numbers(max_epochs, eta, count):
    """In floats log(243, 3) is less than 5, and a bracket would be lost."""
    made = brackets(max_epochs, eta)
    assert len(made) == count
    assert all(rung[-1][1] == max_epochs for rung in made)
    assert all(a[1] < b[1] for rungs in made for a, b in itertools.pairwise(rungs))


def test_hyperband_of_the_paper():
    plan = rehearse_search(Hyperband(max_epochs=81, eta=3), SPACE)
    assert (plan.trials, plan.epochs, plan.epochs_from_scratch) == (206, 1581, 1902)


def test_hyperband_promotes_the_best_of_each_rung():
    asked = suggestions(drive(Hyperband(max_epochs=9, eta=3)))
    first, promoted = asked[:9], asked[9:12]
    best = sorted(range(9), key=lambda trial: by_point(trial, first[trial]))[:3]
    assert [s.parent for s in promoted] == best
    assert {s.epochs for s in promoted} == {3}


@pytest.mark.parametrize("inflight", [2, 7, 30])
def test_hyperbands_points_do_not_depend_on_how_many_run_at_once(inflight):
    """Whatever the order of tells: a rung decides when it is complete."""

    def points(**options):
        asked = suggestions(drive(Hyperband(max_epochs=9, eta=3, iterations=2), **options))
        return sorted((s.epochs, s.parent is None, str(s.params)) for s in asked)

    assert points(inflight=inflight, order=inflight) == points()


def test_hyperband_begins_the_next_bracket_while_a_rung_waits():
    search = Hyperband(max_epochs=9, eta=3).start(SPACE, seed=0)
    asked = [search.ask(trial) for trial in range(14)]
    assert [s.epochs for s in asked] == [1] * 9 + [3] * 5


def test_a_rung_completes_whatever_fails_and_nothing_failed_goes_on():
    def loss(trial, suggestion):
        return None if trial < 7 else by_point(trial, suggestion)

    asked = suggestions(drive(Hyperband(max_epochs=9, eta=3), loss=loss))
    assert sorted(s.parent for s in asked[9:11]) == [7, 8]


def test_asha_promotes_without_waiting():
    search = Asha(trials=20, max_epochs=9, eta=3).start(SPACE, seed=0)
    for trial in range(3):
        search.ask(trial)
        search.tell(trial, Observation(loss=float(trial)))
    assert search.ask(3).parent == 0
    assert search.ask(4).parent is None


def test_asha_reaches_the_top():
    asked = suggestions(drive(Asha(trials=60, max_epochs=9, eta=3), inflight=4))
    assert {s.epochs for s in asked} == {1, 3, 9}


def test_bayes_finds_more_than_chance():
    space = Space(x=Float(0.0, 1.0), y=Float(0.0, 1.0))

    def bowl(trial, suggestion):
        return (suggestion.params["x"] - 0.3) ** 2 + (suggestion.params["y"] - 0.7) ** 2

    def late(searcher, seed):
        asked = suggestions(drive(searcher, seed=seed, space=space, loss=bowl))[-15:]
        return np.median([bowl(0, s) for s in asked])

    for searcher in (Bayes(trials=45, epochs=1), Genetic(trials=45, epochs=1, population=8)):
        won = [late(searcher, seed) < late(Random(45, 1), seed) / 2 for seed in range(5)]
        assert sum(won) >= 4, searcher


FIRST = [
    {"layers": 1, "units_1": 7, "optimizer": "adam", "early": True},
    {"layers": 2, "units_1": 4, "units_2": 64, "optimizer": "sgd", "momentum": 0.5, "early": False},
]


@pytest.mark.parametrize(
    "searcher",
    [marked(s) for s in SEARCHERS if not isinstance(s, KerasTunerHyperband)],
    ids=repr,
)
def test_start_values_are_tried_first(searcher):
    search = searcher.start(SPACE, seed=0, first=FIRST)
    assert [search.ask(trial).params for trial in range(2)] == FIRST
    for trial in range(2):
        search.tell(trial, Observation(1.0, (1.0,)))
    assert search.ask(2).params not in FIRST


def test_hyperband_tries_more_start_values_than_its_first_rung_holds():
    searcher = Hyperband(max_epochs=4, eta=2)  # first rungs of 4, 3 and 3 trials
    first = [{**FIRST[0], "units_1": 4 + number} for number in range(11)]
    begun = [
        s.params
        for s in suggestions(drive(searcher, space=SPACE, first=first[:10]))
        if s.parent is None
    ]
    assert sorted(each["units_1"] for each in begun) == list(range(4, 14))
    with pytest.raises(SpaceError, match="begins 10 trials in its first rungs, and start= has 11"):
        searcher.start(SPACE, seed=0, first=first)


def test_auto_goes_on_by_luck_where_an_earlier_run_went_beyond():
    """Also where its trials were in flight together: then it waits where luck begins."""
    searcher = Auto(trials=40, max_epochs=9)
    asked, losses = {}, {}
    first = searcher.start(SPACE, seed=0)
    while len(asked) < 60:
        batch = range(len(asked), len(asked) + 4)
        found = [first.ask(trial) for trial in batch]
        asked |= {t: s for t, s in zip(batch, found, strict=True) if isinstance(s, Suggestion)}
        for trial in batch:
            losses[trial] = by_point(trial, asked[trial])
            first.tell(trial, Observation(losses[trial], se=1e9))
    again = replace(searcher, until_luck=True).start(SPACE, seed=0)
    assert isinstance(again, Limited)
    again.lift_limits()
    for trial in range(60):
        assert again.ask(trial) == asked[trial]
        if trial % 4 == 3:
            for ended in range(trial - 3, trial + 1):
                again.tell(ended, Observation(losses[ended], se=1e9))
    again.set_limits()
    assert isinstance(first.ask(60), Suggestion)
    assert again.ask(60) is Pause.DONE


def test_kerastuner_says_that_it_takes_no_start_values():
    with pytest.raises(SpaceError, match="cannot try start values first; drop Study"):
        KerasTunerHyperband().start(SPACE, seed=0, first=FIRST)


@pytest.mark.slow
def test_kerastuners_brackets():
    plan = rehearse_search(KerasTunerHyperband(max_epochs=27, eta=3), SPACE, seconds=60)
    assert (plan.trials, plan.epochs) == (70, 375)


@pytest.mark.slow
def test_kerastuner_promotes_to_the_end_although_trials_fail(tmp_path):
    dice = np.random.default_rng(0)
    failing = set(dice.choice(70, 21, replace=False).tolist())

    def loss(trial, suggestion):
        return None if trial in failing else by_point(trial, suggestion)

    asked = suggestions(drive(KerasTunerHyperband(max_epochs=27, eta=3), loss=loss))
    assert any(s.epochs == 27 and s.parent is not None for s in asked)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Hyperband(eta=1), r"Hyperband needs eta >= 2, got eta=1"),
        (lambda: Hyperband(max_epochs=3, min_epochs=4), r"1 <= min_epochs <= max_epochs, got"),
        (lambda: Asha(max_epochs=2.5), r"Asha needs a whole max_epochs, got max_epochs=2\.5"),
        (lambda: KerasTunerHyperband(iterations=0), r"iterations >= 1, got iterations=0"),
        (lambda: Bayes(sampler="ouija"), r"samplers tpe, gp, cmaes, qmc, got 'ouija'"),
        (lambda: Genetic(population=1), r"population >= 2"),
        (lambda: GrowThenRegularize(steps=0), r"steps >= 1, got steps=0"),
    ],
)
def test_refuses_options_that_make_no_search(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_the_grid_covers_the_space_early():
    space = Space(a=Int(1, 4), b=Int(1, 4), c=Int(1, 4))
    early = [s.params for s in suggestions(drive(Grid(1), space=space))][:12]
    for name in space:
        assert {params[name] for params in early} == {1, 2, 3, 4}


@pytest.mark.parametrize(
    ("searcher", "absent", "message"),
    [
        (
            Bayes(sampler="gp"),
            "torch",
            r"needs torch: pip install 'hpsearch\[gp\]', or use sampler='tpe'",
        ),
        (Bayes(sampler="cmaes"), "cmaes", r"needs cmaes: pip install 'hpsearch\[cmaes\]'"),
        (KerasTunerHyperband(), "keras_tuner", "needs keras-tuner: pip install keras-tuner"),
    ],
)
def test_a_missing_package_is_named_with_the_way_to_get_it(monkeypatch, searcher, absent, message):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec",
        lambda name, *rest: None if name == absent else find(name, *rest) or find("json"),
    )
    with pytest.raises(HpsearchError, match=message):
        searcher.start(SPACE, seed=0)


@pytest.mark.parametrize("sampler", ["gp", "cmaes", "qmc"])
def test_samplers_without_conditions_search_what_does_not_always_exist(sampler):
    """Asked for what exists alone, they would leave it to chance."""
    if missing := [name for name in NEEDS[sampler] if importlib.util.find_spec(name) is None]:
        pytest.skip(f"needs {missing}")
    search = Bayes(trials=3, epochs=1, sampler=sampler).start(SPACE, seed=0)
    for trial in range(3):
        search.ask(trial)
        search.tell(trial, Observation(float(trial)))
    assert all(set(t.distributions) == set(SPACE) for t in search.study.trials)


@pytest.mark.parametrize(
    "searcher", [marked(s) for s in SEARCHERS if isinstance(s, SelfPlanning)], ids=repr
)
def test_a_method_that_knows_its_plan_is_not_rehearsed(searcher, monkeypatch):
    counted = rehearse_search(searcher, SPACE, seconds=60)
    monkeypatch.setattr(searchers.base, "rehearse_search", None)
    plan = plan_search(searcher, SPACE)
    if isinstance(searcher, Auto):
        assert plan.trials == searcher.trials <= counted.trials
        assert plan.epochs == plan.most_epochs == searcher.trials * searcher.max_epochs
    else:
        assert plan == counted


def test_a_plan_of_more_trials_than_can_be_counted_says_so():
    plan = plan_search(Asha(trials=10**9, max_epochs=9), SPACE, seconds=0.01)
    assert not plan.complete
    assert plan.expected_epochs is None
    assert plan_search(Auto(trials=10**6), SPACE).expected_epochs == 27 * 10**6


def test_one_bracket_of_hyperband_is_successive_halving():
    whole, first = (
        suggestions(drive(Hyperband(max_epochs=9, brackets=n), seed=3)) for n in (None, 1)
    )
    rungs = [suggestion.epochs for suggestion in first]
    assert rungs == [1] * 9 + [3] * 3 + [9]
    assert [s for s in whole if s in first][: len(first)] == first
    assert Hyperband(max_epochs=9).label == (
        "Hyperband(max_epochs=9, eta=3, min_epochs=1)"  # as in stores of earlier versions
    )
