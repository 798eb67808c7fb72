"""One run of a study: find or begin its search in the store, go on with it, rank."""

import json
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from hpsearch import loop, worker
from hpsearch.errors import NoStoreError
from hpsearch.executors import Executor, Inline, Processes
from hpsearch.load import Overrides
from hpsearch.options import identify
from hpsearch.replay import changes, refuse_changes, replay
from hpsearch.report.progress import Lines
from hpsearch.searchers.base import rehearse
from hpsearch.seeds import derive
from hpsearch.store import Journal, Ranked, SearchRecord, Store, owned, rankings
from hpsearch.study import Study
from hpsearch.trial import Facts

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True, slots=True)
class Run:
    """Where and how a study runs; all that the study itself does not say."""

    file: Path
    store: Path
    overrides: Overrides
    backend: str
    fresh: bool = False
    inline: bool = False


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended. ranking: of all trials its own compare with; failures: its own trials'."""

    ranking: list[Ranked]
    failures: list[str]
    all_failed: bool


def run(study: Study, how: Run, console: "Console") -> Ended:
    """Search until the searcher is done. Nothing is written before the study was tried.

    Raises HpsearchError where the study cannot work or is not what it was, and KeyboardInterrupt
    when stopped; what was told by then is in the store.
    """
    planned = rehearse(study.searcher, study.space, seed=study.seed, first=study.start)
    if not how.fresh:  # tell what can be told before Keras is loaded
        with suppress(NoStoreError), Store(how.store) as store:
            untried = _record(study, how.file, Facts("", "", how.backend, {}))
            refuse_changes(untried, store.searches(study.name))
    prepare = partial(worker.prepare, how.file.resolve(), how.overrides, how.backend)
    executor: Executor = Inline(prepare) if how.inline else Processes(prepare)
    with ExitStack() as opened:
        if there := how.store.exists():  # else there is no other run, nor a folder for its lock
            opened.enter_context(owned(how.store, study.name))
        opened.callback(executor.close)
        record = _record(study, how.file, executor.open())
        if not there:
            opened.enter_context(owned(how.store, study.name))
        store = opened.enter_context(Store(how.store, create=True))
        journal = _find_or_begin(store, record, console, fresh=how.fresh)
        _search(study, journal, executor, how.store.parent, console, planned.trials)
        return _ended(store, record, journal)


def _search(
    study: Study,
    journal: Journal,
    executor: Executor,
    folder: Path,
    console: "Console",
    planned: int,
) -> None:
    metric = study.task.objective
    seed = derive(study.seed, "search")
    search = study.searcher.start(study.space, seed=seed, first=study.start)
    checkpoints = folder / "checkpoints" / str(journal.search)
    with Lines(console, metric, planned) as lines:
        progress = replay(search, journal.events(), metric, lines.seen)
        if told := len(progress.asked) - len(progress.running):
            console.print(f"continuing after {told} trials")
        loop.run(
            search,
            journal,
            progress,
            executor,
            metric,
            lines,
            checkpoints if study.searcher.continues else None,
        )


def _record(study: Study, file: Path, facts: Facts) -> SearchRecord:
    task = study.task
    training = {
        "loss": identify(task.loss),
        "outputs": task.outputs,
        "preprocess": identify(task.preprocess),
        "patience": study.patience,
    }
    return SearchRecord(
        study=study.name,
        searcher=study.searcher.label,
        evaluator=study.evaluator.label,
        seed=study.seed,
        backend=facts.backend,
        task=task.name,
        measure=task.measure,
        direction=task.objective.direction,
        data=facts.data,
        space=json.dumps(study.space.to_json()),
        training=json.dumps(training),
        file=str(file.resolve()),
        source=file.read_text(encoding="utf-8", errors="replace"),
        versions=json.dumps(facts.versions),
    )


def _find_or_begin(
    store: Store, record: SearchRecord, console: "Console", *, fresh: bool
) -> Journal:
    earlier = store.searches(record.study)
    same = [search for search in earlier if search.key == record.key]
    if fresh:
        stale = [s for s in earlier if s in same or changes(record, s)]
        return store.begin(record, instead_of=stale)
    refuse_changes(record, earlier)
    if not same:
        return store.begin(record)
    if same[-1].source != record.source:
        console.print(
            f"{record.file} was edited since this search began: its earlier trials are of the "
            "older text; --fresh starts over",
            soft_wrap=True,
        )
    return store.journal(same[-1].id)


def _ended(store: Store, record: SearchRecord, journal: Journal) -> Ended:
    compared = (record.measure, record.evaluator, record.data)
    found = [
        ranking
        for ranking in rankings(store, record.task)
        if (ranking[0].measure, ranking[0].evaluator, ranking[0].data) == compared
    ]
    failures = journal.failures()
    return Ended(found[0] if found else [], failures, bool(failures) and not journal.complete())
