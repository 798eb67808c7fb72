"""How many trials each rung had, and where they went."""

import pandas as pd

from hpsearch.report.drawing import Drawing, Section, escape_markup
from hpsearch.results.report_data import Comparison
from hpsearch.results.rungs import Rung, count_flows

_MOST_SEARCHES = 4


def rungs_section(comparison: Comparison) -> Section:
    """How many trials went from rung to rung, a figure a search."""
    title = "Survival by rung"
    continuing = [
        trials
        for _, trials in comparison.trials.groupby("search")
        if trials["parent"].notna().any()
    ]
    if not continuing:
        note = "No trial continued another: the search has no rungs."
        return Section("rungs", title, notes=[note])
    lead = (
        "Rungs from left to right, by their epochs. The width of a strip is the number of trials "
        "that went that way. Brackets whose first rungs have the same epochs are drawn as one."
    )
    left = len(continuing) - _MOST_SEARCHES
    notes = [f"{left} more searches are not drawn."] if left > 0 else []
    drawings = [_draw_flows(trials) for trials in continuing[:_MOST_SEARCHES]]
    return Section("rungs", title, lead, drawings, size="full", notes=notes)


_ENDS = {
    "finished": ("c3", "trained to the end"),
    "stopped": ("grey", "stopped"),
    "failed": ("c2", "failed"),
    "running": ("c5", "running"),
    "unfinished": ("c5", "not finished: no run is alive"),
}


def _draw_flows(trials: pd.DataFrame) -> Drawing:
    moves = count_flows(trials)
    rungs = sorted({rung for rung, _ in moves})
    brackets = sorted({begins for begins, _ in rungs})
    ends = [name for name in _ENDS if any(to == name for _, to in moves)]
    inks = {rung: ("c1", "c4", "c6", "c5")[brackets.index(rung[0]) % 4] for rung in rungs}
    sizes = {rung: sum(n for (begin, _), n in moves.items() if begin == rung) for rung in rungs}
    ended = {end: sum(n for (_, to), n in moves.items() if to == end) for end in ends}
    labels = [f"{n} x {_count_epochs(rung[1])}" for rung, n in sizes.items()]
    labels += [f"{n} {_ENDS[end][1]}" for end, n in ended.items()]
    colours: dict[Rung | str, str] = {rung: ink for rung, ink in inks.items()}
    colours |= {end: _ENDS[end][0] for end in ends}
    place = {node: n for n, node in enumerate(colours)}
    links = [
        {
            "source": place[rung],
            "target": place[to],
            "value": count,
            "color": f"var(--{colours[to]}-soft)",
        }
        for (rung, to), count in sorted(moves.items(), key=lambda move: place[move[0][1]])
    ]
    columns = len({epochs for _, epochs in rungs})
    data = [
        {
            "type": "sankey",
            "arrangement": "snap",
            "node": {"label": labels, "color": [f"var(--{ink})" for ink in colours.values()],
                     "pad": 18, "thickness": 14,
                     "line": {"width": 0}, "hovertemplate": "%{label}<extra></extra>"},
            "link": {key: [link[key] for link in links] for key in links[0]}
            | {"hovertemplate": "%{value:d} trials<extra></extra>"},
        }
    ]  # fmt: skip
    first = trials.iloc[0]
    name = f"{first['study']}: {first['searcher']}, seed {first['seed']}"
    layout = {"title": {"text": escape_markup(name)}}
    alt_text = f"{name}: " + "; ".join(labels)
    return Drawing(
        data, layout, alt_text, height=160 + 70 * len(brackets), width=150 * columns + 180
    )


def _count_epochs(count: int) -> str:
    return f"{count} epoch{'s' if count > 1 else ''}"
