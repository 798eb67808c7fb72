"""Show a run on a terminal: a line for each trial that ends, and below them the whole search."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from hpsearch.console.lines import LineDisplay
from hpsearch.console.live import Panel
from hpsearch.core.metric import Metric
from hpsearch.store import SearchMonitor


class TerminalDisplay(LineDisplay):
    """Shows a run on a console. It implements `hpsearch.runs.display.Display`."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._panel: Panel | None = None

    def show_line(self, text: str) -> None:
        self._console.print(text, soft_wrap=True, markup=False, highlight=False)

    @contextmanager
    def show_search(
        self, monitor: SearchMonitor, metric: Metric, planned: int | None
    ) -> Iterator[None]:
        self.begin_lines(metric, planned)
        with Panel(self._console, monitor) as self._panel:
            yield

    def refresh(self) -> None:
        if self._panel is not None:
            self._panel.refresh()
