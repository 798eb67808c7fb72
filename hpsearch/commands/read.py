"""Show what is in the store: rankings, single trials, searches."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from hpsearch import store as stores
from hpsearch.commands import arguments, completion
from hpsearch.runs.arguments import make_filter
from hpsearch.runs.find_study import find_study_or_task
from hpsearch.runs.option_types import TrialNumber
from hpsearch.store import Store, Url


@click.command()
@click.argument(
    "name",
    metavar="[STUDY|TASK]",
    required=False,
    shell_complete=completion.complete_studies_and_tasks,
)
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
@arguments.filters
@arguments.store
@arguments.as_json
def rank(
    name: str | None,
    top: int,
    metric: str | None,
    store_path: Path | Url,
    as_json: bool,
    **options: Any,
) -> None:
    """Rank the trials of a task, over all studies and searchers. Without a name, rank every task.

    Of a STUDY, its name or its file, rank all trials that compare with its own. If a task has the
    same name, the task is ranked. Only trials with the same data, metric and evaluator are ranked
    together. With --tag, --study or --searcher, the trials that are shown are ranked among
    themselves.
    """
    from hpsearch.console import tables
    from hpsearch.results.baseline_gain import find_gain
    from hpsearch.results.metric_values import standard_error

    only = make_filter(options)
    with Store(store_path) as store:
        searches = store.searches()
        # A task has the trials of a study of the same name; the study's file names the study.
        if name is None or name in {search.task for search in searches}:
            study, task = None, name
        else:
            study, task = find_study_or_task(name, store_path)
        if metric is None:
            found = stores.rank_tasks(store, task, only, study)
            parts = [
                tables.describe_ranking(ranking, top=top, gain=find_gain(store, ranking))
                for ranking in found
            ]
        else:
            by_metric = stores.rank_by_metric(store, task, metric, standard_error, only, study)
            found = [each.rows for each in by_metric]
            parts = [
                tables.describe_metric_ranking(
                    each,
                    top=top,
                    gain=find_gain(store, each.rows, metric=None if each.by_own else metric),
                )
                for each in by_metric
            ]
        opened = stores.list_openings(store, task)
        if study is not None:
            tasks = {search.task for search in searches if search.study == study}
            opened = [opening for opening in opened if opening.task in tasks]
    console = tables.make_console(stderr=as_json)
    for part in parts:
        tables.print_parts(console, part)
    tables.print_parts(console, tables.describe_openings(opened))
    if not found:
        what = f"no complete trial of {only}" if only else "no trial is complete yet"
        console.print(what, markup=False)
    if as_json:
        click.echo(json.dumps([row.to_json() for ranking in found for row in ranking]))


@click.command()
@click.argument(
    "target",
    metavar="[TRIAL|STUDY]",
    required=False,
    shell_complete=completion.complete_trials_and_studies,
)
@arguments.store
@arguments.as_json
def show(target: str | None, store_path: Path | Url, as_json: bool) -> None:
    """Show one trial: its parameters, its value, and its learning curves or its traceback.

    Of a STUDY, or without an argument of the whole store, show what each search takes on disk: rows
    in the store, checkpoints and kept models, with the tags and the note of the study.
    """
    if target is None or not (target.isascii() and target.removeprefix("-").isdigit()):
        _show_sizes(target, store_path, as_json=as_json)
    else:
        context = click.get_current_context()
        _show_trial(TrialNumber().convert(target, None, context), store_path, as_json=as_json)


def _show_sizes(study: str | None, store_path: Path | Url, *, as_json: bool) -> None:
    from hpsearch.console import sizes, tables
    from hpsearch.results.baseline_gain import describe_gain, read_gains
    from hpsearch.runs.disk import checkpoint_root, measure_on_disk

    root = checkpoint_root(store_path)
    with Store(store_path) as store:
        name = None if study is None else stores.find_target(store, study).study
        found = measure_on_disk(store, root, name)
        unused = store.db.free_bytes()
        gains = [] if name is None else read_gains(store, name)
    parts = sizes.describe_sizes(found, unused if study is None else 0, store_path)
    console = tables.make_console(stderr=as_json)
    tables.print_parts(console, parts)
    tables.print_parts(console, map(describe_gain, gains))
    if as_json:
        click.echo(json.dumps([sizes.size_to_json(row) for row in found]))


def _show_trial(trial: int, store_path: Path | Url, *, as_json: bool) -> None:
    from hpsearch.console import tables
    from hpsearch.results.baseline_gain import read_gain_of_trial
    from hpsearch.results.metric_values import summarize_metrics

    with Store(store_path) as store:
        details = stores.read_trial(store, trial)
        search, _ = stores.locate_trial(store, trial)
        recorded = stores.read_metrics(store, [search], trial).get(trial)
        labels = stores.read_labels(store)
        gain = read_gain_of_trial(store, trial)
    details["over_baseline"] = None if gain is None else gain.to_json()
    details["tags"] = list(labels.tags_of(trial, details["study"]))
    details["note"] = labels.trial_notes.get(trial)
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
