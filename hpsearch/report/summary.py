"""The page's words and tables: the choice, its tests, the ranking."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from hpsearch.doctor.findings import Diagnosis
from hpsearch.results.best_so_far import own_epochs
from hpsearch.results.formatting import format_duration, format_with_error
from hpsearch.results.metric_values import MetricValue
from hpsearch.results.report_data import Comparison, ReportData
from hpsearch.store import Opening, RankedTrial


def count_totals(data: ReportData) -> list[tuple[str, str]]:
    """Counts for the head of the page, as (what, how many). Zeros are left out."""
    trials = pd.concat([each.trials for each in data.comparisons])
    repeats = pd.concat([each.repeats for each in data.comparisons])
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


def choice_cards(comparison: Comparison) -> list[dict[str, Any]]:
    """The contents of the cards: the best trial, and the simplest within one standard error."""
    if comparison.best is None:
        return []
    best, simplest = comparison.best, comparison.simplest
    cards = [_card(comparison, "Best", best, _describe_best(comparison))]
    if simplest is not None and simplest.trial != best.trial:
        weights = simplest.n_weights / best.n_weights if best.n_weights else 1.0
        epochs = (
            f", {simplest.epochs} epochs instead of {best.epochs}"
            if simplest.epochs != best.epochs
            else ""
        )
        note = (
            "The simplest trial within one standard error of the best: "
            f"{weights:.0%} of its weights{epochs}."
        )
        cards.append(_card(comparison, "Within one standard error", simplest, note))
    return cards


def _describe_best(comparison: Comparison) -> str:
    best = comparison.ranking[0]
    if best.rank > 1:  # ties are those with the first of all, which is a baseline
        before = f"{best.rank - 1} baseline{'s' if best.rank > 2 else ''}"
        return f"First of {len(comparison.ranking)} trials, behind {before}."
    ties = sum(1 for row in comparison.ranking[1:] if row.tied)
    if best.se is None:
        return f"First of {len(comparison.ranking)}. Its standard error is not known."
    many = f"{ties} other trials are" if ties > 1 else "One other trial is"
    text = (
        f"{many} not significantly different from it."
        if ties
        else "No other trial is known to be as good."
    )
    if comparison.simplest is not None and comparison.simplest.trial == best.trial:
        text += " It is also the simplest within one standard error."
    return f"First of {len(comparison.ranking)}. {text}"


def _card(comparison: Comparison, title: str, row: RankedTrial, note: str) -> dict[str, Any]:
    tests = [o for o in comparison.openings if _tested_trials(o) == [row.trial]]
    metrics = comparison.metric_values.get(row.trial, {}).values()
    return {
        "title": title,
        "row": row,
        "note": note,
        "metrics": [(metric.name, format_metric(metric)) for metric in metrics],
        "test": tests[0] if tests else None,
    }


def format_metric(metric: MetricValue) -> str:
    """A metric's value with its error, where they are known."""
    return "not defined" if metric.value is None else format_with_error(metric.value, metric.se)


def choose_diagnoses(comparison: Comparison, diagnoses: Sequence[Diagnosis]) -> list[Diagnosis]:
    """Those of the comparison's searches in which anything was found."""
    own = {search.id for search in comparison.searches}
    return [each for each in diagnoses if each.search in own and each.findings]


def describe_openings(comparison: Comparison) -> list[dict[str, Any]]:
    """Every opening of the test for a model of these studies, in order."""
    return [
        {
            "trials": _tested_trials(opening),
            "value": "the run ended before it was scored"
            if opening.value is None
            else format_with_error(opening.value, opening.se),
            "study": opening.study,
            "nth": opening.nth,
        }
        for opening in comparison.openings
    ]


def _tested_trials(opening: Opening) -> list[int]:
    return [int(member["trial"]) for member in opening.model["members"]]


def ranking_table(comparison: Comparison) -> dict[str, Any]:
    """The table of the ranking: its rows, names of parameters, and which columns it needs."""
    rows, searched = comparison.whole_ranking, comparison.ranking
    params = list(dict.fromkeys(name for row in searched for name in row.params))
    return {
        "params": params,
        "text_params": [
            n for n in params if any(isinstance(row.params.get(n), str) for row in searched)
        ],
        "metrics": comparison.metric_names,
        "has_repeats": any(row.repeats or row.failed_repeats for row in rows),
        "differing": [
            n for n in ("study", "searcher") if len({getattr(r, n) for r in searched}) > 1
        ],
        "most_epochs": max((row.epochs for row in searched), default=0),
        "least_epochs": min((row.epochs for row in searched), default=0),
        "has_ties": any(row.tied for row in rows[1:]),
        "rows": rows,
    }
