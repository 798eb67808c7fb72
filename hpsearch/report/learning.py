"""Learning curves of the best trials: training against validation."""

from collections.abc import Sequence
from typing import Any

from hpsearch.core.trial import Curve, Observation, Outcome
from hpsearch.report.drawing import MUTED, WINNER, Drawing, Section, axis, colour
from hpsearch.results.gathered import Comparison
from hpsearch.results.learning import mean_curve
from hpsearch.results.scales import add_margin, curve_range
from hpsearch.searchers.grow import overfitting
from hpsearch.store import RankedTrial

_EPOCHS = 200  # points of a line at most


def section(of: Comparison) -> Section:
    title = "Learning curves"
    found = [(row, curves) for row in of.ranking if (curves := _curves(of, row))]
    if not found:
        return Section("learning", title, notes=["No trial is complete yet."])
    bounds = _scale(of, [curves for _, curves in found])
    drawings = [_drawing(of, row, curves, bounds) for row, curves in found]
    lead = (
        f"The {len(found)} best trials, on one scale. Bands reach from the lowest to the highest of "
        "all folds and seeds. The dotted line is the best epoch of the mean curve; behind it the "
        "ground is tinted where the model overfits: the validation loss rose while the training "
        "loss still fell."
    )
    return Section("learning", title, lead, drawings, size="small")


def _curves(of: Comparison, row: RankedTrial) -> list[Curve]:
    trainings: Sequence[Outcome] = of.trainings.get(row.trial, ())
    return [fold for each in trainings if each.score for fold in each.score.folds]


def _drawing(
    of: Comparison, row: RankedTrial, curves: list[Curve], bounds: tuple[float, float]
) -> Drawing:
    validation = mean_curve([curve.validation for curve in curves])
    best = of.better.best(validation) + 1
    why = _overfits(curves)
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


def _line(lines: Sequence[Sequence[float]], name: str, n: int) -> dict[str, Any]:
    mean = mean_curve(lines)
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
    every = list(zip(*lines, strict=False))
    found = [every[epoch] for epoch in _thinned(len(every))]
    x = [epoch + 1 for epoch in _thinned(len(every))]
    edge: dict[str, Any] = {
        "type": "scatter", "mode": "lines", "x": x, "line": {"width": 0}, "hoverinfo": "skip",
        "showlegend": False,
    }  # fmt: skip
    fill = {"fill": "tonexty", "fillcolor": f"var(--{'c1' if n else 'c5'}-soft)"}
    low, high = list(map(min, found)), list(map(max, found))
    return [edge | {"y": low}, edge | {"y": high} | fill]


def _thinned(epochs: int) -> range:
    return range(0, epochs, -(-epochs // _EPOCHS))


def _overfits(curves: list[Curve]) -> str:
    return overfitting(
        Observation(
            0.0,
            validation_loss=tuple(mean_curve([curve.validation_loss for curve in curves])),
            train_loss=tuple(mean_curve([curve.train_loss for curve in curves])),
        )
    )


def _scale(of: Comparison, found: list[list[Curve]]) -> tuple[float, float]:
    """What all curves have in common; the best epochs are on it."""
    train, validation = (
        [mean_curve([getattr(curve, kind) for curve in curves]) for curves in found]
        for kind in ("train", "validation")
    )
    best = [curve[of.better.best(curve)] for curve in validation]
    rising = of.better.higher_is_better
    return add_margin(*curve_range([*train, *validation], best, rising=rising))
