"""What a run tells whoever shows it. The terminal's display is in `hpsearch/console/`."""

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from hpsearch.core.task import Metric
from hpsearch.core.trial import Outcome, Suggestion
from hpsearch.store import SearchMonitor


class Display(Protocol):
    """Shows one run: `say ... -> watch -> count_trial ... -> trial_ended, refresh, say ...`.

    Trials are named by the ids that people know. What a display does never changes the search.
    """

    def say(self, text: str) -> None:
        """Show one line."""

    def watch(
        self, monitor: SearchMonitor, metric: Metric, planned: str
    ) -> AbstractContextManager[None]:
        """Show the search as it stands, inside a `with` block. planned: the number of its trials."""

    def refresh(self) -> None:
        """Look at the search again; called several times a second."""

    def count_trial(self, trial: int, outcome: Outcome) -> None:
        """Take in a trial that an earlier run of this search trained."""

    def trial_ended(self, trial: int, suggestion: Suggestion, outcome: Outcome) -> None:
        """Show a trial that ended now."""

    def repeat_ended(self, trial: int, repeat: int, outcome: Outcome, value: float) -> None:
        """Show a repeat that ended now. value: over all trainings of the trial."""

    def stopping(self, running: int) -> None:
        """Show that nothing new begins, and how many trials may reach their next checkpoint."""


class NoDisplay:
    """The display of a search that nobody watches."""

    def say(self, text: str) -> None: ...
    def watch(
        self, monitor: SearchMonitor, metric: Metric, planned: str
    ) -> AbstractContextManager[None]:
        return nullcontext()

    def refresh(self) -> None: ...
    def count_trial(self, trial: int, outcome: Outcome) -> None: ...
    def trial_ended(self, trial: int, suggestion: Suggestion, outcome: Outcome) -> None: ...
    def repeat_ended(self, trial: int, repeat: int, outcome: Outcome, value: float) -> None: ...
    def stopping(self, running: int) -> None: ...
