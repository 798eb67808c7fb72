"""What a fit prints, by `verbose`: nothing, how far it is, or a line for each trial."""

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from hpsearch.console.lines import LineDisplay
from hpsearch.core.metric import Metric
from hpsearch.core.streams import is_in_notebook
from hpsearch.core.trial import Outcome, Suggestion
from hpsearch.store import SearchMonitor


class SearchProgress(LineDisplay):
    """Prints a fit's progress. It implements `hpsearch.runs.display.Display`.

    Args:
        verbose: 1: how many trials there will be, and how far it is, in one line that changes where
            the output can do that; 2 and more: a line for each trial that ends.
        folds: of a trial.
    """

    def __init__(self, verbose: int, folds: int) -> None:
        self._verbose, self._folds = verbose, folds
        self._shown = ""

    def show_line(self, text: str) -> None:
        self._end_line()
        print(text, flush=True)

    def show_search(
        self, monitor: SearchMonitor, metric: Metric, planned: int | None
    ) -> AbstractContextManager[None]:
        return self.show_trials(metric, planned)

    @contextmanager
    def show_trials(self, metric: Metric, planned: int | None) -> Iterator[None]:
        """Show the trials of a search inside a `with` block. planned: their number, if known."""
        folds = f"{self._folds} folds" if self._folds > 1 else "1 split"
        candidates = "candidate" if planned is None else f"of {planned:,} candidates"
        print(f"Fitting {folds} for each {candidates}", flush=True)
        self.begin_lines(metric, planned)
        try:
            yield
        finally:
            self._end_line()

    def refresh(self) -> None: ...

    def show_trial(self, trial: int, suggestion: Suggestion, outcome: Outcome) -> None:
        line = self._trial_lines.format_trial(trial, suggestion, outcome)
        if self._verbose > 1:
            self.show_line(line)
        elif _can_change_lines():
            line = line[:79]
            print(f"\r{line.ljust(len(self._shown))}", end="", flush=True)
            self._shown = line

    def show_repeat(self, trial: int, repeat: int, outcome: Outcome, value: float) -> None: ...

    def show_stopping(self, running: int) -> None:
        self.show_line("stopping at the end of the epoch; press Ctrl-C again to stop at once")

    def _end_line(self) -> None:
        if self._shown:
            print(flush=True)
        self._shown = ""


def _can_change_lines() -> bool:
    """Whether a carriage return begins the line anew: on terminals and in notebooks."""
    return sys.stdout.isatty() or is_in_notebook()
