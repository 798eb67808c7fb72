"""Show several studies that share devices in a notebook: one output, which changes in place."""

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html import escape

from hpsearch.console import html
from hpsearch.console.cell_output import CellOutput
from hpsearch.console.sweep_view import StudyLines, make_sweep_table
from hpsearch.core.progress import Throttle
from hpsearch.runs.display import StudyStatus

_SECONDS = 1.0  # between two drawings
_LATEST = 10  # lines that are shown


class SweepNotebook:
    """Shows several studies in the output of a cell. It implements `SweepDisplay`.

    Where it cannot be shown, the searches go on.
    """

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=_LATEST)
        self._studies: Sequence[StudyStatus] = ()
        self._throttle = Throttle()
        self._output = CellOutput()

    def show_line(self, text: str) -> None:
        self._lines.append(text)

    def make_display(self, label: str) -> StudyLines:
        return StudyLines(label, self.show_line)

    @contextmanager
    def show_sweep(self) -> Iterator[None]:
        try:
            yield
        finally:
            self._draw()

    def refresh_sweep(self, studies: Sequence[StudyStatus]) -> None:
        self._studies = studies
        if self._throttle.is_due(_SECONDS):
            self._draw()

    def _draw(self) -> None:
        self._output.show(self._make_bundle)

    def _make_bundle(self) -> dict[str, str]:
        for study in self._studies:
            if study.monitor is not None:
                study.monitor.refresh()
        table = make_sweep_table(self._studies, html.WIDTH)
        lines = chr(10).join(self._lines)
        return {
            "text/html": f"{html.picture_to_html(table)}<pre>{escape(lines)}</pre>",
            "text/plain": f"{html.picture_to_text(table)}\n{lines}",
        }
