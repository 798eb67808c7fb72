"""What every search method offers: frozen options that start a search with ask and tell."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol, Self, runtime_checkable

from hpsearch.core.option_text import describe
from hpsearch.core.plan import Plan, Rung
from hpsearch.core.space import Params, Space
from hpsearch.core.trial import Observation, Pause, Suggestion

ANY = 2**20  # trials in flight, where their number does not matter


class Search(Protocol):
    """A running search. It lives in the parent process, never blocks and never trains."""

    def ask(self, trial: int) -> Suggestion | Pause:
        """What trial number `trial` shall be; numbers count up from 0 without a gap.

        WAIT: nothing until a running trial is told. DONE: nothing ever again. Neither changes
        the state of the search, so that asking again is free.
        """

    def tell(self, trial: int, seen: Observation) -> None:
        """Learn how a trial ended; once for each, in any order."""

    def continuable(self, trial: int) -> bool:
        """Whether a trial that has ended may still become a parent, so that its checkpoint is kept.

        No more than an estimate: a parent without a checkpoint is trained again.
        """


@runtime_checkable
class Searcher(Protocol):
    """Options of a method: cheap to build, safe to import in a worker."""

    @property
    def label(self) -> str:
        """What decides the points, without what merely limits their number.

        Two runs of a study with one label and seed are one search, which the second continues.
        """

    @property
    def continues(self) -> bool:
        """Whether trials may have parents, for which checkpoints must be kept."""

    @property
    def in_flight(self) -> int:
        """Trials that may train at the same time without harm to what it learns from each."""

    def resized(self, *, trials: int | None = None, epochs: int | None = None) -> Self:
        """The same method with another number of trials, or of epochs a trial gets at most."""

    def start(self, space: Space, *, seed: int, first: Sequence[Params] = ()) -> Search:
        """Begin a search. first: points of the user's own, to be tried before any other.

        Raises SpaceError where the method cannot search the space, or cannot take `first`.
        """


class NoSurvivors:
    """A running search that continues none of its trials."""

    __slots__ = ()

    def continuable(self, trial: int) -> bool:
        return False


class InFull:
    """Options of a method that trains every trial in full: fields `trials` and `epochs`."""

    __slots__ = ()

    @property
    def in_flight(self) -> int:
        return ANY

    @property
    def label(self) -> str:
        return describe(self, without=("trials",))

    @property
    def continues(self) -> bool:
        return False

    def resized(self, *, trials: int | None = None, epochs: int | None = None) -> Self:
        return _replaced(self, trials=trials, epochs=epochs)  # type: ignore[no-any-return]


class Halves:
    """Options of a method whose survivors continue: fields `trials` and `max_epochs`."""

    __slots__ = ()

    @property
    def in_flight(self) -> int:
        return ANY

    @property
    def label(self) -> str:
        return describe(self, without=("trials", "iterations"))

    @property
    def continues(self) -> bool:
        return True

    def resized(self, *, trials: int | None = None, epochs: int | None = None) -> Self:
        return _replaced(self, trials=trials, max_epochs=epochs)  # type: ignore[no-any-return]


def _replaced(options: Any, **values: int | None) -> Any:
    return replace(options, **{name: value for name, value in values.items() if value is not None})


def rehearse(
    searcher: Searcher,
    space: Space,
    *,
    seed: int = 0,
    first: Sequence[Params] = (),
    seconds: float = 5.0,
) -> Plan:
    """Count trials and epochs by a search in which every trial ends with the same loss.

    `plan` prints it. No method is asked how much it will take: what it does is what counts.
    seconds: after which counting stops and the plan is not complete, because a search may be asked
    for more trials than anybody could wait for.
    """
    deadline = time.monotonic() + seconds
    search = searcher.start(space, seed=seed, first=first)
    asked: list[Suggestion] = []
    begun: list[int] = []  # the epochs of the first rung of each trial's bracket
    rungs: Counter[tuple[int, int]] = Counter()
    trained = 0
    complete = True
    while isinstance(answer := search.ask(len(asked)), Suggestion):
        parent = answer.parent
        before = 0 if parent is None else asked[parent].epochs
        begun.append(answer.epochs if parent is None else begun[parent])
        rungs[begun[-1], answer.epochs] += 1
        trained += answer.epochs - before
        # Where nothing continues, losses decide no number: what failed costs models no thought.
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
        for start in sorted(set(begun))
    )
    from_scratch = sum(suggestion.epochs for suggestion in asked)
    return Plan(len(asked), trained, from_scratch, brackets, complete)
