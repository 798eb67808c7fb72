"""Run a search, and say what it will cost before it runs."""

import json
import sys
from contextlib import nullcontext, redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from hpsearch.commands import arguments, completion
from hpsearch.commands.sweep import plan_several, run_several
from hpsearch.core.plan import Budget
from hpsearch.runs.arguments import make_overrides, make_run_options
from hpsearch.runs.load import load_study
from hpsearch.store import Url


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
@arguments.baselines
@arguments.workers
@arguments.checkpoints
@arguments.log
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
    from hpsearch.console import findings, tables
    from hpsearch.console.display import TerminalDisplay
    from hpsearch.results.baseline_gain import read_gain_of_ranking
    from hpsearch.runs.session import run_study
    from hpsearch.training import backend as backends
    from hpsearch.training import engines

    arguments.refuse_options_without_effect(options["ray"], inline=options["inline"])
    chosen = backends.choose(options["backend"])  # first: the study file may import Keras
    engines.check_engine(options["engine"], chosen)
    files = [arguments.find_study_file(study, store_path) for study in studies]
    run_options = make_run_options(files[0], store_path, chosen, {**options, "fresh": fresh})
    console = tables.make_console(stderr=as_json)
    if len(files) > 1:
        return run_several(files, weights, run_options, console, quiet=quiet, as_json=as_json)
    arguments.refuse_options_of_several("weights")
    with redirect_stdout(sys.stderr) if as_json else nullcontext():
        display = TerminalDisplay(tables.make_silent_console() if quiet else console)
        loaded = load_study(files[0], run_options.overrides)
        ended = run_study(loaded, run_options, display)
    if ended.was_stopped:
        raise KeyboardInterrupt
    gain = read_gain_of_ranking(store_path, ended.ranking, study=ended.study)
    if ended.ranking:
        tables.print_parts(console, tables.describe_ranking(ended.ranking, top=10, gain=gain))
    tables.print_parts(console, tables.describe_failures(ended.failures))
    if not quiet:
        tables.print_parts(console, findings.describe_findings_of_run(store_path, ended.search))
    if as_json:
        click.echo(json.dumps([row.to_json() for row in ended.ranking]))
    return 1 if ended.all_failed else 0


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

    It loads no data, so that only a run refuses an evaluator that needs other data.

    Of several studies it says which share of --devices and --hours each gets by its weight. What
    one does not need, by its earlier trials, goes to the others.
    """
    from hpsearch.console import tables
    from hpsearch.runs.plan_study import plan_study

    files = [arguments.find_study_file(study, store_path) for study in studies]
    budget = Budget(options["hours"], options["total_epochs"])
    if len(files) > 1:
        plan_several(files, weights, budget, store_path, options, as_json=as_json)
        return
    arguments.refuse_options_of_several("weights", "devices", "per_device")
    loaded = load_study(files[0], make_overrides(options))
    planned = plan_study(loaded, store_path, budget)
    cost = planned.cost
    parts = tables.describe_plan(loaded, cost, budget, planned.pace)
    tables.print_parts(tables.make_console(stderr=as_json), parts)
    if as_json:
        brackets = [[asdict(rung) for rung in bracket] for bracket in cost.brackets]
        more = {"seconds": planned.seconds, "fits": planned.fits}
        click.echo(json.dumps({**cost.totals, "brackets": brackets, **more}))
