"""One run of a search: ask -> journal -> submit -> wait -> journal -> tell."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hpsearch.core.errors import StudyError, without_numbers
from hpsearch.core.metric import Metric
from hpsearch.core.space import Params
from hpsearch.core.trial import CheckpointInterval, Failure, Job, Outcome, Pause, Suggestion
from hpsearch.runs.checkpoints import SearchCheckpoints
from hpsearch.runs.deadline import DeadlineEstimate
from hpsearch.runs.driver import Driver
from hpsearch.runs.in_flight import InFlight
from hpsearch.runs.replay import SearchState
from hpsearch.searchers import Search
from hpsearch.store import Journal, Url
from hpsearch.store.command_text import command_text

LogTrial = Callable[[int, int | None, Suggestion, Outcome], None]
"""Called with a trial's id and its parent's, what was asked for, and how it ended."""

# If so many trials fail in the same way from the beginning, the study is at fault, not its points.
_SAME_FAILURES = 20


@dataclass(slots=True)
class Loop:
    """The trials of a search as jobs for a driver, from where `state` says the search stands.

    Args:
        checkpoint_every: how often a trial leaves a checkpoint before its end.
        most_epochs: how many this run may train over all trials; None: as many as the search wants.
        in_flight: says how many trials to have in flight.
        deadline: says whether a trial would end in time; trials that would not are not begun.
        log_trial: called after each trial that ended, once the journal has it.
        stop_at_failure: whether the first trial that fails ends the run, by StudyError.
        place: of the store, for commands; None: it is in memory.
    """

    search: Search
    journal: Journal
    state: SearchState
    driver: Driver
    metric: Metric
    checkpoints: SearchCheckpoints
    checkpoint_every: CheckpointInterval = CheckpointInterval()
    most_epochs: int | None = None
    in_flight: InFlight = field(default_factory=InFlight)
    deadline: DeadlineEstimate = field(default_factory=DeadlineEstimate)
    log_trial: LogTrial | None = None
    stop_at_failure: bool = False
    place: Path | Url | None = None
    _waiting: list[int] = field(default_factory=list)  # in the journal, and not submitted yet
    _interrupted: list[int] = field(default_factory=list)
    _running: Collection[Job] = ()
    _epochs_begun: int = 0
    _done: bool = False
    _failures: list[Failure | None] = field(default_factory=list)

    def run(self) -> bool:
        """Go on until the search is done and nothing runs, or the run is stopped.

        Returns whether the search is done. Raises StudyError where the first trials all fail in the
        same way.
        """
        # Trials that an earlier run left without an outcome come first.
        self._waiting = list(self.state.unfinished)
        end = self.driver.run(self)
        done = self._done and end != "given up" and not self._interrupted and not self._waiting
        if done:  # no checkpoint is needed any more; a larger search trains again what it continues
            self.checkpoints.delete_unneeded([], lambda trial: False)
        return done

    def next_jobs(self, running: Collection[Job]) -> Sequence[Job]:
        """Ask for as many trials as should be in flight and would end in time."""
        self._running = running
        executor, should_stop = self.driver.executor, self.driver.should_stop
        chosen: list[int] = []
        answer: Suggestion | Pause = Pause.WAIT
        before = len(running) + len(self._waiting)
        new = self.in_flight.count_new(before, executor.workers, executor.together)
        most = len(self._waiting) + new
        while len(chosen) < most and not should_stop():
            spent = self.most_epochs is not None and self._epochs_begun >= self.most_epochs
            # With all epochs spent it is only asked whether it is done, once all trials have ended.
            going_on = running or chosen or self._interrupted
            if not self._waiting and not (spent and going_on):
                answer = self._ask_next()
                if isinstance(answer, Pause):
                    break
            if spent or not self._would_end_in_time(self._waiting[0], chosen):
                answer = Pause.WAIT
                break
            trial = self._waiting.pop(0)
            self._epochs_begun += self.state.epochs_to_train(trial)
            chosen.append(trial)
        self._done = answer is Pause.DONE
        if chosen:
            self.deadline.record_start()
        return [self._make_job(trial) for trial in chosen]

    def _ask_next(self) -> Suggestion | Pause:
        trial = len(self.state.suggestions)
        answer = self.search.ask(trial)
        id_ = self.journal.append_answer(trial, answer)  # before anything acts on it
        if isinstance(answer, Suggestion):
            assert id_ is not None
            self.state.suggestions[trial], self.state.ids[trial] = answer, id_
            self._waiting.append(trial)
        return answer

    def _would_end_in_time(self, trial: int, chosen: Sequence[int]) -> bool:
        """Whether a trial would end before the deadline, beside what runs and begins with it."""
        others = [*(job.trial for job in self._running), *chosen]
        return self.deadline.allows(
            [self.state.epochs_to_train(other) for other in others],
            self.state.epochs_to_train(trial),
        )

    def _make_job(self, trial: int) -> Job:
        suggestion = self.state.suggestions[trial]
        return Job(
            suggestion.params,
            suggestion.epochs,
            self.state.start_epoch(trial),
            checkpoint_in=None
            if suggestion.parent is None
            else self.checkpoints.folder_of(suggestion.parent),
            checkpoint_out=self.checkpoints.folder_of(trial),
            checkpoint_every=self.checkpoint_every,
            trial=trial,
            seconds_left=self.deadline.seconds_left(),
        )

    def record_interruption(self, job: Job) -> None:
        self._interrupted.append(job.trial)

    def record_outcome(self, job: Job, outcome: Outcome) -> None:
        trial = job.trial
        # The journal comes first: what follows can be derived from it again.
        self.journal.append_outcome(trial, outcome)
        suggestion = self.state.suggestions[trial]
        self.driver.display.show_trial(self.state.ids[trial], suggestion, outcome)
        observation = self.state.tell(self.search, trial, outcome, self.metric)
        if outcome.score is not None:
            self.deadline.record_end(self.state.epochs_to_train(trial), outcome.seconds)
        # Only after the search was told does it know which trials it may still continue.
        self.checkpoints.record_result(trial, observation.loss)
        running = [other.trial for other in self._running]
        unfinished = [*running, *self._interrupted, *self._waiting]
        parents = [self.state.suggestions[t].parent for t in unfinished]
        self.checkpoints.delete_unneeded([*unfinished, *parents], self.search.continuable)
        if self.log_trial is not None:
            parent = None if suggestion.parent is None else self.state.ids[suggestion.parent]
            self.log_trial(self.state.ids[trial], parent, suggestion, outcome)
        if self.stop_at_failure and outcome.failure is not None:
            raise StudyError(describe_failed_trial(suggestion.params, outcome.failure))
        self._refuse_equal_failures(outcome)

    def _refuse_equal_failures(self, outcome: Outcome) -> None:
        """Raise StudyError where the first trials of the search all failed in the same way."""
        if len(self._failures) == _SAME_FAILURES:
            return
        self._failures.append(outcome.failure)
        first = self._failures[0]
        alike = (
            first is not None
            and first.kind != "failed"
            and all(
                f is not None
                and f.kind == first.kind
                and without_numbers(f.message) == without_numbers(first.message)
                for f in self._failures
            )
        )
        if alike and len(self._failures) == _SAME_FAILURES and not self.journal.count_complete():
            assert first is not None
            said = (
                f"the first {_SAME_FAILURES} trials all failed with {first.kind}: {first.message}"
            )
            if self.place is None:
                raise StudyError(f"{said}; correct the study")
            trial = str(min(self.state.ids.values()))
            raise StudyError(
                f"{said}; correct the study and start over with --fresh, or see the traceback by: "
                + command_text("show", trial, self.place)
            )


def describe_failed_trial(params: Params, failure: Failure) -> str:
    """One line that says which point failed, and how."""
    return f"the trial of {dict(params)} failed with {failure.kind}: {failure.message}"
