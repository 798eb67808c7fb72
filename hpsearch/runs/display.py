"""How a run shows itself. The display for a terminal is in `hpsearch/console/`."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol

from hpsearch.core.metric import Metric
from hpsearch.core.trial import Outcome, Suggestion
from hpsearch.store import SearchMonitor


class Display(Protocol):
    """Shows one run.

    `show_line ... -> show_search -> count_trial ... -> show_trial, refresh, show_line ...`

    Trials are named by their ids in the store. Nothing that a display does changes the search.
    """

    def show_line(self, text: str) -> None:
        """Show one line."""

    def show_search(
        self, monitor: SearchMonitor, metric: Metric, planned: int | None
    ) -> AbstractContextManager[None]:
        """Show the whole search inside a `with` block.

        Args:
            planned: the number of its trials; None where only a lower bound is known.
        """

    def refresh(self) -> None:
        """Show the search as it stands now; called several times a second."""

    def count_trial(self, trial: int, outcome: Outcome) -> None:
        """Count a trial that an earlier run of this search trained."""

    def show_trial(self, trial: int, suggestion: Suggestion, outcome: Outcome) -> None:
        """Show a trial that has just ended."""

    def show_repeat(self, trial: int, repeat: int, outcome: Outcome, value: float) -> None:
        """Show a repeat that has just ended. value: the trial's, over all its trainings."""

    def show_stopping(self, running: int) -> None:
        """Show that no new trial begins. running: how many may end their epoch."""


class NoDisplay:
    """Shows nothing."""

    def show_line(self, text: str) -> None: ...
    def show_search(
        self, monitor: SearchMonitor, metric: Metric, planned: int | None
    ) -> AbstractContextManager[None]:
        return nullcontext()

    def refresh(self) -> None: ...
    def count_trial(self, trial: int, outcome: Outcome) -> None: ...
    def show_trial(self, trial: int, suggestion: Suggestion, outcome: Outcome) -> None: ...
    def show_repeat(self, trial: int, repeat: int, outcome: Outcome, value: float) -> None: ...
    def show_stopping(self, running: int) -> None: ...


@dataclass(frozen=True, slots=True)
class StudyStatus:
    """How a study stands that shares devices with others.

    Args:
        label: its name, by which lines are told apart.
        monitor: reads its search in the store; None before that has begun.
        devices: the names of the slots that it holds.
        spent: the seconds of slots that it has held.
        share: of the time of all slots, by its weight among those that have not failed; 0 where
            it failed.
        state: in a word or two.
    """

    label: str
    monitor: SearchMonitor | None
    devices: tuple[str, ...]
    spent: float
    share: float
    state: str


class SweepDisplay(Protocol):
    """Shows several studies that share devices."""

    def show_line(self, text: str) -> None:
        """Show one line that is about all studies."""

    def make_display(self, label: str) -> Display:
        """A display for one of the studies."""

    def show_sweep(self) -> AbstractContextManager[None]:
        """Show all studies inside a `with` block."""

    def refresh_sweep(self, studies: Sequence[StudyStatus]) -> None:
        """Show how all studies stand now; called several times a second."""


class NoSweepDisplay:
    """Shows nothing."""

    def show_line(self, text: str) -> None: ...
    def make_display(self, label: str) -> Display:
        return NoDisplay()

    def show_sweep(self) -> AbstractContextManager[None]:
        return nullcontext()

    def refresh_sweep(self, studies: Sequence[StudyStatus]) -> None: ...
