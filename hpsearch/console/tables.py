"""Rankings, searches, plans and single trials as tables and lines for a terminal."""

import json
import math
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from hpsearch.core.parameters import short_text
from hpsearch.core.plan import Budget, Plan
from hpsearch.results.baseline_gain import BaselineGain, describe_gain, find_best_baseline
from hpsearch.results.formatting import (
    format_duration,
    format_point,
    format_with_error,
    shorten_label,
)
from hpsearch.runs.study import StudyDefinition
from hpsearch.store import MetricRanking, Opening, RankedTrial


def make_console(*, stderr: bool = False) -> Console:
    """A console for stdout or stderr. Outside a terminal, tables are 160 columns wide."""
    for name in ("COLUMNS", "LINES"):
        if not os.environ.get(name, "0").isascii():  # Rich fails on digits such as ²
            del os.environ[name]
    made = Console(stderr=stderr, highlight=False)
    return made if made.is_terminal else Console(stderr=stderr, highlight=False, width=160)


def make_silent_console() -> Console:
    """A console that shows nothing."""
    return Console(quiet=True)


def print_parts(console: Console, parts: Iterable[Table | str]) -> None:
    """Print tables and lines. Lines are not wrapped: the terminal does that."""
    for part in parts:
        console.print(part, markup=False, soft_wrap=isinstance(part, str))


def describe_plan(
    study: StudyDefinition, cost: Plan, budget: Budget, pace: tuple[int, float] | None
) -> Iterator[Table | str]:
    """What a search will cost, and how much of it the budget allows.

    Args:
        pace: how many trials of the study were timed, and the seconds that an epoch of them took.
    """
    searcher, evaluator = study.searcher.label, study.evaluator.label
    yield f"{study.name}: {shorten_label(searcher)}, {shorten_label(evaluator)}"
    if cost.brackets:
        table = make_table()
        table.add_column("bracket", justify="right")
        table.add_column("trials x epochs, rung by rung", overflow="fold")
        for number, rungs in enumerate(cost.brackets, 1):
            table.add_row(str(number), ", ".join(f"{r.trials} x {r.epochs}" for r in rungs))
        yield table
    fits, saved = study.evaluator.fits, cost.epochs_from_scratch - cost.epochs
    least = "" if cost.expected_epochs is None or cost.complete else "at least "
    text = f"{least}{cost.trials} trials, {cost.epochs} epochs"
    if fits is None:
        yield f"{text}, a model for each fold that the splitter makes of the data"
    else:
        yield f"{text}, {fits} models a trial" if fits > 1 else text
    if least:
        yield "results decide how many of its trials are short"
    elif not cost.complete:
        yield "and more: the search is too long to count to its end"
    if saved:
        yield (
            f"continuing the best trials saves {saved} of {cost.epochs_from_scratch} epochs "
            f"({saved / cost.epochs_from_scratch:.0%})"
        )
    yield from _describe_budget(cost, budget, pace)
    yield "the data was not loaded: whether it suits the evaluator and the model, a run says"


def _describe_budget(cost: Plan, budget: Budget, pace: tuple[int, float] | None) -> Iterator[str]:
    epochs, is_known = cost.epochs, cost.expected_epochs is not None
    if budget.epochs is not None and budget.epochs < epochs:
        most = "" if is_known else "less than "
        yield (
            f"--total-epochs {budget.epochs} stops it after {most}{budget.epochs / epochs:.0%} of "
            "these epochs"
        )
    if pace is None:
        if budget.hours is not None:
            yield "how much fits into --hours is known only after trials of the study were timed"
        return
    trials, each = pace
    seconds = epochs * each
    yield (
        f"estimated from {trials} trial{'s' if trials > 1 else ''} at {each:.3g} s an epoch: "
        f"{'' if is_known else 'more than '}{format_duration(seconds)} with one worker"
    )
    if budget.hours is None:
        return
    if not is_known:
        yield f"--hours {budget.hours:g} allows {3600 * budget.hours / each:,.0f} epochs"
        return
    share = 3600 * budget.hours / seconds
    if share >= 1:
        yield f"the whole search fits into --hours {budget.hours:g}"
    else:
        yield (
            f"--hours {budget.hours:g} allows {share:.0%} of the search with one worker, and all "
            f"of it with {math.ceil(1 / share)} equal workers"
        )


def describe_metric_ranking(
    ranking: MetricRanking, *, top: int | None, gain: BaselineGain | None
) -> Iterator[Table | str]:
    """A ranking by one metric of several, and how many trials have no value of it.

    Args:
        gain: as `describe_ranking` has it.
    """
    if ranking.rows:
        yield from describe_ranking(ranking.rows, top=top, by_own=ranking.by_own, gain=gain)
    if ranking.left_out:
        search = ranking.searches[0]
        many = f"{ranking.left_out} trial{'s' if ranking.left_out > 1 else ''}"
        where = "" if ranking.rows else f"{search.task}, {shorten_label(search.evaluator)}: "
        yield (
            f"{where}{many} left out, without a value of {ranking.measure}: not recorded, or not "
            "defined at the best epoch"
        )


def describe_ranking(
    rows: Sequence[RankedTrial],
    *,
    top: int | None = 20,
    by_own: bool = True,
    gain: BaselineGain | None = None,
) -> Iterator[Table | str]:
    """A ranking, best first, with notes on its ties and on what limits the comparison.

    What all rows have in common is said above the table, so that it fits narrow windows.

    Args:
        by_own: whether it is by the task's own metric, by which --repeats chooses its finalists.
        gain: what the best trial brought over the best baseline, which is said below the table.
    """
    first = rows[0]
    # The searcher of baselines says nothing that their marks do not say.
    shown = [row for row in rows[:top] if row.baseline is None] or rows[:top]
    names = [n for n in ("study", "searcher") if len({getattr(r, n) for r in shown}) > 1]
    common = [shorten_label(getattr(shown[0], n)) for n in ("study", "searcher") if n not in names]
    yield f"{first.task}: {first.measure} by {', '.join([shorten_label(first.evaluator), *common])}"
    table = make_table()
    repeated = any(row.repeats + row.failed_repeats for row in rows[:top])
    counts = ("repeats", "epochs") if repeated else ("epochs",)
    for name in ("rank", "trial", first.measure, *counts, "weights", "seconds"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in names:
        table.add_column(name, no_wrap=True)
    table.add_column("point", overflow="fold")
    labels = [name for name in ("tags", "note") if any(getattr(row, name) for row in rows[:top])]
    for name in labels:
        table.add_column(name, overflow="fold")
    best = find_best_baseline(rows)
    below = [best] if best is not None and best not in rows[:top] else []
    for row in [*rows[:top], *below]:
        table.add_row(
            f"{row.rank}{' =' if row.tied and row.rank > 1 else ''}",
            str(row.trial),
            format_with_error(row.value, row.se),
            *([_format_repeats(row)] if repeated else []),
            str(row.epochs),
            f"{row.n_weights:,}" if row.baseline is None else "",
            f"{row.seconds:.1f}",
            *(shorten_label(getattr(row, name)) for name in names),
            format_point(row),
            *({"tags": ", ".join(row.tags), "note": row.note or ""}[name] for name in labels),
            style=None if row.baseline is None else "cyan",
        )
    yield table
    if gain is not None:
        is_first = gain.best.trial == next(r.trial for r in rows if r.baseline is None)
        yield f"{'' if is_first else f'trial {gain.best.trial}: '}{describe_gain(gain)}"
    yield from _describe_notes(rows, top, by_own)


def describe_openings(found: Sequence[Opening]) -> Iterator[str]:
    """A line for each opening of sealed test rows. It says whether they were opened before."""
    for each in found:
        trials = ", ".join(str(member["trial"]) for member in each.model["members"])
        what = f"trial {trials}" if "," not in trials else f"an ensemble of the trials {trials}"
        value = (
            "unknown (the run ended first)"
            if each.value is None
            else format_with_error(each.value, each.se)
        )
        again = f"; opening number {each.nth} of these rows" if each.nth > 1 else ""
        yield f"{each.task}, test: {each.measure} {value} by {what} of {each.study}{again}"


def make_search_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """All searches of a store, a row each."""
    table = make_table()
    for name in ("study", "task", "how", "trials", "best"):
        table.add_column(name, overflow="fold")
    for row in rows:
        counts = {"": row["trials"], " failed": row["failed"], " running": row["running"]}
        counts[" stopped"] = row["stopped"]
        table.add_row(
            row["study"],
            row["task"],
            f"{shorten_label(row['searcher'])}, {shorten_label(row['evaluator'])}, "
            f"seed {row['seed']}, {row['backend']}",
            ", ".join(f"{n}{what}" for what, n in counts.items() if n or not what),
            ""
            if row["best"] is None
            else f"{row['metric']} {short_text(row['best'])} (trial {row['best_trial']})",
        )
    return table


def describe_failures(messages: Iterable[str]) -> Iterator[str]:
    """Failures grouped by cause, the most frequent first.

    >>> list(describe_failures(["nan: loss became nan", "nan: loss became nan"]))
    ['2 trials failed with nan: loss became nan']
    """
    for text, count in Counter(messages).most_common():
        yield f"{count} trial{'s' if count > 1 else ''} failed with {text}"


def describe_trial(details: Mapping[str, Any]) -> Iterator[Table | str]:
    """One trial: its point, how it ended, and its learning curves."""
    details = {**details, **{n: shorten_label(details[n]) for n in ("searcher", "evaluator")}}
    if details["state"] == "stopped" and not details["retired"]:
        details["state"] = "stopped; run the same command again to continue it"
    for name in ("trial", "study", "searcher", "evaluator", "state", "value", "se", "best_epoch"):
        if details[name] is not None:
            yield f"{name.replace('_', ' '):>12}  {short_text(details[name])}"
    for number, (name, found) in enumerate(details["metrics"].items()):
        value = (
            "not defined"
            if found["value"] is None
            else format_with_error(found["value"], found["se"])
        )
        yield f"{'' if number else 'metrics':>12}  {name} {value}"
    for name in ("epochs", "parent", "parameters", "seconds"):
        if details[name] is not None:
            yield f"{name:>12}  {short_text(details[name])}"
    for name in ("tags", "note"):
        if text := details[name]:
            yield f"{name:>12}  {text if name == 'note' else ', '.join(text)}"
    if details["repeats"]:
        values = (r["failure"] or short_text(r["value"]) for r in details["repeats"])
        yield f"{'trainings':>12}  {', '.join(values)}"
    if details["baseline"] is not None:
        yield f"{'baseline':>12}  {details['baseline']}"
    else:
        yield f"{'point':>12}  {json.dumps(details['params'])}"
    if over := details.get("over_baseline"):
        yield f"{'compared':>12}  {over['against']}"
    if details["failure"]:
        yield f"{'failure':>12}  {details['failure']}: {details['message']}\n{details['detail']}"
    if details["curves"]:
        yield _make_curve_table(details["metric"], details["curves"])


def make_table(**options: Any) -> Table:
    """An empty table as all commands print it."""
    return Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True, **options)


def _make_curve_table(metric: str, curves: Sequence[Mapping[str, Sequence[float]]]) -> Table:
    table = make_table(title=f"{metric} on validation rows, by epoch", title_justify="left")
    table.add_column("epoch", justify="right")
    for fold in range(len(curves)):
        table.add_column(f"fold {fold}" if len(curves) > 1 else "validation", justify="right")
    table.add_column("training" if len(curves) == 1 else "training, mean", justify="right")
    epochs = min(len(curve["validation"]) for curve in curves)
    for epoch in range(epochs):
        values = [f"{curve['validation'][epoch]:.4f}" for curve in curves]
        training = [curve["train"][epoch] for curve in curves]
        known = None not in training  # a training function may report no such values
        mean = f"{sum(training) / len(curves):.4f}" if known else "-"
        table.add_row(str(epoch + 1), *values, mean)
    return table


def _describe_notes(rows: Sequence[RankedTrial], top: int | None, by_own: bool) -> Iterable[str]:
    if top is not None and len(rows) > top:
        yield f"{len(rows) - top} more; --top {len(rows)} shows all"
    searched = [row for row in rows if row.baseline is None]
    tied = [row for row in rows[1:top] if row.tied]
    if tied:
        yield "= not significantly different from the best"
        to_repeat = [row for row in tied if row.baseline is None]
        if by_own and to_repeat and rows[0].baseline is None:  # only points of a space are repeated
            yield _describe_more_repeats(to_repeat[0])
    if not searched:
        return
    simplest = next((row for row in rows if row.one_se), searched[0])
    if simplest is not searched[0]:
        yield (
            f"trial {simplest.trial} is the simplest within one standard error of the best: "
            f"{format_with_error(simplest.value, simplest.se)} with {simplest.n_weights:,} weights "
            f"and {simplest.epochs} epochs"
        )
    most = max(row.epochs for row in searched)
    if any(row.epochs < most for row in searched):
        yield f"some trials had fewer than {most} epochs, which may have lowered their rank"


def _format_repeats(row: RankedTrial) -> str:
    return f"{row.repeats}, {row.failed_repeats} failed" if row.failed_repeats else str(row.repeats)


def _describe_more_repeats(row: RankedTrial) -> str:
    """How many repeats would make the difference from the best significant."""
    if row.more_repeats is None:
        return (
            f"no number of repeats is known to make trial {row.trial} differ significantly from "
            "the best; more rows might"
        )
    most = f"{'at least' if row.repeats == 0 else 'about'} {row.repeats + row.more_repeats}"
    return (
        f"trial {row.trial} would differ significantly from the best after {most} repeats of both "
        f"(--repeats {row.repeats + row.more_repeats} --finalists {row.rank})"
    )
