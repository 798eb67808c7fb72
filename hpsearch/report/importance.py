"""How much each hyperparameter decides whether a trial is among the best."""

import pandas as pd

from hpsearch.core.errors import ReportError
from hpsearch.report.drawing import Drawing, Section, escape_markup, make_axis, palette_colour
from hpsearch.results.importance import compute_importance
from hpsearch.results.report_data import Comparison


def importance_section(comparison: Comparison) -> Section:
    """How much each hyperparameter matters, a figure a space."""
    drawings, notes = [], []
    for family in comparison.trials_by_space:
        try:
            shares = compute_importance(family.trials, family.space)
        except ReportError as error:
            notes.append(f"{family.name}: {error}.")
        else:
            drawings.append(
                _draw_importance(family.name if len(comparison.trials_by_space) > 1 else "", shares)
            )
    lead = (
        "How much each hyperparameter decides whether a trial is among the best, as a share of the "
        "whole, by PED-ANOVA (Watanabe et al., IJCAI 2023). Error bars: standard deviations over "
        "bootstraps of the trials."
    )
    if not comparison.trials_by_space:
        notes = ["No trial is complete yet."]
    return Section("importance", "Importance", lead if drawings else "", drawings, notes=notes)


def _draw_importance(name: str, shares: pd.DataFrame) -> Drawing:
    upwards = shares.iloc[::-1]
    share, error = upwards["importance"], upwards["error"]
    data = [
        {
            "type": "bar",
            "orientation": "h",
            "y": [escape_markup(name) for name in upwards.index],
            "x": share,
            "error_x": {
                "array": error.clip(upper=1 - share),
                "arrayminus": error.clip(upper=share),
                "color": "var(--text)",
                "thickness": 1.5,
            },
            "marker": {"color": palette_colour(0)},
            "hovertemplate": "%{y}: %{x:.0%}<extra></extra>",
        }
    ]
    layout = {
        "title": {"text": escape_markup(name)},
        "xaxis": make_axis("share of importance", tickformat=".0%", rangemode="tozero"),
        "yaxis": {"automargin": True, "type": "category", "showgrid": False},
    }
    named = [f"{name} {share:.0%}" for name, share in shares["importance"].items()]
    return Drawing(data, layout, f"importance: {', '.join(named)}", height=120 + 34 * len(shares))
