"""How long `Auto` trains at least: as long as a trial takes before it trains."""

import pytest

from hpsearch import Auto, Float, Space
from hpsearch.core.trial import Cost, Observation, Suggestion
from hpsearch.searchers.auto.seconds import TrialSeconds

LEVELS = (1, 3, 9, 27)


def learned(before, of_epoch, *epochs, compiling=0.0):
    """From calls of four trials each, of so many epochs."""
    found = TrialSeconds()
    for trial, each in enumerate(epochs):
        elapsed = 4 * (before + of_epoch * each + compiling)
        found.record(trial, each, Cost(4, elapsed, compiling, "p"))
    return found


@pytest.mark.parametrize(
    ("of_epoch", "lowest"), [(0.0, 3), (0.03, 3), (0.1, 2), (0.2, 1), (0.5, 0), (20.0, 0)]
)
def test_a_training_is_at_least_as_long_as_what_comes_before_it(of_epoch, lowest):
    assert learned(1.0, of_epoch, 1, 3, 9, 1).find_lowest_rung(LEVELS) == lowest


def test_the_wait_for_programs_does_not_count():
    found = learned(0.01, 0.1, 1, 3, 9, compiling=5.0)
    assert found.find_lowest_rung(LEVELS) == 0


def test_nothing_is_known_before_lengths_have_differed():
    assert TrialSeconds().find_lowest_rung(LEVELS) == 0
    assert learned(9.0, 0.1, 1, 1, 1).find_lowest_rung(LEVELS) == 0


def test_a_failure_and_what_nobody_measured_teach_nothing():
    found = learned(9.0, 0.1, 1)
    found.record(7, 3, None)
    found.record(8, 0, Cost(1, 3.0, 0.0, ""))
    assert found.find_lowest_rung(LEVELS) == 0


def epochs_asked(before, of_epoch):
    """Of the new points of a search after its opening, in a world of such seconds."""
    search = Auto(trials=40, max_epochs=27).start(Space(x=Float(0, 1), y=Float(0, 1)), seed=0)
    trained, asked = [], []
    while isinstance(answer := search.ask(len(trained)), Suggestion):
        start = 0 if answer.parent is None else trained[answer.parent]
        epochs = answer.epochs - start
        if answer.parent is None:
            asked.append(answer.epochs)
        point = answer.params
        loss = (point["x"] - 0.3) ** 2 + (point["y"] - 0.6) ** 2 + 0.5 / answer.epochs
        cost = Cost(1, before + of_epoch * epochs, 0.0, "p")
        search.tell(len(trained), Observation(loss, curve=(loss,) * epochs, cost=cost))
        trained.append(answer.epochs)
    return asked


def test_where_epochs_cost_next_to_nothing_new_points_are_trained_in_full():
    asked = epochs_asked(before=1.0, of_epoch=0.001)
    assert set(asked[27:]) == {27}


def test_where_epochs_are_what_costs_new_points_are_tried_for_a_few():
    asked = epochs_asked(before=0.0, of_epoch=1.0)
    assert sum(epochs < 27 for epochs in asked[27:]) > 0.8 * len(asked[27:])
    assert asked == epochs_asked(before=0.5, of_epoch=1.0)


@pytest.mark.parametrize(("expected", "lowest"), [(0.001, 3), (0.06, 2), (0.3, 1)])
def test_what_was_expected_counts_until_trials_have_shown_it(expected, lowest):
    found = TrialSeconds(expected)
    assert found.find_lowest_rung(LEVELS) == lowest
    for trial in range(64):  # an epoch takes next to nothing
        found.record(trial, 9 if trial % 2 else 3, Cost(1, 1.0, 0.0, "p"))
    assert found.find_lowest_rung(LEVELS) == 3


def test_an_opening_of_full_trainings_is_short():
    long, short = (Auto(max_epochs=27).start(Space(x=Float(0, 1)), seed=0) for _ in range(2))
    short.expect_epoch_seconds(0.001)
    assert long.ask(0).epochs == 1
    assert short.ask(0).epochs == 27
    assert long.rounds[0].opened > short.rounds[0].opened
