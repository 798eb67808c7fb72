"""Show what is in the store: rankings, single trials, searches."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from hpsearch import store as stores
from hpsearch.commands import arguments, completion
from hpsearch.runs.option_types import TrialNumber
from hpsearch.store import Store, Url


@click.command()
@click.argument("task", required=False, shell_complete=completion.complete_tasks)
@click.option(
    "--top",
    type=click.IntRange(min=1),
    default=20,
    help="Show this many rows; --json prints all rows.",
)
@click.option(
    "--metric",
    help="Rank by this metric, recorded by the trials beside the task's own: by its value at the "
    "epoch that is best by the task's metric.",
)
@arguments.store
@arguments.as_json
def rank(
    task: str | None, top: int, metric: str | None, store_path: Path | Url, as_json: bool
) -> None:
    """Rank the trials of a task, over all studies and searchers. Without TASK, rank every task.

    Only trials with the same data, metric and evaluator are ranked together.
    """
    from hpsearch.console import tables
    from hpsearch.results.metric_values import standard_error

    with Store(store_path) as store:
        if metric is None:
            found = stores.rank_tasks(store, task)
            parts = [tables.describe_ranking(ranking, top=top) for ranking in found]
        else:
            by_metric = stores.rank_by_metric(store, task, metric, standard_error)
            found = [each.rows for each in by_metric]
            parts = [tables.describe_metric_ranking(each, top=top) for each in by_metric]
        opened = stores.list_openings(store, task)
    console = tables.make_console(stderr=as_json)
    for part in parts:
        tables.print_parts(console, part)
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
    from hpsearch.results.metric_values import summarize_metrics

    with Store(store_path) as store:
        details = stores.read_trial(store, trial)
        search, _ = stores.locate_trial(store, trial)
        recorded = stores.read_metrics(store, [search], trial).get(trial)
    details["metrics"] = (
        {
            name: {key: part for key, part in asdict(found).items() if key != "name"}
            for name, found in summarize_metrics(details["evaluator"], recorded).items()
        }
        if recorded
        else {}
    )
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
