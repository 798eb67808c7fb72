"""Learning curves of the best trials: training against validation."""

from typing import Any

from hpsearch.core.metric import higher_is_better
from hpsearch.report.drawing import (
    MUTED,
    WINNER,
    Drawing,
    Section,
    escape_markup,
    make_axis,
    palette_colour,
)
from hpsearch.results.report_data import Comparison
from hpsearch.results.trial_curves import (
    Band,
    MetricCurvesOfTrials,
    TrialCurves,
    best_metric_curves,
    best_trial_curves,
)

# Name, number of the colour, width of the line.
_KINDS = (("training", 4, 1.5), ("validation", 0, 2))


def learning_section(comparison: Comparison) -> Section:
    """Learning curves of the best trials, a figure a trial."""
    title = "Learning curves"
    found, value_range = best_trial_curves(comparison)
    if not found:
        return Section("learning", title, notes=["No trial is complete yet."])
    drawings = [_draw_trial(comparison, curves, value_range) for curves in found]
    lead = (
        f"The {len(found)} best trials, on one scale. Bands reach from the lowest to the highest "
        "value of all folds and seeds. The dotted line is the best epoch of the mean validation "
        "curve. A tinted background after it shows overfitting: the validation loss rose while the "
        "training loss still fell."
    )
    return Section("learning", title, lead, drawings, size="small")


def metric_sections(comparison: Comparison) -> list[Section]:
    """The curves of the metrics recorded beside the task's, a figure a metric; none without any."""
    found = best_metric_curves(comparison)
    if not found:
        return []
    lead = (
        "The best trials' metrics on validation rows, the mean over folds and seeds. Dots mark the "
        f"epoch that is best by {comparison.metric_name}."
    )
    return [
        Section("metrics", "Other metrics", lead, [_draw_metric(each) for each in found], "half")
    ]


def _draw_metric(metric: MetricCurvesOfTrials) -> Drawing:
    data: list[dict[str, Any]] = []
    for number, line in enumerate(metric.lines):
        name, ink = f"#{line.row.rank} trial {line.row.trial}", palette_colour(number)
        data.append(
            {"type": "scatter", "mode": "lines", "name": name, "x": line.epochs, "y": line.mean,
             "line": {"color": ink, "width": 2}, "legendgroup": name,
             "hovertemplate": "epoch %{x}: %{y:.4~g}"}
        )  # fmt: skip
        data.append(
            {"type": "scatter", "mode": "markers", "name": name, "x": [line.best_epoch],
             "y": [line.at_best], "marker": {"color": ink, "size": 8}, "legendgroup": name,
             "showlegend": False, "hovertemplate": "epoch %{x}: %{y:.4~g}"}
        )  # fmt: skip
    way = "higher" if higher_is_better(metric.direction) else "lower"
    layout = {
        "title": {"text": escape_markup(f"{metric.name}, {way} is better")},
        "xaxis": make_axis("epoch"),
        "yaxis": make_axis(metric.name, range=metric.range),
        "showlegend": True,
    }
    alt_text = f"{metric.name} of the {len(metric.lines)} best trials by epoch"
    return Drawing(data, layout, alt_text, height=320)


def _draw_trial(
    comparison: Comparison, curves: TrialCurves, value_range: tuple[float, float]
) -> Drawing:
    row, best, overfits = curves.row, curves.best_epoch, bool(curves.overfitting)
    data: list[dict[str, Any]] = []
    for (name, colour, width), band in zip(
        _KINDS, (curves.training, curves.validation), strict=True
    ):
        if curves.fits > 1:
            data += _draw_band(band, colour)
        data.append(
            {"type": "scatter", "mode": "lines", "name": name, "x": band.epochs, "y": band.mean,
             "line": {"color": palette_colour(colour), "width": width},
             "hovertemplate": "epoch %{x}: %{y:.4~g}"}
        )  # fmt: skip
    shapes = [
        {"type": "line", "x0": best, "x1": best, "y0": 0, "y1": 1, "yref": "paper",
         "line": {"color": WINNER, "width": 1.5, "dash": "dot"}}
    ]  # fmt: skip
    if overfits:
        shapes.append(
            {"type": "rect", "x0": best, "x1": curves.epochs, "y0": 0, "y1": 1, "yref": "paper",
             "fillcolor": "var(--warn)", "line": {"width": 0}, "layer": "below"}
        )  # fmt: skip
    fits = f", {curves.fits} fits" if curves.fits > 1 else ""
    layout = {
        "title": {"text": f"#{row.rank} trial {row.trial}{fits}"},
        "xaxis": make_axis("epoch"),
        "yaxis": make_axis(comparison.metric_name, range=value_range),
        "showlegend": True,
        "shapes": shapes,
        "annotations": [
            {"x": best, "y": 1, "yref": "paper", "yanchor": "bottom", "showarrow": False,
             "text": f"{'overfits after' if overfits else 'best:'} {best}",
             "font": {"color": WINNER if overfits else MUTED, "size": 11}}
        ],
    }  # fmt: skip
    alt_text = f"learning curves of trial {row.trial}; best epoch {best}. {curves.overfitting}"
    return Drawing(data, layout, alt_text, height=290)


def _draw_band(band: Band, colour: int) -> list[dict[str, Any]]:
    edge: dict[str, Any] = {
        "type": "scatter", "mode": "lines", "x": band.epochs, "line": {"width": 0},
        "hoverinfo": "skip", "showlegend": False,
    }  # fmt: skip
    fill = {"fill": "tonexty", "fillcolor": f"var(--c{colour + 1}-soft)"}
    return [edge | {"y": band.low}, edge | {"y": band.high} | fill]
