"""What the page tells in words and tables: the choice, its tests, the ranking, failures."""

from typing import Any

import pandas as pd

from hpsearch.results.gathered import Comparison, Gathered
from hpsearch.results.texts import format_duration, format_with_error
from hpsearch.results.times import own_epochs
from hpsearch.store import Opening, RankedTrial

_TOLD = 30  # trials named of those that failed alike


def totals(gathered: Gathered) -> list[tuple[str, str]]:
    """Counts for the head of the page: what, how many."""
    trials = pd.concat([each.trials for each in gathered.comparisons])
    repeats = pd.concat([each.repeats for each in gathered.comparisons])
    state = trials["state"]
    epochs = own_epochs(trials)[trials["ended"].notna()].sum() + repeats["epochs"].sum()
    seconds = float(trials["seconds"].sum() + repeats["seconds"].sum())
    shown = [
        ("trials complete", f"{int((state == 'complete').sum()):,}"),
        ("failed", f"{int((state == 'failed').sum()):,}"),
        ("repeats", f"{len(repeats):,}"),
        ("running", f"{int((state == 'running').sum()):,}"),
        ("not finished", f"{int((state == 'stopped').sum()):,}"),
        ("epochs trained", f"{epochs:,.0f}"),
        ("of training", format_duration(seconds)),
    ]
    return [(what, count) for what, count in shown if count != "0" or what == "trials complete"]


def choices(of: Comparison) -> list[dict[str, Any]]:
    """The winner, and the choice within one standard error beside it: what the cards tell."""
    if of.winner is None:
        return []
    first, simplest = of.winner, of.simplest
    cards = [_card(of, "Winner", first, _place(of))]
    if simplest is not None and simplest.trial != first.trial:
        other = simplest.epochs != first.epochs
        fewer = simplest.n_weights / first.n_weights if first.n_weights else 1.0
        note = (
            f"The simplest trial within one standard error of the winner: {fewer:.0%} of its "
            f"weights{f', {simplest.epochs} epochs instead of {first.epochs}' if other else ''}."
        )
        cards.append(_card(of, "Within one standard error", simplest, note))
    return cards


def _place(of: Comparison) -> str:
    ties = [row for row in of.ranking[1:] if row.tied]
    many = f"{len(ties)} trial{'s' if len(ties) > 1 else ''}"
    told = f"The data do not tell {many} from it." if ties else "No other is known to be as good."
    first = of.ranking[0]
    if first.se is None:
        return f"First of {len(of.ranking)}. Its standard error is not known."
    if of.simplest is not None and of.simplest.trial == first.trial:
        told += " It is also the simplest within one standard error."
    return f"First of {len(of.ranking)}. {told}"


def _card(of: Comparison, title: str, row: RankedTrial, note: str) -> dict[str, Any]:
    tests = [o for o in of.openings if _trials(o) == [row.trial]]
    return {"title": title, "row": row, "note": note, "test": tests[0] if tests else None}


def openings(of: Comparison) -> list[dict[str, Any]]:
    """Every opening of the test by a model of these studies, in order."""
    return [
        {
            "trials": _trials(opening),
            "value": "the run ended before"
            if opening.value is None
            else format_with_error(opening.value, opening.se),
            "study": opening.study,
            "nth": opening.nth,
        }
        for opening in of.openings
    ]


def _trials(opening: Opening) -> list[int]:
    return [int(member["trial"]) for member in opening.model["members"]]


def table(of: Comparison) -> dict[str, Any]:
    """The ranking: names of parameters, which columns tell something, and rows."""
    rows = of.ranking
    params = list(dict.fromkeys(name for row in rows for name in row.params))
    return {
        "params": params,
        "texts": [n for n in params if any(isinstance(row.params.get(n), str) for row in rows)],
        "repeats": any(row.repeats or row.failed_repeats for row in rows),
        "several": [n for n in ("study", "searcher") if len({getattr(r, n) for r in rows}) > 1],
        "most": max((row.epochs for row in rows), default=0),
        "least": min((row.epochs for row in rows), default=0),
        "ties": any(row.tied for row in rows[1:]),
        "rows": rows,
    }


def failures(of: Comparison) -> list[dict[str, Any]]:
    """By cause, the most frequent first; the traceback is of the first trial."""
    found = of.failures.assign(line=of.failures["message"].fillna("").str.split("\n").str[0])
    groups = [
        {
            "kind": kind,
            "message": line,
            "count": len(group),
            "trials": [int(trial) for trial in group.index[:_TOLD]],
            "traceback": str(group["traceback"].iloc[0] or ""),
        }
        for (kind, line), group in found.groupby(["kind", "line"], sort=False)
    ]
    return sorted(groups, key=lambda group: -int(str(group["count"])))
