"""A search in training: ask -> journal -> submit -> wait -> journal -> tell."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from hpsearch.core.errors import StudyError
from hpsearch.core.task import Metric
from hpsearch.core.trial import Every, Failure, Job, Outcome, Pause, Suggestion
from hpsearch.run.checkpoints import Checkpoints
from hpsearch.run.driver import Driver
from hpsearch.run.pacing import Pace
from hpsearch.run.replay import Progress, observe
from hpsearch.searchers import Search
from hpsearch.store import Journal

_HOPELESS = 20  # first trials that fail the same way: the study is at fault, not its points


@dataclass(slots=True)
class Loop:
    """One run of a search, from where `progress` says it stands.

    Args:
        checkpoint_every: how often a trial leaves a checkpoint on its way.
        epochs: how many this run may train over all trials; None: as many as the search wants.
        pace: whether a trial would end before the deadline; others are not begun.
    """

    search: Search
    journal: Journal
    progress: Progress
    driver: Driver
    metric: Metric
    checkpoints: Checkpoints
    checkpoint_every: Every = Every()
    epochs: int | None = None
    pace: Pace = field(default_factory=Pace)
    _waiting: list[int] = field(default_factory=list)  # asked for, and not submitted yet
    _interrupted: list[int] = field(default_factory=list)
    _running: Collection[Job] = ()
    _spent: int = 0
    _done: bool = False
    _failures: list[Failure | None] = field(default_factory=list)

    def run(self) -> bool:
        """Go on until the search is done and nothing runs, or it is stopped.

        Returns whether the search is done. Raises StudyError where the first trials all fail the
        same way.
        """
        for trial in self.progress.running:
            self._spent += self._epochs_to_train(trial)
        self._waiting = list(self.progress.running)  # asked before, and never told
        end = self.driver.run(self)
        done = self._done and end != "given up" and not self._interrupted and not self._waiting
        if done:  # a larger search may yet continue some; then it trains them again
            self.checkpoints.tidy([], lambda trial: False)
        return done

    def next_jobs(self, running: Collection[Job]) -> Sequence[Job]:
        """Ask for as many trials as the executor can take and as end in time."""
        self._running = running
        executor, should_stop = self.driver.executor, self.driver.should_stop
        chosen: list[int] = []
        answer: Suggestion | Pause = Pause.WAIT
        while len(running) + len(chosen) < executor.capacity and not should_stop():
            if not self._waiting:
                if self.epochs is not None and self._spent >= self.epochs:
                    answer = Pause.WAIT
                    break
                answer = self._ask()
                if isinstance(answer, Pause):
                    break
            if not self._ends_in_time(self._waiting[0], chosen):
                answer = Pause.WAIT
                break
            chosen.append(self._waiting.pop(0))
        self._done = answer is Pause.DONE
        if chosen:
            self.pace.begin()
        return [self._job(trial) for trial in chosen]

    def _ask(self) -> Suggestion | Pause:
        trial = len(self.progress.asked)
        answer = self.search.ask(trial)
        id_ = self.journal.append_answer(trial, answer)  # before anything acts on it
        if isinstance(answer, Suggestion):
            assert id_ is not None
            self.progress.asked[trial], self.progress.ids[trial] = answer, id_
            self._spent += self._epochs_to_train(trial)
            self._waiting.append(trial)
        return answer

    def _ends_in_time(self, trial: int, chosen: Sequence[int]) -> bool:
        """Whether a trial would end before the deadline, beside what runs and begins with it."""
        others = [*(job.trial for job in self._running), *chosen]
        return self.pace.allows(
            [self._epochs_to_train(other) for other in others], self._epochs_to_train(trial)
        )

    def _epochs_to_train(self, trial: int) -> int:
        """The epochs that a trial trains, beyond its parent's."""
        return self.progress.asked[trial].epochs - self.progress.begun(trial)

    def _job(self, trial: int) -> Job:
        suggestion = self.progress.asked[trial]
        return Job(
            suggestion.params,
            suggestion.epochs,
            self.progress.begun(trial),
            checkpoint_in=None
            if suggestion.parent is None
            else self.checkpoints.of(suggestion.parent),
            checkpoint_out=self.checkpoints.of(trial),
            checkpoint_every=self.checkpoint_every,
            trial=trial,
        )

    def job_interrupted(self, job: Job) -> None:
        self._interrupted.append(job.trial)

    def job_ended(self, job: Job, outcome: Outcome) -> None:
        trial = job.trial
        self.journal.append_outcome(trial, outcome)
        suggestion = self.progress.asked[trial]
        self.driver.display.trial_ended(self.progress.ids[trial], suggestion, outcome)
        observation = observe(outcome, self.progress.begun(trial), self.metric)
        self.search.tell(trial, observation)
        if outcome.score is not None:
            self.pace.end(self._epochs_to_train(trial), outcome.seconds)
        self.checkpoints.ended(trial, observation.loss)
        running = [other.trial for other in self._running]
        unfinished = [*running, *self._interrupted, *self._waiting]
        parents = [self.progress.asked[t].parent for t in unfinished]
        self.checkpoints.tidy([*unfinished, *parents], self.search.continuable)
        self._give_up_if_hopeless(outcome)

    def _give_up_if_hopeless(self, outcome: Outcome) -> None:
        if len(self._failures) == _HOPELESS:
            return
        self._failures.append(outcome.failure)
        first = self._failures[0]
        alike = (
            first is not None
            and first.kind != "failed"
            and all(
                f is not None and (f.kind, f.message) == (first.kind, first.message)
                for f in self._failures
            )
        )
        if alike and len(self._failures) == _HOPELESS and not self.journal.count_complete():
            assert first is not None
            raise StudyError(
                f"the first {_HOPELESS} trials all failed with {first.kind}: {first.message}; mend "
                "the study and start over with --fresh, or see the traceback by: hpsearch show "
                f"{min(self.progress.ids.values())}"
            )
