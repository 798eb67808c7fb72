"""How many trials a call of a worker should have, by what calls took so far."""

import random

import pytest

from hpsearch.core.trial import Cost
from hpsearch.runs.call_times import FIRST, CallTimes
from hpsearch.runs.in_flight import InFlight


def make_times():
    """Of a worker that is warm."""
    times = CallTimes()
    call(times, [(1, "p")], 1.0)
    return times


def call(times, trials, seconds, compiling=0.0, device="cpu:1"):
    """Record a call of trials, as (epochs, program), that took so many seconds in all."""
    for number, (epochs, program) in enumerate(trials, 1):
        elapsed = seconds * number / len(trials)
        cost = Cost(len(trials), elapsed, compiling / len(trials), program)
        times.record(device, epochs, cost)


def follow(take, rounds=8, most=85, seed=0):
    """The sizes of calls that a machine is given which takes take(epochs of trials) seconds."""
    rng, times, sizes = random.Random(seed), CallTimes(), []
    for _ in range(rounds):
        sizes.append(times.choose_together(most))
        epochs = [rng.choice((1, 3, 9)) for _ in range(sizes[-1])]
        call(times, [(each, "p") for each in epochs], take(epochs))
    return sizes


def test_the_first_call_is_small_so_that_results_come_soon():
    assert CallTimes().choose_together(85) == FIRST
    assert CallTimes().choose_together(5) == 5


def test_where_more_trials_cost_nothing_calls_grow():
    sizes = follow(lambda epochs: 0.1 + 0.02 * max(epochs) + 1e-4 * sum(epochs))
    assert sizes[-1] >= 64


def test_where_each_trial_costs_the_same_one_is_chosen_at_a_time():
    assert set(follow(lambda epochs: 20.0 * sum(epochs))[2:]) == {1}


@pytest.mark.parametrize("seed", range(5))
def test_what_is_chosen_is_near_the_best_for_a_machine_that_takes_a_part_for_each(seed):
    """n ** 0.84 trials' worth in fixed + each * n seconds is most at n = 5.25 * fixed / each."""
    sizes = follow(lambda epochs: 0.4 + 0.05 * len(epochs), rounds=12, seed=seed)
    assert 24 <= sizes[-1] <= 64


def test_the_first_call_warms_its_worker_up_and_does_not_count_beside_others():
    times = CallTimes()
    call(times, [(1, "p")] * 12, 40.0)
    call(times, [(1, "p")], 0.3)
    assert times.choose_together(85) == 2  # twice as many as in the last call


def test_the_wait_for_compiling_is_no_part_of_a_call():
    plain, waited = make_times(), make_times()
    for size in (4, 8, 16):
        trials = [(3, "p")] * size
        call(plain, trials, 0.2 + 0.3 * size)
        call(waited, trials, 30.0 + 0.2 + 0.3 * size, compiling=30.0)
    assert plain.choose_together(85) == waited.choose_together(85)


def test_a_call_that_was_interrupted_is_left_out():
    times = make_times()
    for number in range(3):  # of eight; then its worker was killed
        times.record("cpu:1", 3, Cost(8, 100.0 + number, 0.0, "p"))
    call(times, [(3, "p")] * 8, 0.5)
    other = make_times()
    call(other, [(3, "p")] * 8, 0.5)
    assert times.choose_together(85) == other.choose_together(85) > 8


def test_trials_nobody_measured_change_nothing():
    times = CallTimes()
    times.record("cpu:1", 3, None)
    assert times.choose_together(85) == FIRST


def test_two_workers_get_a_batch_each_as_they_come_free():
    in_flight = InFlight(harmless=1, together=4)
    assert in_flight.count_new(running=0, workers=2, most=85) == 8
    assert in_flight.count_new(running=6, workers=2, most=85) == 0
    assert in_flight.count_new(running=4, workers=2, most=85) == 4


def test_what_memory_or_the_machine_holds_limits_a_batch():
    assert InFlight(harmless=1, together=64).count_new(0, 1, 10) == 10


def test_a_method_to_which_the_number_does_not_matter_keeps_all_supplied():
    assert InFlight().count_new(running=3, workers=2, most=5) == 7
