"""`Auto` beyond the contract: what it opens with, continues, learns and stops at."""

from dataclasses import replace

import numpy as np
import pytest

from hpsearch import Choice, Float, Int, Space
from hpsearch.core.trial import Cost, Observation, Pause, Suggestion
from hpsearch.searchers import Auto
from hpsearch.searchers.auto import auto
from hpsearch.searchers.auto.candidates import CandidateSampler
from hpsearch.searchers.auto.encoding import Encoding
from hpsearch.searchers.auto.failures import fit_success_model
from hpsearch.searchers.auto.improvement import imagine_running
from hpsearch.searchers.auto.process import GaussianProcess, Locations
from tests.contracts.searcher import SPACE, drive, suggestions

UNIT = Space(x=Float(0.0, 1.0), y=Float(0.0, 1.0))


def valley(trial, suggestion):
    """Lowest at x = 0.3, y = 0.7, and falling with epochs."""
    x, y = suggestion.params["x"], suggestion.params["y"]
    return (x - 0.3) ** 2 + (y - 0.7) ** 2 + 0.3 / suggestion.epochs


def test_auto_finds_the_valley_and_trains_little_of_what_is_bad():
    auto = Auto(trials=15, max_epochs=27)
    asked = suggestions(drive(auto, space=UNIT, loss=valley))
    full = [s for s in asked if s.epochs == 27]
    assert min(valley(0, s) for s in full) < 0.3 / 27 + 0.005
    bad = [s for s in asked if valley(0, s) - 0.3 / s.epochs > 0.2]
    assert sum(s.epochs < 27 for s in bad) > 0.9 * len(bad) > 0


def test_auto_continues_to_higher_rungs_and_never_trains_a_point_twice():
    asked = suggestions(drive(Auto(trials=12, max_epochs=27), space=UNIT, loss=valley, inflight=4))
    assert {s.epochs for s in asked} == {1, 3, 9, 27}
    continued = [s for s in asked if s.parent is not None]
    for suggestion in continued:
        assert asked[suggestion.parent].epochs < suggestion.epochs
        assert asked[suggestion.parent].params == suggestion.params
    assert len({s.parent for s in continued}) == len(continued)
    new = np.array([list(s.params.values()) for s in asked if s.parent is None])
    apart = np.abs(new[:, None] - new[None]).max(axis=2) + np.eye(len(new))
    assert apart.min() >= 0.02


def test_auto_trains_further_at_once_where_few_epochs_tell_nothing():
    def early(trial, suggestion):
        """Of the first rungs, nothing that is not random."""
        noise = np.random.default_rng(trial).random()
        return noise if suggestion.epochs < 27 else valley(trial, suggestion)

    told, untold = (
        suggestions(drive(Auto(trials=20, max_epochs=81), space=UNIT, loss=loss))[40:]
        for loss in (valley, early)
    )

    def short(asked):
        new = [s for s in asked if s.parent is None]
        return sum(s.epochs == 1 for s in new) / len(new)

    assert short(told) > 0.5 > short(untold)


def test_auto_begins_with_the_users_points_and_then_the_middle():
    search = Auto().start(UNIT, seed=0, first=[{"x": 0.1, "y": 0.9}])
    assert search.ask(0).params == {"x": 0.1, "y": 0.9}
    middle = Auto().start(UNIT, seed=0).ask(0)
    assert middle.params == {"x": 0.5, "y": 0.5}


@pytest.mark.parametrize("inflight", [1, 8])
@pytest.mark.parametrize("third", [False, True])
def test_auto_spends_its_budget_and_no_more_than_a_training_each_beyond(inflight, third):
    def loss(trial, suggestion):
        return None if third and trial % 3 == 0 else valley(trial, suggestion)

    asked = suggestions(
        drive(Auto(trials=6, max_epochs=9), space=UNIT, loss=loss, inflight=inflight)
    )
    begun = [0 if s.parent is None else asked[s.parent].epochs for s in asked]
    spent = sum(s.epochs - b for s, b in zip(asked, begun, strict=True))
    assert 6 * 9 <= spent < 6 * 9 + 9


def test_autos_larger_budget_continues_the_smaller():
    few, many = (
        suggestions(drive(Auto(trials=n, max_epochs=9), space=UNIT, loss=valley)) for n in (5, 8)
    )
    assert few == many[: len(few)]
    assert Auto(trials=5, max_epochs=9).label == Auto(trials=8, max_epochs=9).label


def test_auto_asks_for_different_points_while_others_train():
    search = Auto(trials=20, max_epochs=9).start(UNIT, seed=1)
    for trial in range(30):
        suggestion = search.ask(trial)
        search.tell(trial, Observation(valley(trial, suggestion)))
    batch = [search.ask(trial) for trial in range(30, 38)]
    assert len({(s.params["x"], s.params["y"]) for s in batch}) == 8


def test_auto_stops_when_every_point_was_tried(caplog):
    space = Space(a=Choice("p", "q"), b=Int(1, 3))

    def loss(trial, suggestion):
        return float(suggestion.params["b"]) + (suggestion.params["a"] == "p")

    with caplog.at_level("INFO", logger="hpsearch.searchers"):
        asked = suggestions(drive(Auto(trials=100, max_epochs=9), space=space, loss=loss))
    assert len({str(s.params) for s in asked}) <= 6
    assert len(asked) <= 18
    assert "epochs are left over" in caplog.text


def test_auto_never_continues_what_failed():
    def loss(trial, suggestion):
        return None if suggestion.params["x"] > 0.5 else valley(trial, suggestion)

    asked = suggestions(drive(Auto(trials=12, max_epochs=9), space=UNIT, loss=loss))
    failed = [s for s in asked if s.params["x"] > 0.5]
    assert not any(s.parent is not None for s in failed)
    assert len(failed) < len(asked) / 3


@pytest.mark.parametrize("seed", [0, 1])
def test_auto_finds_the_best_beside_where_trials_fail(seed):
    """Half of the space fails, and the best is at its border: seldom asked beyond, but found."""
    space = Space(x=Float(0.0, 1.0), **{f"y{i}": Float(0.0, 1.0) for i in range(3)})

    def loss(trial, suggestion):
        x, *others = suggestion.params.values()
        away = (x - 0.47) ** 2 + sum((y - 0.7) ** 2 for y in others)
        return None if x > 0.5 else away + 0.3 / suggestion.epochs

    asked = suggestions(drive(Auto(trials=20, max_epochs=9), space=space, loss=loss, seed=seed))
    new = [s.params["x"] > 0.5 for s in asked if s.parent is None]
    later = new[len(new) // 3 :]
    assert sum(later) < len(later) / 3
    full = [loss(0, s) for s in asked if s.epochs == 9]
    assert min(value for value in full if value is not None) < 0.3 / 9 + 0.03


def drive_with_error(auto, se, most=400):
    """The losses of a search, whose standard error is given, and how it ended."""
    search = auto.start(UNIT, seed=2)
    losses = []
    while isinstance(answer := search.ask(len(losses)), Suggestion) and len(losses) < most:
        losses.append(valley(0, answer))
        search.tell(len(losses) - 1, Observation(losses[-1], se=se))
    return losses, answer


def test_auto_says_when_only_luck_is_left_and_stops_if_asked(caplog):
    options = {"trials": 40, "max_epochs": 9}
    with caplog.at_level("INFO", logger="hpsearch.searchers"):
        whole, _ = drive_with_error(Auto(**options), se=0.05)
    assert caplog.text.count("a matter of luck") == 1
    stopped, answer = drive_with_error(Auto(**options, until_luck=True), se=0.05)
    assert answer is Pause.DONE
    assert len(stopped) < len(whole) / 2
    assert stopped == whole[: len(stopped)]  # so that the one continues the other
    assert min(stopped) < min(whole) + 0.05
    assert Auto(**options).label == Auto(**options, until_luck=True).label


@pytest.mark.parametrize("se", [None, 1e-9])
def test_auto_goes_on_where_folds_tell_more_or_nobody_knows(se, caplog):
    options = {"trials": 12, "max_epochs": 9}
    with caplog.at_level("INFO", logger="hpsearch.searchers"):
        losses, _ = drive_with_error(Auto(**options, until_luck=True), se=se)
    assert losses == drive_with_error(Auto(**options), se=se)[0]
    assert "luck" not in caplog.text


def test_success_is_likely_beside_what_succeeded():
    rng = np.random.default_rng(0)
    features = rng.random((60, 2))
    model = fit_success_model(features, features[:, 0] > 0.5, np.ones(2))
    near, border, far = np.exp(
        model.log_probability(np.array([[0.2, 0.5], [0.5, 0.5], [0.8, 0.5]]))
    )
    assert near > 0.9
    assert near > border > far
    assert far < 0.1


@pytest.mark.parametrize("compiling", [0.0, 1e9])
def test_auto_begins_points_of_a_new_program_where_they_promise_more_than_it_costs(compiling):
    """One in three optimizers was compiled. It is as good as the others."""
    space = Space(x=Float(0.0, 1.0), y=Float(0.0, 1.0), optimizer=Choice("a", "b", "c"))
    search, trial = Auto(trials=100, max_epochs=9).start(space, seed=1), 0
    new = []
    while trial < 150:
        suggestion = search.ask(trial)
        program = str(suggestion.params["optimizer"])
        if suggestion.parent is None and trial > 40:
            new.append(program)
        # The first two are trained by nobody knows what.
        cost = Cost(1, 1.0, compiling, program) if program == "a" else None
        search.tell(trial, Observation(valley(trial, suggestion), cost=cost))
        trial += 1
    share = np.mean([program != "a" for program in new])
    if compiling:
        assert share < 0.35  # a random point in ten asks, and what promises much more
    else:
        assert share > 0.4


@pytest.mark.parametrize("inflight", [1, 8])
def test_auto_opens_by_successive_halving_of_points_that_cover_the_space(inflight):
    asked = suggestions(drive(Auto(trials=5), space=UNIT, loss=valley, inflight=inflight))
    new, second, third = asked[:27], asked[27:36], asked[36:39]
    assert all(s.epochs == 1 and s.parent is None for s in new)
    for name in UNIT:
        eighths = np.bincount([int(8 * s.params[name]) for s in new], minlength=8)
        assert min(eighths) >= 2
    order = sorted(range(27), key=lambda trial: valley(trial, new[trial]))
    assert sorted(s.parent for s in second) == sorted(order[:9])
    best = sorted(range(27, 36), key=lambda trial: valley(trial, asked[trial]))
    assert sorted(s.parent for s in third) == sorted(best[:3])
    assert {s.epochs for s in second} == {3}
    assert {s.epochs for s in third} == {9}


@pytest.mark.parametrize(("inflight", "points"), [(20, 27), (48, 48), (100, 81)])
def test_autos_opening_is_as_large_as_what_is_trained_side_by_side(inflight, points):
    search = Auto(trials=200, max_epochs=27).start(UNIT, seed=0)
    asked = [search.ask(trial) for trial in range(inflight)]
    for trial, suggestion in enumerate(asked):
        search.tell(trial, Observation(valley(trial, suggestion)))
    rest = [search.ask(trial) for trial in range(inflight, points)]
    for trial, suggestion in enumerate(rest, start=inflight):
        search.tell(trial, Observation(valley(trial, suggestion)))
    asked += rest
    assert all(s.parent is None and s.epochs == 1 for s in asked)
    halved = [search.ask(trial) for trial in range(len(asked), len(asked) + points // 3)]
    best = sorted(range(points), key=lambda trial: valley(trial, asked[trial]))
    assert {s.parent for s in halved} == set(best[: points // 3])
    assert all(s.epochs == 3 for s in halved)


@pytest.mark.parametrize(("epochs", "points"), [(1, 12), (3, 12), (27, 27), (243, 27)])
def test_autos_opening_is_small_whatever_the_epochs(epochs, points):
    asked = suggestions(drive(Auto(trials=13, max_epochs=epochs), space=UNIT, loss=valley))
    new = [s.parent is None for s in asked]
    assert new.index(False) == points if epochs > 1 else len(asked) == 13


def test_auto_halves_while_losses_are_all_alike():
    """Losses that differ only late must be reached, or nothing would ever be learnt."""

    def late(trial, suggestion):
        return 1.0 if suggestion.epochs < 27 else valley(trial, suggestion)

    asked = suggestions(drive(Auto(trials=20), space=UNIT, loss=late, inflight=4))
    assert min(late(0, s) for s in asked) < 0.3 / 27 + 0.1
    assert sum(s.epochs == 27 for s in asked) >= 4


@pytest.mark.parametrize("inflight", [1, 8])
def test_auto_continues_only_what_it_said_it_might(inflight):
    """Or the checkpoint might be gone, and the trial would be trained again."""
    search = Auto(trials=24).start(UNIT, seed=3)
    asked, running = {}, []
    while True:
        kept = {trial for trial in asked if trial not in running and search.continuable(trial)}
        answer = search.ask(len(asked)) if len(running) < inflight else Pause.WAIT
        if isinstance(answer, Suggestion):
            assert answer.parent is None or answer.parent in kept
            running.append(len(asked))
            asked[len(asked)] = answer
        elif not running:
            break
        else:
            trial = running.pop(0)
            search.tell(trial, Observation(valley(trial, asked[trial])))
    assert sum(s.parent is not None for s in asked.values()) > 20


@pytest.mark.parametrize("inflight", [1, 8])
def test_auto_begins_again_elsewhere_and_by_nothing_it_knew(inflight, monkeypatch):
    monkeypatch.setattr(auto, "RULES", replace(auto.RULES, restart=10.0))

    def opened_again(loss):
        """The points until 10 full trainings are spent, and those begun next."""
        events = drive(Auto(trials=16, max_epochs=9), space=UNIT, loss=loss, inflight=inflight)
        asked = suggestions(events)
        begun = [0 if s.parent is None else asked[s.parent].epochs for s in asked]
        spent = np.cumsum([s.epochs - b for s, b in zip(asked, begun, strict=True)])
        assert spent[-1] >= 16 * 9
        place = int(np.searchsorted(spent, 10 * 9)) + 1
        assert all(s.parent is None or s.parent >= place for s in asked[place:])
        assert all(s.parent is None and s.epochs == 1 for s in asked[place : place + 11])
        points = np.array([list(s.params.values()) for s in asked])
        return points[:place], points[place : place + 11]

    before, again = opened_again(valley)
    assert np.abs(before[:, None] - again[None]).max(axis=2).min() >= 0.02
    _, other = opened_again(lambda trial, suggestion: 1.0 - valley(trial, suggestion))
    # The same points but for those too near to what was tried.
    assert np.sum(np.abs(other[:, None] - again[None]).max(axis=2) == 0) > 5


def test_auto_does_not_begin_again_where_every_point_was_tried(monkeypatch):
    monkeypatch.setattr(auto, "RULES", replace(auto.RULES, restart=2.0))
    space = Space(a=Choice("p", "q"), b=Int(1, 3))

    def loss(trial, suggestion):
        return suggestion.params["b"] + (suggestion.params["a"] == "p") + 1.0 / suggestion.epochs

    asked = suggestions(drive(Auto(trials=12, max_epochs=9), space=space, loss=loss))
    assert sum(s.parent is None for s in asked) == len({str(s.params) for s in asked}) == 6
    assert sum(s.epochs == 9 for s in asked) >= 2


def test_autos_steps_turn_back_at_the_ends_of_ranges_or_stop_there():
    sampler = CandidateSampler(Encoding(UNIT), near=0.02)
    points = sampler.sample_around(np.array([[0.01, 0.5]]), 400, np.random.default_rng(0))
    assert points.min() >= 0
    assert points.max() <= 1
    x = points[:, 0]
    assert np.sum(x == 0) > 20
    assert np.sum((x > 0) & (x < 0.01)) > 20


def test_autos_encoding_agrees_with_the_space():
    encoding, rng = Encoding(SPACE), np.random.default_rng(0)
    units = encoding.snap(rng.random((200, len(SPACE))))
    for unit in units:
        params = SPACE.from_unit(unit)
        assert np.allclose(SPACE.to_unit(params), unit)
    features = encoding.to_features(units)
    assert features.shape == (200, len(encoding.groups))
    same = [str(SPACE.from_unit(unit)) for unit in units]
    for i in range(0, 200, 7):
        for j in range(200):
            assert (same[i] == same[j]) == np.allclose(features[i], features[j])


def test_autos_process_has_the_slope_of_its_density():
    rng, n = np.random.default_rng(0), 40
    process = GaussianProcess(np.array([0, 1, 2, 2]))
    epochs = np.log(rng.choice([1.0, 3.0, 9.0], n))
    observed = Locations(rng.random((n, 4)), epochs, rng.integers(0, 25, n))
    parts, theta = process.split_covariance(observed), process.theta + 0.3 * rng.standard_normal(7)
    y = rng.standard_normal(n)
    _, slope = process.negative_log_density(theta, parts, y)
    for place, step in enumerate(1e-5 * np.eye(7)):
        up, down = (
            process.negative_log_density(theta + sign * step, parts, y)[0] for sign in (1, -1)
        )
        assert slope[place] == pytest.approx((up - down) / 2e-5, rel=1e-4, abs=1e-4)


def test_autos_process_interpolates_and_doubts_what_is_far():
    x = np.linspace(0.0, 0.5, 6)[:, None]
    observed = Locations(x, np.zeros(6), np.arange(6))
    process = GaussianProcess(np.array([0]))
    posterior = process.condition_on(observed, np.sin(6 * x[:, 0]))
    where = Locations(np.array([[0.25], [1.0]]), np.zeros(2), np.array([-1, -1]))
    mean, sd = posterior.predict_each(where, np.zeros((0, 1)))
    assert mean[0, 0] == pytest.approx(np.sin(1.5), abs=0.15)
    assert sd[1] > 2 * sd[0]


def test_autos_imagined_results_are_those_of_a_process_that_was_told_them():
    rng, process = np.random.default_rng(0), GaussianProcess(np.array([0, 1]))
    seen, running, where = (
        Locations(rng.random((n, 2)), np.log(rng.choice([1.0, 3.0], n)), first + np.arange(n))
        for n, first in ((12, 0), (3, 100), (5, 200))
    )
    y, draws = rng.standard_normal(12), rng.standard_normal((3, 2000))
    believed = process.condition_on(seen, y).believe_means(running)
    means, sd = believed.predict_each(where, draws)

    # Each draw is as good as told: the values that it stands for give the same means.
    values = believed.y[12:, None] + believed.lower[12:, 12:] @ draws
    for column in (0, 1):
        told = process.condition_on(seen.append(running), np.concatenate([y, values[:, column]]))
        mean, told_sd = told.predict_each(where, np.zeros((0, 1)))
        assert np.allclose(mean[:, 0], means[:, column])
        assert np.allclose(told_sd, sd)

    # And together they are as uncertain as before: spread of means and what remains add up.
    _, before = process.condition_on(seen, y).predict_each(where, np.zeros((0, 1)))
    assert np.allclose(np.sqrt(means.var(axis=1) + sd**2), before, rtol=0.05)


def test_autos_running_points_promise_what_others_must_surpass():
    """A point beside a running one is expected to improve less than before that one ran."""
    rng, process = np.random.default_rng(0), GaussianProcess(np.array([0]))
    x = np.linspace(0.0, 1.0, 6)[:, None]
    posterior = process.condition_on(Locations(x, np.zeros(6), np.arange(6)), np.sin(3 * x[:, 0]))
    seen = posterior.observed
    running = Locations(np.array([[0.5]]), np.zeros(1), np.array([50]))
    beside = Locations(np.array([[0.51]]), np.zeros(1), np.array([-1]))
    alone, crowded = (
        imagine_running(posterior, seen, some, 0.0, 8, rng).log_improvements(beside, 0.0)[0][0]
        for some in (running.take([]), running)
    )
    assert crowded < alone - 0.3


def test_auto_trains_nothing_anew_to_the_last_epoch_before_a_trial_has_been_there():
    search = Auto(trials=20).start(UNIT, seed=0)
    asked = []
    for _ in range(27):
        asked.append(search.ask(len(asked)))
    for trial in range(27):
        search.tell(trial, Observation(valley(trial, asked[trial])))
    nine = [search.ask(trial) for trial in range(27, 36)]
    for trial, suggestion in enumerate(nine, start=27):
        search.tell(trial, Observation(valley(trial, suggestion)))
    last = [search.ask(trial) for trial in range(36, 60)]
    assert [s.epochs for s in last[:3]] == [9, 9, 9]
    assert all(s.epochs <= 3 for s in last if s.parent is None)


def test_autos_drawn_processes_differ_less_the_more_is_known():
    rng = np.random.default_rng(0)

    def lengths(n):
        x = rng.random((n, 1))
        where = Locations(x, np.zeros(n), np.arange(n))
        process = GaussianProcess(np.array([0])).fit(where, np.sin(6 * x[:, 0]), 50)
        drawn = np.array([process.draw_theta(rng).theta[0] for _ in range(200)])
        assert np.median(drawn) == pytest.approx(process.theta[0], abs=0.1)
        return drawn.std()

    assert 0 < lengths(60) < 0.7 * lengths(5)


@pytest.mark.parametrize("size", [5, 30])
def test_auto_asks_the_same_whichever_trial_of_a_batch_ended_first(size):
    """And an ask that a pause answers, or a repeated one, leaves no trace."""
    one, other = (Auto(trials=60, max_epochs=27).start(UNIT, seed=4) for _ in range(2))
    rng, trial, batches = np.random.default_rng(0), 0, 0
    while True:
        batch = []
        while len(batch) < size and isinstance(answer := one.ask(trial), Suggestion):
            assert other.ask(trial) == answer
            batch.append((trial, Observation(valley(trial, answer))))
            trial += 1
        if not batch or trial > 220:
            break
        if len(batch) < size:
            assert other.ask(trial) is Pause.WAIT
        for place in range(len(batch)):
            one.tell(*batch[place])
        for place in rng.permutation(len(batch)):
            other.tell(*batch[place])
        batches += 1
    assert batches > 5
