"""One run of a study: find or begin its search in the store, continue it, rank."""

import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from hpsearch.core.errors import NoStoreError, OldStoreError, StudyError
from hpsearch.core.files import format_bytes, hide_secrets, leave_mark
from hpsearch.core.metric import Metric
from hpsearch.core.plan import Budget
from hpsearch.core.seeds import derive_seed
from hpsearch.core.trial import Facts, Outcome, ProgressReport, Suggestion
from hpsearch.executors import (
    Executor,
    Inline,
    LentSlots,
    Processes,
    RayCluster,
    Work,
    find_devices,
)
from hpsearch.runs import worker
from hpsearch.runs.call_times import FIRST
from hpsearch.runs.checkpoints import SearchCheckpoints
from hpsearch.runs.deadline import DeadlineEstimate
from hpsearch.runs.disk import checkpoint_folder
from hpsearch.runs.display import Display
from hpsearch.runs.driver import Driver
from hpsearch.runs.identity import (
    find_changes,
    find_epoch_seconds,
    find_first_points,
    make_search_record,
    refuse_changes,
    rename_as_in_store,
)
from hpsearch.runs.in_flight import InFlight
from hpsearch.runs.live_log import LiveLog
from hpsearch.runs.loop import Loop
from hpsearch.runs.options import RunOptions
from hpsearch.runs.progress_writer import ProgressWriter
from hpsearch.runs.repeats import Repeats
from hpsearch.runs.replay import SearchState, replay
from hpsearch.runs.sent_study import dump_study
from hpsearch.runs.signals import StopCondition, open_in_time
from hpsearch.runs.study import StudyDefinition
from hpsearch.runs.trial_logger import TrialLogger
from hpsearch.searchers.base import WeighsSeconds, plan_search
from hpsearch.store import (
    Heartbeat,
    Journal,
    RankedTrial,
    RunEnd,
    SearchRecord,
    Store,
    has_store,
    monitor_search,
    rank_searches,
    study_lock,
)
from hpsearch.training import sharing

_SWEEP_GRACE = 40.0  # seconds after the hours: several studies end within a minute of them
_SECONDS_TO_COUNT = 0.2  # of a search's trials: a run does not wait to know them all


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run ended.

    Args:
        ranking: of all trials that compare with this search's.
        failures: a message for each trial of this search that failed.
        all_failed: whether this search has trials and all of them failed.
        end: done, stopped by a signal, or at the end of its budget.
        search: its id in the store; None where none was begun.
    """

    ranking: list[RankedTrial]
    failures: list[str]
    all_failed: bool
    end: RunEnd
    search: int | None

    @property
    def was_stopped(self) -> bool:
        """Whether a signal stopped the run."""
        return self.end == "stopped"


def run_study(
    study: StudyDefinition,
    options: RunOptions,
    display: Display,
    lent: LentSlots | None = None,
) -> RunResult:
    """Search until the searcher is done, the budget is spent, or a signal asks to stop.

    Args:
        lent: the devices, where they are lent to this run; else those of the options are its own.

    Nothing is written before the study was tried. Raises HpsearchError where the study cannot work
    or has changed since its search began, and KeyboardInterrupt where a second signal stopped the
    run at once; trials that had ended by then are in the store.
    """
    grace = math.inf if options.began is None else _SWEEP_GRACE
    stop = StopCondition(
        options.budget.hours, options.began, grace
    )  # now: the hours include loading and trying
    # Refuse what can be refused before Keras is loaded.
    planned = plan_search(
        study.searcher,
        study.space,
        seed=study.seed,
        first=study.first_points,
        seconds=_SECONDS_TO_COUNT,
    )
    with suppress(NoStoreError, OldStoreError), Store(options.store) as store:
        study = rename_as_in_store(study, options.file, store)
        if not options.fresh:
            record = make_search_record(study, options.file, Facts("", "", options.backend, {}))
            refuse_changes(record, store.searches(study.name))
    with ExitStack() as opened:
        live_log = opened.enter_context(LiveLog(options.log, display.show_line, stop.seconds_left))
        # A lock beside the store: a study has one run at a time. Where there is no store yet, the
        # lock is taken after the study was tried, because nothing is written before.
        lock = study_lock(options.store, study.name, display.show_line)
        if store_exists := has_store(options.store):
            fence = opened.enter_context(lock)
            _refuse_renamed(study, options)  # just before the lock; from now on nobody can
        # Open the executor, which tries the study.
        executor = _make_executor(study, options, opened, lent)
        facts = open_in_time(executor, stop)
        record = make_search_record(study, options.file, facts, options.source)
        if facts.remark:
            display.show_line(facts.remark)
        if not store_exists:
            fence = opened.enter_context(lock)
        # Find the search in the store, or begin it.
        store = opened.enter_context(
            Store(options.store, create=True, fence=fence, say=display.show_line)
        )
        journal = _find_or_begin_search(
            store, record, study.task.recorded[1:], display.show_line, fresh=options.fresh
        )
        # By the store's name too, because several stores may lie in one folder.
        checkpoints = SearchCheckpoints(
            checkpoint_folder(options.checkpoints_root, store.name, journal.search), options.keep
        )
        # A store that lay here before and was deleted may have left checkpoints. An empty journal,
        # not a new search, decides, because a run may be killed between the two.
        if not len(journal):
            checkpoints.clear()
        # Continue the search, and show it.
        heartbeat = Heartbeat(store, journal.search, planned, options.budget, executor.workers)
        monitor = monitor_search(store, journal.search)
        shown_search = display.show_search(monitor, study.task.objective, planned.exact_trials)
        with heartbeat, shown_search:
            writer = ProgressWriter(heartbeat, display.refresh, display.show_line)

            def report(reached: ProgressReport) -> None:
                live_log.sender.report(reached)
                writer(reached)

            def poll() -> None:
                live_log.sender.poll()
                writer.poll()

            executor.listen(report)
            driver = Driver(executor, display, stop.should_stop, stop.is_overdue, poll)
            # The pace of a run whose devices are lent is that of the time when it holds some.
            clock = lent.clock if lent is not None else time.monotonic
            heartbeat.end = _continue_search(
                study, store, journal, checkpoints, driver, options, stop, clock, live_log
            )
        _show_end(display.show_line, options.budget, heartbeat.end, checkpoints)
        return _make_result(store, record, journal, heartbeat.end)


def _refuse_renamed(study: StudyDefinition, options: RunOptions) -> None:
    """Raise StudyError where the store has another name for a study by now.

    Else a second search would begin under the former name.
    """
    with suppress(OldStoreError), Store(options.store) as store:
        name = rename_as_in_store(study, options.file, store).name
        if name != study.name:
            raise StudyError(
                f"study {study.name} was renamed to {name} just now; the same command goes on with it"
            )


def _make_executor(
    study: StudyDefinition, options: RunOptions, opened: ExitStack, lent: LentSlots | None
) -> Executor:
    prepare = make_prepare(study, options)
    if options.inline:
        executor: Executor = Inline(prepare)
    elif options.ray is not None:
        mark = opened.enter_context(leave_mark(options.checkpoints_root))
        executor = _make_ray_cluster(study, options, partial(prepare, mark=mark))
    else:
        devices = find_devices(options.devices) if lent is None else lent.devices
        if options.per_device != 1 or len(devices) > 1:
            prepare = partial(prepare, shared=opened.enter_context(sharing.folder()))
        executor = Processes(
            prepare,
            devices,
            options.per_device,
            timeout=options.timeout,
            recycle=options.recycle,
            prepare_without_models=partial(prepare, try_points=False),
            lent=lent,
            in_flight=study.searcher.in_flight,
        )
    opened.callback(executor.close)
    return executor


def make_prepare(study: StudyDefinition, options: RunOptions) -> "partial[tuple[Facts, Work]]":
    """What each worker of a run calls first: it loads the study, and tries what the run will do.

    A study with a file is loaded from it. One without goes to the workers as it is; on Ray, whose
    nodes are other machines, it is refused by StudyError.

    The executor may add `shared`, `mark` and `try_points`, as `worker.prepare_from_file` has them.
    """
    how = (options.backend, options.engine, options.together)
    if options.file is not None:
        # On Ray, workers run in a copy of the study's folder.
        file = options.file.resolve() if options.ray is None else Path(options.file.name)
        return partial(worker.prepare_from_file, file, options.overrides, *how)
    if options.ray is not None:
        raise StudyError(
            f"study {study.name} has no file, and Ray's workers load studies from files; save it "
            "as a file that binds `study`, and run that, or leave ray= out"
        )
    if options.inline:
        return partial(worker.prepare_here, study, *how)
    return partial(worker.prepare_sent, dump_study(study), *how)


def _make_ray_cluster(
    study: StudyDefinition, options: RunOptions, prepare: Callable[..., tuple[Facts, Work]]
) -> Executor:
    """Nodes need no files: they get the study's folder, and the rows without the test's."""
    assert options.ray is not None
    assert options.file is not None  # as make_prepare demands
    rows = replace(study.task.load(), x_test=None, y_test=None)
    return RayCluster(
        partial(prepare, shared=rows),
        options.ray,
        options.gpus_per_worker,
        folder=options.file.resolve().parent,
        timeout=options.timeout,
        recycle=options.recycle,
    )


def _continue_search(
    study: StudyDefinition,
    store: Store,
    journal: Journal,
    checkpoints: SearchCheckpoints,
    driver: Driver,
    options: RunOptions,
    stop: StopCondition,
    clock: Callable[[], float],
    live_log: LiveLog,
) -> RunEnd:
    """Go on with the search, and then with repeats, until the run ends."""
    metric = study.task.objective
    begun = next(each for each in store.searches(study.name) if each.id == journal.search)
    search = study.searcher.start(
        study.space,
        seed=derive_seed(study.seed, "search"),
        first=find_first_points(study, begun),
    )
    if isinstance(search, WeighsSeconds):
        search.expect_epoch_seconds(find_epoch_seconds(begun))

    def count_ended(trial: int, id_: int, outcome: Outcome) -> None:
        driver.display.count_trial(id_, outcome)
        live_log.note_ended(trial, outcome)
        loss = metric.loss(outcome.score.value) if outcome.score else None
        checkpoints.record_result(trial, loss)

    state = replay(search, journal.events(), metric, count_ended)
    live_log.begin(begun, state)
    own_logger = TrialLogger(study, driver.display.show_line)

    def log_trial(id_: int, parent: int | None, asked: Suggestion, outcome: Outcome) -> None:
        live_log.log(id_, parent, asked, outcome)
        own_logger.log(id_, parent, asked, outcome)

    if ended := len(state.suggestions) - len(state.unfinished):
        driver.display.show_line(f"continuing after {ended} trials")
    with _show_decisions(driver.display.show_line), stop:
        done = Loop(
            search,
            journal,
            state,
            driver,
            metric,
            checkpoints,
            options.checkpoint_every,
            options.budget.epochs,
            InFlight(study.searcher.in_flight, options.together, state.times, state.asked_of_batch),
            DeadlineEstimate(stop.seconds_left, min(FIRST, driver.executor.together), clock),
            log_trial,
            options.stop_at_failure,
        ).run()
        if done and options.repeats:
            done = Repeats(
                options.repeats,
                options.finalists,
                partial(_rank_trials, store, journal, state),
                journal,
                state,
                driver,
                study.evaluator,
                metric,
                checkpoints.folder,
                options.checkpoint_every,
            ).run()
        return "done" if done else "stopped" if stop.is_signalled else "budget spent"


@contextmanager
def _show_decisions(show_line: Callable[[str], None]) -> Iterator[None]:
    """Show the decisions that search methods log, such as promotions and new bests."""
    log, handler = logging.getLogger("hpsearch.searchers"), logging.Handler(logging.INFO)
    handler.emit = lambda record: show_line(record.getMessage())  # type: ignore[method-assign]
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)


def _show_end(
    show_line: Callable[[str], None], budget: Budget, end: RunEnd, checkpoints: SearchCheckpoints
) -> None:
    if end == "budget spent":
        spent = [f"--hours {budget.hours:g}"] if budget.hours is not None else []
        spent += [f"--total-epochs {budget.epochs}"] if budget.epochs is not None else []
        show_line(f"budget spent ({' or '.join(spent)}); run the same command again to continue")
    if size := checkpoints.size:
        show_line(f"checkpoints: {format_bytes(size)} in {hide_secrets(checkpoints.folder)}")


def _rank_trials(store: Store, journal: Journal, state: SearchState) -> list[int]:
    """The numbers of a search's complete trials, best first."""
    numbers = {id_: trial for trial, id_ in state.ids.items()}
    return [
        numbers[row.trial] for row in rank_searches(store, [journal.search]) if row.trial in numbers
    ]


def _find_or_begin_search(
    store: Store,
    record: SearchRecord,
    metrics: Sequence[Metric],
    show_line: Callable[[str], None],
    *,
    fresh: bool,
) -> Journal:
    """The journal of the search that `record` describes.

    Args:
        metrics: those that are recorded beside the task's; earlier trials may have others.
        fresh: whether to begin a new search; it replaces earlier ones of this study.

    Raises StudyError where the study has changed since, unless the search is fresh.
    """
    earlier = store.searches(record.study)
    same = [search for search in earlier if search.key == record.key]
    if fresh:
        replaced = [s for s in earlier if s in same or find_changes(record, s)]
        return store.begin_search(record, instead_of=replaced, metrics=metrics)
    refuse_changes(record, earlier)
    if not same:
        return store.begin_search(record, metrics=metrics)
    if same[-1].source != record.source:
        show_line(
            f"{record.file or f'study {record.study}'} was edited since this search began: its earlier trials were trained by "
            "the older text; --fresh starts over"
        )
    return store.journal(same[-1].id, metrics)


def _make_result(store: Store, record: SearchRecord, journal: Journal, end: RunEnd) -> RunResult:
    alike = [search.id for search in store.searches() if search.comparison == record.comparison]
    failures = journal.failures()
    all_failed = bool(failures) and not journal.count_complete()
    return RunResult(rank_searches(store, alike), failures, all_failed, end, journal.search)
