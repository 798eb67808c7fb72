"""Show what is in the store: rankings, single trials, searches."""

import json
from pathlib import Path

import click

from hpsearch import store as stores
from hpsearch.commands import arguments, completion
from hpsearch.commands.option_types import TrialNumber
from hpsearch.store import Store, Url


@click.command()
@click.argument("task", required=False, shell_complete=completion.complete_tasks)
@click.option(
    "--top",
    type=click.IntRange(min=1),
    default=20,
    help="Show this many rows; --json prints all rows.",
)
@arguments.store
@arguments.as_json
def rank(task: str | None, top: int, store_path: Path | Url, as_json: bool) -> None:
    """Rank the trials of a task, over all studies and searchers. Without TASK, rank every task.

    Only trials with the same data, metric and evaluator are ranked together.
    """
    from hpsearch.console import tables

    with Store(store_path) as store:
        found = stores.rank_tasks(store, task)
        opened = stores.list_openings(store, task)
    console = tables.make_console(stderr=as_json)
    for ranking in found:
        tables.print_parts(console, tables.describe_ranking(ranking, top=top))
    tables.print_parts(console, tables.describe_openings(opened))
    if not found:
        console.print("no trial is complete yet")
    if as_json:
        click.echo(json.dumps([row.to_json() for ranking in found for row in ranking]))


@click.command()
@click.argument("trial", type=TrialNumber(), shell_complete=completion.complete_trials)
@arguments.store
@arguments.as_json
def show(trial: int, store_path: Path | Url, as_json: bool) -> None:
    """Show one trial: its parameters, its value, and its learning curves or its traceback."""
    from hpsearch.console import tables

    with Store(store_path) as store:
        details = stores.read_trial(store, trial)
    tables.print_parts(tables.make_console(stderr=as_json), tables.describe_trial(details))
    if as_json:
        click.echo(json.dumps(details))


@click.command()
@arguments.store
@arguments.as_json
def studies(store_path: Path | Url, as_json: bool) -> None:
    """List the searches in the store."""
    from hpsearch.console import tables

    with Store(store_path) as store:
        found = stores.list_studies(store)
    tables.print_parts(tables.make_console(stderr=as_json), [tables.make_search_table(found)])
    if as_json:
        click.echo(json.dumps(found))
