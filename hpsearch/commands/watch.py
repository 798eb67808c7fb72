"""Show a search that another process runs."""

import json
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from hpsearch.commands import arguments, completion
from hpsearch.core.errors import StudyError
from hpsearch.core.option_text import did_you_mean
from hpsearch.core.rules import name_of_study
from hpsearch.store import SearchMonitor, SearchRecord, Store, Url, find_present_name

_POLL_SECONDS = 0.5


@click.command()
@click.argument("study", required=False, shell_complete=completion.complete_studies)
@arguments.store
@arguments.as_json
def watch(study: str | None, store_path: Path | Url, as_json: bool) -> None:
    """Show a search that another process runs: progress, time left, running trials, the best one.

    STUDY is the name or the file of a study. Without it, the search with the latest run is shown.
    This command only reads the store, and does not slow the search down. Outside a terminal it
    prints a line for each trial that ends. It ends when the run ends. --json prints the present
    state and ends.
    """
    from hpsearch.console import live, tables
    from hpsearch.store import monitor_search

    with Store(store_path) as store:
        watched = monitor_search(store, _find_search(store, study))
        console = tables.make_console(stderr=as_json)
        watched.refresh()
        if as_json:
            click.echo(json.dumps(_describe_state(watched)))
            return
        with live.Panel(console, watched) as panel:
            while watched.run is not None and watched.run.alive:
                panel.draw()
                time.sleep(_POLL_SECONDS)
                for text in _refresh_lines(watched):
                    console.print(text, markup=False, soft_wrap=True)
        width, height = console.size
        if console.is_terminal:
            console.print(live.build_picture(watched, width, height))
        else:
            click.echo(live.format_summary(watched))


def _find_search(store: Store, study: str | None) -> int:
    """The search with the latest run, of a study or of all."""
    from hpsearch.store import read_last_run

    searches = [record for record in store.searches() if not record.has_baselines]
    name = None if study is None else find_present_name(store, name_of_study(study), None)
    known = {record.study for record in searches}
    if name is not None and name not in known:
        raise StudyError(
            f"the store has no study {name!r}{did_you_mean(name, known)}; it has "
            f"{', '.join(sorted(known)) or 'none'}"
        )
    found = [record for record in searches if name in (None, record.study)]
    if not found:
        raise StudyError("the store has no study yet; run a study first")

    def run_order(record: SearchRecord) -> tuple[bool, int, int]:
        run = read_last_run(store, record.id)  # by their numbers, because clocks may be wrong
        return (run.alive, run.id, record.id) if run else (False, 0, record.id)

    return max(found, key=run_order).id


def _refresh_lines(watched: SearchMonitor) -> Iterator[str]:
    """Read what is new; yield a line for each trial that ended since, as `run` prints it."""
    from hpsearch.console.lines import format_best, format_result, format_tick, join_parts
    from hpsearch.core.parameters import point_text

    planned = watched.run.plan.exact_trials if watched.run else None
    before = watched.n_ended
    for number, ended in enumerate(watched.refresh(), before + 1):
        best = watched.best
        yield join_parts(
            f"{format_tick(number, planned)} trial {ended.trial}",
            format_result(watched.search.measure, ended.value, ended.se, ended.failure),
            ""
            if best is None or best.value is None
            else format_best(ended.trial, best.trial, best.value),
            f"{ended.seconds:.1f} s",
            point_text(ended.params),
        )


def _describe_state(watched: SearchMonitor) -> dict[str, Any]:
    """The state of a search now, as plain JSON."""
    from hpsearch.console.live import estimate_seconds_left
    from hpsearch.results.baseline_gain import describe_progress, read_gain

    search, run, now = watched.search, watched.run, time.time()
    gain = read_gain(watched.store, search)
    return {
        "study": search.study,
        "task": search.task,
        "searcher": search.searcher,
        "evaluator": search.evaluator,
        "metric": search.measure,
        "running_now": run is not None and run.alive,
        "ended": run.ended if run else None,
        "trials": watched.n_ended,
        "trials_planned": run.plan.trials if run else None,
        "plan_complete": run.plan.complete if run else None,
        "epochs": watched.epochs + watched.epochs_underway(),
        "epochs_left": watched.epochs_left(),
        "seconds_left": estimate_seconds_left(watched, now) if run and run.alive else None,
        "best": watched.best and asdict(watched.best),
        "baselines": describe_progress(watched.store, search),
        "over_baseline": gain and gain.to_json(),
        "running": [each.to_json() for each in watched.running],
        "waiting": [each.to_json() for each in watched.waiting],
        "rungs": [
            {"begins": begins, "epochs": epochs, "asked": rung.asked, "told": rung.ended}
            for (begins, epochs), rung in sorted(watched.rungs.items())
        ],
        "failures": dict(watched.failures),
    }
