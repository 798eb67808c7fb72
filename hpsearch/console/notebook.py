"""Show a run in a notebook: one output, which changes in place."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from hpsearch.console import html
from hpsearch.console.lines import TrialLines
from hpsearch.console.live import build_picture
from hpsearch.core.metric import Metric
from hpsearch.core.progress import Throttle
from hpsearch.core.trial import Outcome, Suggestion
from hpsearch.store import SearchMonitor

_SECONDS = 1.0  # between two drawings
_LATEST = 10  # lines that are shown; those before them can be opened
_MOST_LINES = 1000  # that are kept
_ROWS = 24  # of the picture


class NotebookDisplay:
    """Shows a run in the output of a cell. It implements `hpsearch.runs.display.Display`.

    The output is HTML, and text where a frontend shows no HTML. No extension is needed. Where it
    cannot be shown, the search goes on.
    """

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=_MOST_LINES)
        self._trial_lines: TrialLines | None = None
        self._monitor: SearchMonitor | None = None
        self._throttle = Throttle()
        self._output: Any = None  # IPython's handle of what is shown

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
        self._trial_lines, self._monitor = TrialLines(metric, planned), monitor
        try:
            yield
        finally:
            self._monitor = None  # what remains are the lines, and then the result
            self._draw()

    def refresh(self) -> None:
        if self._monitor is not None and self._throttle.is_due(_SECONDS):
            self._monitor.refresh()
            self._draw()

    def count_trial(self, trial: int, outcome: Outcome) -> None:
        assert self._trial_lines is not None
        self._trial_lines.count_trial(trial, outcome)

    def show_trial(self, trial: int, suggestion: Suggestion, outcome: Outcome) -> None:
        assert self._trial_lines is not None
        self.show_line(self._trial_lines.format_trial(trial, suggestion, outcome))

    def show_repeat(self, trial: int, repeat: int, outcome: Outcome, value: float) -> None:
        assert self._trial_lines is not None
        self.show_line(self._trial_lines.format_repeat(trial, repeat, outcome, value))

    def show_stopping(self, running: int) -> None:
        self._lines.append(
            f"stopping {running} running trial{'s' if running != 1 else ''} at the end of their "
            "epoch; stop once more to stop at once"
        )
        self._draw()

    def _draw(self) -> None:
        with suppress(Exception):  # showing a search never fails it
            from IPython import display

            show: Any = display.display
            shown = self._make_bundle()
            if self._output is None:
                self._output = show(shown, raw=True, display_id=True)
            else:
                self._output.update(shown, raw=True)

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
