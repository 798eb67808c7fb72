"""Parallel coordinates: each trial a line over its parameters."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from hpsearch.plots import canvas, hyperparameters
from hpsearch.results.parameter_axes import Parameter, axis_labels, jittered_unit_positions
from hpsearch.results.scales import scale_values, value_labels
from hpsearch.results.trial_filters import PARAMS, is_maximised, short_metric_name

if TYPE_CHECKING:
    from hpsearch.results.frames import StoreFrames

_MISSING = -0.12  # where the lines of points without the parameter go, below its range on [0, 1]


@canvas.with_style
def draw_parallel(results: "StoreFrames", *, ax: Axes | None) -> Figure:
    """Each trial a line over its parameters to its value; the better ones drawn last."""
    trials, space = hyperparameters.trials_of_one_space(results)
    names = hyperparameters.drawn_parameters(trials, space)
    figure, ax = canvas.ensure_axes(ax, max(6.4, 1.35 * (len(names) + 1.5)), 3.8)
    columns = [_heights(trials[PARAMS + name], space[name]) for name in names]
    # -- ranks, not values, give the colour: a few that never learned would make all others alike
    better = trials["value"].rank(ascending=is_maximised(trials), method="first").to_numpy() - 1
    norm = Normalize(0, max(1, len(trials) - 1))
    lines = np.stack([*columns, scale_values(trials)], axis=1)
    for trial in np.argsort(better):
        shade = float(norm(better[trial]))
        ax.plot(
            range(len(names) + 1), lines[trial], color=colormaps[canvas.COLOUR_MAP](shade),
            alpha=0.25 + 0.65 * shade**2, linewidth=0.9 + 0.8 * shade,
        )  # fmt: skip
    top = int(np.argmax(better))
    ax.plot(range(len(names) + 1), lines[top], color=hyperparameters.BEST_COLOUR, linewidth=2.4)
    for place, name in enumerate(names):
        missing = bool(trials[PARAMS + name].isna().any())
        _draw_axis(ax, place, axis_labels(space[name]), missing=missing)
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


def _heights(
    values: "pd.Series[Any]", parameter: Parameter
) -> "np.ndarray[Any, np.dtype[np.float64]]":
    """Values on [0, 1], options spread a little; below where the parameter does not exist."""
    return np.asarray(np.nan_to_num(jittered_unit_positions(parameter, values), nan=_MISSING))


def _draw_axis(
    ax: Axes, place: int, ticks: list[tuple[float, str]], *, missing: bool = False
) -> None:
    """One upright axis of parallel coordinates."""
    ax.plot([place, place], [0, 1], color="#666666", linewidth=0.9, zorder=5)
    for u, text in [*ticks, *([(_MISSING, "none")] if missing else [])]:
        ax.text(
            place + 0.03, u, text, fontsize=7.5, va="center", zorder=6,
            bbox=canvas.LABEL_BOX,
        )  # fmt: skip
