"""What people read: rankings, searches and single trials as tables."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from hpsearch.store import Ranked


def console(*, stderr: bool = False) -> Console:
    """A console that does not cut lines where nobody's window limits them."""
    made = Console(stderr=stderr, highlight=False)
    return made if made.is_terminal else Console(stderr=stderr, highlight=False, width=160)


def point(params: Mapping[str, Any]) -> str:
    """A point in one line, numbers to four digits.

    >>> point({"dropout": 0.123456, "optimizer": "adam"})
    'dropout=0.1235 optimizer=adam'
    """
    return " ".join(f"{name}={_short(value)}" for name, value in params.items())


def measured(value: float, se: float | None) -> str:
    """A value with its standard error.

    >>> measured(0.91666, 0.01234), measured(2.5, None)
    ('0.9167 ± 0.0123', '2.5')
    """
    return _short(value) if se is None else f"{value:.4f} ± {se:.4f}"


def ranking(rows: Sequence[Ranked], *, top: int | None = 20) -> Table:
    """A ranking, best first, with a note on what it cannot tell apart or should not compare."""
    first = rows[0]
    table = Table(title=f"{first.task}: {first.measure}, {first.evaluator}", title_justify="left")
    for name in ("rank", "trial", first.measure, "epochs", "weights", "seconds"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("study", "searcher", "point"):
        table.add_column(name, overflow="fold")
    for row in rows[:top]:
        table.add_row(
            f"{row.rank}{' =' if row.tied and row.rank > 1 else ''}",
            str(row.trial),
            measured(row.value, row.se),
            str(row.epochs),
            f"{row.parameters:,}",
            f"{row.seconds:.1f}",
            row.study,
            row.searcher,
            point(row.params),
        )
    table.caption, table.caption_justify = "\n".join(_notes(rows, top)), "left"
    return table


def searches(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Every search of a store, one a row."""
    table = Table()
    for name in ("study", "task", "searcher", "evaluator", "seed", "backend"):
        table.add_column(name, overflow="fold")
    for name in ("trials", "failed", "running", "best"):
        table.add_column(name, justify="right")
    for row in rows:
        best = "" if row["best"] is None else f"{row['metric']} {_short(row['best'])}"
        cells = [str(row[str(column.header)]) for column in table.columns[:-1]]
        table.add_row(*cells, best)
    return table


def failures(messages: Iterable[str]) -> str:
    """Failures grouped by cause, the most frequent first.

    >>> print(failures(["nan: loss became nan", "nan: loss became nan"]))
    2 trials failed with nan: loss became nan
    """
    return "\n".join(
        f"{count} trial{'s' if count > 1 else ''} failed with {text}"
        for text, count in Counter(messages).most_common()
    )


def trial(details: Mapping[str, Any]) -> Iterable[Table | str]:
    """One trial: what it was, how it ended, and its mean curve."""
    for name in ("trial", "study", "searcher", "evaluator", "state", "value", "se", "best_epoch"):
        if details[name] is not None:
            yield f"{name.replace('_', ' '):>12}  {_short(details[name])}"
    for name in ("epochs", "parent", "parameters", "seconds"):
        if details[name] is not None:
            yield f"{name:>12}  {_short(details[name])}"
    yield f"{'point':>12}  {json.dumps(details['params'])}"
    if details["failure"]:
        yield f"{'failure':>12}  {details['failure']}: {details['message']}\n{details['detail']}"
    if details["curves"]:
        yield _curves(details["metric"], details["curves"])


def _curves(metric: str, curves: Sequence[Mapping[str, Sequence[float]]]) -> Table:
    table = Table(title=f"{metric} on validation rows, by epoch", title_justify="left")
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


def _notes(rows: Sequence[Ranked], top: int | None) -> Iterable[str]:
    if top is not None and len(rows) > top:
        yield f"{len(rows) - top} more; --top {len(rows)} shows all"
    if any(row.tied and row.rank > 1 for row in rows[:top]):
        yield "= within one standard error of the first: the data do not tell them apart"
    most = max(row.epochs for row in rows)
    if any(row.epochs < most for row in rows):
        yield f"not all had {most} epochs: fewer epochs may have cost a trial its place"


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
