"""The command line: one function a command."""

import json
import math
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from contextlib import nullcontext, redirect_stdout, suppress
from dataclasses import fields
from pathlib import Path
from typing import Any, NoReturn

import click

from hpsearch import store as stores
from hpsearch.budget import Budget
from hpsearch.errors import HpsearchError, NoStoreError, StudyError
from hpsearch.load import Overrides, load
from hpsearch.options import did_you_mean
from hpsearch.store import Store
from hpsearch.trial import Every

Command = Callable[..., Any]

_MOST = 2**63 - 1  # what the store can hold


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


def _store_option(command: Command) -> Command:
    return click.option(
        "--store",
        "store_path",
        type=click.Path(dir_okay=False, path_type=Path),
        default=lambda: Path(os.environ.get("HPSEARCH_STORE") or ".hpsearch/store.db"),
        help="The results' file: else $HPSEARCH_STORE, else .hpsearch/store.db.",
    )(command)


def _json_option(command: Command) -> Command:
    return click.option(
        "--json", "as_json", is_flag=True, help="One JSON document on stdout; the rest on stderr."
    )(command)


def _overrides(command: Command) -> Command:
    """The options that `run` and `plan` share, collected into one `overrides`."""
    count = click.IntRange(min=1)
    for option in reversed(
        (
            click.option("--trials", type=count, help="How many trials at most."),
            click.option("--epochs", type=count, help="How many epochs a trial gets at most."),
            click.option("--seed", type=click.IntRange(0, _MOST), help="The study's seed."),
            click.option("--searcher", help="NAME[:key=value,...], as random:trials=50,epochs=20"),
            click.option("--evaluator", help="NAME[:key=value,...], as kfold:folds=4"),
        )
    ):
        command = option(command)
    return command


class _Amount(click.FloatRange):
    """A number above 0, and not without end."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        if value is not None and math.isnan(float(super().convert(value, param, ctx))):
            self.fail("nan is no number", param, ctx)
        return super().convert(value, param, ctx)


def _budget(command: Command) -> Command:
    """The options by which `run` and `plan` are told what may be spent."""
    for option in reversed(
        (
            click.option("--hours", type=_Amount(0, 1e5, min_open=True), help="Stop then."),
            click.option(
                "--total-epochs",
                type=click.IntRange(min=1),
                help="Epochs this run may train, over all trials.",
            ),
        )
    ):
        command = option(command)
    return command


class _PerDevice(click.ParamType[int | str]):
    name = "integer|auto"

    def convert(self, value: Any, param: Any, ctx: Any) -> int | str:
        if value == "auto":
            return "auto"
        return click.IntRange(min=1).convert(value, param, ctx)


class _CheckpointEvery(click.ParamType[Every]):
    name = "epochs|minutes"

    def convert(self, value: Any, param: Any, ctx: Any) -> Every:
        if isinstance(value, Every):
            return value
        number, minutes = value.removesuffix("m"), value.endswith("m")
        if not number.isdigit() or int(number) < 1:
            self.fail(f"{value!r} is neither epochs, as 10, nor minutes, as 5m", param, ctx)
        if minutes:
            return Every(seconds=60.0 * int(number))
        return Every(epochs=int(number), seconds=None)


def _workers(command: Command) -> Command:
    """The options of `run` that say who trains."""
    count = click.IntRange(min=1)
    for option in reversed(
        (
            click.option("--devices", default="auto", help="auto, cpu, cpu:2 or 0,1: GPU numbers."),
            click.option(
                "--per-device",
                type=_PerDevice(),
                default=1,
                help="Workers on each device; auto: as many as fit.",
            ),
            click.option("--inline", is_flag=True, help="Train in this process, for a debugger."),
            click.option(
                "--timeout",
                type=_Amount(0, 1e6, min_open=True),
                help="Seconds a trial may take; it fails then.",
            ),
            click.option(
                "--recycle", type=count, default=200, help="Replace a worker after so many trials."
            ),
        )
    ):
        command = option(command)
    return command


@app.command()
@click.argument("study")
@_overrides
@_budget
@_workers
@click.option(
    "--checkpoint-every",
    type=_CheckpointEvery(),
    default="5m",
    help="Within a trial: after so many epochs, as 10, or minutes, as 5m.",
)
@click.option(
    "--keep",
    type=click.IntRange(min=0),
    default=3,
    help="How many of the best trials keep their checkpoints.",
)
@click.option("--backend", help="jax, tensorflow or torch; else $KERAS_BACKEND, else jax.")
@click.option("--fresh", is_flag=True, help="Start over; what was found stays in the store.")
@_store_option
@_json_option
def run(
    study: str,
    store_path: Path,
    backend: str | None,
    fresh: bool,
    checkpoint_every: Every,
    keep: int,
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

    chosen = backends.choose(backend)  # first: the study file may import Keras
    file = _study_file(study, store_path)
    workers = session.Workers(
        per_device=None if options["per_device"] == "auto" else options["per_device"],
        **{name: options[name] for name in ("devices", "timeout", "recycle", "inline")},
    )
    budget = Budget(options["hours"], options["total_epochs"])
    overrides = _overridden(options)
    console = tables.console(stderr=as_json)
    how = session.Run(
        file, store_path, overrides, chosen, fresh, workers, budget, checkpoint_every, keep
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
@_overrides
@_budget
@_store_option
@_json_option
def plan(study: str, store_path: Path, as_json: bool, **options: Any) -> None:
    """Say what a run will take, before it is spent: brackets, rungs, trials and epochs.

    Where trials of the study were timed before, also how long, and what fits into --hours.
    """
    from hpsearch.report import tables
    from hpsearch.searchers.base import rehearse

    loaded = load(_study_file(study, store_path), _overridden(options))
    takes = rehearse(loaded.searcher, loaded.space, seed=loaded.seed, first=loaded.start)
    pace = None
    with suppress(NoStoreError), Store(store_path) as store:
        pace = stores.pace(store, loaded.name)
    budget = Budget(options["hours"], options["total_epochs"])
    tables.show(tables.console(stderr=as_json), tables.plan(loaded, takes, budget, pace))
    if as_json:
        click.echo(json.dumps(takes.totals))


@app.command()
@click.argument("task", required=False)
@click.option("--top", type=click.IntRange(min=1), default=20, help="Rows to show; JSON has all.")
@_store_option
@_json_option
def rank(task: str | None, top: int, store_path: Path, as_json: bool) -> None:
    """Rank the trials of a task, over all studies and searchers; of every task if none is named.

    Only trials on the same data, with the same metric and evaluator, are ranked together.
    """
    from hpsearch.report import tables

    with Store(store_path) as store:
        found = stores.rankings(store, task)
    console = tables.console(stderr=as_json)
    for ranking in found:
        tables.show(console, tables.ranking(ranking, top=top))
    if not found:
        console.print("no trial is complete yet")
    if as_json:
        click.echo(json.dumps([row._asdict() for ranking in found for row in ranking]))


@app.command()
@click.argument("trial", type=click.IntRange(1, _MOST))
@_store_option
@_json_option
def show(trial: int, store_path: Path, as_json: bool) -> None:
    """Show one trial: its point, its value, and its learning curves or its traceback."""
    from hpsearch.report import tables

    with Store(store_path) as store:
        details = stores.trial(store, trial)
    tables.show(tables.console(stderr=as_json), tables.trial(details))
    if as_json:
        click.echo(json.dumps(details))


@app.command()
@_store_option
@_json_option
def studies(store_path: Path, as_json: bool) -> None:
    """List the searches in the store."""
    from hpsearch.report import tables

    with Store(store_path) as store:
        found = stores.studies(store)
    tables.show(tables.console(stderr=as_json), [tables.searches(found)])
    if as_json:
        click.echo(json.dumps(found))


def _overridden(options: Mapping[str, Any]) -> Overrides:
    return Overrides(**{field.name: options[field.name] for field in fields(Overrides)})


def _study_file(study: str, store_path: Path) -> Path:
    """The file of a study given by path, or by the name under which the store knows it."""
    path = Path(study)
    if path.exists() or path.suffix == ".py" or len(path.parts) > 1:
        return path
    known: dict[str, str] = {}
    with suppress(NoStoreError), Store(store_path) as store:
        known = {record.study: record.file for record in store.searches()}
    if study not in known:
        raise StudyError(
            f"{study!r} is neither a study file nor a study in {store_path}"
            f"{did_you_mean(study, known)}; run it once by its file: studies/NAME.py"
        )
    return Path(known[study])
