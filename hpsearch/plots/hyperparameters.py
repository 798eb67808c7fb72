"""Figures of values against hyperparameters and size, and of the importance of hyperparameters."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from hpsearch.core.errors import ReportError
from hpsearch.core.parameters import Int
from hpsearch.core.space import Space
from hpsearch.plots import canvas
from hpsearch.results.importance import compute_importance
from hpsearch.results.parameter_axes import jittered_positions, parameter_scale, varying_parameters
from hpsearch.results.scales import is_off_scale, log_scale, value_range
from hpsearch.results.trial_filters import (
    PARAMS,
    comparable_trials,
    is_maximised,
    leaf_trials,
    pareto_front,
    sort_best_first,
    trials_of_one_space,
    value_axis_label,
)

if TYPE_CHECKING:
    from hpsearch.results.frames import StoreFrames

BEST_COLOUR = canvas.COLOURS[1]


@canvas.with_style
def draw_slices(results: "StoreFrames") -> Figure:
    """Value against each parameter, a panel a parameter; the darker a dot, the later its trial."""
    trials, space = trials_of_one_space(results.trials, results.searches)
    names = drawn_parameters(trials, space)
    across = 2 if len(names) in (2, 4) else 3
    figure, axes = canvas.make_panels(len(names), across=across, width=3.0, height=2.5)
    order = np.argsort(np.argsort(trials.index))
    best = sort_best_first(trials).index[0]
    low, high = value_range(trials)
    far = is_off_scale(trials).to_numpy()
    higher, norm = is_maximised(trials), Normalize(0, max(1, len(trials) - 1))
    for number, (ax, name) in enumerate(zip(axes, names, strict=True)):
        x = jittered_positions(space[name], trials[PARAMS + name])
        for these, marker, size in ((~far, "o", 18), (far, "v" if higher else "^", 24)):
            ax.scatter(
                x[these], np.clip(trials["value"][these], low, high), c=order[these],
                cmap=canvas.COLOUR_MAP, norm=norm, s=size, marker=marker, linewidths=0.3,
                edgecolors="#777777",
            )  # fmt: skip
        ax.scatter(
            x[trials.index == best], trials["value"][[best]], s=75, facecolors="none",
            edgecolors=BEST_COLOUR, linewidths=1.6,
        )  # fmt: skip
        if scale := parameter_scale(space[name]):
            canvas.set_x_scale(ax, scale)
        else:
            is_whole = isinstance(space[name], Int)
            ax.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=is_whole))
        ax.set_xlabel(name)
        if number % across == 0:
            ax.set_ylabel(value_axis_label(trials))
        else:
            ax.tick_params(labelleft=False)
        if number:
            ax.sharey(axes[0])
    add_colour_bar(figure, axes, norm, ("first", "last"), aspect=12 * -(-len(axes) // across))
    notes = f"ringed: trial {best}, the best"
    notes += f"; triangles: {far.sum()} far off the scale" if far.any() else ""
    figure.suptitle(
        f"{study_names(trials)}: value by parameter ({notes})", x=0.01, ha="left", fontsize=9.5
    )
    return figure


@canvas.with_style
def draw_importance(results: "StoreFrames", *, ax: Axes | None) -> Figure:
    """A bar a parameter, with its standard deviation over bootstraps."""
    trials, space = trials_of_one_space(results.trials, results.searches)
    found = compute_importance(trials, space).iloc[::-1]
    figure, ax = canvas.ensure_axes(ax, 6.4, 1.2 + 0.34 * len(found))
    ax.barh(
        found.index, found["importance"], xerr=found["error"], color=canvas.COLOURS[0], height=0.62,
        error_kw={"ecolor": "black", "capsize": 3, "linewidth": 1},
    )  # fmt: skip
    ax.grid(visible=False, axis="y")
    ax.set_xlim(left=0)
    ax.set_xlabel("share of the importance")
    below = f"PED-ANOVA over {len(trials)} trials; error bars: ± 1 SD over bootstraps"
    canvas.set_title(ax, f"{study_names(trials)}: importance of parameters", below)
    return figure


@canvas.with_style
def draw_pareto(results: "StoreFrames", *, ax: Axes | None) -> Figure:
    """Value against number of weights, and the Pareto front."""
    trials = leaf_trials(comparable_trials(results.trials, results.searches))
    trials = trials[trials["parameters"] > 0]  # a training of one's own may not tell
    if trials.empty:
        raise ReportError("no trial tells how many weights its model has, to draw values against")
    front = pareto_front(trials)
    figure, ax = canvas.ensure_axes(ax)
    low, high = value_range(trials)
    off = is_off_scale(trials)
    higher = is_maximised(trials)
    others = trials.drop(front.index.union(trials.index[off]))
    far = trials.loc[off].drop(front.index, errors="ignore")
    marks = (
        (others, "o", 14, "other trials"),
        (far, "v" if higher else "^", 22, "far off the scale"),
    )
    for rows, marker, size, label in marks:
        if len(rows):
            ax.scatter(
                rows["parameters"].astype("float64"), rows["value"].clip(low, high), s=size,
                marker=marker, color="#A0A0A0", linewidths=0, label=label,
            )  # fmt: skip
    x = front["parameters"].astype("float64")
    ax.step(x, front["value"], where="post", color=canvas.COLOURS[0], linewidth=1.2)
    ax.errorbar(
        x, front["value"], yerr=front["se"].fillna(0.0), fmt="o", color=canvas.COLOURS[0],
        markersize=5, elinewidth=1, capsize=2, label="front, ± 1 standard error",
    )  # fmt: skip
    for trial, row in _with_room_for_numbers(front).iterrows():
        ax.annotate(
            str(trial), (float(row["parameters"]), row["value"]), xytext=(5, 5 if higher else -5),
            textcoords="offset points", fontsize=8, va="bottom" if higher else "top",
        )  # fmt: skip
    if trials["parameters"].nunique() > 1:
        sizes = trials["parameters"].astype("float64")
        canvas.set_x_scale(ax, log_scale(sizes.min(), sizes.max()))
    ax.set_xlabel("weights of the model")
    ax.set_ylabel(value_axis_label(trials))
    canvas.set_title(
        ax,
        f"{study_names(trials)}: value against size",
        "numbered: trials that are better than all trials as small",
    )
    ax.legend(loc="best")
    return figure


def _with_room_for_numbers(front: pd.DataFrame) -> pd.DataFrame:
    """The trials of a front whose numbers do not overlap; the best are numbered first."""
    logs = np.log(front["parameters"].to_numpy(dtype=np.float64))
    room = 0.05 * (logs.max() - logs.min())
    numbered: list[int] = []
    for number in reversed(range(len(front))):
        if not numbered or logs[numbered[-1]] - logs[number] > room:
            numbered.append(number)
    return front.iloc[numbered]


def drawn_parameters(trials: pd.DataFrame, space: Space) -> list[str]:
    """The parameters to draw against. Raises ReportError where none varies."""
    if found := varying_parameters(trials, space):
        return found
    raise ReportError("all points are the same: there is no parameter to draw against")


def add_colour_bar(
    figure: Figure, axes: list[Axes], norm: Normalize, ends: tuple[str, str], **options: Any
) -> None:
    """A colour bar that is labelled at both ends only."""
    colours = ScalarMappable(norm, canvas.COLOUR_MAP)
    bar = figure.colorbar(colours, ax=axes, ticks=[norm.vmin, norm.vmax], **options)
    bar.ax.set_yticklabels(ends)
    bar.ax.tick_params(length=0)
    bar.outline.set_visible(False)


def study_names(trials: pd.DataFrame) -> str:
    """The trials' studies, for a title."""
    return ", ".join(dict.fromkeys(trials["study"]))
