"""A search that runs elsewhere, as `run` shows it."""

import json
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from hpsearch.commands import arguments, completing
from hpsearch.core.errors import StudyError
from hpsearch.core.option_text import did_you_mean
from hpsearch.store import SearchMonitor, SearchRecord, Store, Url

_POLL = 0.5  # seconds between two looks


@click.command()
@click.argument("study", required=False, shell_complete=completing.studies)
@arguments.store
@arguments.as_json
def watch(study: str | None, store_path: Path | Url, as_json: bool) -> None:
    """Show a search while it runs elsewhere: what is spent and left, what trains, the best.

    STUDY is a study's name or file; without one, the search that was heard of last. It reads the
    store and delays nobody. Where no terminal is, every trial that ends gives a line. It ends with
    the run. --json gives how it stands now.
    """
    from hpsearch.console import live, tables
    from hpsearch.store import monitor_search

    with Store(store_path) as store:
        watched = monitor_search(store, _search(store, study))
        console = tables.console(stderr=as_json)
        watched.refresh()
        if as_json:
            click.echo(json.dumps(standing(watched)))
            return
        with live.Panel(console, watched) as panel:
            while watched.run is not None and watched.run.alive:
                panel.draw()
                time.sleep(_POLL)
                for text in _lines(watched):
                    console.print(text, markup=False, soft_wrap=True)
        width, height = console.size
        if console.is_terminal:
            console.print(live.picture(watched, width, height))
        else:
            click.echo(live.summary(watched))


def _search(store: Store, study: str | None) -> int:
    """The search of a study that was heard of last."""
    from hpsearch.store import read_last_run

    searches = store.searches()
    name = Path(study).stem if study is not None and study.endswith(".py") else study
    known = {record.study for record in searches}
    if name is not None and name not in known:
        raise StudyError(
            f"the store has no study {name!r}{did_you_mean(name, known)}; it has "
            f"{', '.join(sorted(known)) or 'none'}"
        )
    found = [record for record in searches if name in (None, record.study)]
    if not found:
        raise StudyError("the store has no study yet; run one")

    def last_heard(record: SearchRecord) -> tuple[bool, int, int]:
        # Runs are numbered in their order, whatever clocks say.
        run = read_last_run(store, record.id)
        return (run.alive, run.id, record.id) if run else (False, 0, record.id)

    return max(found, key=last_heard).id


def _lines(watched: SearchMonitor) -> Iterator[str]:
    """A line for each trial that ended since the last look, as `run` prints them."""
    from hpsearch.console.lines import line, result, said_best
    from hpsearch.core.parameters import text_of_point

    before = watched.n_ended
    for number, ended in enumerate(watched.refresh(), before + 1):
        of = f"/{watched.run.plan.trials_text}" if watched.run else ""
        best = watched.best
        yield line(
            f"[{number}{of}] trial {ended.trial}",
            result(watched.search.measure, ended.value, ended.se, ended.failure),
            said_best(ended.trial, best.trial, best.value) if best and best.value else "",
            f"{ended.seconds:.1f} s",
            text_of_point(ended.params),
        )


def standing(watched: SearchMonitor) -> dict[str, Any]:
    """How a search stands, as plain JSON."""
    from hpsearch.console.live import left_seconds

    search, run, now = watched.search, watched.run, time.time()
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
        "seconds_left": left_seconds(watched, now) if run and run.alive else None,
        "best": watched.best and asdict(watched.best),
        "running": [each.to_json() for each in watched.running],
        "waiting": [each.to_json() for each in watched.waiting],
        "rungs": [
            {"begins": begins, "epochs": epochs, "asked": rung.asked, "told": rung.ended}
            for (begins, epochs), rung in sorted(watched.rungs.items())
        ],
        "failures": dict(watched.failures),
    }
