"""One run of a study: find or begin its search in the store, go on with it, rank."""

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from hpsearch.core.errors import NoStoreError, OldStoreError
from hpsearch.core.files import marked, shown
from hpsearch.core.plan import Budget
from hpsearch.core.seeds import derive
from hpsearch.core.trial import Every, Facts, Outcome
from hpsearch.executors import Executor, Inline, Processes, RayCluster, Work, find_devices
from hpsearch.run import worker
from hpsearch.run.checkpoints import Checkpoints
from hpsearch.run.display import Display
from hpsearch.run.driver import Driver
from hpsearch.run.load import Overrides
from hpsearch.run.loop import Loop
from hpsearch.run.pacing import Pace
from hpsearch.run.progress_writer import ProgressWriter
from hpsearch.run.repeats import Repeats
from hpsearch.run.replay import Progress, changes, record_of, refuse_changes, replay
from hpsearch.run.signals import Stop, open_in_time
from hpsearch.run.study import Study
from hpsearch.searchers.base import rehearse
from hpsearch.store import (
    Heartbeat,
    Journal,
    RankedTrial,
    RunEnd,
    SearchRecord,
    Store,
    Url,
    folder_beside,
    has_store,
    monitor_search,
    rank_searches,
    study_lock,
)
from hpsearch.training import sharing


@dataclass(frozen=True, slots=True)
class Workers:
    """Who trains. devices, per_device (None: as many as fit), timeout (seconds a trial may take),
    recycle (trials after which a worker is replaced): as `hpsearch.executors.Processes` has them.
    inline: this process trains instead. ray: a Ray cluster's address does, with gpus_per_worker as
    `hpsearch.executors.RayCluster` has it.
    """

    devices: str = "auto"
    per_device: int | None = 1
    timeout: float | None = None
    recycle: int | None = 200
    inline: bool = False
    ray: str | None = None
    gpus_per_worker: float | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """Where and how a study runs; all that the study itself does not say.

    engine: as `hpsearch.training.engines` has it. together: trials that a worker trains side by side,
    at most; None: as many as the searcher can have in flight without harm.
    checkpoints: the folder, or what acts as one, that they lie in; None: beside the store.
    keep: how many of the best trials keep their checkpoints. every: how often one is left within
    a trial. repeats: trainings by fresh seeds that the best `finalists` get in the end.
    """

    file: Path
    store: Path | Url
    overrides: Overrides
    backend: str
    engine: str = "auto"
    together: int | None = None
    fresh: bool = False
    workers: Workers = field(default_factory=Workers)
    budget: Budget = field(default_factory=Budget)
    every: Every = field(default_factory=Every)
    checkpoints: Path | None = None
    keep: int = 3
    repeats: int = 0
    finalists: int = 3


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run ended. ranking: of all trials its own compare with; failures: its own trials'.

    stopped: by a signal.
    """

    ranking: list[RankedTrial]
    failures: list[str]
    all_failed: bool
    stopped: bool


def run(study: Study, how: Run, display: Display) -> RunResult:
    """Search until the searcher is done, or the budget spent, or a signal asks to stop.

    Nothing is written before the study was tried. Raises HpsearchError where the study cannot
    work or is not what it was, and KeyboardInterrupt when stopped at once; what was told by then
    is in the store.
    """
    stop = Stop(how.budget.hours)  # from now on: loading and trying the study is part of it
    planned = rehearse(study.searcher, study.space, seed=study.seed, first=study.start)
    if not how.fresh:  # tell what can be told before Keras is loaded
        with suppress(NoStoreError, OldStoreError), Store(how.store) as store:
            record = record_of(study, how.file, Facts("", "", how.backend, {}))
            refuse_changes(record, store.searches(study.name))
    with ExitStack() as opened:
        lock = study_lock(how.store, study.name, display.say)
        # Where there is no store yet, there is nothing that another run may use.
        if store_exists := has_store(how.store):
            fence = opened.enter_context(lock)
        executor = _executor(study, how, opened)
        facts = open_in_time(executor, stop)
        record = record_of(study, how.file, facts)
        if facts.remark:
            display.say(facts.remark)
        if not store_exists:
            fence = opened.enter_context(lock)
        store = opened.enter_context(Store(how.store, create=True, fence=fence, say=display.say))
        journal = _find_or_begin(store, record, display.say, how)
        heartbeat = Heartbeat(store, journal.search, planned, how.budget, executor.capacity)
        monitor = monitor_search(store, journal.search)
        watching = display.watch(monitor, study.task.objective, planned.trials_text)
        with heartbeat, watching:
            writer = ProgressWriter(heartbeat, display.refresh, display.say)
            executor.listen(writer)
            driver = Driver(executor, display, stop, stop.overdue, writer.poll)
            heartbeat.end = _search(study, store, journal, driver, how, stop)
        _say_the_rest(display.say, how, heartbeat.end, _checkpoints(how, store, journal))
        return _result(store, record, journal, stopped=heartbeat.end == "stopped")


def _executor(study: Study, how: Run, opened: ExitStack) -> Executor:
    workers = how.workers
    training = worker.Training(how.backend, how.engine, how.together or study.searcher.in_flight)
    # On Ray, workers run in a copy of the study's folder.
    file = how.file.resolve() if workers.ray is None else Path(how.file.name)
    prepare = partial(worker.prepare, file, how.overrides, training)
    if workers.inline:
        executor: Executor = Inline(prepare)
    elif workers.ray is not None:
        mark = opened.enter_context(marked(_folder(how)))
        executor = _on_ray(study, how, partial(prepare, mark=mark))
    else:
        devices = find_devices(workers.devices)
        if workers.per_device != 1 or len(devices) > 1:
            prepare = partial(prepare, shared=opened.enter_context(sharing.folder()))
        executor = Processes(
            prepare,
            devices,
            workers.per_device,
            timeout=workers.timeout,
            recycle=workers.recycle,
            prepare_without_models=partial(prepare, try_points=False),
        )
    opened.callback(executor.close)
    return executor


def _on_ray(study: Study, how: Run, prepare: Callable[..., tuple[Facts, Work]]) -> Executor:
    """Nodes need none of the study's files: they get its folder, and the rows without the test's."""
    workers = how.workers
    assert workers.ray is not None
    rows = replace(study.task.load(), x_test=None, y_test=None)
    return RayCluster(
        partial(prepare, shared=rows),
        workers.ray,
        workers.gpus_per_worker,
        folder=how.file.resolve().parent,
        timeout=workers.timeout,
        recycle=workers.recycle,
    )


def _search(
    study: Study, store: Store, journal: Journal, driver: Driver, how: Run, stop: Stop
) -> RunEnd:
    """Go on with the search until it ends."""
    metric = study.task.objective
    search = study.searcher.start(study.space, seed=derive(study.seed, "search"), first=study.start)
    checkpoints = _checkpoints(how, store, journal)

    def take_told(trial: int, id_: int, outcome: Outcome) -> None:
        driver.display.count_trial(id_, outcome)
        checkpoints.ended(trial, metric.loss(outcome.score.value) if outcome.score else None)

    progress = replay(search, journal.events(), metric, take_told)
    if told := len(progress.asked) - len(progress.running):
        driver.display.say(f"continuing after {told} trials")
    with _show_decisions(driver.display.say), stop:
        done = Loop(
            search,
            journal,
            progress,
            driver,
            metric,
            checkpoints,
            how.every,
            how.budget.epochs,
            Pace(stop.seconds_left),
        ).run()
        if done and how.repeats:
            done = Repeats(
                how.repeats,
                how.finalists,
                partial(_best, store, journal, progress),
                journal,
                progress,
                driver,
                study.evaluator,
                metric,
                checkpoints.folder,
                how.every,
            ).run()
        return "done" if done else "stopped" if stop.signalled else "budget spent"


@contextmanager
def _show_decisions(say: Callable[[str], None]) -> Iterator[None]:
    """Show what search methods log of their decisions, as promotions and new bests."""
    log, handler = logging.getLogger("hpsearch.searchers"), logging.Handler(logging.INFO)
    handler.emit = lambda record: say(record.getMessage())  # type: ignore[method-assign]
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)


def _say_the_rest(
    say: Callable[[str], None], how: Run, end: RunEnd, checkpoints: Checkpoints
) -> None:
    if end == "budget spent":
        budget = how.budget
        spent = [f"{budget.hours:g} hours"] if budget.hours is not None else []
        spent += [f"{budget.epochs} epochs"] if budget.epochs is not None else []
        say(f"the {' or '.join(spent)} are spent; the same command goes on with what is left")
    if size := checkpoints.size:
        say(f"checkpoints: {size / 1e6:.1f} MB in {shown(checkpoints.folder)}")


def _best(store: Store, journal: Journal, progress: Progress) -> list[int]:
    """The numbers of a search's trials, best first."""
    numbers = {id_: trial for trial, id_ in progress.ids.items()}
    return [
        numbers[row.trial] for row in rank_searches(store, [journal.search]) if row.trial in numbers
    ]


def _checkpoints(how: Run, store: Store, journal: Journal) -> Checkpoints:
    # By the store's name too: several stores may lie in one folder.
    return Checkpoints(_folder(how) / f"{store.name}-{journal.search}", how.keep)


def _folder(how: Run) -> Path:
    # Absolute, because workers may run in another folder.
    return how.checkpoints or folder_beside(how.store).absolute() / "checkpoints"


def _find_or_begin(
    store: Store, record: SearchRecord, say: Callable[[str], None], how: Run
) -> Journal:
    earlier = store.searches(record.study)
    same = [search for search in earlier if search.key == record.key]
    stale = [s for s in earlier if s in same or changes(record, s)] if how.fresh else []
    if not how.fresh:
        refuse_changes(record, earlier)
    if how.fresh or not same:
        journal = store.begin_search(record, instead_of=stale)
    else:
        if same[-1].source != record.source:
            say(
                f"{record.file} was edited since this search began: its earlier trials are of the "
                "older text; --fresh starts over"
            )
        journal = store.journal(same[-1].id)
    if not len(journal):  # also where a run was killed before it came to this line
        _checkpoints(how, store, journal).clear()  # of a store that lay here before and was deleted
    return journal


def _result(store: Store, record: SearchRecord, journal: Journal, *, stopped: bool) -> RunResult:
    alike = [search.id for search in store.searches() if search.comparison == record.comparison]
    failures = journal.failures()
    all_failed = bool(failures) and not journal.count_complete()
    return RunResult(rank_searches(store, alike), failures, all_failed, stopped)
