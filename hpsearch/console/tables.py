"""What people read: rankings, searches and single trials as tables."""

import json
import math
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from hpsearch.core.parameters import short, text_of_point
from hpsearch.core.plan import Budget, Plan
from hpsearch.results.texts import format_duration, format_with_error, shorten_label
from hpsearch.run.study import Study
from hpsearch.store import Opening, RankedTrial


def console(*, stderr: bool = False) -> Console:
    """A console that does not cut lines where nobody's window limits them."""
    for name in ("COLUMNS", "LINES"):
        if not os.environ.get(name, "0").isascii():  # Rich takes ² for a digit
            del os.environ[name]
    made = Console(stderr=stderr, highlight=False)
    return made if made.is_terminal else Console(stderr=stderr, highlight=False, width=160)


def silence() -> Console:
    """A console that shows nothing."""
    return Console(quiet=True)


def show(on: Console, parts: Iterable[Table | str]) -> None:
    """Print tables, and lines as they are: the reader's window wraps them, not we."""
    for part in parts:
        on.print(part, markup=False, soft_wrap=isinstance(part, str))


def plan(
    study: Study, takes: Plan, budget: Budget, pace: tuple[int, float] | None
) -> Iterator[Table | str]:
    """What a search takes: its brackets and rungs, what continuing saves, what the budget buys.

    pace: how many trials were timed, and seconds an epoch of them took.
    """
    yield f"{study.name}: {shorten_label(study.searcher.label)}, {shorten_label(study.evaluator.label)}"
    table = _table()
    table.add_column("bracket", justify="right")
    table.add_column("trials x epochs, rung by rung", overflow="fold")
    for number, rungs in enumerate(takes.brackets, 1):
        table.add_row(str(number), ", ".join(f"{r.trials} x {r.epochs}" for r in rungs))
    yield table
    fits, saved = study.evaluator.fits, takes.epochs_from_scratch - takes.epochs
    text = f"{takes.trials} trials, {takes.epochs} epochs"
    yield f"{text}, each of {fits} models" if fits > 1 else text
    if not takes.complete:
        yield "and more: counting was given up before the search ended"
    if saved:
        yield (
            f"survivors continue, which saves {saved} of {takes.epochs_from_scratch} epochs "
            f"({saved / takes.epochs_from_scratch:.0%})"
        )
    yield from _cost(takes, budget, pace)


def _cost(takes: Plan, budget: Budget, pace: tuple[int, float] | None) -> Iterator[str]:
    epochs = takes.epochs
    if budget.epochs is not None and budget.epochs < epochs:
        most = "" if takes.complete else "less than "
        yield (
            f"--total-epochs {budget.epochs} ends it after {most}{budget.epochs / epochs:.0%} of them"
        )
    if pace is None:
        if budget.hours is not None:
            yield "what fits into --hours is not known before some trials of the study were timed"
        return
    trials, each = pace
    seconds = epochs * each
    yield (
        f"measured over {trials} trial{'s' if trials > 1 else ''}: {each:.3g} s an epoch, so "
        f"{'' if takes.complete else 'more than '}{format_duration(seconds)} for one worker"
    )
    if budget.hours is None:
        return
    if not takes.complete:
        yield f"--hours {budget.hours:g} is enough for {3600 * budget.hours / each:,.0f} epochs"
        return
    share = 3600 * budget.hours / seconds
    if share >= 1:
        yield f"all of it fits into --hours {budget.hours:g}"
    else:
        yield (
            f"--hours {budget.hours:g} is enough for {share:.0%} of it by one worker, and for all "
            f"of it by {math.ceil(1 / share)} alike"
        )


def ranking(rows: Sequence[RankedTrial], *, top: int | None = 20) -> Iterator[Table | str]:
    """A ranking, best first, and what it cannot tell apart or should not compare.

    What all rows have in common stands above the table, so that it fits narrow windows.
    """
    first = rows[0]
    names = [n for n in ("study", "searcher") if len({getattr(r, n) for r in rows[:top]}) > 1]
    common = [shorten_label(getattr(first, n)) for n in ("study", "searcher") if n not in names]
    yield f"{first.task}: {first.measure} by {', '.join([shorten_label(first.evaluator), *common])}"
    table = _table()
    repeated = any(row.repeats + row.failed_repeats for row in rows[:top])
    counts = ("repeats", "epochs") if repeated else ("epochs",)
    for name in ("rank", "trial", first.measure, *counts, "weights", "seconds"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in names:
        table.add_column(name, no_wrap=True)
    table.add_column("point", overflow="fold")
    for row in rows[:top]:
        table.add_row(
            f"{row.rank}{' =' if row.tied and row.rank > 1 else ''}",
            str(row.trial),
            format_with_error(row.value, row.se),
            *([_repeats(row)] if repeated else []),
            str(row.epochs),
            f"{row.n_weights:,}",
            f"{row.seconds:.1f}",
            *(shorten_label(getattr(row, name)) for name in names),
            text_of_point(row.params),
        )
    yield table
    yield from _notes(rows, top)


def openings(found: Sequence[Opening]) -> Iterator[str]:
    """Every opening of a sealed test, those of rows that were open before told apart."""
    for each in found:
        trials = ", ".join(str(member["trial"]) for member in each.model["members"])
        what = f"trial {trials}" if "," not in trials else f"an ensemble of the trials {trials}"
        said = (
            "no verdict: the run ended"
            if each.value is None
            else format_with_error(each.value, each.se)
        )
        again = f"; opening {each.nth} of these rows" if each.nth > 1 else ""
        yield f"{each.task}, test: {each.measure} {said} by {what} of {each.study}{again}"


def searches(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Every search of a store, one a row."""
    table = _table()
    for name in ("study", "task", "how", "trials", "best"):
        table.add_column(name, overflow="fold")
    for row in rows:
        counts = {"": row["trials"], " failed": row["failed"], " running": row["running"]}
        counts[" stopped"] = row["stopped"]
        table.add_row(
            row["study"],
            row["task"],
            f"{shorten_label(row['searcher'])}, {shorten_label(row['evaluator'])}, seed {row['seed']}, "
            f"{row['backend']}",
            ", ".join(f"{n}{what}" for what, n in counts.items() if n or not what),
            ""
            if row["best"] is None
            else f"{row['metric']} {short(row['best'])} (trial {row['best_trial']})",
        )
    return table


def failures(messages: Iterable[str]) -> Iterator[str]:
    """Failures grouped by cause, the most frequent first.

    >>> list(failures(["nan: loss became nan", "nan: loss became nan"]))
    ['2 trials failed with nan: loss became nan']
    """
    for text, count in Counter(messages).most_common():
        yield f"{count} trial{'s' if count > 1 else ''} failed with {text}"


def trial(details: Mapping[str, Any]) -> Iterator[Table | str]:
    """One trial: what it was, how it ended, and its mean curve."""
    details = {**details, **{n: shorten_label(details[n]) for n in ("searcher", "evaluator")}}
    if details["state"] == "stopped" and not details["retired"]:
        details["state"] = "stopped: the same command continues it"
    for name in ("trial", "study", "searcher", "evaluator", "state", "value", "se", "best_epoch"):
        if details[name] is not None:
            yield f"{name.replace('_', ' '):>12}  {short(details[name])}"
    for name in ("epochs", "parent", "parameters", "seconds"):
        if details[name] is not None:
            yield f"{name:>12}  {short(details[name])}"
    if details["repeats"]:
        values = (r["failure"] or short(r["value"]) for r in details["repeats"])
        yield f"{'trainings':>12}  {', '.join(values)}"
    yield f"{'point':>12}  {json.dumps(details['params'])}"
    if details["failure"]:
        yield f"{'failure':>12}  {details['failure']}: {details['message']}\n{details['detail']}"
    if details["curves"]:
        yield _curves(details["metric"], details["curves"])


def _table(**options: Any) -> Table:
    return Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True, **options)


def _curves(metric: str, curves: Sequence[Mapping[str, Sequence[float]]]) -> Table:
    table = _table(title=f"{metric} on validation rows, by epoch", title_justify="left")
    table.add_column("epoch", justify="right")
    for fold in range(len(curves)):
        table.add_column(f"fold {fold}" if len(curves) > 1 else "validation", justify="right")
    table.add_column("training" if len(curves) == 1 else "training, mean", justify="right")
    epochs = min(len(curve["validation"]) for curve in curves)
    for epoch in range(epochs):
        training = sum(curve["train"][epoch] for curve in curves) / len(curves)
        values = [f"{curve['validation'][epoch]:.4f}" for curve in curves]
        table.add_row(str(epoch + 1), *values, f"{training:.4f}")
    return table


def _notes(rows: Sequence[RankedTrial], top: int | None) -> Iterable[str]:
    if top is not None and len(rows) > top:
        yield f"{len(rows) - top} more; --top {len(rows)} shows all"
    tied = [row for row in rows[1:top] if row.tied]
    if tied:
        yield "= the data do not tell it from the first"
        yield _more(tied[0])
    simplest = next((row for row in rows if row.one_se), rows[0])
    if simplest.rank > 1:
        yield (
            f"one standard error: trial {simplest.trial} is the simplest within one of the first, "
            f"{format_with_error(simplest.value, simplest.se)} with {simplest.n_weights:,} weights and "
            f"{simplest.epochs} epochs"
        )
    most = max(row.epochs for row in rows)
    if any(row.epochs < most for row in rows):
        yield f"not all had {most} epochs: fewer epochs may have cost a trial its place"


def _repeats(row: RankedTrial) -> str:
    return f"{row.repeats}, {row.failed_repeats} failed" if row.failed_repeats else str(row.repeats)


def _more(row: RankedTrial) -> str:
    """What would tell a trial from the first."""
    if row.more_repeats is None:
        return (
            f"trial {row.trial} and the first: no number of repeats is known to tell them apart; "
            "more rows might"
        )
    most = f"{'at least' if row.repeats == 0 else 'about'} {row.repeats + row.more_repeats}"
    return (
        f"trial {row.trial} and the first: {most} repeats of both would tell them apart "
        f"(--repeats {row.repeats + row.more_repeats} --finalists {row.rank})"
    )
