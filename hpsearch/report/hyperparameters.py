"""Where the points lie: parallel coordinates, and a slice for each hyperparameter."""

from typing import Any

import numpy as np

from hpsearch.core.parameters import Choice, Int, short
from hpsearch.report.drawing import (
    COLOUR_SCALE,
    MUTED,
    WINNER,
    Drawing,
    Section,
    escape_markup,
    log_axis,
    make_axis,
    palette_colour,
    trial_markers,
)
from hpsearch.results.parameter_axes import (
    Parameter,
    axis_labels,
    jittered_positions,
    jittered_unit_positions,
    varying_parameters,
)
from hpsearch.results.report_data import Comparison, SpaceTrials
from hpsearch.results.scales import add_margin, scale_values, value_labels, value_range
from hpsearch.results.trial_filters import PARAMS, parameter_names

_MOST_LINES = 300  # in parallel coordinates: more are a grey carpet
_GROUPS = (("best 5 %", 0.05, "var(--c2)", 2.5, 1.0), ("best quarter", 0.25, "var(--c1)", 1.5, 0.75),
           ("all others", 1.0, "var(--grey)", 1.0, 0.35))  # fmt: skip


def parallel_section(of: Comparison) -> Section:
    title = "Parallel coordinates"
    drawings = [_parallel(of, family) for family in of.families if len(family.trials) > 1]
    if not drawings:
        return Section("parallel", title, notes=["There are not yet two complete trials."])
    lead = (
        "A line a trial, from its value on the left through its point; a gap where a parameter does "
        "not exist. A group is hidden by its name in the legend."
    )
    most = max(len(family.trials) for family in of.families)
    more = f"Of {most} trials, the best and some of the others are drawn: {_MOST_LINES} lines."
    return Section(
        "parallel", title, lead, drawings, size="full", notes=[more] if most > _MOST_LINES else []
    )


def slices_section(of: Comparison) -> Section:
    title = "Slices"
    if not of.ranking:
        return Section("slices", title, notes=["No trial is complete yet."])
    drawings, always = [], []
    for family in of.families:
        varied = varying_parameters(family.trials, family.space)
        drawings += [_slice(of, family, name) for name in varied]
        for name in parameter_names(family.trials):
            if name not in varied:
                value = short(family.trials[PARAMS + name].iloc[0])
                always.append(f"{name} is always {value} in {family.name}.")
    several = of.ranked["epochs"].nunique() > 1
    lead = (
        f"Each trial's {of.metric} against one hyperparameter, whatever the others were; the "
        f"star is the first.{' The stronger the colour, the more epochs.' if several else ''}"
    )
    return Section("slices", title, lead, drawings, size="small", notes=always)


def _slice(of: Comparison, family: SpaceTrials, name: str) -> Drawing:
    parameter, column = family.space[name], PARAMS + name
    having = family.trials[family.trials[column].notna()]
    x, y, trials = jittered_positions(parameter, having[column]), having["value"], having.index
    first = trials == of.ranking[0].trial
    epochs = of.ranked["epochs"]
    ink: dict[str, Any] = {"color": palette_colour(0)}
    if epochs.nunique() > 1:
        ends = {"cmin": epochs.min(), "cmax": epochs.max()}
        ink = {"color": having["epochs"][~first], "colorscale": COLOUR_SCALE, **ends}
    dots = trial_markers(
        x[~first], y[~first], trials[~first], marker={"size": 7, "opacity": 0.8, **ink}
    )
    star = {"color": WINNER, "size": 15, "symbol": "star"}
    best = trial_markers(x[first], y[first], trials[first], marker=star)
    where = f" in {family.name}" if len(of.families) > 1 else ""
    layout = {
        "title": {"text": f"<b>{escape_markup(name)}</b>{escape_markup(where)}"},
        "xaxis": _ticks(parameter),
        "yaxis": make_axis(range=add_margin(*value_range(of.ranked))),
    }
    return Drawing([dots, best], layout, f"{of.metric} against {name}{where}", height=230)


def _ticks(parameter: Parameter) -> dict[str, Any]:
    if isinstance(parameter, Choice):
        options = [escape_markup(short(option)) for option in parameter.options]
        at = list(range(len(options)))
        return {"tickvals": at, "ticktext": options, "range": [-0.6, len(at) - 0.4],
                "zeroline": False}  # fmt: skip
    if parameter.log:
        return log_axis(parameter.low, parameter.high)
    if isinstance(parameter, Int) and parameter.high - parameter.low < 12:
        return {"dtick": 1 if parameter.high - parameter.low < 6 else 2}
    return {}


def _parallel(of: Comparison, family: SpaceTrials) -> Drawing:
    trials, names = family.trials, list(family.space)
    columns = [
        jittered_unit_positions(family.space[name], trials[PARAMS + name])
        if PARAMS + name in trials
        else np.full(len(trials), np.nan)
        for name in names
    ]
    lines = np.stack([scale_values(trials), *columns, np.full(len(trials), np.nan)], axis=1)
    drawn = _choose_lines(len(trials))
    data, begin = [], 0.0
    for group, end, ink, width, opacity in _GROUPS:
        some = lines[[n for n in drawn if begin <= n / len(trials) < end]]
        data.append(
            {"type": "scatter", "mode": "lines", "name": group, "opacity": opacity,
             "x": np.tile(np.append(np.arange(len(names) + 1.0), np.nan), len(some)),
             "y": some.ravel(), "hoverinfo": "skip", "line": {"color": ink, "width": width}}
        )  # fmt: skip
        begin = end
    scales = [value_labels(trials), *(axis_labels(family.space[name]) for name in names)]
    marks = [
        {"x": n, "y": at, "text": escape_markup(text), "showarrow": False, "xanchor": "left", "xshift": 4,
         "font": {"size": 11, "color": MUTED}, "bgcolor": "var(--card)", "opacity": 0.85}
        for n, scale in enumerate(scales) for at, text in scale
    ]  # fmt: skip
    layout = {
        "title": {"text": escape_markup(family.name) if len(of.families) > 1 else ""},
        "xaxis": make_axis(
            tickvals=list(range(len(names) + 1)),
            ticktext=[f"<b>{escape_markup(of.metric)}</b>", *map(escape_markup, names)],
            side="top",
            showgrid=True,
            gridwidth=2,
            range=[-0.42, len(names) + 0.6],
            zeroline=False,
            fixedrange=True,
        ),
        "yaxis": {"visible": False, "range": [-0.06, 1.06], "fixedrange": True},
        "annotations": marks,
        "showlegend": True,
        "hovermode": False,
    }
    # the best are drawn last, and so on top
    alt_text = f"parallel coordinates of {len(drawn)} trials of {family.name}"
    return Drawing(data[::-1], layout, alt_text, height=430, width=110 * (len(names) + 1) + 40)


def _choose_lines(count: int) -> list[int]:
    """Places of so many trials: the best, and of the others each n-th."""
    best = count if count <= _MOST_LINES else _MOST_LINES // 3
    rest = range(best, count, max(1, -(-(count - best) // (_MOST_LINES - best or 1))))
    return [*range(best), *rest]
