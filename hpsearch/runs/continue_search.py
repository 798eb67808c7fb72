"""Go on with a search from its journal, and then with repeats, until the run ends."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from hpsearch.core.seeds import derive_seed
from hpsearch.core.trial import Outcome, Suggestion
from hpsearch.runs.call_times import FIRST
from hpsearch.runs.checkpoints import SearchCheckpoints
from hpsearch.runs.deadline import DeadlineEstimate
from hpsearch.runs.driver import Driver
from hpsearch.runs.identity import find_epoch_seconds, find_first_points
from hpsearch.runs.in_flight import InFlight
from hpsearch.runs.live_log import LiveLog
from hpsearch.runs.loop import Loop
from hpsearch.runs.options import RunOptions
from hpsearch.runs.repeats import Repeats
from hpsearch.runs.replay import SearchState, replay
from hpsearch.runs.signals import StopCondition
from hpsearch.runs.study import StudyDefinition
from hpsearch.runs.trial_logger import TrialLogger
from hpsearch.searchers import Search
from hpsearch.searchers.base import WeighsSeconds
from hpsearch.store import Journal, RunEnd, SearchRecord, Store, rank_searches


@dataclass(frozen=True, slots=True)
class SearchRun:
    """A search in the store, and what a run needs to go on with it.

    Args:
        journal: the search's; the run goes on from its last event.
        stop: says when the run must end.
        clock: the seconds of the run by which its pace is measured.
    """

    study: StudyDefinition
    options: RunOptions
    store: Store
    journal: Journal
    checkpoints: SearchCheckpoints
    driver: Driver
    live_log: LiveLog
    stop: StopCondition
    clock: Callable[[], float]

    def run(self) -> RunEnd:
        """Replay the journal, then train until the search is done or the run must stop."""
        begun = self._read_record()
        search = self._start(begun)
        state = replay(search, self.journal.events(), self.study.task.objective, self._count_ended)
        self.live_log.begin(begun, state)
        if ended := len(state.suggestions) - len(state.unfinished):
            self.driver.display.show_line(f"continuing after {ended} trials")
        with _show_decisions(self.driver.display.show_line), self.stop:
            done = self._make_loop(search, state).run()
            if done and self.options.repeats:
                done = self._make_repeats(state).run()
            return "done" if done else "stopped" if self.stop.is_signalled else "budget spent"

    def _read_record(self) -> SearchRecord:
        """What the store keeps of the search since it began."""
        searches = self.store.searches(self.study.name)
        return next(each for each in searches if each.id == self.journal.search)

    def _start(self, begun: SearchRecord) -> Search:
        """A fresh search, which knows of no trial yet."""
        search = self.study.searcher.start(
            self.study.space,
            seed=derive_seed(self.study.seed, "search"),
            first=find_first_points(self.study, begun),
        )
        if isinstance(search, WeighsSeconds):
            search.expect_epoch_seconds(find_epoch_seconds(begun))
        return search

    def _count_ended(self, trial: int, id_: int, outcome: Outcome) -> None:
        """Count a trial that ended in an earlier run."""
        self.driver.display.count_trial(id_, outcome)
        self.live_log.note_ended(trial, outcome)
        loss = self.study.task.objective.loss(outcome.score.value) if outcome.score else None
        self.checkpoints.record_result(trial, loss)

    def _make_loop(self, search: Search, state: SearchState) -> Loop:
        options = self.options
        own_logger = TrialLogger(self.study, self.driver.display.show_line)

        def log_trial(id_: int, parent: int | None, asked: Suggestion, outcome: Outcome) -> None:
            self.live_log.log(id_, parent, asked, outcome)
            own_logger.log(id_, parent, asked, outcome)

        return Loop(
            search,
            self.journal,
            state,
            self.driver,
            self.study.task.objective,
            self.checkpoints,
            options.checkpoint_every,
            options.budget.epochs,
            InFlight(
                self.study.searcher.in_flight, options.together, state.times, state.asked_of_batch
            ),
            DeadlineEstimate(
                self.stop.seconds_left, min(FIRST, self.driver.executor.together), self.clock
            ),
            log_trial,
            options.stop_at_failure,
            options.store,
        )

    def _make_repeats(self, state: SearchState) -> Repeats:
        return Repeats(
            self.options.repeats,
            self.options.finalists,
            lambda: self._rank_trials(state),
            self.journal,
            state,
            self.driver,
            self.study.evaluator,
            self.study.task.objective,
            self.checkpoints.folder,
            self.options.checkpoint_every,
            self.stop.seconds_left,
        )

    def _rank_trials(self, state: SearchState) -> list[int]:
        """The numbers of the search's complete trials, best first."""
        numbers = {id_: trial for trial, id_ in state.ids.items()}
        ranking = rank_searches(self.store, [self.journal.search])
        return [numbers[row.trial] for row in ranking if row.trial in numbers]


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
