"""A run on a terminal: a line for each trial that ends, and below them a picture of the search."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from hpsearch.console.lines import TrialLines
from hpsearch.console.live import Panel
from hpsearch.core.task import Metric
from hpsearch.core.trial import Outcome, Suggestion
from hpsearch.store import SearchMonitor


class TerminalDisplay:
    """Shows a run by a console; see `hpsearch.run.display.Display` for what it is told, and when."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._panel: Panel | None = None
        self._lines: TrialLines | None = None

    def say(self, text: str) -> None:
        self._console.print(text, soft_wrap=True, markup=False, highlight=False)

    @contextmanager
    def watch(self, monitor: SearchMonitor, metric: Metric, planned: str) -> Iterator[None]:
        self._lines = TrialLines(metric, planned)
        with Panel(self._console, monitor) as self._panel:
            yield

    def refresh(self) -> None:
        if self._panel is not None:
            self._panel.refresh()

    def count_trial(self, trial: int, outcome: Outcome) -> None:
        assert self._lines is not None
        self._lines.count(trial, outcome)

    def trial_ended(self, trial: int, suggestion: Suggestion, outcome: Outcome) -> None:
        assert self._lines is not None
        self.say(self._lines.of_trial(trial, suggestion, outcome))

    def repeat_ended(self, trial: int, repeat: int, outcome: Outcome, value: float) -> None:
        assert self._lines is not None
        self.say(self._lines.of_repeat(trial, repeat, outcome, value))

    def stopping(self, running: int) -> None:
        if running:
            self.say(
                f"stopping: {running} running trial{'s' if running > 1 else ''} may reach the "
                "next checkpoint; another Ctrl-C stops at once"
            )
