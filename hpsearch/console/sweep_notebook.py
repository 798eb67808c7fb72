"""Show several studies that share devices in a notebook: one output, which changes in place."""

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from html import escape
from typing import Any

from hpsearch.console import html
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
        self._output: Any = None  # IPython's handle of what is shown

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
        with suppress(Exception):  # showing searches never fails them
            from IPython import display

            for study in self._studies:
                if study.monitor is not None:
                    study.monitor.refresh()
            shown = html.picture_to_html(make_sweep_table(self._studies, html.WIDTH))
            shown += f"<pre>{escape(chr(10).join(self._lines))}</pre>"
            ipython: Any = display
            if self._output is None:
                self._output = ipython.display(ipython.HTML(shown), display_id=True)
            else:
                self._output.update(ipython.HTML(shown))
