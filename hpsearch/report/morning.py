"""The morning page: all studies of a store on one page, with what to do next."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from hpsearch.core.outputs import choose_place, write_output
from hpsearch.doctor.commands import study_command
from hpsearch.doctor.diagnose import diagnose_searches
from hpsearch.doctor.findings import Diagnosis, start_with_capital
from hpsearch.report.page import REPORT, WrittenReport
from hpsearch.report.templates import open_template, read_part, script_hash
from hpsearch.results.baseline_gain import compare_with_baseline, describe_gain
from hpsearch.results.formatting import format_duration, format_with_error, shorten_label
from hpsearch.results.overview import SearchOverview, read_overview
from hpsearch.results.search_names import name_searches
from hpsearch.results.trial_filters import short_metric_name
from hpsearch.store import Url
from hpsearch.store.command_text import command_text

_MOST_FAILURES = 3  # causes that are named for each study


@dataclass(frozen=True, slots=True)
class NextStep:
    """Something to do: why, and the command, or line of the study, that does it."""

    why: str
    line: str = ""


def write_morning_page(store: Path | Url, file: Path) -> WrittenReport:
    """Write one page about all studies of a store; the file appears whole or not at all.

    Raises OutputError where the file cannot be written, or where another file than a report is
    there.
    """
    place = choose_place(file, REPORT)
    overview = read_overview(store)
    found = {each.search: each for each in diagnose_searches(store)}
    page = render(overview, [found.get(each.record.id) for each in overview], store)
    write_output(place, page, REPORT)
    trials = sum(each.complete + each.failed + each.unfinished for each in overview)
    return WrittenReport(file, "all studies", trials, len(page))


def render(
    overview: Sequence[SearchOverview], diagnoses: Sequence[Diagnosis | None], place: Path | Url
) -> bytes:
    """The page in UTF-8; texts from the store are escaped. place: the store's, for commands."""
    script = read_part("theme.js")
    names = name_searches([each.record for each in overview])
    numbers = {"studies": [_to_json(each) for each in overview]}
    page = open_template("morning.html.jinja").render(
        written=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        totals=_count_totals(overview),
        rows=[_row(each, names[each.record.id]) for each in overview],
        studies=[
            {
                "title": names[each.record.id],
                "how": _how(each),
                "failures": each.failures[:_MOST_FAILURES],
                "more_failures": len(each.failures) - _MOST_FAILURES,
                "steps": list(list_next_steps(each, diagnosis, place)),
                "best": each.best,
                "headline": None
                if each.over_baseline is None
                else describe_gain(each.over_baseline),
            }
            for each, diagnosis in zip(overview, diagnoses, strict=True)
        ],
        numbers=numbers,
        style=Markup(read_part("page.css")),
        script=Markup(script),
        digest=script_hash(script),
    )
    return page.encode()


def _count_totals(overview: Sequence[SearchOverview]) -> list[tuple[str, str]]:
    """Counts for the head of the page, as (how many, what)."""
    return [
        (f"{len(overview):,}", "searches"),
        (f"{sum(each.complete for each in overview):,}", "trials complete"),
        (f"{sum(each.failed for each in overview):,}", "failed"),
        (f"{sum(each.epochs for each in overview):,}", "epochs trained"),
        (format_duration(sum(each.seconds for each in overview)), "of devices"),
    ]


def _row(each: SearchOverview, name: str) -> dict[str, str]:
    """A search's row of the table, as texts."""
    best, first = each.best, each.first
    return {
        "study": name,
        "metric": short_metric_name(each.record.measure),
        "first": "" if first is None else format_with_error(first.value, first.se),
        "best": "" if best is None else format_with_error(best.value, best.se),
        "gain": _describe_gain(each),
        "baseline": "none was trained"
        if each.over_baseline is None
        else compare_with_baseline(each.over_baseline),
        "ties": str(each.ties),
        "trials": f"{each.complete:,}" + (f", {each.failed:,} failed" if each.failed else ""),
        "epochs": f"{each.epochs:,}",
        "time": format_duration(each.seconds),
        "ended": _describe_end(each),
    }


def _describe_gain(each: SearchOverview) -> str:
    if each.gain is None or each.best is None or each.first is None:
        return "not known"
    if each.best.trial == each.first.trial:
        return "the first point is the best"
    text = f"{each.gain:+.4f}"
    if each.first.tied is None:
        return text
    return f"{text}, {'not ' if each.first.tied else ''}significant"


def _describe_end(each: SearchOverview) -> str:
    if each.is_running:
        return "running"
    if each.run is None or each.run.ended is None:
        return "was killed"
    return each.run.ended


def _how(each: SearchOverview) -> str:
    record = each.record
    labels = [shorten_label(record.searcher), shorten_label(record.evaluator)]
    return ", ".join([record.task, *labels, f"seed {record.seed}", record.backend])


def list_next_steps(
    each: SearchOverview, diagnosis: Diagnosis | None, place: Path | Url
) -> Iterator[NextStep]:
    """What to do next with a search: continue or test it, and what the doctor advises."""
    if each.is_running:
        yield NextStep("It is running.", command_text("watch", each.record.study, place))
    elif not each.is_done:
        many = f"{each.unfinished} trial{'s' if each.unfinished > 1 else ''}"
        waiting = f"; unfinished: {many}" if each.unfinished else ""
        yield NextStep(
            f"The search is not done{waiting}.", study_command("run", each.record, place, each.run)
        )
    for finding in diagnosis.shown if diagnosis is not None else ():
        end = ":" if finding.line else "."
        why = f"{finding.text} {start_with_capital(finding.way_out)}{end}"
        yield NextStep(why, finding.line)
    if each.is_done and each.best is not None and not each.test_was_opened:
        test = ", and test it once" if each.run is None or each.run.has_test else ""
        refit = study_command("refit", each.record, place, each.run)
        yield NextStep(f"Train the best point on all rows{test}.", refit)


def _to_json(each: SearchOverview) -> dict[str, Any]:
    """A search's numbers, for programs."""
    return {
        "study": each.record.study,
        "task": each.record.task,
        "best": None if each.best is None else each.best.to_json(),
        "first": None if each.first is None else each.first.to_json(),
        "gain": each.gain,
        "over_baseline": None if each.over_baseline is None else each.over_baseline.to_json(),
        "ties": each.ties,
        "complete": each.complete,
        "failed": each.failed,
        "unfinished": each.unfinished,
        "epochs": each.epochs,
        "seconds": each.seconds,
    }
