"""One run of a study: try it, find or begin its search in the store, continue it, rank."""

import math
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from hpsearch.core.files import format_bytes, hide_secrets
from hpsearch.core.plan import Budget
from hpsearch.core.trial import ProgressReport
from hpsearch.executors import Executor, LentSlots
from hpsearch.runs.baseline_process import BaselineProcess, train_beside
from hpsearch.runs.checkpoints import SearchCheckpoints
from hpsearch.runs.continue_search import SearchRun
from hpsearch.runs.disk import checkpoint_folder
from hpsearch.runs.display import Display
from hpsearch.runs.driver import Driver
from hpsearch.runs.find_search import find_or_begin_search, match_with_store
from hpsearch.runs.identity import make_search_record
from hpsearch.runs.live_log import LiveLog
from hpsearch.runs.make_executor import make_executor
from hpsearch.runs.options import RunOptions
from hpsearch.runs.progress_writer import ProgressWriter
from hpsearch.runs.signals import StopCondition, open_in_time
from hpsearch.runs.study import StudyDefinition
from hpsearch.searchers.base import plan_search
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
        study: its name in the store; None where none was begun.
    """

    ranking: list[RankedTrial]
    failures: list[str]
    all_failed: bool
    end: RunEnd
    search: int | None
    study: str | None = None

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
    # Its hours count from here: they include loading and trying the study.
    grace = math.inf if options.began is None else _SWEEP_GRACE
    stop = StopCondition(options.budget.hours, options.began, grace)
    # Refuse what can be refused before Keras is loaded.
    planned = plan_search(
        study.searcher,
        study.space,
        seed=study.seed,
        first=study.first_points,
        seconds=_SECONDS_TO_COUNT,
    )
    study = match_with_store(study, options)
    with ExitStack() as opened:
        live_log = opened.enter_context(LiveLog(options.log, display.show_line, stop.seconds_left))
        # A lock beside the store: a study has one run at a time. Where there is no store yet, the
        # lock is taken after the study was tried, because nothing is written before.
        lock = study_lock(options.store, study.name, display.show_line)
        if store_exists := has_store(options.store):
            fence = opened.enter_context(lock)
        # Open the executor, which tries the study.
        executor = make_executor(study, options, opened, lent)
        facts = open_in_time(executor, stop)
        record = make_search_record(
            study, options.file, facts, options.source, is_kept=options.is_kept
        )
        if facts.remark:
            display.show_line(facts.remark)
        if not store_exists:
            fence = opened.enter_context(lock)
        # Find the search in the store, or begin it.
        store = opened.enter_context(
            Store(options.store, create=True, fence=fence, say=display.show_line)
        )
        journal = find_or_begin_search(store, study, record, options, display.show_line)
        checkpoints = _find_checkpoints(store, journal, options)
        # Continue the search, and show it.
        heartbeat = Heartbeat(
            store,
            journal.search,
            planned,
            options.budget,
            executor.workers,
            options.overrides.given,
            has_test=facts.has_test,
        )
        monitor = monitor_search(store, journal.search)
        shown_search = display.show_search(monitor, study.task.objective, planned.exact_trials)
        beside = opened.enter_context(
            train_beside(study, options, store, journal.search, display.show_line)
        )
        with heartbeat, shown_search:
            driver = _make_driver(executor, heartbeat, live_log, display, stop, beside)
            # The pace of a run whose devices are lent is that of the time when it holds some.
            clock = lent.clock if lent is not None else time.monotonic
            search = SearchRun(
                study, options, store, journal, checkpoints, driver, live_log, stop, clock
            )
            heartbeat.end = search.run()
        executor.close()  # its devices are free while the run waits
        beside.wait(heartbeat.end, stop)
        _show_end(display.show_line, options.budget, heartbeat.end, checkpoints)
        return _make_result(store, record, journal, heartbeat.end)


def _find_checkpoints(store: Store, journal: Journal, options: RunOptions) -> SearchCheckpoints:
    """The checkpoints of a search, without those of an earlier store in its place."""
    # By the store's name too, because several stores may lie in one folder.
    checkpoints = SearchCheckpoints(
        checkpoint_folder(options.checkpoints_root, store.name, journal.search), options.keep
    )
    # A store that lay here before and was deleted may have left checkpoints. An empty journal,
    # not a new search, decides, because a run may be killed between the two.
    if not len(journal):
        checkpoints.clear()
    return checkpoints


def _make_driver(
    executor: Executor,
    heartbeat: Heartbeat,
    live_log: LiveLog,
    display: Display,
    stop: StopCondition,
    beside: BaselineProcess,
) -> Driver:
    """The driver of a run, whose progress goes to the store and to other tools."""
    writer = ProgressWriter(heartbeat, display.refresh, display.show_line)

    def report(reached: ProgressReport) -> None:
        live_log.sender.report(reached)
        writer(reached)

    def poll() -> None:
        live_log.sender.poll()
        writer.poll()
        beside.poll()

    executor.listen(report)
    return Driver(executor, display, stop.should_stop, stop.is_overdue, poll)


def _show_end(
    show_line: Callable[[str], None], budget: Budget, end: RunEnd, checkpoints: SearchCheckpoints
) -> None:
    if end == "budget spent":
        spent = [f"--hours {budget.hours:g}"] if budget.hours is not None else []
        spent += [f"--total-epochs {budget.epochs}"] if budget.epochs is not None else []
        show_line(f"budget spent ({' or '.join(spent)}); run the same command again to continue")
    if size := checkpoints.size:
        show_line(f"checkpoints: {format_bytes(size)} in {hide_secrets(checkpoints.folder)}")


def _make_result(store: Store, record: SearchRecord, journal: Journal, end: RunEnd) -> RunResult:
    alike = [search.id for search in store.searches() if search.comparison == record.comparison]
    failures = journal.failures()
    all_failed = bool(failures) and not journal.count_complete()
    return RunResult(
        rank_searches(store, alike), failures, all_failed, end, journal.search, record.study
    )
