"""What every search method has: frozen options, and a running search with ask and tell."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np

from hpsearch.core.errors import SpaceError
from hpsearch.core.option_text import describe_options
from hpsearch.core.plan import Plan, Rung
from hpsearch.core.space import Params, Space
from hpsearch.core.trial import Observation, Pause, Suggestion

UNLIMITED = 2**20  # trials in flight, for a method to which their number does not matter


class Search(Protocol):
    """A running search: `ask -> ask -> tell -> ask (continues 0) -> ... -> DONE`.

    It lives in the process that runs the study. It never blocks and never trains.
    """

    def ask(self, trial: int) -> Suggestion | Pause:
        """What trial number `trial` trains; numbers count up from 0 without a gap.

        WAIT: nothing, until a running trial ends. DONE: nothing any more. Neither changes the state
        of the search, so it may be asked again at any time.
        """

    def tell(self, trial: int, observation: Observation) -> None:
        """Learn how a trial ended. Called once for each trial, in any order."""

    def continuable(self, trial: int) -> bool:
        """Whether a trial that has ended may still be continued, so that its checkpoint is kept.

        This is an estimate: a parent without a checkpoint is trained again.
        """


@runtime_checkable
class WeighsSeconds(Protocol):
    """A running search that decides by seconds too, beside epochs."""

    def expect_epoch_seconds(self, seconds: float) -> None:
        """Hear what an epoch of a trial may take, before the first ask; 0: nobody can tell."""


@runtime_checkable
class Limited(Protocol):
    """A running search that may end before its trials do, by limits which are not in its label.

    So each run of it may have other ones.
    """

    def lift_limits(self) -> None:
        """Answer as if there were none: trials of earlier runs were asked for by theirs."""

    def set_limits(self) -> None:
        """Go by the limits of its options from the next ask on."""


@runtime_checkable
class Searcher(Protocol):
    """Options of a search method: cheap to build, safe to import in a worker."""

    @property
    def label(self) -> str:
        """The options that decide the points, without those that only limit their number.

        Two runs of a study with the same label and seed are one search: the second continues it.
        """

    @property
    def continues(self) -> bool:
        """Whether trials may continue others, whose checkpoints must therefore be kept."""

    @property
    def in_flight(self) -> int:
        """How many trials may train at the same time without making the search worse."""

    def resized(self, *, trials: int | None = None, epochs: int | None = None) -> Self:
        """The same method with another number of trials, or of epochs that a trial gets at most."""

    def start(self, space: Space, *, seed: int, first: Sequence[Params] = ()) -> Search:
        """Begin a search.

        Args:
            first: the user's own points, which are tried before any other; or the default point of
                `build`, unless the method has a property `takes_default_point` that is False.

        Raises SpaceError where the method cannot search the space, or cannot take `first`.
        """


@runtime_checkable
class SelfPlanning(Protocol):
    """A searcher that knows how much it takes, so that nobody needs to rehearse it."""

    def plan(self) -> Plan:
        """How many trials and epochs it takes."""


class NonContinuingSearch:
    """Base of a running search that continues none of its trials."""

    __slots__ = ()

    def continuable(self, trial: int) -> bool:
        return False


class FullTrainingOptions:
    """Base of options with fields `trials` and `epochs`: every trial is trained in full."""

    __slots__ = ()

    @property
    def in_flight(self) -> int:
        return UNLIMITED

    @property
    def label(self) -> str:
        return describe_options(self, without=("trials",))

    @property
    def continues(self) -> bool:
        return False

    @property
    def most_epochs(self) -> int:
        """The most epochs that a trial can get."""
        return int(self.epochs)  # type: ignore[attr-defined]

    def resized(self, *, trials: int | None = None, epochs: int | None = None) -> Self:
        return _replace_given(self, trials=trials, epochs=epochs)  # type: ignore[no-any-return]


class FixedTrialsOptions(FullTrainingOptions):
    """Base of options whose searches try as many points as the field `trials` says."""

    __slots__ = ()

    def plan(self) -> Plan:
        trials: int = self.trials  # type: ignore[attr-defined]
        epochs = trials * self.most_epochs
        return Plan(trials, epochs, epochs, ((Rung(trials, self.most_epochs),),))


class HalvingOptions:
    """Base of options with fields `trials` and `max_epochs`: the best trials continue."""

    __slots__ = ()

    @property
    def in_flight(self) -> int:
        return UNLIMITED

    @property
    def label(self) -> str:
        return describe_options(self, without=("trials", "iterations", "until_luck"))

    @property
    def continues(self) -> bool:
        return True

    @property
    def most_epochs(self) -> int:
        """The most epochs that a trial can get, those of the trials that it continues included."""
        return int(self.max_epochs)  # type: ignore[attr-defined]

    def resized(self, *, trials: int | None = None, epochs: int | None = None) -> Self:
        return _replace_given(self, trials=trials, max_epochs=epochs)  # type: ignore[no-any-return]


def _replace_given(options: Any, **values: int | None) -> Any:
    """The options with these values, where they are not None."""
    return replace(options, **{name: value for name, value in values.items() if value is not None})


def generate_points(space: Space, *, seed: int, first: Sequence[Params] = ()) -> Iterator[Params]:
    """Yield the points `first`, then random ones without end; the same ones for the same seed."""
    yield from first
    rng = np.random.default_rng(seed)
    while True:
        yield space.sample(rng)


def refuse_empty_space(space: Space, searcher: str) -> None:
    """Raise SpaceError for a space without parameters, where a search method learns from points."""
    if not len(space):
        raise SpaceError(
            f"{searcher} needs a space with parameters, got one without; its only point is trained "
            "by Random(trials=1)"
        )


def plan_search(
    searcher: Searcher,
    space: Space,
    *,
    seed: int = 0,
    first: Sequence[Params] = (),
    seconds: float = 1.0,
) -> Plan:
    """How many trials and epochs a search takes: as the method knows, else as far as one counts.

    Raises SpaceError where the method cannot search the space, or cannot take `first`.

    Args:
        seconds: to count for, as `rehearse_search` has them.
    """
    if isinstance(searcher, SelfPlanning):
        searcher.start(space, seed=seed, first=first)  # it may refuse
        return searcher.plan()
    return rehearse_search(searcher, space, seed=seed, first=first, seconds=seconds)


def rehearse_search(
    searcher: Searcher,
    space: Space,
    *,
    seed: int = 0,
    first: Sequence[Params] = (),
    seconds: float = 1.0,
) -> Plan:
    """Count a search's trials and epochs, by running it with the same loss for every trial.

    So no method needs to say by itself how much it takes.

    Args:
        seconds: after this time counting stops, and the plan is not complete; a search may have
            more trials than anybody would wait for.
    """
    search = searcher.start(space, seed=seed, first=first)
    deadline = time.monotonic() + seconds  # from here on: beginning may import much
    asked: list[Suggestion] = []
    first_rungs: list[int] = []  # of each trial, the epochs of its bracket's first rung
    rungs: Counter[tuple[int, int]] = Counter()
    trained = 0
    complete = True
    while isinstance(answer := search.ask(len(asked)), Suggestion):
        parent = answer.parent
        before = 0 if parent is None else asked[parent].epochs
        first_rungs.append(answer.epochs if parent is None else first_rungs[parent])
        rungs[first_rungs[-1], answer.epochs] += 1
        trained += answer.epochs - before
        # Where nothing continues, losses do not change the numbers. A failed trial then saves the
        # time of fitting a model to it.
        loss = 0.0 if searcher.continues else None
        search.tell(len(asked), Observation(loss, curve=(0.0,) * (answer.epochs - before)))
        asked.append(answer)
        if time.monotonic() > deadline:
            complete = False
            break
    else:
        assert answer is Pause.DONE, "a search must not wait when nothing runs"
    brackets = tuple(
        tuple(Rung(rungs[start, epochs], epochs) for s, epochs in sorted(rungs) if s == start)
        for start in sorted(set(first_rungs))
    )
    from_scratch = sum(suggestion.epochs for suggestion in asked)
    return Plan(len(asked), trained, from_scratch, brackets, complete)
