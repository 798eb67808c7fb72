"""Draw a running search: progress and time left, running trials, rungs, the best trial."""

import io
import math
import time
from collections.abc import Iterator
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from hpsearch.core.parameters import point_text, short_text
from hpsearch.core.progress import Throttle
from hpsearch.results.baseline_gain import describe_gain, describe_progress, read_gain
from hpsearch.results.formatting import format_duration, format_with_error, shorten_label
from hpsearch.store import RunningTrial, SearchMonitor

Cell = tuple[str, str]

_SECONDS = 0.25  # between two drawings
_NARROW = 80  # columns of a window; in narrower ones, less is shown
_MOST_WAITING = 5  # trials that are named
_FILE_WIDTH, _FILE_LINES = 1000, 20  # where no window limits the output
_OTHER_LINES = 14  # lines that are not about running trials


class Panel:
    """A context in which the last lines of a terminal show a search. Elsewhere it shows nothing."""

    def __init__(self, console: Console, monitor: SearchMonitor) -> None:
        self._monitor, self._throttle = monitor, Throttle()
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._console = console

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def refresh(self) -> None:
        """Read the store and draw, unless that was done just now."""
        if self._live.is_started and self._throttle.is_due(_SECONDS):
            self._monitor.refresh()
            self.draw()

    def draw(self) -> None:
        """Draw the search as it was last read."""
        if self._live.is_started:
            width, height = self._console.size
            self._live.update(build_picture(self._monitor, width, height), refresh=True)


def build_picture(monitor: SearchMonitor, width: int, height: int) -> RenderableType:
    """The whole search, for a window of `width` columns and `height` lines."""
    return Group(*_build_parts(monitor, width, max(3, height - _OTHER_LINES)))


def format_summary(monitor: SearchMonitor) -> str:
    """The whole search as lines of text without bars, for a file or a pipe."""
    parts = Group(*_build_parts(monitor, _FILE_WIDTH, _FILE_LINES, bars=False))
    lines = Console(width=_FILE_WIDTH, file=io.StringIO(), color_system=None).render_lines(parts)
    return "\n".join("".join(piece.text for piece in line).rstrip() for line in lines)


def _build_parts(
    monitor: SearchMonitor, width: int, most_running: int, *, bars: bool = True
) -> Iterator[RenderableType]:
    search = monitor.search
    labels = shorten_label(search.searcher), shorten_label(search.evaluator)
    title = f"{search.task}: {', '.join([search.study, *labels, search.backend])}"
    yield Text(title, style="bold", no_wrap=True, overflow="ellipsis")
    yield _build_progress(monitor, width, bars)
    best = monitor.best
    if best is not None and best.value is not None:
        text = f"best  trial {best.trial}  {search.measure} "
        text += f"{format_with_error(best.value, best.se)}  {point_text(best.params)}"
        yield Text(text, style="green", no_wrap=width < _NARROW, overflow="ellipsis")
    yield from _build_baselines(monitor, width)
    if monitor.running:
        yield _build_running_table(monitor, width, most_running, bars)
    if monitor.waiting:
        names = ", ".join(_format_name(each) for each in monitor.waiting[:_MOST_WAITING])
        rest = "" if len(monitor.waiting) <= _MOST_WAITING else " ..."
        yield Text(f"{len(monitor.waiting)} stopped, which the next run continues: {names}{rest}")
    yield from _build_rungs(monitor, width, bars)
    if monitor.failures:
        kinds = ", ".join(f"{count} {kind}" for kind, count in monitor.failures.most_common())
        yield Text(f"failed: {kinds}", style="red")


def _build_baselines(monitor: SearchMonitor, width: int) -> Iterator[RenderableType]:
    """How far the baselines are; once the run has ended, what the search brought over them."""
    progress = describe_progress(monitor.store, monitor.search)
    if progress is None:
        return
    is_running = monitor.run is not None and monitor.run.alive
    gain = None if is_running else read_gain(monitor.store, monitor.search)
    text = f"baselines  {progress}" if gain is None else describe_gain(gain)
    yield Text(text, style="cyan", no_wrap=width < _NARROW, overflow="ellipsis")


def _build_progress(monitor: SearchMonitor, width: int, bars: bool) -> RenderableType:
    underway, left = monitor.epochs_underway(), monitor.epochs_left()
    done = monitor.epochs + underway
    total = None if left is None else monitor.epochs + left
    grid = Table.grid(padding=(0, 1))
    bar = ProgressBar(total=total or 1, completed=min(done, total or 0), width=max(10, width // 5))
    of = "" if total is None else f" of {total:,}"
    planned = monitor.run.plan.exact_trials if monitor.run else None
    trials = "" if planned is None else f" of {planned:,}"
    texts = [
        f"{done:,.0f}{of} epochs",
        f"{monitor.n_ended:,}{trials} trials",
        *_format_times(monitor),
    ]
    if width < _NARROW:
        del texts[1]
    text = ", ".join(texts)
    grid.add_row(*([bar] if total and bars else []), text)
    return _keep_on_one_line(grid, fill=True)


def _format_times(monitor: SearchMonitor) -> Iterator[str]:
    run, now = monitor.run, time.time()
    if run is None:
        return
    if not run.alive:
        yield (
            f"ended: {run.ended}"
            if run.ended
            else f"no heartbeat since {_format_clock(run.last_heard)}"
        )
        return
    yield format_duration(now - run.began)
    left = estimate_seconds_left(monitor, now)
    low, high = left if left else (math.nan, math.nan)
    if run.budget.hours is not None:
        until = max(0.0, run.began + 3600 * run.budget.hours - now)
        if not left or until < low:
            yield f"its hours end in {format_duration(until)}"
            return
    if left:
        text = (
            format_duration(low)
            if high < 1.25 * low
            else f"{format_duration(low)} to {format_duration(high)}"
        )
        yield f"about {text} left"


def estimate_seconds_left(monitor: SearchMonitor, now: float) -> tuple[float, float] | None:
    """Estimate the seconds left as (shortest, longest); None where too little has run yet.

    There are three estimates: by epochs, by trials where their number is known (short trials take
    their time to compile, long ones to train), and by the epochs of the run's last third. The
    closer they are, the better the estimate.
    """
    run, left = monitor.run, monitor.epochs_left()
    if run is None or left is None:
        return None
    elapsed, underway = now - run.began, monitor.epochs_underway()
    done = monitor.trained_by_run + underway
    if elapsed < 2 or done <= 0:
        return None
    ahead = max(0.0, left - underway)
    found = [ahead * elapsed / done]
    ended = monitor.ended_in_run
    trials = run.plan.exact_trials
    if ended and run.budget.epochs is None and trials is not None:
        found.append(max(0, trials - monitor.n_ended) * elapsed / len(ended))
    third = [epochs for at, epochs in ended if at >= now - elapsed / 3]
    if len(third) >= 3:
        found.append(ahead * elapsed / 3 / sum(third))
    return min(found), max(found)


def _build_running_table(
    monitor: SearchMonitor, width: int, most_running: int, bars: bool
) -> Table:
    narrow = width < _NARROW
    grid = Table.grid(padding=(0, 1))
    started = [each for each in monitor.running if each.reached is not None]
    started.sort(key=lambda each: each.value is None)  # trials with a value come first
    shown = (started or monitor.running)[:most_running]
    for each in shown:
        of = max(1, each.epochs - each.start_epoch)
        bar = ProgressBar(
            total=of,
            completed=(each.reached or each.start_epoch) - each.start_epoch,
            width=max(8, width // 8),
        )
        value = "" if each.value is None else short_text(each.value)
        more = [] if narrow else [each.device, point_text(each.params)]
        grid.add_row(
            _format_name(each), *([bar] if bars else []), _format_epochs(each), value, *more
        )
    if rest := len(monitor.running) - len(shown):
        grid.add_row(f"{rest} more")
    return _keep_on_one_line(grid, fill=not narrow)


def _keep_on_one_line(grid: Table, *, fill: bool) -> Table:
    """Keep each cell on one line. fill: whether the last column takes the width that is left."""
    for column in grid.columns:
        column.no_wrap, column.overflow = True, "ellipsis"
    if fill:
        grid.expand, grid.columns[-1].ratio = True, 1
    return grid


def _format_name(each: RunningTrial) -> str:
    return f"trial {each.trial}" + (f", repeat {each.repeat}" if each.repeat else "")


def _format_epochs(each: RunningTrial) -> str:
    reached = each.start_epoch if each.reached is None else each.reached
    return f"{reached:.4g}/{each.epochs}"


def _build_rungs(monitor: SearchMonitor, width: int, bars: bool) -> Iterator[RenderableType]:
    """The brackets with their rungs; only where trials continue others."""
    planned: dict[tuple[int, int], int] = {}
    if monitor.run is not None:
        for bracket in monitor.run.plan.brackets:
            planned |= {(bracket[0].epochs, rung.epochs): rung.trials for rung in bracket}
    keys = sorted({*planned, *monitor.rungs})
    if all(begin == epochs for begin, epochs in keys):
        return
    rows = {
        begin: [_format_rung(monitor, (begin, epochs), planned) for b, epochs in keys if b == begin]
        for begin in sorted({begin for begin, _ in keys})
    }
    bars = bars and max(map(len, rows.values())) * 18 + 16 <= width
    grid = Table.grid(padding=(0, 2))
    for begin, rungs in rows.items():
        cells = [f"{text} {bar}" if bars else text for text, bar in rungs]
        grid.add_row(f"from {begin} epoch{'s' if begin > 1 else ''}", *cells)
    yield _keep_on_one_line(grid, fill=False)


def _format_rung(
    monitor: SearchMonitor, key: tuple[int, int], planned: dict[tuple[int, int], int]
) -> Cell:
    """How many trials of a rung have ended, as text and as a bar.

    Args:
        key: the epochs with which the bracket begins, and those of the rung.
        planned: trials by such keys.
    """
    filling = monitor.rungs.get(key)
    asked, told = (filling.asked, filling.ended) if filling else (0, 0)
    size = max(planned.get(key, 0), asked)
    eighths = round(8 * told / size) if size else 0
    bar = "█" * (eighths // 2) + "▌" * (eighths % 2)
    return f"{key[1]}: {told}/{size}", f"{bar:░<4}"


def _format_clock(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at))
