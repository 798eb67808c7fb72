"""Say what is wrong with searches, and the way out."""

import json
from pathlib import Path

import click

from hpsearch.commands import arguments, completion
from hpsearch.runs.find_study import find_study_or_task
from hpsearch.store import Store, Url


@click.command()
@click.argument(
    "name",
    metavar="[STUDY|TASK]",
    required=False,
    shell_complete=completion.complete_studies_and_tasks,
)
@click.option(
    "--all",
    "show_all",
    is_flag=True,
    help="Show every finding of a search, not only the three gravest.",
)
@arguments.store
@arguments.as_json
def doctor(name: str | None, show_all: bool, store_path: Path | Url, as_json: bool) -> None:
    """Say what is wrong with a search, on which figures that rests, and what to do.

    STUDY is the file or the name of a study. Without it, all searches of the store are looked at.
    What too few trials cannot tell is not said. --json has every finding with its figures.
    """
    from hpsearch.console import findings, tables
    from hpsearch.doctor.diagnose import diagnose_searches

    study, task = (None, None) if name is None else find_study_or_task(name, store_path)
    searches = None
    if task is not None:
        with Store(store_path) as store:
            searches = {record.id for record in store.searches() if record.task == task}
    found = diagnose_searches(store_path, study=study, searches=searches)
    console = tables.make_console(stderr=as_json)
    for diagnosis in found:
        tables.print_parts(console, findings.describe_diagnosis(diagnosis, show_all=show_all))
    if not found:
        console.print("no search yet; run a study first")
    if as_json:
        click.echo(json.dumps([diagnosis.to_json() for diagnosis in found]))
