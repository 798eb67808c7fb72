"""`run` and `plan` of several studies at once."""

import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hpsearch.core.errors import DeviceError
from hpsearch.core.plan import Budget
from hpsearch.runs.arguments import make_overrides
from hpsearch.store import Url

if TYPE_CHECKING:
    from rich.console import Console

    from hpsearch.results.baseline_gain import BaselineGain
    from hpsearch.runs.options import RunOptions

# What the functions below need is imported inside them, so that `--help` stays quick.


def run_several(
    files: Sequence[Path],
    weights: Sequence[float] | None,
    options: "RunOptions",
    console: "Console",
    *,
    quiet: bool,
    as_json: bool,
) -> int:
    """Run several studies at once; returns the command's exit code."""
    from hpsearch.console import findings, sweep_view, tables
    from hpsearch.results.baseline_gain import read_gains_of_searches
    from hpsearch.runs.sweep import run_sweep
    from hpsearch.runs.sweep_studies import make_sweep_studies
    from hpsearch.runs.sweep_summary import summarize_sweep

    studies = make_sweep_studies(files, weights)
    display = sweep_view.SweepTerminal(tables.make_silent_console() if quiet else console)
    with redirect_stdout(sys.stderr) if as_json else nullcontext():
        results = run_sweep(studies, options, display)
    if any(result.ending.was_stopped for result in results):
        raise KeyboardInterrupt
    summaries = summarize_sweep(options.store, results)
    searches = [each.search for each in summaries]
    gains = read_gains_of_searches(options.store, searches)
    gravest = {} if quiet else findings.describe_gravest(options.store, searches)
    tables.print_parts(console, sweep_view.describe_sweep(summaries, gains, gravest))
    if as_json:
        shown = [each.to_json() | _gain_to_json(gains, each.search) for each in summaries]
        click.echo(json.dumps({"studies": shown}))
    return 1 if any(result.failed for result in results) else 0


def _gain_to_json(gains: "Mapping[int, BaselineGain]", search: int | None) -> dict[str, Any]:
    """What a search brought over its baselines, by the name that other documents give it."""
    gain = None if search is None else gains.get(search)
    return {"over_baseline": None if gain is None else gain.to_json()}


def plan_several(
    files: Sequence[Path],
    weights: Sequence[float] | None,
    budget: Budget,
    store_path: Path | Url,
    options: Mapping[str, Any],
    *,
    as_json: bool,
) -> None:
    """Show what each of several studies takes, and what it gets of the devices."""
    from hpsearch.console import sweep_view, tables
    from hpsearch.runs.sweep_plan import plan_sweep
    from hpsearch.runs.sweep_studies import make_sweep_studies

    if not isinstance(options["per_device"], int):
        raise DeviceError("--per-device auto works for one study; give a number for several")
    planned = plan_sweep(
        make_sweep_studies(files, weights),
        make_overrides(options),
        budget,
        store_path,
        options["devices"],
        options["per_device"],
    )
    console = tables.make_console(stderr=as_json)
    tables.print_parts(console, sweep_view.describe_sweep_plan(planned, budget))
    if as_json:
        click.echo(json.dumps({"studies": [each.to_json() for each in planned]}))
