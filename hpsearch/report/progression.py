"""Figures of a search in time: the best value so far, and what workers did when."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from hpsearch.errors import ReportError
from hpsearch.options import did_you_mean
from hpsearch.report import canvas, measures
from hpsearch.store import SearchRecord

if TYPE_CHECKING:
    from hpsearch.report.results import Results

_UNITS = (("hours", 3600.0, 3 * 3600), ("minutes", 60.0, 180), ("seconds", 1.0, 0))
_STATES = {"complete": canvas.COLOURS[0], "failed": canvas.COLOURS[1]}
_AXES = ("epochs", "hours")


@canvas.styled
def anytime(results: "Results", *, against: Literal["epochs", "hours"], ax: Axes | None) -> Figure:
    """The best value so far, a step line a search."""
    if against not in _AXES:
        raise ReportError(
            f"against is {' or '.join(map(repr, _AXES))}, got {against!r}"
            f"{did_you_mean(str(against), _AXES)}"
        )
    done = measures.comparable(results)
    figure, ax = canvas.axes(ax)
    trials = results.trials.loc[results.trials["search"].isin(done["search"])]
    groups = list(trials.groupby("search"))
    records = {record.id: record for record in results.searches}
    labels = _labels([records[int(str(search))] for search, _ in groups])
    curves = [measures.anytime(group) for _, group in groups]
    spent = max(float(curve["hours"].max()) for curve in curves)
    unit, seconds = _unit(spent * 3600) if against == "hours" else ("epochs", 3600.0)
    for number, (curve, label) in enumerate(zip(curves, labels, strict=True)):
        x = curve[against] * (3600 / seconds)
        colour = canvas.colour(number)
        ax.scatter(x, curve["value"], s=9, color=colour, alpha=0.45, linewidths=0)
        ax.step(
            x, curve["best"], where="post", color=colour, linestyle=canvas.dash(number), label=label
        )
        new = curve["record"]
        ax.plot(x[new], curve["best"][new], "o", color=colour, markersize=3.5)
    row = done.iloc[0]
    one = len(curves) == 1
    about = f"{labels[0] if one else row['task']}: best so far"
    canvas.title(ax, about, "small dots: each trial's own value")
    ax.set_xlabel(
        "epochs trained, over all trials" if unit == "epochs" else f"{unit} since the search began"
    )
    ax.set_ylabel(f"validation {metric_name(row['metric'])}")
    _focus(ax, pd.concat([curve["value"] for curve in curves]), highest=row["direction"] == "max")
    if not one:
        ax.legend(loc="best")
    return figure


@canvas.styled
def timeline(results: "Results", *, ax: Axes | None) -> Figure:
    """A row a worker, a bar a trial; trials that train side by side lie above each other."""
    trials = results.trials
    known = trials.loc[
        trials["started"].notna() & trials["ended"].notna() & (trials["device"] != "")
    ]
    if known.empty:
        raise ReportError(
            "it is not known where and when these trials ran: none has ended, or they are of an "
            "earlier version"
        )
    begin = known["started"].min()
    start, end = ((known[name] - begin).dt.total_seconds() for name in ("started", "ended"))
    unit, seconds = _unit(float(end.max()))
    devices = sorted(known["device"].unique(), reverse=True)
    of_device = {
        device: known.loc[known["device"] == device].sort_values("started", kind="stable")
        for device in devices
    }
    spans_of = {
        device: [(float(start[trial]), float(end[trial])) for trial in own.index]
        for device, own in of_device.items()
    }
    lanes_of = {device: measures.lanes(spans) for device, spans in spans_of.items()}
    most = max(max(lane) for lane in lanes_of.values()) + 1
    figure, ax = canvas.axes(ax, 7.2, 1.3 + max(0.55, 0.07 * most) * len(devices))
    for row, (device, own) in enumerate(of_device.items()):
        spans, lane = spans_of[device], lanes_of[device]
        height = 0.8 / (max(lane) + 1)
        for (left, right), state, place in zip(spans, own["state"], lane, strict=True):
            ax.barh(
                row - 0.4 + height * (place + 0.5), (right - left) / seconds, height * 0.94,
                left=left / seconds, color=_STATES[state], edgecolor="white", linewidth=0.4,
            )  # fmt: skip
        share = measures.busy(spans) / float(end.max())
        ax.text(
            1.01,
            row,
            f"{share:.0%} busy",
            transform=ax.get_yaxis_transform(),
            va="center",
            fontsize=8,
        )
    ax.set_yticks(range(len(devices)), devices)
    ax.set_ylim(-0.6, len(devices) - 0.4)
    ax.set_xlim(left=0)
    ax.grid(visible=False, axis="y")
    ax.set_xlabel(f"{unit} since the first trial started")
    shown = [state for state in _STATES if (known["state"] == state).any()]
    canvas.title(ax, "What ran where", f"{len(known)} trials; each bar is one")
    if len(shown) > 1:
        handles = [Patch(color=_STATES[state], label=state) for state in shown]
        ax.legend(handles=handles, loc="lower right", bbox_to_anchor=(1, 1), ncols=3)
    return figure


def metric_name(measure: str) -> str:
    """A metric as axes call it: a bare loss without its settings."""
    return "loss" if measure.startswith("loss") else measure


def _labels(searches: Sequence[SearchRecord]) -> list[str]:
    """What tells searches from each other; the study at least."""
    if len({record.study for record in searches}) == len(searches):
        return [record.study for record in searches]
    differ = [
        name
        for name in ("searcher", "seed", "backend")
        if len({getattr(record, name) for record in searches}) > 1
    ]
    return [
        ", ".join(
            [
                record.study,
                *(f"{'seed ' if n == 'seed' else ''}{getattr(record, n)}" for n in differ),
            ]
        )
        for record in searches
    ]


def _unit(seconds: float) -> tuple[str, float]:
    """The unit in which so many seconds read well, and how many seconds it has."""
    return next((name, size) for name, size, least in _UNITS if seconds >= least)


def _focus(ax: Axes, values: "pd.Series[float]", *, highest: bool) -> None:
    """Leave the worst fifth of the values outside: a few that never learned would flatten all."""
    low, high = values.quantile([0.2, 1.0] if highest else [0.0, 0.8])
    room = 0.08 * (high - low)
    if room > 0:
        ax.set_ylim(low - room, high + room)
