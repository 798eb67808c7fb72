"""Show a run on a terminal: a line for each trial that ends, and below them the whole search."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from hpsearch.console.lines import TrialLines
from hpsearch.console.live import Panel
from hpsearch.core.metric import Metric
from hpsearch.core.trial import Outcome, Suggestion
from hpsearch.store import SearchMonitor


class TerminalDisplay:
    """Shows a run on a console. It implements `hpsearch.runs.display.Display`."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._panel: Panel | None = None
        self._lines: TrialLines | None = None

    def show_line(self, text: str) -> None:
        self._console.print(text, soft_wrap=True, markup=False, highlight=False)

    @contextmanager
    def show_search(
        self, monitor: SearchMonitor, metric: Metric, planned: int | None
    ) -> Iterator[None]:
        self._lines = TrialLines(metric, planned)
        with Panel(self._console, monitor) as self._panel:
            yield

    def refresh(self) -> None:
        if self._panel is not None:
            self._panel.refresh()

    def count_trial(self, trial: int, outcome: Outcome) -> None:
        assert self._lines is not None
        self._lines.count_trial(trial, outcome)

    def show_trial(self, trial: int, suggestion: Suggestion, outcome: Outcome) -> None:
        assert self._lines is not None
        self.show_line(self._lines.format_trial(trial, suggestion, outcome))

    def show_repeat(self, trial: int, repeat: int, outcome: Outcome, value: float) -> None:
        assert self._lines is not None
        self.show_line(self._lines.format_repeat(trial, repeat, outcome, value))

    def show_stopping(self, running: int) -> None:
        if running:
            self.show_line(
                f"stopping {running} running trial{'s' if running > 1 else ''} at the end of "
                f"{'their' if running > 1 else 'its'} epoch; press Ctrl-C again to stop at once"
            )
