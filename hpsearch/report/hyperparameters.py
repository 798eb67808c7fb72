"""Values against hyperparameters: parallel coordinates, and a slice for each hyperparameter."""

from typing import Any

import numpy as np

from hpsearch.core.parameters import short_text
from hpsearch.report.drawing import (
    COLOUR_SCALE,
    MUTED,
    WINNER,
    Drawing,
    Section,
    escape_markup,
    make_axis,
    palette_colour,
    scaled_axis,
    trial_markers,
)
from hpsearch.results.parameter_axes import (
    Parameter,
    axis_labels,
    has_few_integers,
    jittered_positions,
    parallel_positions,
    parameter_scale,
    varying_parameters,
)
from hpsearch.results.report_data import Comparison, SpaceTrials
from hpsearch.results.scales import add_margin, scale_values, value_labels, value_range
from hpsearch.results.trial_filters import PARAMS, parameter_names, sample_ranked

_MOST_LINES = 300  # of parallel coordinates; more cannot be told apart
# Name, up to which part of the ranking, colour, width, opacity.
_GROUPS = (
    ("best 5 %", 0.05, "var(--c2)", 2.5, 1.0),
    ("best quarter", 0.25, "var(--c1)", 1.5, 0.75),
    ("all others", 1.0, "var(--grey)", 1.0, 0.35),
)


def parallel_section(comparison: Comparison) -> Section:
    """Parallel coordinates, a figure a space."""
    title = "Parallel coordinates"
    drawings = [
        _draw_parallel(comparison, family)
        for family in comparison.trials_by_space
        if len(family.trials) > 1
    ]
    if not drawings:
        return Section("parallel", title, notes=["There are not yet two complete trials."])
    lead = (
        "Each line is a trial. It goes from the trial's value on the left through its "
        "hyperparameters, with a gap where a hyperparameter does not exist. Click a group in the "
        "legend to hide it."
    )
    most = max(len(family.trials) for family in comparison.trials_by_space)
    note = f"Of {most} trials, {_MOST_LINES} are drawn: the best ones, and some of the others."
    return Section(
        "parallel", title, lead, drawings, size="full", notes=[note] if most > _MOST_LINES else []
    )


def _draw_parallel(comparison: Comparison, family: SpaceTrials) -> Drawing:
    trials, names = family.trials, list(family.space)
    heights = parallel_positions(trials, family.space, names)
    gap = np.full(len(trials), np.nan)  # ends each line, so that a whole group is one trace
    lines = np.column_stack([scale_values(trials), heights, gap])
    drawn = sample_ranked(len(trials), _MOST_LINES)
    data, begin = [], 0.0
    for group, end, ink, width, opacity in _GROUPS:
        some = lines[[n for n in drawn if begin <= n / len(trials) < end]]
        data.append(
            {"type": "scatter", "mode": "lines", "name": group, "opacity": opacity,
             "x": np.tile(np.append(np.arange(len(names) + 1.0), np.nan), len(some)),
             "y": some.ravel(), "hoverinfo": "skip", "line": {"color": ink, "width": width}}
        )  # fmt: skip
        begin = end
    labels = [value_labels(trials), *(axis_labels(family.space[name]) for name in names)]
    annotations = [
        {"x": n, "y": at, "text": escape_markup(text), "showarrow": False, "xanchor": "left",
         "xshift": 4, "font": {"size": 11, "color": MUTED}, "bgcolor": "var(--card)",
         "opacity": 0.85}
        for n, axis_ticks in enumerate(labels) for at, text in axis_ticks
    ]  # fmt: skip
    layout = {
        "title": {
            "text": escape_markup(family.name) if len(comparison.trials_by_space) > 1 else ""
        },
        "xaxis": make_axis(
            tickvals=list(range(len(names) + 1)),
            ticktext=[
                f"<b>{escape_markup(comparison.metric_name)}</b>",
                *map(escape_markup, names),
            ],
            side="top",
            showgrid=True,
            gridwidth=2,
            range=[-0.42, len(names) + 0.6],
            zeroline=False,
            fixedrange=True,
        ),
        "yaxis": {"visible": False, "range": [-0.06, 1.06], "fixedrange": True},
        "annotations": annotations,
        "showlegend": True,
        "hovermode": False,
    }
    alt_text = f"parallel coordinates of {len(drawn)} trials of {family.name}"
    # What is drawn last is on top: the best.
    return Drawing(data[::-1], layout, alt_text, height=430, width=110 * (len(names) + 1) + 40)


def slices_section(comparison: Comparison) -> Section:
    """Value against each hyperparameter that varies."""
    title = "Slices"
    if not comparison.ranking:
        return Section("slices", title, notes=["No trial is complete yet."])
    drawings, notes = [], []
    for family in comparison.trials_by_space:
        varied = varying_parameters(family.trials, family.space)
        drawings += [_draw_slice(comparison, family, name) for name in varied]
        for name in parameter_names(family.trials):
            if name not in varied:
                value = short_text(family.trials[PARAMS + name].iloc[0])
                notes.append(f"{name} is always {value} in {family.name}.")
    shade = (
        " Stronger colour: more epochs." if comparison.ranked_trials["epochs"].nunique() > 1 else ""
    )
    lead = (
        f"The {comparison.metric_name} of each trial against one hyperparameter, whatever the values of the "
        f"others. Star: the best trial.{shade}"
    )
    return Section("slices", title, lead, drawings, size="small", notes=notes)


def _draw_slice(comparison: Comparison, family: SpaceTrials, name: str) -> Drawing:
    parameter, column = family.space[name], PARAMS + name
    having = family.trials[family.trials[column].notna()]
    x, y, trials = jittered_positions(parameter, having[column]), having["value"], having.index
    is_best = trials == comparison.ranking[0].trial
    epochs = comparison.ranked_trials["epochs"]
    ink: dict[str, Any] = {"color": palette_colour(0)}
    if epochs.nunique() > 1:
        ends = {"cmin": epochs.min(), "cmax": epochs.max()}
        ink = {"color": having["epochs"][~is_best], "colorscale": COLOUR_SCALE, **ends}
    dots = trial_markers(
        x[~is_best], y[~is_best], trials[~is_best], marker={"size": 7, "opacity": 0.8, **ink}
    )
    star = {"color": WINNER, "size": 15, "symbol": "star"}
    best = trial_markers(x[is_best], y[is_best], trials[is_best], marker=star)
    where = f" in {family.name}" if len(comparison.trials_by_space) > 1 else ""
    layout = {
        "title": {"text": f"<b>{escape_markup(name)}</b>{escape_markup(where)}"},
        "xaxis": _parameter_axis(parameter),
        "yaxis": make_axis(range=add_margin(*value_range(comparison.ranked_trials))),
    }
    return Drawing(
        [dots, best], layout, f"{comparison.metric_name} against {name}{where}", height=230
    )


def _parameter_axis(parameter: Parameter) -> dict[str, Any]:
    if scale := parameter_scale(parameter):
        return scaled_axis(scale)
    if has_few_integers(parameter):
        return {"dtick": 1 if parameter.high - parameter.low < 6 else 2}
    return {}
