"""What every searcher must keep to, whatever its method."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from hpsearch import Choice, Float, Int, Space
from hpsearch.core.errors import SpaceError
from hpsearch.core.space import Params
from hpsearch.core.trial import Observation, Pause, Suggestion
from hpsearch.searchers import Searcher
from hpsearch.searchers.base import rehearse_search
from tests.conftest import ROOT

SPACE = Space(
    layers=Int(1, 2),
    units_1=Int(4, 64, log=True),
    units_2=Int(4, 64, log=True, when={"layers": 2}),
    optimizer=Choice("sgd", "adam", "rmsprop"),
    momentum=Float(0.0, 0.75, step=0.25, when={"optimizer": "sgd"}),
    early=Choice(True, False),
)

Loss = Callable[[int, Suggestion], float | None]
Event = tuple[str, int, Any]


def by_point(trial: int, suggestion: Suggestion) -> float:
    """A loss that depends on the point and falls with its epochs."""
    units = suggestion.params.get("units_1", 8)
    return float(np.log(float(units))) + 1.0 / suggestion.epochs


def drive(
    searcher: Searcher,
    *,
    seed: int = 0,
    space: Space = SPACE,
    first: Sequence[Params] = (),
    inflight: int = 1,
    order: int | None = None,
    loss: Loss = by_point,
    replayed: Sequence[Event] = (),
) -> list[Event]:
    """Drive a search to its end, and return its events.

    order: seeds the order of tells; None tells the oldest first. replayed: events of an earlier
    drive to repeat before going on.
    """
    search, rng = searcher.start(space, seed=seed, first=first), np.random.default_rng(order)
    asked: dict[int, Suggestion] = {}
    running: list[int] = []
    events: list[Event] = []

    def tell(trial: int) -> None:
        suggestion, value = asked[trial], loss(trial, asked[trial])
        begun = 0 if suggestion.parent is None else asked[suggestion.parent].epochs
        curve = () if value is None else (value,) * (suggestion.epochs - begun)
        running.remove(trial)
        search.tell(trial, Observation(value, curve, curve, seconds=1.0, n_weights=10))
        events.append(("tell", trial, value))

    def ask() -> Suggestion | Pause:
        answer = search.ask(len(asked))
        if isinstance(answer, Suggestion):
            events.append(("ask", len(asked), answer))
            running.append(len(asked))
            asked[len(asked)] = answer
        return answer

    for kind, trial, value in replayed:
        if kind == "tell":
            tell(trial)
        else:
            assert ask() == value, "a replayed search answers as it did"
    while True:
        answer: Suggestion | Pause = Pause.WAIT
        while len(running) < inflight and isinstance(answer := ask(), Suggestion):
            assert len(asked) < 5000, "the search does not end"
        if not running:
            assert answer is Pause.DONE, "waits while nothing runs"
            return events
        tell(running[0 if order is None else int(rng.integers(len(running)))])


def suggestions(events: Sequence[Event]) -> list[Suggestion]:
    return [value for kind, _, value in events if kind == "ask"]


class SearcherContract:
    """Subclasses give a fixture `searcher`."""

    def test_a_space_without_parameters_is_searched_or_refused(self, searcher):
        try:
            search = searcher.start(Space(), seed=0)
        except SpaceError:
            return
        assert isinstance(search.ask(0), Suggestion)

    def test_points_fit_the_space_and_are_plain_json(self, searcher: Searcher) -> None:
        for suggestion in suggestions(drive(searcher)):
            SPACE.check(suggestion.params)
            assert json.loads(json.dumps(dict(suggestion.params))) == suggestion.params
            assert type(suggestion.epochs) is int
            assert suggestion.epochs >= 1

    def test_same_seed_same_search(self, searcher: Searcher) -> None:
        assert drive(searcher, seed=1) == drive(searcher, seed=1)

    def test_seed_zero_is_a_seed(self, searcher: Searcher) -> None:
        assert drive(searcher, seed=0) == drive(searcher, seed=0)

    def test_same_points_in_a_fresh_process(self, searcher: Searcher) -> None:
        """Whatever order strings hash in there."""
        code = (
            "import sys; from hpsearch.searchers import *; from tests.fakes import *;"
            "from tests.contracts.searcher import *;"
            f"print([[s.epochs, s.parent, dict(s.params)] for s in suggestions(drive({searcher}))])"
        )
        here = [[s.epochs, s.parent, dict(s.params)] for s in suggestions(drive(searcher))]
        there = subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": "7"},
            check=True,
            capture_output=True,
            text=True,
        )
        assert there.stdout.strip() == str(here)

    @pytest.mark.parametrize("inflight", [1, 2, 5, 50])
    def test_ends_with_any_number_in_flight(self, searcher: Searcher, inflight: int) -> None:
        assert suggestions(drive(searcher, inflight=inflight))

    @pytest.mark.parametrize("order", range(5))
    def test_takes_tells_in_any_order(self, searcher: Searcher, order: int) -> None:
        events = drive(searcher, inflight=5, order=order)
        assert len(events) == 2 * len(suggestions(events))

    @pytest.mark.parametrize("third", range(3))
    def test_survives_failures(self, searcher: Searcher, third: int) -> None:
        def loss(trial: int, suggestion: Suggestion) -> float | None:
            return None if trial % 3 == third else by_point(trial, suggestion)

        assert len(suggestions(drive(searcher, loss=loss, inflight=3))) >= 1

    def test_survives_nothing_but_failures(self, searcher: Searcher) -> None:
        assert suggestions(drive(searcher, loss=lambda trial, suggestion: None))

    def test_survives_a_constant_loss(self, searcher: Searcher) -> None:
        assert suggestions(drive(searcher, loss=lambda trial, suggestion: 1.0))

    def test_parents_are_earlier_shorter_and_the_same_point(self, searcher: Searcher) -> None:
        asked = suggestions(drive(searcher, inflight=4, order=0))
        for trial, suggestion in enumerate(asked):
            if suggestion.parent is not None:
                assert searcher.continues
                assert suggestion.parent < trial
                assert asked[suggestion.parent].epochs < suggestion.epochs
                assert asked[suggestion.parent].params == suggestion.params

    def test_parents_had_ended_without_failing(self, searcher: Searcher) -> None:
        def loss(trial: int, suggestion: Suggestion) -> float | None:
            return None if trial % 3 == 0 else by_point(trial, suggestion)

        told: dict[int, float | None] = {}
        for kind, trial, value in drive(searcher, inflight=4, order=1, loss=loss):
            if kind == "tell":
                told[trial] = value
            elif value.parent is not None:
                assert told[value.parent] is not None

    def test_replay_reaches_the_same_state(self, searcher: Searcher) -> None:
        events = drive(searcher, inflight=2)
        for cut in range(0, len(events), max(1, len(events) // 25)):
            assert drive(searcher, inflight=2, replayed=events[:cut]) == events

    def test_asking_while_paused_changes_nothing(self, searcher: Searcher) -> None:
        patient, eager = (searcher.start(SPACE, seed=3) for _ in range(2))
        asked: list[Suggestion] = []
        running: list[int] = []
        while not isinstance(answer := patient.ask(len(asked)), Pause) or running:
            if isinstance(answer, Suggestion):
                assert eager.ask(len(asked)) == answer
                running.append(len(asked))
                asked.append(answer)
                continue
            assert [eager.ask(len(asked)) for _ in range(3)] == [answer] * 3
            trial = running.pop(0)
            seen = Observation(by_point(trial, asked[trial]))
            patient.tell(trial, seen)
            eager.tell(trial, seen)
        assert [eager.ask(len(asked)) for _ in range(3)] == [Pause.DONE] * 3

    def test_is_as_long_as_its_rehearsal(self, searcher: Searcher) -> None:
        plan = rehearse_search(searcher, SPACE)
        events = drive(searcher, loss=lambda trial, suggestion: 0.0)
        assert plan.trials == len(suggestions(events))
        assert plan.epochs <= plan.epochs_from_scratch

    def test_resized_is_no_longer_than_asked_for(self, searcher: Searcher) -> None:
        smaller = searcher.resized(epochs=2)
        assert max(s.epochs for s in suggestions(drive(smaller))) <= 2
        assert searcher.resized() == searcher
