"""Write trials in the formats of other tools."""

import json
import shlex
from pathlib import Path

import click

from hpsearch.commands import arguments, completion
from hpsearch.core.files import hide_secrets
from hpsearch.core.outputs import choose_place, whole_output
from hpsearch.export import FORMATS
from hpsearch.runs.find_study import find_study_or_task
from hpsearch.store import Url


@click.command()
@click.argument("format", type=click.Choice(list(FORMATS)))
@click.argument(
    "which",
    metavar="[STUDY|TASK]",
    required=False,
    shell_complete=completion.complete_studies_and_tasks,
)
@click.option(
    "-o",
    "--output",
    help="Write to this file or folder; mlflow also takes the URI of a server. Default: "
    "hpsearch-FORMAT in the current folder.",
)
@click.option("--force", is_flag=True, help="Replace an earlier export in the same place.")
@arguments.store
@arguments.as_json
def export(
    format: str,
    which: str | None,
    output: str | None,
    force: bool,
    store_path: Path | Url,
    as_json: bool,
) -> None:
    """Write the trials of a study, of a task, or of the whole store for other tools.

    csv, parquet: three tables. optuna: a storage for optuna-dashboard. tensorboard: a folder for
    the HParams and Scalars tabs. mlflow: a database or a server. If the export fails, no partial
    output is left.
    """
    study, task = find_study_or_task(which, store_path) if which else (None, None)
    chosen = FORMATS[format]
    write = chosen.writer()
    from hpsearch.results.frames import StoreFrames

    where = chosen.default_path if output is None else output
    if format == "mlflow" and "://" in where:
        from hpsearch.export import mlflow

        mlflow.check_reachable(where)
        results = StoreFrames(store_path, study=study, task=task)
        mlflow.send_to_server(results, where)
        where = hide_secrets(where)
    else:
        place = choose_place(Path(where), chosen.kind, replace=force)
        results = StoreFrames(store_path, study=study, task=task)
        with whole_output(place, chosen.kind, replace=force) as partial:
            write(results, partial)
    trials = len(results.trials)
    click.echo(f"{trials} trials written to {where}", err=True)
    if chosen.view_command and "://" not in where:
        click.echo(f"open it with: {chosen.view_command.format(shlex.quote(where))}", err=True)
    if as_json:
        click.echo(json.dumps({"format": format, "where": where, "trials": trials}))
