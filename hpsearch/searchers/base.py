"""What every search method offers: frozen options that start a search with ask and tell."""

from typing import Protocol, Self, runtime_checkable

from hpsearch.budget import Plan
from hpsearch.space import Space
from hpsearch.trial import Observation, Pause, Suggestion


class Search(Protocol):
    """A running search. It lives in the parent process, never blocks and never trains."""

    def ask(self, trial: int) -> Suggestion | Pause:
        """What trial number `trial` shall be; numbers count up from 0 without a gap.

        WAIT: nothing until a running trial is told. DONE: nothing ever again. Neither changes
        the state of the search, so that asking again is free.
        """

    def tell(self, trial: int, seen: Observation) -> None:
        """Learn how a trial ended; once for each, in any order."""


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

    def resized(self, *, trials: int | None = None, epochs: int | None = None) -> Self:
        """The same method with another number of trials, or of epochs a trial gets at most."""

    def start(self, space: Space, *, seed: int) -> Search: ...


def rehearse(searcher: Searcher, space: Space, *, seed: int = 0) -> Plan:
    """Count trials and epochs by a search in which every trial ends with the same loss.

    `plan` prints it. No method is asked how much it will take: what it does is what counts.
    """
    search = searcher.start(space, seed=seed)
    ended: list[int] = []
    trained = from_scratch = 0
    while isinstance(answer := search.ask(len(ended)), Suggestion):
        begun = 0 if answer.parent is None else ended[answer.parent]
        trained += answer.epochs - begun
        from_scratch += answer.epochs
        search.tell(len(ended), Observation(loss=0.0, curve=(0.0,) * (answer.epochs - begun)))
        ended.append(answer.epochs)
    assert answer is Pause.DONE, "a search must not wait when nothing runs"
    return Plan(len(ended), trained, from_scratch)
