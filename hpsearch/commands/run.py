"""Run a search, and say what it will cost before it runs."""

import json
import sys
from contextlib import nullcontext, redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from hpsearch.commands import arguments, completion
from hpsearch.core.plan import Budget
from hpsearch.runs.arguments import make_overrides, make_run_options
from hpsearch.runs.load import load_study
from hpsearch.store import Url


@click.command()
@click.argument("study", shell_complete=completion.complete_studies)
@arguments.overrides
@arguments.budget
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
    study: str,
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
    """
    from hpsearch.console import tables
    from hpsearch.console.display import TerminalDisplay
    from hpsearch.runs.session import run_study
    from hpsearch.training import backend as backends
    from hpsearch.training import engines

    arguments.refuse_options_without_effect(options["ray"], inline=options["inline"])
    chosen = backends.choose(options["backend"])  # first: the study file may import Keras
    engines.check_engine(options["engine"], chosen)
    file = arguments.find_study_file(study, store_path)
    run_options = make_run_options(file, store_path, chosen, {**options, "fresh": fresh})
    console = tables.make_console(stderr=as_json)
    with redirect_stdout(sys.stderr) if as_json else nullcontext():
        display = TerminalDisplay(tables.make_silent_console() if quiet else console)
        ended = run_study(load_study(file, run_options.overrides), run_options, display)
    if ended.was_stopped:
        raise KeyboardInterrupt
    if ended.ranking:
        tables.print_parts(console, tables.describe_ranking(ended.ranking, top=10))
    tables.print_parts(console, tables.describe_failures(ended.failures))
    if as_json:
        click.echo(json.dumps([row.to_json() for row in ended.ranking]))
    return 1 if ended.all_failed else 0


@click.command()
@click.argument("study", shell_complete=completion.complete_studies)
@arguments.overrides
@arguments.budget
@arguments.store
@arguments.as_json
def plan(study: str, store_path: Path | Url, as_json: bool, **options: Any) -> None:
    """Show what a run will cost: brackets, rungs, trials and epochs.

    If the store has timed trials of the study, the time is estimated too, and how much of the
    search fits into --hours. --json prints the seconds for one worker, and as "fits" the share of
    the search that fits into --hours and --total-epochs. A search that is too long to count is
    counted for a second, and of Auto only the epochs are known, because results decide how many
    trials are short. Then "complete" is false, and there are at least so many trials.
    """
    from hpsearch.console import tables
    from hpsearch.runs.plan_study import plan_study

    loaded = load_study(arguments.find_study_file(study, store_path), make_overrides(options))
    budget = Budget(options["hours"], options["total_epochs"])
    planned = plan_study(loaded, store_path, budget)
    cost = planned.cost
    parts = tables.describe_plan(loaded, cost, budget, planned.pace)
    tables.print_parts(tables.make_console(stderr=as_json), parts)
    if as_json:
        brackets = [[asdict(rung) for rung in bracket] for bracket in cost.brackets]
        more = {"seconds": planned.seconds, "fits": planned.fits}
        click.echo(json.dumps({**cost.totals, "brackets": brackets, **more}))
