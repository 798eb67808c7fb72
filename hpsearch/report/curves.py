"""Figures of learning curves: one trial a panel, or trials over each other."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from hpsearch.parameters import short, text_of_point
from hpsearch.report import canvas, measures
from hpsearch.report.overlay import Line, Overlay, overlaid

if TYPE_CHECKING:
    from hpsearch.report.results import Results

_WIDTH = 46  # of a panel's title, in letters


@canvas.styled
def panels(results: "Results", trials: Sequence[int], *, loss: bool) -> Figure:
    """Training against validation, a panel a trial, all on one scale."""
    if not trials:
        best = measures.best_first(measures.furthest(measures.comparable(results)))
        trials = [int(trial) for trial in best.index[:4]]
    drawn = overlaid(results, trials, loss=loss, smooth=0.0, skip=0)
    across = 2 if len(drawn.lines) in (2, 4) else 3
    figure, axes = canvas.panels(len(drawn.lines), across=across, width=3.6, height=2.7)
    for ax, line in zip(axes, drawn.lines, strict=True):
        _band(ax, line, canvas.COLOURS[0], 1)
        _plot(ax, line.training, 1, color=canvas.COLOURS[1], linestyle="--", label="training")
        _plot(ax, line.validation, 1, color=canvas.COLOURS[0], label="validation")
        value = line.validation[line.best - 1]
        _mark(ax, line.best, value, canvas.COLOURS[0])
        ax.axvline(line.best, color=canvas.GREY, linewidth=0.8, linestyle=":")
        ax.set_title(_title(results, line), fontsize=9)
        ax.set_xlabel("epoch")
        ax.text(
            0.98, 0.5, f"best {short(value)}\nat epoch {line.best}", transform=ax.transAxes,
            ha="right", va="center", fontsize=8, color=canvas.GREY,
        )  # fmt: skip
    for ax in axes[::across]:
        ax.set_ylabel(_measure(drawn))
    _limit(axes, [l.validation + l.training for l in drawn.lines], skip=0)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return figure


@canvas.styled
def compared(drawn: Overlay, *, training: bool = False) -> Figure:
    """Curves over each other: raw, and beside it smoothed."""
    across = 2 if drawn.smooth else 1
    figure, axes = canvas.panels(across, across=2, width=4.6 if across == 2 else 6.4, height=3.7)
    for number, line in enumerate(drawn.lines):
        colour, dash = canvas.colour(number), canvas.dash(number)
        _band(axes[0], line, colour, 1)
        _plot(axes[0], line.validation, 1, color=colour, linestyle=dash, label=line.label)
        _mark(axes[0], line.best, line.validation[line.best - 1], colour)
        if training:
            _plot(axes[0], line.training, 1, color=colour, linestyle=(0, (1, 1.2)), alpha=0.8)
        if line.smoothed:
            _plot(axes[1], line.smoothed, 1 + drawn.skip, color=colour, linestyle=dash)
            best = _best(drawn, line.smoothed)
            _mark(axes[1], best + 1 + drawn.skip, line.smoothed[best], colour)
    for ax in axes:
        ax.set_xlabel("epoch")
    axes[0].set_ylabel(f"validation {_measure(drawn)}")
    axes[0].set_title(_raw_title(drawn, training))
    values = [line.validation + (line.training if training else []) for line in drawn.lines]
    _limit(axes[:1], values, skip=drawn.skip)
    if drawn.smooth:
        axes[1].set_title(_smooth_title(drawn))
        _limit(axes[1:], [line.smoothed for line in drawn.lines], skip=0)
    handles, labels = axes[0].get_legend_handles_labels()
    longest = max(map(len, labels))
    columns = max(1, min(len(labels), across * 2, int(figure.get_figwidth() * 13 / (longest + 8))))
    figure.legend(handles, labels, loc="outside lower center", ncols=columns)
    return figure


def _plot(ax: Axes, values: Sequence[float], first: int, **options: object) -> None:
    marker = "o" if len(values) == 1 else None
    ax.plot(range(first, first + len(values)), values, marker=marker, **options)  # type: ignore[arg-type]


def _band(ax: Axes, line: Line, colour: str, first: int) -> None:
    if line.std is not None:
        mean, std = np.array(line.validation), np.array(line.std)
        epochs = np.arange(first, first + len(mean))
        ax.fill_between(epochs, mean - std, mean + std, color=colour, alpha=0.13, linewidth=0)


def _mark(ax: Axes, epoch: int, value: float, colour: str) -> None:
    ax.plot(
        epoch, value, "o", color=colour, markersize=6, markeredgecolor="white", zorder=4,
        clip_on=False,
    )  # fmt: skip


def _best(drawn: Overlay, values: Sequence[float]) -> int:
    return int(np.argmax(values) if drawn.direction == "max" else np.argmin(values))


def _measure(drawn: Overlay) -> str:
    return "loss" if drawn.measure.startswith("loss") else drawn.measure


def _raw_title(drawn: Overlay, training: bool) -> str:
    notes = ["best epoch marked"]
    if any(line.std is not None for line in drawn.lines):
        notes.append("band: ± 1 SD over folds")
    if any(line.trainings > 1 for line in drawn.lines):
        notes.append("mean over repeats")
    if training:
        notes.append("dotted: training")
    return f"Each epoch\n{'; '.join(notes)}"


def _smooth_title(drawn: Overlay) -> str:
    left_out = f", first {drawn.skip} epochs left out" if drawn.skip else ""
    kept, new = f"{drawn.smooth:g}", f"{round(1 - drawn.smooth, 6):g}"
    return f"Smoothed\n{kept} × what came before + {new} × the epoch{left_out}"


def _title(results: "Results", line: Line) -> str:
    row = results.trials.loc[line.trial]
    point = {
        name: row[measures.POINT + name]
        for name in measures.parameters(results.trials.loc[[line.trial]])
    }
    words, text = text_of_point(point).split(" "), f"trial {line.trial}:"
    lines = []
    for word in words:
        if len(text) + len(word) >= _WIDTH:
            lines.append(text)
            text = word
        else:
            text += f" {word}"
    return "\n".join([*lines, text])


def _limit(axes: Sequence[Axes], values: Sequence[Sequence[float]], *, skip: int) -> None:
    """A scale for what comes after the first epochs, which may be far off; the same for all axes."""
    late = [value for line in values for value in line[skip:]]
    low, high = min(late), max(late)
    room = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
    for ax in axes:
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        if skip:
            ax.set_ylim(low - room, high + room)
        elif len(axes) > 1:
            ax.sharey(axes[0]) if ax is not axes[0] else None
