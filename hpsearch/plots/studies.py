"""Searches of several studies over each other."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hpsearch.plots import canvas
from hpsearch.results.best_so_far import BestSoFar
from hpsearch.results.study_overlay import StudyOverlay


@canvas.with_style
def draw_studies(overlay: StudyOverlay) -> Figure:
    """The best value so far of each search: by epochs on the left, by running time on the right."""
    figure = canvas.new_figure(10.0, 3.8)
    panels = figure.subplots(1, 2, sharey=True)
    for ax, column in zip(panels, ("epochs", "time"), strict=True):
        draw_curves(ax, overlay.best, column)
    canvas.set_title(
        panels[0], f"{overlay.task}: best so far", "small dots: each trial's own value"
    )
    panels[0].set_ylabel(overlay.label)
    panels[1].legend(loc="best")
    return figure


def draw_curves(ax: Axes, best: BestSoFar, column: str) -> None:
    """A step line a search, and a dotted line a baseline. column: the axis, of `BestSoFar.axes`."""
    for number, (search, curve) in enumerate(best.curves.items()):
        x, colour, is_new = curve[column], canvas.palette_colour(number), curve["record"]
        ax.scatter(x, curve["value"], s=9, color=colour, alpha=0.45, linewidths=0)
        ax.step(
            x, curve["best"], where="post", color=colour, linestyle=canvas.line_style(number),
            label=best.names[search],
        )  # fmt: skip
        ax.plot(x[is_new], curve["best"][is_new], "o", color=colour, markersize=3.5)
    for name, value in best.baselines.items():
        ax.axhline(value, color=canvas.GREY, linewidth=1, linestyle=":")
        ax.annotate(
            name, (0.99, value), xycoords=ax.get_yaxis_transform(), ha="right", va="bottom",
            fontsize=7.5, color=canvas.GREY,
        )  # fmt: skip
    ax.set_xlabel(best.axes[column])
    ax.set_ylim(best.value_range)
