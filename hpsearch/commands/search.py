"""Search, and what a search will take."""

import json
import sys
from contextlib import nullcontext, redirect_stdout, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from hpsearch import store as stores
from hpsearch.commands import arguments, completing
from hpsearch.core.errors import NoStoreError, OldStoreError
from hpsearch.core.plan import Budget
from hpsearch.run.load import load
from hpsearch.store import Store, Url


@click.command()
@click.argument("study", shell_complete=completing.studies)
@arguments.overrides
@arguments.budget
@arguments.repeats
@arguments.workers
@arguments.checkpoints
@arguments.engine
@arguments.together
@click.option(
    "--fresh", is_flag=True, help="Start the search over; what it found stays in the store."
)
@click.option(
    "--quiet", is_flag=True, help="Print no line for every trial, only the ranking at the end."
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
    """Search. The same command again continues.

    STUDY is a study file, or the name of one that has been run. Every trial that ends prints a
    line; the ranking comes at the end. Ctrl-C, or SIGTERM, lets what runs reach its next
    checkpoint; a second one stops at once.
    """
    from hpsearch.console import tables
    from hpsearch.console.display import TerminalDisplay
    from hpsearch.run import session
    from hpsearch.training import backend as backends
    from hpsearch.training import engines

    arguments.refuse_idle(options["ray"], inline=options["inline"])
    chosen = backends.choose(options["backend"])  # first: the study file may import Keras
    engines.check(options["engine"], chosen)
    file = arguments.study_file(study, store_path)
    workers = session.Workers(
        per_device=None if options["per_device"] == "auto" else options["per_device"],
        **{
            name: options[name]
            for name in ("devices", "timeout", "recycle", "inline", "ray", "gpus_per_worker")
        },
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
        checkpoints=options["checkpoints"],
        **{name: options[name] for name in ("engine", "together", "keep", "repeats", "finalists")},
    )
    with redirect_stdout(sys.stderr) if as_json else nullcontext():
        display = TerminalDisplay(tables.silence() if quiet else console)
        ended = session.run(load(file, overrides), how, display)
    if ended.stopped:
        raise KeyboardInterrupt
    if ended.ranking:
        tables.show(console, tables.ranking(ended.ranking, top=10))
    tables.show(console, tables.failures(ended.failures))
    if as_json:
        click.echo(json.dumps([row.to_json() for row in ended.ranking]))
    return 1 if ended.all_failed else 0


@click.command()
@click.argument("study", shell_complete=completing.studies)
@arguments.overrides
@arguments.budget
@arguments.store
@arguments.as_json
def plan(study: str, store_path: Path | Url, as_json: bool, **options: Any) -> None:
    """Say what a run will take, before it is spent: brackets, rungs, trials and epochs.

    Where trials of the study were timed before, also how long, and what fits into --hours: in JSON
    the seconds for one worker, and the share that fits into --hours and --total-epochs. A search
    that is too long to count is counted in part ("complete" is false then).
    """
    from hpsearch.console import tables
    from hpsearch.searchers.base import rehearse

    loaded = load(arguments.study_file(study, store_path), arguments.overridden(options))
    takes = rehearse(loaded.searcher, loaded.space, seed=loaded.seed, first=loaded.start)
    pace = None
    with suppress(NoStoreError, OldStoreError), Store(store_path) as store:
        pace = stores.measure_pace(store, loaded.name)
    budget = Budget(options["hours"], options["total_epochs"])
    tables.show(tables.console(stderr=as_json), tables.plan(loaded, takes, budget, pace))
    if as_json:
        seconds = None if pace is None else takes.epochs * pace[1]
        brackets = [[asdict(rung) for rung in bracket] for bracket in takes.brackets]
        fits = budget.fits(takes.epochs, seconds) if takes.complete else None
        more = {"seconds": seconds, "fits": fits}
        click.echo(json.dumps({**takes.totals, "brackets": brackets, **more}))
