"""Parallel coordinates: each trial is a line over its parameters."""

from typing import TYPE_CHECKING

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from hpsearch.plots import canvas, hyperparameters
from hpsearch.results.parameter_axes import axis_labels, parallel_positions
from hpsearch.results.scales import scale_values, value_labels
from hpsearch.results.trial_filters import (
    PARAMS,
    is_maximised,
    short_metric_name,
    trials_of_one_space,
)

if TYPE_CHECKING:
    from hpsearch.results.frames import StoreFrames

_MISSING = -0.12  # below the axis [0, 1]: the height of trials without the parameter


@canvas.with_style
def draw_parallel(results: "StoreFrames", *, ax: Axes | None) -> Figure:
    """Each trial is a line over its parameters to its value; better ones are drawn on top."""
    trials, space = trials_of_one_space(results.trials, results.searches)
    names = hyperparameters.drawn_parameters(trials, space)
    figure, ax = canvas.ensure_axes(ax, max(6.4, 1.35 * (len(names) + 1.5)), 3.8)
    heights = np.nan_to_num(parallel_positions(trials, space, names), nan=_MISSING)
    # Ranks, not values, give the colour: a few trials that never learned would make all others
    # look the same.
    better = trials["value"].rank(ascending=is_maximised(trials), method="first").to_numpy() - 1
    norm = Normalize(0, max(1, len(trials) - 1))
    lines = np.column_stack([heights, scale_values(trials)])
    for trial in np.argsort(better):
        shade = float(norm(better[trial]))
        ax.plot(
            range(len(names) + 1), lines[trial], color=colormaps[canvas.COLOUR_MAP](shade),
            alpha=0.25 + 0.65 * shade**2, linewidth=0.9 + 0.8 * shade,
        )  # fmt: skip
    top = int(np.argmax(better))
    ax.plot(range(len(names) + 1), lines[top], color=hyperparameters.BEST_COLOUR, linewidth=2.4)
    for number, name in enumerate(names):
        missing = bool(trials[PARAMS + name].isna().any())
        _draw_axis(ax, number, axis_labels(space[name]), missing=missing)
    _draw_axis(ax, len(names), value_labels(trials))
    ax.set_xticks(range(len(names) + 1), [*names, short_metric_name(trials["metric"].iloc[0])])
    ax.set_yticks([])
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)
    ax.tick_params(axis="x", length=0, pad=6)
    thick = f"thick: trial {trials.index[top]}, the best of {len(trials)}"
    canvas.set_title(ax, f"{hyperparameters.study_names(trials)}: parallel coordinates", thick)
    hyperparameters.add_colour_bar(figure, [ax], norm, ("worst", "best"), pad=0.08)
    return figure


def _draw_axis(ax: Axes, x: int, ticks: list[tuple[float, str]], *, missing: bool = False) -> None:
    """Draw one upright axis at this x; missing: label the height of trials without the parameter."""
    ax.plot([x, x], [0, 1], color="#666666", linewidth=0.9, zorder=5)
    for u, text in [*ticks, *([(_MISSING, "none")] if missing else [])]:
        ax.text(
            x + 0.03, u, text, fontsize=7.5, va="center", zorder=6,
            bbox=canvas.LABEL_BOX,
        )  # fmt: skip
