"""A report to look at and to pass on."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from hpsearch.commands import arguments, completing
from hpsearch.core.outputs import is_stream
from hpsearch.store import Url


@click.command()
@click.argument("name", metavar="STUDY|TASK", shell_complete=completing.studies_and_tasks)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("report.html"),
    show_default=True,
    help="The file to write; an earlier report there is replaced.",
)
@arguments.store
@arguments.as_json
def report(name: str, output: Path, store_path: Path | Url, as_json: bool) -> None:
    """Write all there is to see of a study, or of all studies of a task, as one HTML file.

    It needs no network and can be passed on; it holds the study's text. STUDY is a study's file or
    name; where a task has the same name, the study is meant. While a search runs, the report is of
    what has ended.
    """
    from hpsearch.console import tables
    from hpsearch.report.page import write_report

    study, task = arguments.study_or_task(name, store_path)
    written = write_report(store_path, output, study=study, task=task)
    console = tables.console(stderr=as_json or is_stream(output))
    size = f"{written.trials} trials, {written.bytes / 1e6:.1f} MB"
    console.print(f"{output}: report of {written.name}, {size}", soft_wrap=True, markup=False)
    if as_json:
        click.echo(json.dumps(asdict(written) | {"file": str(output)}))
