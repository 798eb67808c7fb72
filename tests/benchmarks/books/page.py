"""`studies/README.md`, from what was run."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hpsearch.core.difference import ValueDifference
from hpsearch.core.parameters import point_text
from hpsearch.results.formatting import format_with_error
from tests.benchmarks.book_figures import PLACE_NOT_KNOWN, BookFigure, figures_of
from tests.benchmarks.books.book_studies import BookStudy
from tests.benchmarks.books.measured import Found, Measured, find
from tests.benchmarks.books.work import machine, read_facts

INTRODUCTION = """\
# Studies

Each file binds a `study`: `python -m hpsearch run studies/wine_depth.py` runs one. `HPSEARCH_DATA=stand-in` runs every
study on small data that needs no files.

## The source books' experiments

DLQR is Bernico, Deep Learning Quick Reference (2018); DLWP is Chollet, Deep Learning with Python, first edition (2017).
`python -m tests.benchmarks.books` writes this page: for each study it trains the book's networks, the first trials of the
search, with up to ten seeds; searches, with baselines beside; trains the three best trials with up to three seeds; and
refits the best one, whose test is opened once. All of it goes as far as the study's minutes reach.

- **best found**, **best baseline** and **book's network** are values on validation rows, by the same folds, over all their
  seeds, at the best epoch of the mean curve. Their standard errors are those of rankings: over folds, or over the rows of a
  single split where they are classes; for other metrics of a single split, over seeds alone, and of the best that was
  found over rows, as its model card has it. A value without a number of seeds is of one training.
- Behind a baseline and a network stands by how much the best that was found is better, paired over folds and seeds: `+` is
  better, `!` significant at 5 %. On a single split this speaks of its rows alone, and is not tested with one seed.
- **trials**: "20 of 24" where the minutes were over before all were trained.
- **test** is the mean of the refitted networks, each by itself, with its standard error. The studies of one data set share
  its test rows; no search saw the earlier openings, though some spaces were changed after them.
- **printed** is the source's figure, with its place; an accuracy's error is that of its rows. It is of one network, trained
  once, on other rows: "beyond" and "short" compare it with the test, or with the best that was found where it was measured
  on validation rows, by the errors of both.
"""

NOTEBOOKS = """\
## Notebooks

`kfold.ipynb` (an evaluator alone), `overnight.ipynb` (a study in a cell, two workers, stopped and continued, then the morning
after), `from_keras_tuner.ipynb` and `from_optuna.ipynb` (the ways over, each with one search both ways). None needs a shell.
"""

HEADER = (
    *("study", "source", "data", "metric", "best found", "best baseline", "book's network"),
    *("test", "printed", "trials", "minutes"),
)


def write_page(books: Sequence[BookStudy], folder: Path) -> str:
    """The whole page. Studies that failed, or were not run yet, are named in the table."""
    facts = {book.name: read_facts(book, folder) for book in books}
    found = {book.name: find(book, folder) for book in books}
    rows = [_row(book, facts[book.name], found[book.name]) for book in books]
    points = [
        (f"`{name}`", point_text(each.best.params), _is_of_book(each))
        for name, each in found.items()
        if each is not None
    ]
    parts = [
        INTRODUCTION,
        *table(HEADER, rows),
        "",
        *_closing(facts.values()),
        "",
        *table(("study", "best point", "is a network of the book"), points),
        "",
        *_left_out(),
        "",
        NOTEBOOKS,
    ]
    return "\n".join(parts)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A Markdown table."""
    yield f"| {' | '.join(header)} |"
    yield f"|{'---|' * len(header)}"
    yield from (f"| {' | '.join(row)} |" for row in rows)


def _row(book: BookStudy, facts: Mapping[str, Any], found: Found | None) -> list[str]:
    minutes = facts.get("minutes", {})
    spent = f"{sum(minutes.values()):.1f}" if minutes else ""
    if why := facts.get("failed"):
        spent += f"; failed: {', '.join(why)}"
    name = f"`{book.name}`"
    printed = "<br>".join(
        f"{figure.text}{_verdict(figure, facts.get('card'), found)}"
        for figure in figures_of(book.name)
    )
    if found is None:
        state = "no complete trial" if facts else "not run"
        return [name, book.source, book.data, "", state, "", "", "", printed, "", spent]
    networks = "<br>".join(_measured(each) for each in found.networks)
    baseline = "" if found.baseline is None else _measured(found.baseline)
    return [
        *(name, book.source, book.data, found.metric, _measured(_with_card(found.best, facts))),
        *(baseline, networks, _test(facts.get("card")), printed, _trials(book, found), spent),
    ]


def _with_card(best: Measured, facts: Mapping[str, Any]) -> Measured:
    """The best with the error over rows that its model card has, where that is the larger one."""
    said = facts.get("card", {}).get("validation", {})
    if said.get("value") != best.value or not said.get("se"):
        return best
    return replace(best, error=max(best.error or 0.0, said["se"]))


def _trials(book: BookStudy, found: Found) -> str:
    """How many are complete, of how many: a search whose time is over has fewer."""
    whole = getattr(book.load().searcher, "trials", None)
    cut = whole is not None and found.trials < whole
    return f"{found.trials} of {whole}" if cut else str(found.trials)


def _measured(each: Measured) -> str:
    value = format_with_error(each.value, each.error)
    seeds = f" ({each.seeds} seeds)" if each.seeds > 1 else ""
    named = f"{each.name}: " if each.name else ""
    return f"{named}{value}{seeds}{_behind(each.behind)}"


def _behind(difference: ValueDifference | None) -> str:
    """By how much the best that was found is better, and how many errors that is."""
    if difference is None:
        return ""
    sign = "+" if difference.value >= 0 else "-"
    error = ""
    if difference.se:
        error = f" ± {difference.se:.4f} ({abs(difference.value) / difference.se:.1f} errors)"
    mark = "!" if difference.significant else ""
    return f"; {sign}{abs(difference.value):.4f}{error}{mark}"


def _test(card: Mapping[str, Any] | None) -> str:
    if not card or not card.get("test"):
        return ""
    return format_with_error(card["test"]["alone_mean"], card["test"]["alone_se"])


def _verdict(figure: BookFigure, card: Mapping[str, Any] | None, found: Found | None) -> str:
    """Whether ours is beyond a printed figure, by the errors of both; "" where one is not known."""
    ours = _like(figure, card, found) if figure.compares else None
    if ours is None or ours[1] is None or figure.error is None:
        return ""
    errors = (ours[0] - figure.value) / math.hypot(ours[1], figure.error)
    if abs(errors) <= 1:
        return ": level within one error"
    return f": {'beyond' if errors > 0 else 'short'} by {abs(errors):.1f} errors"


def _like(
    figure: BookFigure, card: Mapping[str, Any] | None, found: Found | None
) -> tuple[float, float | None] | None:
    """Ours that was measured on rows of the same part. Figures with an error are accuracies."""
    if figure.part == "validation":
        return None if found is None else (found.best.value, found.best.error)
    if not card or not card.get("test"):
        return None
    return card["test"]["alone_mean"], card["test"]["alone_se"]


def _is_of_book(found: Found) -> str:
    return "yes" if any(found.best.params == each.params for each in found.networks) else ""


def _closing(facts: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    noted = [each for each in facts if each]
    if noted:
        spent = sum(sum(each.get("minutes", {}).values()) for each in noted)
        machines = " / ".join(sorted({each.get("machine", machine()) for each in noted}))
        yield f"Minutes are those of all a study's parts; together {spent:.0f}, on {machines}."


def _left_out() -> Iterator[str]:
    yield "Figures that are told of the books, but whose place there is not known, are left out: "
    yield "; ".join(
        f"{', '.join(f'{value:g}' for value in values)} (`{study}`)"
        for study, values in PLACE_NOT_KNOWN.items()
    )
