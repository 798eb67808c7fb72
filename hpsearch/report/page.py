"""The page: sections and tables, put into the template with scripts and style."""

import io
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup
from plotly.offline import get_plotlyjs

from hpsearch.core.files import read_regular_file
from hpsearch.core.outputs import OutputKind, choose_place, write_output
from hpsearch.doctor.diagnose import diagnose_searches
from hpsearch.doctor.findings import Diagnosis
from hpsearch.report import (
    anytime,
    hyperparameters,
    importance,
    learning,
    ranking,
    reproduction,
    rungs,
    summary,
    timeline,
)
from hpsearch.report.drawing import Drawing, Section, to_plain_numbers
from hpsearch.report.templates import open_template, read_part, script_hash
from hpsearch.results.baseline_gain import describe_gain
from hpsearch.results.failure_causes import group_failures
from hpsearch.results.formatting import format_with_error, shorten_label
from hpsearch.results.report_data import Comparison, ReportData, read_report_data
from hpsearch.store import ALL_TRIALS, TrialFilter, Url

_MOST_NAMED = 30  # of the trials that failed for one reason
_SIGNATURE = b"default-src 'none'; script-src 'sha256-"  # near the start of every report


def _is_report(file: Path) -> bool:
    return _SIGNATURE in read_regular_file(file, 1000, cut=True)


REPORT = OutputKind("a report of hpsearch", _is_report, streams=True, makes_folders=True)


@dataclass(frozen=True)
class WrittenReport:
    """A report that was written.

    Args:
        name: of the study or task.
        trials: how many the report covers, running and failed ones too.
        bytes: the file's size.
    """

    file: Path
    name: str
    trials: int
    bytes: int


def write_report(
    store: Path | Url,
    file: Path,
    *,
    study: str | None = None,
    task: str | None = None,
    only: TrialFilter = ALL_TRIALS,
) -> WrittenReport:
    """Write the report of a study, or of a task; the file appears whole or not at all.

    Args:
        only: report these trials alone.

    The store has to hold it. Raises OutputError where the file cannot be written, or where another
    file than a report is there.
    """
    place = choose_place(file, REPORT)
    data = read_report_data(store, study=study, task=task, only=only)
    ids = {search.id for each in data.comparisons for search in each.searches}
    page = render(data, diagnose_searches(store, searches=ids))
    write_output(place, page, REPORT)
    trials = sum(len(each.trials) for each in data.comparisons)
    return WrittenReport(file, data.name, trials, len(page))


def render(data: ReportData, diagnoses: Sequence[Diagnosis] = ()) -> bytes:
    """The page in UTF-8.

    Args:
        diagnoses: of its searches.

    Texts from the store are escaped, and only the page's own scripts may run, by their hashes.
    """
    # Safe as they are: none of these contains "</script", which would end a script.
    texts = read_part("theme.js"), get_plotlyjs(), read_part("page.js")
    scripts = [Markup(text) for text in texts]
    parts = [_page_part(number, each, diagnoses) for number, each in enumerate(data.comparisons)]
    drawings = {
        f"{part['id']}-{section.id}-{n}": {
            "data": drawing.data,
            "layout": {**drawing.layout, "height": drawing.height},
        }
        for part in parts
        for section in (part["ranking"], *part["after"])
        for n, drawing in enumerate(section.drawings)
    }
    template = open_template(
        "page.html.jinja",
        shorten_label=shorten_label,
        with_error=lambda row: format_with_error(row.value, row.se),
    )
    pieces = template.generate(
        report=data,
        most_named=_MOST_NAMED,
        written=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        parts=parts,
        totals=summary.count_totals(data),
        searches=reproduction.describe_searches(data),
        drawings=to_plain_numbers(drawings),
        ranking=[row for each in data.comparisons for row in each.whole_ranking],
        headlines=[each.gain.to_json() for each in data.comparisons if each.gain is not None],
        style=Markup(read_part("page.css")),
        scripts=scripts,
        hashes=" ".join(map(script_hash, scripts)),
    )
    # Encoded piece by piece: a table of ten thousand rows is a million pieces.
    page = io.BytesIO()
    for piece in pieces:
        page.write(piece.encode())
    return page.getvalue()


def _page_part(
    number: int, comparison: Comparison, diagnoses: Sequence[Diagnosis]
) -> dict[str, Any]:
    """What the template needs of one comparison."""
    figure: Sequence[Drawing] = (
        [ranking.draw_ranking(comparison)] if comparison.whole_ranking else []
    )
    return {
        "id": f"part{number}",
        "comparison": comparison,
        "headline": None if comparison.gain is None else describe_gain(comparison.gain),
        "summary": summary.choice_cards(comparison),
        "diagnoses": summary.choose_diagnoses(comparison, diagnoses),
        "openings": summary.describe_openings(comparison),
        "ranking": Section("ranking", "Ranking", drawings=figure, size="full"),
        "table": summary.ranking_table(comparison),
        "after": [
            anytime.anytime_section(comparison),
            learning.learning_section(comparison),
            *learning.metric_sections(comparison),
            hyperparameters.parallel_section(comparison),
            hyperparameters.slices_section(comparison),
            importance.importance_section(comparison),
            ranking.pareto_section(comparison),
            rungs.rungs_section(comparison),
            timeline.workers_section(comparison),
        ],
        "failures": group_failures(comparison.failures),
    }
