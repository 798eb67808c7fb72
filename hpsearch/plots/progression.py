"""Figures of a search in time: the best value so far, and what each device trained when."""

from typing import TYPE_CHECKING, Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from hpsearch.core.errors import ReportError
from hpsearch.core.option_text import did_you_mean
from hpsearch.plots import canvas
from hpsearch.plots.studies import draw_curves
from hpsearch.results.best_so_far import collect_best_so_far
from hpsearch.results.timeline import build_timeline
from hpsearch.results.trial_filters import comparable_trials, value_axis_label, with_baselines

if TYPE_CHECKING:
    from hpsearch.results.frames import StoreFrames

_STATE_COLOURS = {
    "complete": canvas.COLOURS[0],
    "repeat": canvas.COLOURS[5],
    "failed": canvas.COLOURS[1],
}
_COLUMNS = {"epochs": "epochs", "hours": "time"}


@canvas.with_style
def draw_best_so_far(
    results: "StoreFrames", *, against: Literal["epochs", "hours"], ax: Axes | None
) -> Figure:
    """The best value so far, a step line a search."""
    if against not in _COLUMNS:
        raise ReportError(
            f"against is {' or '.join(map(repr, _COLUMNS))}, got {against!r}"
            f"{did_you_mean(str(against), _COLUMNS)}"
        )
    complete = comparable_trials(results.trials, results.searches)
    trials = with_baselines(results.trials, results.searches, complete)
    best = collect_best_so_far(trials, results.searches)
    assert best is not None  # a complete trial has a value
    column = _COLUMNS[against]
    figure, ax = canvas.ensure_axes(ax)
    draw_curves(ax, best, column)
    is_alone = len(best.curves) == 1
    subject = next(iter(best.names.values())) if is_alone else complete["task"].iloc[0]
    canvas.set_title(ax, f"{subject}: best so far", "small dots: each trial's own value")
    ax.set_ylabel(value_axis_label(complete))
    if not is_alone:
        ax.legend(loc="best")
    return figure


@canvas.with_style
def draw_timeline(results: "StoreFrames", *, ax: Axes | None) -> Figure:
    """A row a device, a bar a training; trainings at the same time lie above each other."""
    found = build_timeline(results.trials, results.repeats)
    if found is None:
        raise ReportError(
            "it is not known where and when these trials ran: none has ended, or they were stored "
            "by an earlier version"
        )
    devices, bars, unit = found.devices, found.bars, found.unit
    figure, ax = canvas.ensure_axes(
        ax, 7.2, 1.3 + max(0.55, 0.07 * found.most_lanes) * len(devices)
    )
    ax.barh(
        bars["y"], (bars["end"] - bars["begin"]) / unit, bars["height"], left=bars["begin"] / unit,
        color=bars["state"].map(_STATE_COLOURS), edgecolor="white", linewidth=0.4,
    )  # fmt: skip
    for row, share in enumerate(found.use["share"]):
        ax.text(
            1.01, row, f"{share:.0%} used", transform=ax.get_yaxis_transform(), va="center",
            fontsize=8,
        )  # fmt: skip
    for pause in found.pauses:
        ax.axvline(pause / unit, color=canvas.GREY, linewidth=0.8, linestyle=":")
    ax.set_yticks(range(len(devices)), devices)
    ax.set_ylim(len(devices) - 0.4, -0.6)  # the first device on top
    ax.set_xlim(left=0)
    ax.grid(visible=False, axis="y")
    ax.set_xlabel(f"{found.unit_name} of running")
    caption = "a bar a training; used: the share of its searches' time that the device was busy"
    canvas.set_title(
        ax, "Trainings by device", caption + ("; dotted: pauses" if found.pauses else "")
    )
    if len(found.states) > 1:
        handles = [Patch(color=_STATE_COLOURS[state], label=state) for state in found.states]
        ax.legend(handles=handles, loc="lower right", bbox_to_anchor=(1, 1), ncols=3)
    return figure
