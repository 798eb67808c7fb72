"""Figures of a search in time: the best value so far, and what workers did when."""

from typing import TYPE_CHECKING, Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from hpsearch.core.errors import ReportError
from hpsearch.core.option_text import did_you_mean
from hpsearch.plots import canvas
from hpsearch.results.running_time import best_so_far, build_timeline, device_use, time_unit
from hpsearch.results.scales import add_margin, best_so_far_range
from hpsearch.results.trial_filters import comparable_trials, name_searches, short_metric_name

if TYPE_CHECKING:
    from hpsearch.results.frames import StoreFrames

_STATE_COLOURS = {
    "complete": canvas.COLOURS[0],
    "repeat": canvas.COLOURS[5],
    "failed": canvas.COLOURS[1],
}
_AXES = ("epochs", "hours")


@canvas.with_style
def draw_best_so_far(
    results: "StoreFrames", *, against: Literal["epochs", "hours"], ax: Axes | None
) -> Figure:
    """The best value so far, a step line a search."""
    if against not in _AXES:
        raise ReportError(
            f"against is {' or '.join(map(repr, _AXES))}, got {against!r}"
            f"{did_you_mean(str(against), _AXES)}"
        )
    done = comparable_trials(results.trials, results.searches)
    figure, ax = canvas.ensure_axes(ax)
    trials = results.trials.loc[results.trials["search"].isin(done["search"])]
    curves = {search: best_so_far(group) for search, group in trials.groupby("search")}
    names = name_searches([one for one in results.searches if one.id in curves])
    unit, name = time_unit(max(float(curve["seconds"].max()) for curve in curves.values()))
    for number, (search, curve) in enumerate(curves.items()):
        x = curve["epochs"] if against == "epochs" else curve["seconds"] / unit
        colour, new = canvas.palette_colour(number), curve["record"]
        label = names[int(str(search))]
        ax.scatter(x, curve["value"], s=9, color=colour, alpha=0.45, linewidths=0)
        ax.step(
            x,
            curve["best"],
            where="post",
            color=colour,
            linestyle=canvas.line_style(number),
            label=label,
        )
        ax.plot(x[new], curve["best"][new], "o", color=colour, markersize=3.5)
    one = len(curves) == 1
    about = next(iter(names.values())) if one else done["task"].iloc[0]
    canvas.set_title(ax, f"{about}: best so far", "small dots: each trial's own value")
    ax.set_xlabel(
        "epochs trained, over all trials" if against == "epochs" else f"{name} of running"
    )
    ax.set_ylabel(f"validation {short_metric_name(done['metric'].iloc[0])}")
    ax.set_ylim(add_margin(*best_so_far_range(done)))
    if not one:
        ax.legend(loc="best")
    return figure


@canvas.with_style
def draw_timeline(results: "StoreFrames", *, ax: Axes | None) -> Figure:
    """A row a device, a bar a training; those that train side by side lie above each other."""
    found = build_timeline(results.trials, results.repeats)
    if found is None:
        raise ReportError(
            "it is not known where and when these trials ran: none has ended, or they are of an "
            "earlier version"
        )
    bars, use = found.bars, device_use(found.bars).iloc[::-1]
    unit, name = time_unit(float(bars["end"].max()))
    figure, ax = canvas.ensure_axes(
        ax, 7.2, 1.3 + max(0.55, 0.07 * (bars["lane"].max() + 1)) * len(use)
    )
    for row, (device, share) in enumerate(use["share"].items()):
        own = bars[bars["device"] == device]
        height = 0.8 / (own["lane"].max() + 1)
        ax.barh(
            row - 0.4 + height * (own["lane"] + 0.5), (own["end"] - own["begin"]) / unit,
            height * 0.94, left=own["begin"] / unit, color=own["state"].map(_STATE_COLOURS),
            edgecolor="white", linewidth=0.4,
        )  # fmt: skip
        ax.text(
            1.01, row, f"{share:.0%} used", transform=ax.get_yaxis_transform(), va="center",
            fontsize=8,
        )  # fmt: skip
    for pause in found.pauses:
        ax.axvline(pause / unit, color=canvas.GREY, linewidth=0.8, linestyle=":")
    ax.set_yticks(range(len(use)), list(use.index))
    ax.set_ylim(-0.6, len(use) - 0.4)
    ax.set_xlim(left=0)
    ax.grid(visible=False, axis="y")
    ax.set_xlabel(f"{name} of running")
    said = "a bar a training; used: busy while its searches ran"
    canvas.set_title(ax, "What ran where", said + ("; dotted: pauses" if found.pauses else ""))
    shown = [state for state in _STATE_COLOURS if (bars["state"] == state).any()]
    if len(shown) > 1:
        handles = [Patch(color=_STATE_COLOURS[state], label=state) for state in shown]
        ax.legend(handles=handles, loc="lower right", bbox_to_anchor=(1, 1), ncols=3)
    return figure
