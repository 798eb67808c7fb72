"""Write a report of a study or a task."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from hpsearch.commands import arguments, completion
from hpsearch.core.errors import ReportError
from hpsearch.core.files import format_bytes
from hpsearch.core.outputs import is_stream
from hpsearch.runs.arguments import make_filter
from hpsearch.runs.find_study import find_study_or_task
from hpsearch.store import Url


@click.command()
@click.argument(
    "name",
    metavar="STUDY|TASK",
    required=False,
    shell_complete=completion.complete_studies_and_tasks,
)
@click.option(
    "--all",
    "of_all",
    is_flag=True,
    help="Report all studies of the store on one page: results over baselines, costs, failures, "
    "and what to do next.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("report.html"),
    show_default=True,
    help="Write the report to this file; an earlier report there is replaced.",
)
@arguments.filters
@arguments.store
@arguments.as_json
def report(
    name: str | None,
    of_all: bool,
    output: Path,
    store_path: Path | Url,
    as_json: bool,
    **options: Any,
) -> None:
    """Write one HTML file with all results of a study, or of all studies of a task.

    The file needs no network and no other file. It contains the text of the study file. STUDY is
    the file or the name of a study; if a task has the same name, the study is reported. While a
    search runs, its report contains the trials that have ended.
    """
    from hpsearch.console import tables
    from hpsearch.report.morning import write_morning_page
    from hpsearch.report.page import write_report

    if of_all == (name is not None):
        raise ReportError("report needs the name of a study or task, or --all, not both")
    only = make_filter(options)
    if name is None:
        if only:
            raise ReportError("report --all shows every study; drop --tag, --study and --searcher")
        written = write_morning_page(store_path, output)
    else:
        study, task = find_study_or_task(name, store_path)
        written = write_report(store_path, output, study=study, task=task, only=only)
    console = tables.make_console(stderr=as_json or is_stream(output))
    size = f"{written.trials} trials, {format_bytes(written.bytes)}"
    console.print(f"{output}: report of {written.name}, {size}", soft_wrap=True, markup=False)
    if as_json:
        click.echo(json.dumps(asdict(written) | {"file": str(output)}))
