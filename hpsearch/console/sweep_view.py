"""Show several studies that share devices on a terminal: their lines, and below them one table."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from hpsearch.console.lines import LineDisplay
from hpsearch.console.tables import describe_failures, make_table
from hpsearch.core.metric import Metric
from hpsearch.core.plan import Budget
from hpsearch.core.progress import Throttle
from hpsearch.results.baseline_gain import BaselineGain, describe_gain
from hpsearch.results.formatting import format_duration, format_with_error
from hpsearch.runs.display import StudyStatus
from hpsearch.runs.sweep_plan import PlannedStudy
from hpsearch.runs.sweep_summary import StudySummary
from hpsearch.store import SearchMonitor

_SECONDS = 0.5  # between two drawings
_MOST_ROWS = 30  # of the table


class SweepTerminal:
    """Shows several studies on a console. It implements `hpsearch.runs.display.SweepDisplay`."""

    def __init__(self, console: Console) -> None:
        self._console, self._throttle = console, Throttle()
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def show_line(self, text: str) -> None:
        self._console.print(text, soft_wrap=True, markup=False, highlight=False)

    def make_display(self, label: str) -> "StudyLines":
        return StudyLines(label, self.show_line)

    @contextmanager
    def show_sweep(self) -> Iterator[None]:
        if self._console.is_terminal:
            self._live.start()
        try:
            yield
        finally:
            self._live.stop()

    def refresh_sweep(self, studies: Sequence[StudyStatus]) -> None:
        if self._live.is_started and self._throttle.is_due(_SECONDS):
            for study in studies:
                if study.monitor is not None:
                    study.monitor.refresh()
            self._live.update(make_sweep_table(studies, self._console.width), refresh=True)


class StudyLines(LineDisplay):
    """Shows one study of several by lines that begin with its name. It implements `Display`."""

    how_to_stop_at_once = ""  # that is said once for all studies

    def __init__(self, label: str, show_line: Callable[[str], None]) -> None:
        self._label, self._show_line = label, show_line

    def show_line(self, text: str) -> None:
        for line in text.splitlines():
            self._show_line(f"{self._label}: {line}")

    def show_search(
        self, monitor: SearchMonitor, metric: Metric, planned: int | None
    ) -> "nullcontext[None]":
        self.begin_lines(metric, planned)
        return nullcontext()

    def refresh(self) -> None: ...


def make_sweep_table(studies: Sequence[StudyStatus], width: int) -> Table:
    """A row for each study: how far it is, its best trial, and what it has of the devices."""
    grid = Table.grid(padding=(0, 1))
    total = sum(study.spent for study in studies) or 1.0
    for study in studies[:_MOST_ROWS]:
        monitor, left = study.monitor, None
        bar, counted, best = ProgressBar(total=1, completed=0, width=max(8, width // 10)), "", ""
        if monitor is not None:
            left = monitor.epochs_left()
            done = monitor.epochs + monitor.epochs_underway()
            if left is not None:
                bar.total, bar.completed = monitor.epochs + left, done
            planned = monitor.run.plan.exact_trials if monitor.run else None
            of = "" if planned is None else f"/{planned:,}"
            counted = f"{monitor.n_ended:,}{of} trials"
            if monitor.best is not None and monitor.best.value is not None:
                value = format_with_error(monitor.best.value, monitor.best.se)
                best = f"{monitor.search.measure} {value}"
        time = f"{format_duration(study.spent)}, {study.spent / total:.0%}"
        if study.share:  # none where it failed
            time += f" of {study.share:.0%}"
        state = ", ".join(study.devices) or study.state
        grid.add_row(study.label, bar, counted, best, time, state)
    if (more := len(studies) - _MOST_ROWS) > 0:
        grid.add_row(f"{more} more")
    for column in grid.columns:
        column.no_wrap, column.overflow = True, "ellipsis"
    return grid


def describe_sweep(
    studies: Sequence[StudySummary],
    gains: Mapping[int, BaselineGain],
    gravest: Mapping[int, str],
) -> Iterator[Table | str]:
    """What each study found and took, and at the end those that stopped alone.

    Args:
        gains: by search, what its best trial brought over the best baseline.
        gravest: the gravest finding of each search that has one.
    """
    table = make_table()
    for name in ("study", "best", "trials", "epochs", "device time", "share", "ended"):
        table.add_column(name, overflow="fold")
    total = sum(study.seconds for study in studies) or 1.0
    for study in studies:
        best = study.ranking[0] if study.ranking else None
        value = "" if best is None else format_with_error(best.value, best.se)
        failed = f", {study.failed} failed" if study.failed else ""
        table.add_row(
            study.study,
            "" if best is None else f"{best.measure} {value} (trial {best.trial})",
            f"{study.trials:,}{failed}",
            f"{study.epochs:,}",
            format_duration(study.seconds),
            f"{study.seconds / total:.0%}",
            "failed" if study.error else study.ended or "",
        )
    yield table
    for study in studies:
        if study.search in gains:
            yield f"{study.study}: {describe_gain(gains[study.search])}"
    for study in studies:
        if study.error is not None:
            yield f"{study.study} stopped: {study.error}"
        elif study.all_failed:
            yield f"{study.study}: every trial failed"
        for line in describe_failures(study.failures):
            yield f"{study.study}: {line}"
    for study in studies:
        if study.search is not None and study.search in gravest:
            yield f"{study.study}: {gravest[study.search]}"


def describe_sweep_plan(studies: Sequence[PlannedStudy], budget: Budget) -> Iterator[Table | str]:
    """What each study of several takes, and what it gets of the devices."""
    table = make_table()
    for name in ("study", "trials", "epochs", "share", "gets", "needs", "fits"):
        table.add_column(name, justify="left" if name == "study" else "right")
    for study in studies:
        if study.plan is None:
            continue
        table.add_row(
            study.study,
            study.plan.trials_text,
            f"{study.plan.epochs:,}{'' if study.plan.complete else '+'}",
            f"{study.share:.0%}",
            "" if study.gets is None else format_duration(study.gets),
            "?" if study.seconds is None else format_duration(study.seconds),
            "?" if study.fits is None else f"{study.fits:.0%}",
        )
    yield table
    yield "gets and needs are times of one device; what a study leaves goes to the others"
    if budget.hours is None:
        yield "--hours says how long the studies share the devices; without it each runs to its end"
    if any(study.plan is not None and study.seconds is None for study in studies):
        yield "? no trials of the study were timed yet"
    for study in studies:
        if study.error is not None:
            yield f"{study.study} cannot run: {study.error}"
