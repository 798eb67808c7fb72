"""What `Auto` learns of compiling: which points need a program that is not there, and its price."""

import math

import numpy as np
import pytest

from hpsearch.core.trial import Cost
from hpsearch.searchers.auto.programs import ProgramCosts

NAMES = ("units", "optimizer", "rate")


def point(units, optimizer, rate):
    return {"units": units, "optimizer": optimizer, "rate": rate}


def learned():
    """Two programs, one for each optimizer; 2 s to compile each, four trials of 0.5 s."""
    costs = ProgramCosts(NAMES)
    for optimizer in ("adam", "sgd"):
        for units, rate in ((8, 0.1), (16, 0.3)):
            costs.record(point(units, optimizer, rate), Cost(4, 2.0, 1.0, f"of {optimizer}"))
    return costs


def test_before_anything_is_known_all_cost_the_same():
    assert ProgramCosts(NAMES).estimate_log_cost([point(8, "adam", 0.1)]).tolist() == [0.0]


def test_a_parameter_that_differs_within_a_program_decides_nothing():
    costs = learned().estimate_log_cost([point(99, "adam", 0.9), point(8, "rmsprop", 0.1)])
    assert costs[0] == 0.0
    # Two seconds, shared by two trials of half a second each: three times as long as without.
    assert costs[1] == pytest.approx(math.log(3.0))


def test_a_program_that_a_running_trial_needs_will_be_there():
    asked = [point(8, "rmsprop", 0.1)]
    assert learned().estimate_log_cost(asked, [point(64, "rmsprop", 0.5)]).tolist() == [0.0]


def test_the_order_in_which_trials_ended_changes_nothing():
    rng = np.random.default_rng(0)
    told = [(point(i, "adam", 0.1 * i), Cost(3, *rng.random(2), f"p{i % 2}")) for i in range(9)]
    one, other = ProgramCosts(NAMES), ProgramCosts(NAMES)
    for params, cost in told:
        one.record(params, cost)
    for place in rng.permutation(len(told)):
        other.record(*told[place])
    asked = [point(50, "sgd", 0.1), point(50, "adam", 0.1)]
    assert one.estimate_log_cost(asked).tolist() == other.estimate_log_cost(asked).tolist()


def test_trials_by_fit_or_without_a_cost_teach_nothing():
    costs = ProgramCosts(NAMES)
    costs.record(point(8, "adam", 0.1), None)
    costs.record(point(8, "adam", 0.1), Cost(1, 5.0))
    assert costs.estimate_log_cost([point(8, "sgd", 0.1)]).tolist() == [0.0]


def test_a_parameter_that_does_not_exist_everywhere_is_compared_too():
    costs = ProgramCosts(("layers", "funnel"))
    costs.record({"layers": 1}, Cost(2, 1.0, 1.0, "p"))
    costs.record({"layers": 2, "funnel": 0.5}, Cost(2, 1.0, 1.0, "p"))
    assert costs.estimate_log_cost([{"layers": 3, "funnel": 0.7}]).tolist() == [0.0]
