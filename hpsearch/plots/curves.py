"""Figures of learning curves: a panel a trial, or all trials over each other."""

import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from hpsearch.core.curves import mean_curve
from hpsearch.core.metric import Metric, higher_is_better
from hpsearch.core.parameters import short_text
from hpsearch.core.trial import Score
from hpsearch.plots import canvas
from hpsearch.results.overlay import Overlay, OverlayCurve, overlay_curves
from hpsearch.results.parameter_axes import describe_differences
from hpsearch.results.scales import add_margin, curve_range, finite_range
from hpsearch.results.trial_filters import (
    comparable_trials,
    leaf_trials,
    short_metric_name,
    sort_best_first,
)

if TYPE_CHECKING:
    from hpsearch.results.frames import StoreFrames

_LETTERS_PER_INCH = 12.5  # of a subtitle


@canvas.with_style
def draw_curve_panels(
    results: "StoreFrames", trials: Sequence[int], *, loss: bool, metric: str | None = None
) -> Figure:
    """Training and validation curves, a panel a trial, all on one scale."""
    if not trials:
        best = sort_best_first(leaf_trials(comparable_trials(results.trials, results.searches)))
        trials = [int(trial) for trial in best.index[:4]]
    drawn = overlay_curves(results, trials, loss=loss, metric=metric, smooth=0.0, skip=0)
    across = 2 if len(drawn.lines) in (2, 4) else 3
    figure, axes = canvas.make_panels(len(drawn.lines), across=across, width=3.6, height=2.7)
    about = describe_differences({line.trial: results.points[line.trial] for line in drawn.lines})
    rising = higher_is_better(drawn.direction)
    for ax, line in zip(axes, drawn.lines, strict=True):
        _draw_band(ax, line, canvas.COLOURS[0])
        _draw_curve(ax, line.training, 1, color=canvas.COLOURS[1], linestyle="--", label="training")
        _draw_curve(ax, line.validation, 1, color=canvas.COLOURS[0], label="validation")
        _mark_best(ax, line.best_epoch, line.best_value, canvas.COLOURS[0])
        ax.axvline(line.best_epoch, color=canvas.GREY, linewidth=0.8, linestyle=":")
        canvas.set_title(
            ax,
            f"trial {line.trial}",
            textwrap.fill(about[line.trial], int(3.6 * _LETTERS_PER_INCH)),
        )
        ax.set_xlabel("epoch")
        ax.text(
            0.98, 0.04 if rising else 0.96, f"best {short_text(line.best_value)}\nat epoch {line.best_epoch}",
            transform=ax.transAxes, ha="right", va="bottom" if rising else "top", fontsize=8,
            bbox=canvas.LABEL_BOX,
        )  # fmt: skip
    for ax in axes[::across]:
        ax.set_ylabel(short_metric_name(drawn.measure))
    both = [own for line in drawn.lines for own in (line.validation, line.training)]
    best_values = [line.best_value for line in drawn.lines]
    _set_limits(axes, curve_range(both, best_values, rising=rising))
    handles, labels = axes[0].get_legend_handles_labels()
    if drawn.lines[0].std is not None:
        handles.append(Patch(color=canvas.COLOURS[0], alpha=0.2, linewidth=0))
        labels.append("± 1 SD over folds")
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return figure


@canvas.with_style
def draw_score(score: Score, ax: Axes | None = None) -> Figure:
    """A score's folds and their mean on validation rows, with the best epoch marked."""
    figure, ax = canvas.ensure_axes(ax)
    folds = [curve.validation for curve in score.folds]
    mean = mean_curve(folds)
    for fold in folds if len(folds) > 1 else ():
        _draw_curve(ax, fold, 1, color=canvas.COLOURS[0], alpha=0.3, linewidth=0.8)
    _draw_curve(ax, mean, 1, color=canvas.COLOURS[0], label="mean" if len(folds) > 1 else "")
    _mark_best(ax, score.best_epoch, score.value, canvas.COLOURS[0])
    error = "" if score.se is None else f" ± {short_text(score.se)}"
    canvas.set_title(ax, f"best {short_text(score.value)}{error} at epoch {score.best_epoch}")
    ax.set_xlabel("epoch")
    ax.set_ylabel("validation")
    skip = min(10, len(mean) // 10)  # the first epochs would flatten the rest
    shown = [value for curve in [mean, *folds] for value in curve[skip:]]
    _set_limits([ax], finite_range([*shown, score.value]))
    return figure


@canvas.with_style
def draw_overlay(drawn: Overlay, *, training: bool = False) -> Figure:
    """Curves over each other: raw, and smoothed in a panel beside them."""
    across, width = (2, 4.6) if drawn.smooth else (1, 6.4)
    longest = max(len(line.label) for line in drawn.lines)
    # As many columns of the legend as fit.
    columns = int(across * width * 13 / (longest + 8))
    columns = max(1, min(len(drawn.lines), across * 2, columns))
    height = 3.4 + 0.17 * math.ceil(len(drawn.lines) / columns)
    figure, axes = canvas.make_panels(across, across=2, width=width, height=height)
    for number, line in enumerate(drawn.lines):
        colour, dash = canvas.palette_colour(number), canvas.line_style(number)
        _draw_band(axes[0], line, colour)
        _draw_curve(axes[0], line.validation, 1, color=colour, linestyle=dash, label=line.label)
        _mark_best(axes[0], line.best_epoch, line.best_value, colour)
        if training:
            _draw_curve(axes[0], line.training, 1, color=colour, linestyle=(0, (1, 1.2)), alpha=0.8)
        if line.smoothed:
            _draw_curve(axes[1], line.smoothed, 1 + drawn.skip, color=colour, linestyle=dash)
            best = Metric(drawn.measure, drawn.direction).best(line.smoothed)
            _mark_best(axes[1], best + 1 + drawn.skip, line.smoothed[best], colour)
    for ax in axes:
        ax.set_xlabel("epoch")
    letters = int(width * _LETTERS_PER_INCH)
    axes[0].set_ylabel(f"validation {short_metric_name(drawn.measure)}")
    canvas.set_title(axes[0], "Each epoch", textwrap.fill(_raw_notes(drawn, training), letters))
    shown = [line.validation for line in drawn.lines]
    shown += [line.training for line in drawn.lines if training]
    late = [value for curve in shown for value in curve[drawn.skip :]]
    late += [line.best_value for line in drawn.lines]
    _set_limits(axes[:1], finite_range(late))
    if drawn.smooth:
        canvas.set_title(axes[1], "Smoothed", textwrap.fill(_smooth_notes(drawn), letters))
        _set_limits(
            axes[1:], finite_range(value for line in drawn.lines for value in line.smoothed)
        )
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=columns)
    return figure


def _draw_curve(ax: Axes, values: Sequence[float], first: int, **options: Any) -> None:
    epochs = range(first, first + len(values))
    marker = "o" if len(values) == 1 else None
    ax.plot(epochs, values, marker=marker, **options)


def _draw_band(ax: Axes, line: OverlayCurve, colour: str) -> None:
    if line.std is not None:
        mean, std = np.array(line.validation), np.array(line.std)
        epochs = np.arange(1, len(mean) + 1)
        ax.fill_between(epochs, mean - std, mean + std, color=colour, alpha=0.13, linewidth=0)


def _mark_best(ax: Axes, epoch: int, value: float, colour: str) -> None:
    ax.plot(
        epoch, value, "o", color=colour, markersize=6, markeredgecolor="white", zorder=4,
        clip_on=False,
    )  # fmt: skip


def _raw_notes(drawn: Overlay, training: bool) -> str:
    notes = [f"{'highest' if higher_is_better(drawn.direction) else 'lowest'} point marked"]
    if any(line.std is not None for line in drawn.lines):
        notes.append("band: ± 1 SD over folds")
    if any(line.trainings > 1 for line in drawn.lines):
        notes.append("mean over repeats")
    if training:
        notes.append("dotted: training")
    return "; ".join(notes)


def _smooth_notes(drawn: Overlay) -> str:
    old, new = f"{drawn.smooth:g}", f"{round(1 - drawn.smooth, 6):g}"
    epochs = "1 epoch is" if drawn.skip == 1 else f"{drawn.skip} epochs are"
    left_out = f"; the first {epochs} left out" if drawn.skip else ""
    return f"weight {old} on earlier epochs, {new} on the epoch{left_out}"


def _set_limits(axes: Sequence[Axes], scale: tuple[float, float]) -> None:
    for ax in axes:
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set_ylim(add_margin(*scale))
