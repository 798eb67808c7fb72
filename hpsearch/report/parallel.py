"""Parallel coordinates: each trial a line over its parameters."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from hpsearch.parameters import Choice, Float, Int, short
from hpsearch.report import canvas, measures, points
from hpsearch.report.progression import metric_name

if TYPE_CHECKING:
    from hpsearch.report.results import Results

_NONE = -0.12  # where the lines of points without the parameter go, below its range on [0, 1]


@canvas.styled
def parallel(results: "Results", *, ax: Axes | None) -> Figure:
    """Each trial a line over its parameters to its value; the better ones drawn last."""
    trials, space = points.of_one_space(results)
    names = points.varied(trials, space)
    figure, ax = canvas.axes(ax, max(6.4, 1.35 * (len(names) + 1.5)), 3.8)
    columns = [_unit(trials[measures.POINT + name], space[name]) for name in names]
    low, high = measures.scale(trials)
    values = (np.clip(trials["value"].to_numpy(), low, high) - low) / ((high - low) or 1.0)
    highest = points.highest(trials)
    # -- ranks, not values, give the colour: a few that never learned would make all others alike
    better = trials["value"].rank(ascending=highest, method="first").to_numpy() - 1
    norm = Normalize(0, max(1, len(trials) - 1))
    lines = np.stack([*columns, values], axis=1)
    for trial in np.argsort(better):
        shade = float(norm(better[trial]))
        ax.plot(
            range(len(names) + 1), lines[trial], color=colormaps[canvas.MAP](shade),
            alpha=0.25 + 0.65 * shade**2, linewidth=0.9 + 0.8 * shade,
        )  # fmt: skip
    top = int(np.argmax(better))
    ax.plot(range(len(names) + 1), lines[top], color=points.BEST, linewidth=2.4)
    for place, name in enumerate(names):
        _axis(
            ax, place, _ticks(space[name]), missing=bool(trials[measures.POINT + name].isna().any())
        )
    ends = [short(float(value)) for value in np.linspace(low, high, 5)]
    if trials["value"].min() < low:
        ends[0] = f"≤ {ends[0]}"
    if trials["value"].max() > high:
        ends[-1] = f"≥ {ends[-1]}"
    _axis(ax, len(names), [(i / 4, text) for i, text in enumerate(ends)])
    ax.set_xticks(range(len(names) + 1), [*names, metric_name(trials["metric"].iloc[0])])
    ax.set_yticks([])
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)
    ax.tick_params(axis="x", length=0, pad=6)
    thick = f"thick: trial {trials.index[top]}, the best of {len(trials)}"
    canvas.title(ax, f"{points.where(trials)}: parallel coordinates", thick)
    points.shades(figure, [ax], norm, ("worst", "best"), pad=0.08)
    return figure


def _unit(values: "pd.Series[Any]", parameter: Float | Int | Choice) -> "np.ndarray[Any, Any]":
    """Values on [0, 1]; below it where the parameter does not exist."""
    x = points.places(values, parameter, jitter=False)
    if isinstance(parameter, Choice):
        unit = x / max(1, len(parameter.options) - 1)
    else:
        low, high = float(parameter.low), float(parameter.high)
        if parameter.log:
            x, low, high = np.log(x), np.log(low), np.log(high)
        unit = (x - low) / ((high - low) or 1.0)
    return np.nan_to_num(unit, nan=_NONE)


def _ticks(parameter: Float | Int | Choice) -> list[tuple[float, str]]:
    """Labels along a range on [0, 1]."""
    if isinstance(parameter, Choice):
        last = max(1, len(parameter.options) - 1)
        return [(i / last, short(option)) for i, option in enumerate(parameter.options)]
    at = [0.0, 0.5, 1.0]
    low, high = float(parameter.low), float(parameter.high)
    if parameter.log:
        values = [low, float(np.sqrt(low * high)), high]
    else:
        values = [low, (low + high) / 2, high]
    return [(u, f"{value:.3g}") for u, value in zip(at, values, strict=True)]


def _axis(ax: Axes, place: int, ticks: list[tuple[float, str]], *, missing: bool = False) -> None:
    """One upright axis of parallel coordinates."""
    ax.plot([place, place], [0, 1], color="#666666", linewidth=0.9, zorder=5)
    for u, text in [*ticks, *([(_NONE, "none")] if missing else [])]:
        ax.text(
            place + 0.03, u, text, fontsize=7.5, va="center", zorder=6,
            bbox=canvas.PAPER,
        )  # fmt: skip
