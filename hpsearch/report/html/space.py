"""Where the points lie: parallel coordinates, and a slice for each hyperparameter."""

import zlib
from collections.abc import Sequence
from typing import Any

from hpsearch.parameters import Choice, Float, Int, short
from hpsearch.report.html.drawing import (
    MUTED,
    SCALE,
    WINNER,
    Drawing,
    Section,
    axis,
    colour,
    logarithmic,
    most,
    plain,
    points,
)
from hpsearch.report.html.gathered import Comparison, Family
from hpsearch.store import Ranked

_LINES = 300  # in parallel coordinates: more are a grey carpet
_GROUPS = (("best 5 %", 0.05, "var(--c2)", 2.5, 1.0), ("best quarter", 0.25, "var(--c1)", 1.5, 0.75),
           ("all others", 1.0, "var(--grey)", 1.0, 0.35))  # fmt: skip
Parameter = Float | Int | Choice


def parallel(of: Comparison) -> Section:
    title = "Parallel coordinates"
    drawings = [_parallel(of, family) for family in of.families if len(family.rows) > 1]
    if not drawings:
        return Section("parallel", title, notes=["There are not yet two complete trials."])
    lead = (
        "A line a trial, from its value on the left through its point; a gap where a parameter does "
        "not exist. A group is hidden by its name in the legend."
    )
    most = max(len(family.rows) for family in of.families)
    more = f"Of {most} trials, the best and some of the others are drawn: {_LINES} lines."
    return Section(
        "parallel", title, lead, drawings, size="full", notes=[more] if most > _LINES else []
    )


def slices(of: Comparison) -> Section:
    title = "Slices"
    drawings = [
        _slice(of, family, name)
        for family in of.families
        for name, parameter in family.space.items()
        if not _constant(parameter)
    ]
    if not of.ranking:
        return Section("slices", title, notes=["No trial is complete yet."])
    always = [
        f"{name} is always {short(parameter.decode(0.5))} in {family.name}."
        for family in of.families
        for name, parameter in family.space.items()
        if _constant(parameter)
    ]
    several = len({row.epochs for row in of.ranking}) > 1
    lead = (
        f"Each trial's {of.metric} against one hyperparameter, whatever the others were; the "
        f"star is the first.{' The stronger the colour, the more epochs.' if several else ''}"
    )
    return Section("slices", title, lead, drawings, size="small", notes=always)


def _slice(of: Comparison, family: Family, name: str) -> Drawing:
    parameter = family.space[name]
    having = [row for row in family.rows if name in row.params]
    first = [row for row in having if row.rank == 1]
    rows = [row for row in having if row.rank > 1]
    x = [_at(parameter, row, name, jitter=0.5) for row in rows]
    epochs = [row.epochs for row in of.ranking]
    several = len(set(epochs)) > 1
    dots = points(
        x,
        [row.value for row in rows],
        [row.trial for row in rows],
        marker={
            "size": 7,
            "opacity": 0.8,
            "color": [row.epochs for row in rows] if several else colour(0),
            **({"colorscale": SCALE, "cmin": min(epochs), "cmax": max(epochs)} if several else {}),
        },
    )
    star = {"color": WINNER, "size": 15, "symbol": "star"}
    best = points(
        [_at(parameter, row, name, jitter=0.5) for row in first],
        [row.value for row in first],
        [row.trial for row in first],
        marker=star,
    )
    where = f" in {family.name}" if len(of.families) > 1 else ""
    layout = {
        "title": {"text": f"<b>{plain(name)}</b>{plain(where)}"},
        "xaxis": _ticks(parameter),
        "yaxis": axis(range=most([row.value for row in of.ranking], of.sign)),
    }
    return Drawing([dots, best], layout, f"{of.metric} against {name}{where}", height=230)


def _constant(parameter: Parameter) -> bool:
    if isinstance(parameter, Choice):
        return len(parameter.options) == 1
    return parameter.low == parameter.high


def _at(parameter: Parameter, row: Ranked, name: str, jitter: float = 0.0) -> float:
    """Where a trial stands: options side by side, spread a little so that dots show."""
    value = row.params[name]
    spread = jitter * (zlib.crc32(str(row.trial).encode()) / 2**32 - 0.5)
    if isinstance(parameter, Choice):
        return _option(parameter, value) + spread
    few = isinstance(parameter, Int) and not parameter.log and parameter.high - parameter.low < 12
    return float(value) + (spread if few else 0.0)


def _option(parameter: Choice, value: object) -> int:
    same = [n for n, o in enumerate(parameter.options) if o == value and type(o) is type(value)]
    return same[0] if same else parameter.options.index(value)


def _ticks(parameter: Parameter) -> dict[str, Any]:
    if isinstance(parameter, Choice):
        options = [plain(short(option)) for option in parameter.options]
        at = list(range(len(options)))
        return {"tickvals": at, "ticktext": options, "range": [-0.6, len(at) - 0.4],
                "zeroline": False}  # fmt: skip
    if parameter.log:
        return logarithmic(parameter.low, parameter.high)
    if isinstance(parameter, Int) and parameter.high - parameter.low < 12:
        return {"dtick": 1 if parameter.high - parameter.low < 6 else 2}
    return {}


def _parallel(of: Comparison, family: Family) -> Drawing:
    rows = _drawn(family.rows)
    names = list(family.space)
    values = most([row.value for row in family.rows], of.sign)
    data = []
    for (group, upto, ink, width, opacity), previous in zip(
        _GROUPS, (0.0, *(g[1] for g in _GROUPS)), strict=False
    ):
        some = [r for n, r in rows if previous <= n / len(family.rows) < upto]
        x: list[float | None] = []
        y: list[float | None] = []
        for row in some:
            height = (row.value - values[0]) / (values[1] - values[0])
            heights: list[float | None] = [min(max(height, 0.0), 1.0)]
            heights += [_unit(family.space[name], row, name) for name in names]
            x += [*range(len(names) + 1), None]
            y += [*heights, None]
        data.append(
            {"type": "scatter", "mode": "lines", "name": group, "x": x, "y": y,
             "opacity": opacity, "hoverinfo": "skip", "line": {"color": ink, "width": width}}
        )  # fmt: skip
    scales = [_scale_of(values), *(_scale(family.space[name]) for name in names)]
    marks = [
        {"x": n, "y": at, "text": text, "showarrow": False, "xanchor": "left", "xshift": 4,
         "font": {"size": 11, "color": MUTED}, "bgcolor": "var(--card)", "opacity": 0.85}
        for n, scale in enumerate(scales) for at, text in scale
    ]  # fmt: skip
    layout = {
        "title": {"text": plain(family.name) if len(of.families) > 1 else ""},
        "xaxis": axis(
            tickvals=list(range(len(names) + 1)),
            ticktext=[f"<b>{plain(of.metric)}</b>", *map(plain, names)],
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
    says = f"parallel coordinates of {len(rows)} trials of {family.name}"
    return Drawing(data[::-1], layout, says, height=430, width=110 * (len(names) + 1) + 40)


def _drawn(rows: Sequence[Ranked]) -> list[tuple[int, Ranked]]:
    """Trials by place: the best, and of the others each n-th."""
    best = len(rows) if len(rows) <= _LINES else _LINES // 3
    rest = range(best, len(rows), max(1, -(-(len(rows) - best) // (_LINES - best or 1))))
    return [(n, rows[n]) for n in (*range(best), *rest)]


def _unit(parameter: Parameter, row: Ranked, name: str) -> float | None:
    if name not in row.params:
        return None
    if isinstance(parameter, Choice):
        last = len(parameter.options) - 1
        return _at(parameter, row, name, jitter=0.12) / last if last else 0.5
    return float(parameter.encode(row.params[name]))


def _scale(parameter: Parameter) -> list[tuple[float, str]]:
    """Where an axis is labelled, and how."""
    if isinstance(parameter, Choice):
        last = len(parameter.options) - 1
        return [
            (n / last if last else 0.5, plain(short(option)))
            for n, option in enumerate(parameter.options)
        ]
    return [(at, f"{float(parameter.decode(at)):.3g}") for at in (0.0, 0.5, 1.0)]


def _scale_of(values: Sequence[float]) -> list[tuple[float, str]]:
    return [(at, f"{values[0] + at * (values[1] - values[0]):.4g}") for at in (0.0, 0.5, 1.0)]
