"""Learning curves of the best trials: training against validation."""

import itertools
import statistics
from collections.abc import Sequence
from typing import Any

from hpsearch.report.html.drawing import MUTED, WINNER, Drawing, Section, axis, colour
from hpsearch.report.html.gathered import Comparison
from hpsearch.searchers.grow import overfitting
from hpsearch.store import Ranked
from hpsearch.trial import Curve, Observation, Outcome

_EPOCHS = 200  # points of a line at most


def section(of: Comparison) -> Section:
    title = "Learning curves"
    found = [(row, curves) for row in of.ranking if (curves := _curves(of, row))]
    if not found:
        return Section("learning", title, notes=["No trial is complete yet."])
    bounds = _range(of, [curves for _, curves in found])
    drawings = [_drawing(of, row, curves, bounds) for row, curves in found]
    lead = (
        f"The {len(found)} best trials, on one scale. Bands reach from the lowest to the highest of "
        "all folds and seeds. The dotted line is the best epoch of the mean curve; behind it the "
        "ground is tinted where the model overfits: the validation loss rose while the training "
        "loss still fell."
    )
    return Section("learning", title, lead, drawings, size="small")


def _curves(of: Comparison, row: Ranked) -> list[Curve]:
    trainings: Sequence[Outcome] = of.trainings.get(row.trial, ())
    return [fold for each in trainings if each.score for fold in each.score.folds]


def _drawing(of: Comparison, row: Ranked, curves: list[Curve], bounds: list[float]) -> Drawing:
    validation = _mean([curve.validation for curve in curves])
    best = validation.index(max(validation, key=lambda value: of.sign * value)) + 1
    why = _overfits(of, curves)
    data: list[dict[str, Any]] = []
    for n, (kind, part) in enumerate(
        (("training", [c.train for c in curves]), ("validation", [c.validation for c in curves]))
    ):
        data += [*_band(part, n), _line(part, kind, n)]
    shapes = [
        {"type": "line", "x0": best, "x1": best, "y0": 0, "y1": 1, "yref": "paper",
         "line": {"color": WINNER, "width": 1.5, "dash": "dot"}}
    ]  # fmt: skip
    if why:
        shapes.append(
            {"type": "rect", "x0": best, "x1": len(validation), "y0": 0, "y1": 1, "yref": "paper",
             "fillcolor": "var(--warn)", "line": {"width": 0}, "layer": "below"}
        )  # fmt: skip
    many = f", {len(curves)} fits" if len(curves) > 1 else ""
    layout = {
        "title": {"text": f"#{row.rank} trial {row.trial}{many}"},
        "xaxis": axis("epoch"),
        "yaxis": axis(of.metric, range=bounds),
        "showlegend": True,
        "shapes": shapes,
        "annotations": [
            {"x": best, "y": 1, "yref": "paper", "yanchor": "bottom", "showarrow": False,
             "text": f"{'overfits after' if why else 'best:'} {best}",
             "font": {"color": WINNER if why else MUTED, "size": 11}}
        ],
    }  # fmt: skip
    says = f"learning curves of trial {row.trial}; best epoch {best}. {why}"
    return Drawing(data, layout, says, height=290)


def _mean(lines: Sequence[Sequence[float]]) -> list[float]:
    """By epoch, of those that came so far."""
    return [
        statistics.fmean(value for value in values if value is not None)
        for values in itertools.zip_longest(*lines)
    ]


def _line(lines: Sequence[Sequence[float]], name: str, n: int) -> dict[str, Any]:
    mean = _mean(lines)
    at = _thinned(len(mean))
    return {
        "type": "scatter", "mode": "lines", "name": name,
        "x": [epoch + 1 for epoch in at], "y": [mean[epoch] for epoch in at],
        "line": {"color": colour(0 if n else 4), "width": 2 if n else 1.5},
        "hovertemplate": "epoch %{x}: %{y:.4~g}",
    }  # fmt: skip


def _band(lines: Sequence[Sequence[float]], n: int) -> list[dict[str, Any]]:
    if len(lines) == 1:
        return []
    found = [
        (epoch + 1, [line[epoch] for line in lines if epoch < len(line)])
        for epoch in _thinned(max(map(len, lines)))
    ]
    x = [epoch for epoch, _ in found]
    edge: dict[str, Any] = {
        "type": "scatter", "mode": "lines", "x": x, "line": {"width": 0}, "hoverinfo": "skip",
        "showlegend": False,
    }  # fmt: skip
    fill = {"fill": "tonexty", "fillcolor": f"var(--{'c1' if n else 'c5'}-soft)"}
    low, high = [min(values) for _, values in found], [max(values) for _, values in found]
    return [edge | {"y": low}, edge | {"y": high} | fill]


def _thinned(epochs: int) -> range:
    return range(0, epochs, -(-epochs // _EPOCHS))


def _overfits(of: Comparison, curves: list[Curve]) -> str:
    return overfitting(
        Observation(
            0.0,
            validation_loss=tuple(_mean([curve.validation_loss for curve in curves])),
            train_loss=tuple(_mean([curve.train_loss for curve in curves])),
        )
    )


def _range(of: Comparison, found: list[list[Curve]]) -> list[float]:
    """What all curves have in common, without the first epochs of those that began badly."""
    means = [_mean([getattr(c, kind) for c in curves])
             for curves in found for kind in ("train", "validation")]  # fmt: skip
    settled = [value for mean in means for value in mean[len(mean) // 5 :]]
    settled.sort()
    cut = len(settled) // 25
    low, high = settled[0], settled[-1]
    if of.sign > 0:
        low = settled[cut]
    else:
        high = settled[-1 - cut]
    room = (high - low) * 0.08 or abs(high) * 0.1 or 1.0
    return [low - room, high + room]
