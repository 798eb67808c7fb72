"""Show a run in a notebook: one output, which changes in place."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from hpsearch.console import html
from hpsearch.console.cell_output import CellOutput
from hpsearch.console.lines import LineDisplay
from hpsearch.console.live import build_picture
from hpsearch.core.metric import Metric
from hpsearch.core.progress import Throttle
from hpsearch.store import SearchMonitor

_SECONDS = 1.0  # between two drawings
_LATEST = 10  # lines that are shown; those before them can be opened
_MOST_LINES = 1000  # that are kept
_ROWS = 24  # of the picture


class NotebookDisplay(LineDisplay):
    """Shows a run in the output of a cell. It implements `hpsearch.runs.display.Display`.

    The output is HTML, and text where a frontend shows no HTML. No extension is needed. Where it
    cannot be shown, the search goes on.
    """

    how_to_stop_at_once = "stop once more"

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=_MOST_LINES)
        self._monitor: SearchMonitor | None = None
        self._throttle = Throttle()
        self._output = CellOutput()

    def show_line(self, text: str) -> None:
        self._lines.append(text)
        if self._monitor is None:
            self._draw()
        else:
            self.refresh()

    @contextmanager
    def show_search(
        self, monitor: SearchMonitor, metric: Metric, planned: int | None
    ) -> Iterator[None]:
        self.begin_lines(metric, planned)
        self._monitor = monitor
        try:
            yield
        finally:
            self._monitor = None  # what remains are the lines, and then the result
            self._draw()

    def refresh(self) -> None:
        if self._monitor is not None and self._throttle.is_due(_SECONDS):
            self._monitor.refresh()
            self._draw()

    def show_stopping(self, running: int) -> None:
        super().show_stopping(running)
        self._draw()  # now, however lately it was drawn

    def _draw(self) -> None:
        self._output.show(self._make_bundle)

    def _make_bundle(self) -> dict[str, str]:
        """What is shown, by MIME type."""
        lines = list(self._lines)
        earlier, latest = lines[:-_LATEST], lines[-_LATEST:]
        drawn, text = html.lines_to_html(latest), "\n".join(latest)
        if earlier:
            count = f"{len(earlier)} earlier lines"
            folded = f"<summary>{count}</summary>{html.lines_to_html(earlier)}"
            drawn, text = f"<details>{folded}</details>{drawn}", f"... {count}\n{text}"
        if self._monitor is not None:
            picture = build_picture(self._monitor, html.WIDTH, _ROWS)
            drawn += f"<br>{html.picture_to_html(picture)}"
            text += f"\n\n{html.picture_to_text(picture)}"
        return {"text/html": drawn, "text/plain": text}
