"""Run a search, and say what it will cost before it runs."""

import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, redirect_stdout, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hpsearch import store as stores
from hpsearch.commands import arguments, completion
from hpsearch.core.errors import DeviceError, NoStoreError, OldStoreError
from hpsearch.core.plan import Budget
from hpsearch.runs.load import load_study
from hpsearch.store import Store, Url

if TYPE_CHECKING:
    from rich.console import Console

    from hpsearch.runs.options import RunOptions

# Options of the command that `RunOptions` has by the same name and value.
_SAME_NAMES = (
    "engine",
    "checkpoints",
    "checkpoint_every",
    "keep",
    "repeats",
    "finalists",
    "inline",
    "devices",
    "timeout",
    "recycle",
    "ray",
    "gpus_per_worker",
)


@click.command()
@click.argument(
    "studies",
    metavar="STUDY...",
    nargs=-1,
    required=True,
    shell_complete=completion.complete_studies,
)
@arguments.overrides
@arguments.budget
@arguments.weights
@arguments.repeats
@arguments.workers
@arguments.checkpoints
@arguments.engine
@arguments.together
@click.option(
    "--fresh",
    is_flag=True,
    help="Start the search over. Its earlier trials stay in the store, and leave the rankings.",
)
@click.option(
    "--quiet",
    is_flag=True,
    help="Print only the ranking at the end, and nothing while the search runs.",
)
@arguments.store
@arguments.as_json
def run(
    studies: tuple[str, ...],
    weights: tuple[float, ...] | None,
    store_path: Path | Url,
    fresh: bool,
    quiet: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Run a search, or continue it: the same command goes on where the last run stopped.

    STUDY is a study file, or the name of a study that was run before. A line is printed for every
    trial that ends, and the ranking at the end. Ctrl-C or SIGTERM stops the running trials at
    the end of their epoch, with a checkpoint; a second one stops at once.

    Several studies share the devices by --weights: a device goes to the study that is furthest
    behind its share and can use it. Options apply to each study. One that cannot run, or whose
    trials all fail, stops alone and is named at the end; the exit code is 1 then.
    """
    from hpsearch.console import tables
    from hpsearch.console.display import TerminalDisplay
    from hpsearch.runs.options import RunOptions
    from hpsearch.runs.session import run_study
    from hpsearch.training import backend as backends
    from hpsearch.training import engines

    arguments.refuse_options_without_effect(options["ray"], inline=options["inline"])
    chosen = backends.choose(options["backend"])  # first: the study file may import Keras
    engines.check_engine(options["engine"], chosen)
    files = [arguments.find_study_file(study, store_path) for study in studies]
    overrides = arguments.make_overrides(options)
    run_options = RunOptions(
        files[0],
        store_path,
        overrides,
        chosen,
        fresh=fresh,
        budget=Budget(options["hours"], options["total_epochs"]),
        per_device=_none_if_auto(options["per_device"]),
        together=_none_if_auto(options["together"]),
        **{name: options[name] for name in _SAME_NAMES},
    )
    console = tables.make_console(stderr=as_json)
    if len(files) > 1:
        return _run_several(files, weights, run_options, console, quiet=quiet, as_json=as_json)
    arguments.refuse_options_of_several("weights")
    with redirect_stdout(sys.stderr) if as_json else nullcontext():
        display = TerminalDisplay(tables.make_silent_console() if quiet else console)
        ended = run_study(load_study(files[0], overrides), run_options, display)
    if ended.was_stopped:
        raise KeyboardInterrupt
    if ended.ranking:
        tables.print_parts(console, tables.describe_ranking(ended.ranking, top=10))
    tables.print_parts(console, tables.describe_failures(ended.failures))
    if as_json:
        click.echo(json.dumps([row.to_json() for row in ended.ranking]))
    return 1 if ended.all_failed else 0


def _run_several(
    files: Sequence[Path],
    weights: Sequence[float] | None,
    options: "RunOptions",
    console: "Console",
    *,
    quiet: bool,
    as_json: bool,
) -> int:
    """Run several studies at once; returns the command's exit code."""
    from hpsearch.console import sweep_view, tables
    from hpsearch.runs.sweep import make_sweep_studies, run_sweep
    from hpsearch.runs.sweep_summary import summarize_sweep

    if options.inline:
        raise DeviceError("--inline trains one study; drop it, or name one study")
    if options.per_device is None:
        raise DeviceError("--per-device auto works for one study; give a number for several")
    studies = make_sweep_studies(files, weights)
    display = sweep_view.SweepTerminal(tables.make_silent_console() if quiet else console)
    with redirect_stdout(sys.stderr) if as_json else nullcontext():
        results = run_sweep(studies, options, display)
    summaries = summarize_sweep(options.store, results)
    if any(result.ending.was_stopped for result in results):
        raise KeyboardInterrupt
    tables.print_parts(console, sweep_view.describe_sweep(summaries))
    if as_json:
        click.echo(json.dumps({"studies": [each.to_json() for each in summaries]}))
    return 1 if any(result.failed for result in results) else 0


def _none_if_auto(value: int | str) -> int | None:
    return None if isinstance(value, str) else value


@click.command()
@click.argument(
    "studies",
    metavar="STUDY...",
    nargs=-1,
    required=True,
    shell_complete=completion.complete_studies,
)
@arguments.overrides
@arguments.budget
@arguments.weights
@arguments.devices
@arguments.store
@arguments.as_json
def plan(
    studies: tuple[str, ...],
    weights: tuple[float, ...] | None,
    store_path: Path | Url,
    as_json: bool,
    **options: Any,
) -> None:
    """Show what a run will cost: brackets, rungs, trials and epochs.

    If the store has timed trials of the study, the time is estimated too, and how much of the
    search fits into --hours. --json prints the seconds for one worker, and as "fits" the share of
    the search that fits into --hours and --total-epochs. A search that is too long to count is
    counted for a second, and of Auto only the epochs are known, because results decide how many
    trials are short. Then "complete" is false, and there are at least so many trials.

    Of several studies it says which share of --devices and --hours each gets by its weight. What
    one does not need, by its earlier trials, goes to the others.
    """
    from hpsearch.console import tables
    from hpsearch.searchers.base import plan_search

    files = [arguments.find_study_file(study, store_path) for study in studies]
    budget = Budget(options["hours"], options["total_epochs"])
    if len(files) > 1:
        _plan_several(files, weights, budget, store_path, options, as_json=as_json)
        return
    arguments.refuse_options_of_several()
    loaded = load_study(files[0], arguments.make_overrides(options))
    cost = plan_search(loaded.searcher, loaded.space, seed=loaded.seed, first=loaded.first_points)
    pace = None
    with suppress(NoStoreError, OldStoreError), Store(store_path) as store:
        pace = stores.measure_pace(store, loaded.name)
    parts = tables.describe_plan(loaded, cost, budget, pace)
    tables.print_parts(tables.make_console(stderr=as_json), parts)
    if as_json:
        known = cost.expected_epochs
        seconds = None if pace is None else cost.epochs * pace[1]
        brackets = [[asdict(rung) for rung in bracket] for bracket in cost.brackets]
        fits = None if known is None else budget.affordable_share(known, seconds)
        more = {"seconds": seconds, "fits": fits}
        click.echo(json.dumps({**cost.totals, "brackets": brackets, **more}))


def _plan_several(
    files: Sequence[Path],
    weights: Sequence[float] | None,
    budget: Budget,
    store_path: Path | Url,
    options: Mapping[str, Any],
    *,
    as_json: bool,
) -> None:
    from hpsearch.console import sweep_view, tables
    from hpsearch.runs.sweep import make_sweep_studies
    from hpsearch.runs.sweep_plan import plan_sweep

    if _none_if_auto(options["per_device"]) is None:
        raise DeviceError("--per-device auto works for one study; give a number for several")
    planned = plan_sweep(
        make_sweep_studies(files, weights),
        arguments.make_overrides(options),
        budget,
        store_path,
        options["devices"],
        options["per_device"],
    )
    tables.print_parts(
        tables.make_console(stderr=as_json), sweep_view.describe_sweep_plan(planned, budget)
    )
    if as_json:
        click.echo(json.dumps({"studies": [each.to_json() for each in planned]}))
