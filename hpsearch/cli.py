"""The command line: one function a command."""

import json
import sys
import traceback
from contextlib import nullcontext, redirect_stdout, suppress
from dataclasses import fields
from pathlib import Path
from typing import Any, NoReturn

import click

from hpsearch import arguments
from hpsearch import store as stores
from hpsearch.budget import Budget
from hpsearch.errors import HpsearchError, NoStoreError, OldStoreError
from hpsearch.load import load
from hpsearch.selection.choice import Choice
from hpsearch.store import Store


def main() -> NoReturn:
    """Run a command; 0: done, 1: every trial failed, 2: the user's mistake, 130: Ctrl-C."""
    arguments = [a for a in sys.argv[1:] if a != "--debug"]
    debug = len(arguments) < len(sys.argv) - 1
    try:
        sys.exit(app.main(arguments, "hpsearch", standalone_mode=False) or 0)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        sys.exit(0)
    except (HpsearchError, click.ClickException) as error:
        if debug:
            traceback.print_exc()
        message = error.format_message() if isinstance(error, click.ClickException) else str(error)
        click.echo(f"hpsearch: error: {message}", err=True)
        sys.exit(2)
    except (KeyboardInterrupt, click.Abort):
        click.echo("\nstopped; the same command continues", err=True)
        sys.exit(130)


@click.group(no_args_is_help=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="hpsearch")
def app() -> None:
    """Hyperparameter search and model selection for Keras models.

    Exit codes: 0 done; 1 every trial failed; 2 a mistake of yours, told in one line (--debug adds
    the traceback); 130 stopped by Ctrl-C.
    """


@app.command()
@click.argument("study")
@arguments.overrides
@arguments.budget
@arguments.repeats
@arguments.workers
@arguments.checkpoints
@arguments.engine
@arguments.together
@click.option("--fresh", is_flag=True, help="Start over; what was found stays in the store.")
@arguments.store
@arguments.as_json
def run(
    study: str,
    store_path: Path,
    fresh: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Search. The same command again continues.

    STUDY is a study file, or the name of one that has been run. Every trial that ends prints a
    line; the ranking comes at the end. Ctrl-C, or SIGTERM, lets what runs reach its next
    checkpoint; a second one stops at once.
    """
    from hpsearch import session
    from hpsearch.report import tables
    from hpsearch.training import backend as backends
    from hpsearch.training import engines

    chosen = backends.choose(options["backend"])  # first: the study file may import Keras
    engines.check(options["engine"], chosen)
    file = arguments.study_file(study, store_path)
    workers = session.Workers(
        per_device=None if options["per_device"] == "auto" else options["per_device"],
        **{name: options[name] for name in ("devices", "timeout", "recycle", "inline")},
    )
    budget = Budget(options["hours"], options["total_epochs"])
    overrides = arguments.overridden(options)
    console = tables.console(stderr=as_json)
    how = session.Run(
        file,
        store_path,
        overrides,
        chosen,
        fresh=fresh,
        workers=workers,
        budget=budget,
        every=options["checkpoint_every"],
        **{name: options[name] for name in ("engine", "together", "keep", "repeats", "finalists")},
    )
    with redirect_stdout(sys.stderr) if as_json else nullcontext():
        ended = session.run(load(file, overrides), how, console)
    if ended.stopped:
        raise KeyboardInterrupt
    if ended.ranking:
        tables.show(console, tables.ranking(ended.ranking, top=10))
    tables.show(console, tables.failures(ended.failures))
    if as_json:
        click.echo(json.dumps([row._asdict() for row in ended.ranking]))
    return 1 if ended.all_failed else 0


@app.command()
@click.argument("study")
@arguments.overrides
@arguments.budget
@arguments.store
@arguments.as_json
def plan(study: str, store_path: Path, as_json: bool, **options: Any) -> None:
    """Say what a run will take, before it is spent: brackets, rungs, trials and epochs.

    Where trials of the study were timed before, also how long, and what fits into --hours.
    """
    from hpsearch.report import tables
    from hpsearch.searchers.base import rehearse

    loaded = load(arguments.study_file(study, store_path), arguments.overridden(options))
    takes = rehearse(loaded.searcher, loaded.space, seed=loaded.seed, first=loaded.start)
    pace = None
    with suppress(NoStoreError, OldStoreError), Store(store_path) as store:
        pace = stores.pace(store, loaded.name)
    budget = Budget(options["hours"], options["total_epochs"])
    tables.show(tables.console(stderr=as_json), tables.plan(loaded, takes, budget, pace))
    if as_json:
        click.echo(json.dumps(takes.totals))


@app.command()
@click.argument("task", required=False)
@click.option("--top", type=click.IntRange(min=1), default=20, help="Rows to show; JSON has all.")
@arguments.store
@arguments.as_json
def rank(task: str | None, top: int, store_path: Path, as_json: bool) -> None:
    """Rank the trials of a task, over all studies and searchers; of every task if none is named.

    Only trials on the same data, with the same metric and evaluator, are ranked together.
    """
    from hpsearch.report import tables

    with Store(store_path) as store:
        found = stores.rankings(store, task)
        opened = stores.openings(store, task)
    console = tables.console(stderr=as_json)
    for ranking in found:
        tables.show(console, tables.ranking(ranking, top=top))
    tables.show(console, tables.openings(opened))
    if not found:
        console.print("no trial is complete yet")
    if as_json:
        click.echo(json.dumps([row._asdict() for ranking in found for row in ranking]))


@app.command()
@click.argument("study")
@arguments.overrides
@arguments.choice
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="The models' folder; else one in models/ beside the store.",
)
@arguments.engine
@arguments.store
@arguments.as_json
def refit(study: str, store_path: Path, as_json: bool, **options: Any) -> None:
    """Train the best point on all rows but the test's, keep it, and open the test.

    It is trained for the best epoch of its mean curve over folds. The test is opened once: that is
    recorded in the store, and whatever opens it again is told apart. The folder holds the models,
    their preprocessing, a model card and the predictions for the test rows; `predict` uses it.
    """
    from hpsearch.report import card, tables
    from hpsearch.selection import refit as refits
    from hpsearch.training import backend as backends
    from hpsearch.training import engines

    chosen = backends.choose(options["backend"])  # first: the study file may import Keras
    engines.check(options["engine"], chosen)
    choice = Choice(**{field.name: options[field.name] for field in fields(Choice)})
    file = arguments.study_file(study, store_path)
    with suppress(OldStoreError), Store(store_path):  # there must be one to be written to
        pass
    with Store(store_path, create=True) as store:
        loaded = load(file, arguments.overridden(options))
        models = store_path.parent / "models" / store_path.stem  # several stores may lie here
        with redirect_stdout(sys.stderr) if as_json else nullcontext():
            done = refits.refit(
                loaded,
                file,
                store,
                choice,
                models,
                options["output"],
                engine=options["engine"],
                backend=chosen,
            )
    console = tables.console(stderr=as_json)
    tables.show(console, card.markdown(done.card).splitlines())
    if done.card["test"] and not done.anew:
        console.print("this model was tested before; nothing was opened again")
    console.print(f"kept in {done.folder}", soft_wrap=True)
    if as_json:
        click.echo(json.dumps({**done.card, "folder": str(done.folder)}))


@app.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Else standard output."
)
@click.option(
    "--trust", multiple=True, help="A type that the preprocessing may load, besides those known."
)
@click.option("--backend", help="jax, tensorflow or torch; else $KERAS_BACKEND, else jax.")
def predict(
    model: Path, file: Path, output: Path | None, trust: tuple[str, ...], backend: str | None
) -> None:
    """Predict the rows of a CSV file by a model that `refit` kept.

    A classification gives the class and the probability of each; a regression the value.
    """
    from hpsearch.training import backend as backends

    backends.choose(backend)
    from hpsearch.training import kept

    models = kept.load(model, trust)
    predicted = kept.predict_table(models, file)
    predicted.to_csv(output or sys.stdout, index=False)


@app.command()
@click.argument("trial", type=click.IntRange(1, arguments.MOST))
@arguments.store
@arguments.as_json
def show(trial: int, store_path: Path, as_json: bool) -> None:
    """Show one trial: its point, its value, and its learning curves or its traceback."""
    from hpsearch.report import tables

    with Store(store_path) as store:
        details = stores.trial(store, trial)
    tables.show(tables.console(stderr=as_json), tables.trial(details))
    if as_json:
        click.echo(json.dumps(details))


@app.command()
@arguments.store
@arguments.as_json
def studies(store_path: Path, as_json: bool) -> None:
    """List the searches in the store."""
    from hpsearch.report import tables

    with Store(store_path) as store:
        found = stores.studies(store)
    tables.show(tables.console(stderr=as_json), [tables.searches(found)])
    if as_json:
        click.echo(json.dumps(found))
