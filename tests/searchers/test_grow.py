"""GrowThenRegularize: which architecture it keeps, and what it searches then."""

import logging

import pytest

from hpsearch import Choice, Float, GrowThenRegularize, Int, Space
from hpsearch.core.errors import SpaceError
from hpsearch.core.trial import Observation, Pause
from hpsearch.searchers.grow import explain_overfitting

SPACE = Space(
    layers=Int(1, 3),
    units=Int(8, 128, log=True),
    dropout=Float(0.0, 0.5),
    l2=Float(1e-6, 1e-2, log=True),
    optimizer=Choice("adam", "sgd"),
)
FALLING = tuple(1.0 / epoch for epoch in range(1, 13))
RISING = (*FALLING[:6], *(0.2 + 0.1 * epoch for epoch in range(6)))


def curves(params, *, overfits_from=60):
    """Models of so many units overfit."""
    validation = RISING if params["units"] >= overfits_from else FALLING
    return Observation(min(validation), validation, FALLING)


def run(searcher, see=curves, inflight=1, space=SPACE, first=()):
    """The points that a search asks for, in order."""
    search, asked, running = searcher.start(space, seed=0, first=first), [], []
    while True:
        answer = search.ask(len(asked)) if len(running) < inflight else Pause.WAIT
        if isinstance(answer, Pause):
            if not running:
                assert answer is Pause.DONE
                return asked
            search.tell(running[0], see(asked[running.pop(0)]))
            continue
        running.append(len(asked))
        asked.append(answer.params)


def test_grows_until_a_model_overfits_then_searches_the_rest():
    asked = run(GrowThenRegularize(trials=30, epochs=12))
    grown = [(p["layers"], p["units"]) for p in asked[:5]]
    assert grown == [(1, 8), (1, 13), (2, 23), (2, 41), (3, 73)]
    assert all((p["dropout"], p["optimizer"]) == (0.0, "adam") for p in asked[:5])
    rest = asked[5:]
    assert {(p["layers"], p["units"]) for p in rest} == {(3, 73)}
    assert len({p["dropout"] for p in rest}) == len({p["l2"] for p in rest}) == 25
    assert {p["optimizer"] for p in rest} == {"adam", "sgd"}


@pytest.mark.parametrize("inflight", [2, 4, 50])
def test_the_architecture_does_not_depend_on_how_many_run_at_once(inflight):
    asked = run(GrowThenRegularize(trials=60, epochs=12), inflight=inflight)
    assert {(p["layers"], p["units"]) for p in asked[6:]} == {(3, 73)}


def test_where_nothing_overfits_the_best_on_validation_is_kept(caplog):
    def see(params):
        return Observation(abs(params["units"] - 23.0), FALLING, FALLING)

    with caplog.at_level(logging.INFO, "hpsearch"):
        asked = run(GrowThenRegularize(trials=12, epochs=12), see)
    assert {(p["layers"], p["units"]) for p in asked[6:]} == {(2, 23)}
    assert "no model overfits within 12 epochs" in caplog.text


def test_a_failed_model_does_not_stop_growth():
    def see(params):
        return Observation(None) if params["units"] < 50 else curves(params)

    asked = run(GrowThenRegularize(trials=12, epochs=12), see)
    assert {(p["layers"], p["units"]) for p in asked[6:]} == {(3, 73)}


def test_says_what_it_decided_and_why(caplog):
    with caplog.at_level(logging.INFO, "hpsearch"):
        run(GrowThenRegularize(trials=12, epochs=12))
    assert [record.message for record in caplog.records][3:] == [
        "layers=2 units=41 does not overfit",
        "layers=3 units=73 overfits: from epoch 6 to 12 the training loss fell from 0.1667 to "
        "0.08333, while the validation loss rose from 0.1667 to 0.7",
        "layers=3 units=73 is taken; searched next: dropout, l2, optimizer",
        "best: dropout=0 l2=1e-06 layers=1 optimizer=adam units=8, with early stopping after "
        "epoch 12 of 12",
    ]


def test_what_neither_grows_nor_regularizes_is_held_at_the_first_start_value():
    own = {"layers": 3, "units": 100, "dropout": 0.3, "l2": 1e-3, "optimizer": "sgd"}
    asked = run(GrowThenRegularize(trials=12, epochs=12), first=[own])
    assert asked[0] == own
    assert asked[1] == {"layers": 1, "units": 8, "dropout": 0.0, "l2": 1e-6, "optimizer": "sgd"}


def test_conditions_stay_honoured_and_choices_of_numbers_grow_by_size():
    space = Space(
        kind=Choice("wide", "deep"),
        hidden_units=Choice(64, 16, 32, when={"kind": "wide"}),
        depth=Int(1, 4, when={"kind": "deep"}),
        dropout=Float(0.0, 0.5, when={"hidden_units": (32, 64)}),
        learning_rate=Float(1e-4, 1e-1, log=True),
    )

    def see(params):
        validation = RISING if params.get("hidden_units", 0) >= 32 else FALLING
        return Observation(1.0, validation, FALLING)

    asked = run(GrowThenRegularize(trials=12, epochs=12, steps=3), see, space=space)
    assert [p["hidden_units"] for p in asked] == [16, *[32] * 11]
    for params in asked:
        space.check(params)
    assert "dropout" not in asked[0]
    assert len({p["dropout"] for p in asked[1:]}) == 11


def test_nothing_left_to_search_is_the_end():
    asked = run(GrowThenRegularize(trials=12, epochs=12), space=Space(units=SPACE["units"]))
    assert [p["units"] for p in asked] == [8, 13, 23, 41, 73]


@pytest.mark.parametrize(
    ("options", "space", "message"),
    [
        (
            {},
            Space(l2=SPACE["l2"], rate=Float(0.0, 1.0)),
            r"no parameter of a model's size among l2",
        ),
        ({"grow": ("unit",)}, SPACE, r"names 'unit', which .* \(did you mean 'units'\?\)"),
        ({"regularize": ("drop",)}, SPACE, r"names 'drop', which is not in the space"),
    ],
)
def test_a_space_it_cannot_grow_in_is_refused(options, space, message):
    with pytest.raises(SpaceError, match=message):
        GrowThenRegularize(**options).start(space, seed=0)


NOISE = tuple(1.0 + 0.02 * (-1) ** epoch for epoch in range(12))


@pytest.mark.parametrize(
    ("validation", "train", "overfits"),
    [
        (RISING, FALLING, True),
        (FALLING, FALLING, False),
        (RISING, NOISE[::-1], False),  # it learns no more, or diverges
        (NOISE, FALLING, False),  # less than what an epoch changes anyway
        ((0.5,), (0.5,), False),
        ((), (), False),
    ],
)
def test_overfitting_is_seen_in_the_curves(validation, train, overfits):
    assert bool(explain_overfitting(Observation(0.5, validation, train))) == overfits


def test_the_minimised_loss_tells_more_than_the_metric():
    flat = (0.1,) * 12
    seen = Observation(0.1, flat, FALLING, validation_loss=RISING, train_loss=FALLING)
    assert explain_overfitting(seen)
