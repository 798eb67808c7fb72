"""ask -> journal -> submit -> wait -> journal -> tell."""

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from typing import Protocol

from hpsearch.checkpoints import Checkpoints
from hpsearch.errors import StudyError, without_numbers
from hpsearch.executors import Executor
from hpsearch.interrupt import Interrupted
from hpsearch.pacing import Pace
from hpsearch.replay import Progress, observe
from hpsearch.searchers import Search
from hpsearch.store import Journal
from hpsearch.task import Metric
from hpsearch.trial import Every, Failure, Job, Outcome, Pause, Suggestion

_POLL = 0.1  # seconds after which a wish to stop is seen
_HOPELESS = 20  # first trials that fail the same way: the study is at fault, not its points


class Listener(Protocol):
    """Who shows a running search. Ids are what people call trials by."""

    def ended(self, id_: int, suggestion: Suggestion, outcome: Outcome) -> None: ...
    def stopping(self, running: int) -> None: ...


@dataclass(slots=True)
class Loop:
    """One run of a search, from where `progress` says it stands.

    stopped: whether to ask for no more, and let what runs stop at its next checkpoint.
    epochs: how many this run may train over all trials; None: as many as the search wants.
    pace: whether a trial would end before the deadline; others are not begun.
    overdue: whether what was asked to stop, and did not yet, is to be given up.
    """

    search: Search
    journal: Journal
    progress: Progress
    executor: Executor
    metric: Metric
    listener: Listener
    checkpoints: Checkpoints
    every: Every = Every()
    stopped: Callable[[], bool] = lambda: False
    each_poll: Callable[[], None] = lambda: None
    epochs: int | None = None
    pace: Pace = field(default_factory=Pace)
    overdue: Callable[[], bool] = lambda: False
    _waiting: list[int] = field(default_factory=list)
    _running: dict["Future[Outcome]", int] = field(default_factory=dict)
    _interrupted: list[int] = field(default_factory=list)
    _spent: int = 0
    _failures: list[Failure | None] = field(default_factory=list)

    def run(self) -> bool:
        """Go on until the search is done and nothing runs, or it is stopped.

        Returns whether the search is done. Raises StudyError where the first trials all fail the
        same way.
        """
        for trial in self.progress.running:
            self._spent += self._to_train(trial)
        self._waiting = list(self.progress.running)  # asked before, and never told
        done = asked_to_stop = False
        while True:
            if self.stopped() and not asked_to_stop:
                asked_to_stop = True
                self.listener.stopping(len(self._running))
                self.executor.interrupt()
            if not asked_to_stop:
                done = self._ask()
            if asked_to_stop and self.overdue():
                self.executor.close()
                return False
            if not self._running:
                done = done and not self._interrupted and not self._waiting
                if done:  # a larger search may yet continue some; then it trains them again
                    self.checkpoints.tidy([], lambda trial: False)
                return done
            ended, _ = wait(self._running, _POLL, return_when=FIRST_COMPLETED)
            self.each_poll()
            for future in sorted(ended, key=lambda future: self._running[future]):
                self._tell(future)

    def _ask(self) -> bool:
        """Fill the executor with what ends in time; whether the search wants nothing any more."""
        asked: list[int] = []
        answer: Suggestion | Pause = Pause.WAIT
        while len(self._running) + len(asked) < self.executor.capacity and not self.stopped():
            if not self._waiting:
                if self.epochs is not None and self._spent >= self.epochs:
                    answer = Pause.WAIT
                    break
                trial = len(self.progress.asked)
                answer = self.search.ask(trial)
                id_ = self.journal.asked(trial, answer)
                if isinstance(answer, Pause):
                    break
                assert id_ is not None
                self.progress.asked[trial], self.progress.ids[trial] = answer, id_
                self._spent += self._to_train(trial)
                self._waiting.append(trial)
            if not self._fits(self._waiting[0], asked):
                answer = Pause.WAIT
                break
            asked.append(self._waiting.pop(0))
        self._submit(asked)  # at once: what is submitted together can be trained together
        return answer is Pause.DONE

    def _fits(self, trial: int, asked: Sequence[int]) -> bool:
        """Whether a trial would end before the deadline, beside what runs and what begins with it."""
        running = [self._to_train(other) for other in (*self._running.values(), *asked)]
        return self.pace.allows(running, self._to_train(trial))

    def _to_train(self, trial: int) -> int:
        """The epochs that a trial trains, beyond its parent's."""
        return self.progress.asked[trial].epochs - self.progress.begun(trial)

    def _submit(self, trials: Sequence[int]) -> None:
        self.pace.begin()
        futures = self.executor.submit_all([self._job(trial) for trial in trials])
        self._running.update(zip(futures, trials, strict=True))

    def _job(self, trial: int) -> Job:
        suggestion = self.progress.asked[trial]
        return Job(
            suggestion.params,
            suggestion.epochs,
            self.progress.begun(trial),
            resume=None if suggestion.parent is None else self.checkpoints.of(suggestion.parent),
            save=self.checkpoints.of(trial),
            every=self.every,
            trial=trial,
        )

    def _tell(self, future: "Future[Outcome]") -> None:
        trial = self._running.pop(future)
        try:
            outcome = future.result()
        except Interrupted:
            self._interrupted.append(trial)  # asked and not told: the next run submits it again
            return
        self.journal.told(trial, outcome)
        self.listener.ended(self.progress.ids[trial], self.progress.asked[trial], outcome)
        seen = observe(outcome, self.progress.begun(trial), self.metric)
        self.search.tell(trial, seen)
        if outcome.score is not None:
            self.pace.end(self._to_train(trial), outcome.seconds)
        self.checkpoints.ended(trial, seen.loss)
        unfinished = [*self._running.values(), *self._interrupted, *self._waiting]
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
                f is not None
                and f.kind == first.kind
                and without_numbers(f.message) == without_numbers(first.message)
                for f in self._failures
            )
        )
        if alike and len(self._failures) == _HOPELESS and not self.journal.complete():
            assert first is not None
            raise StudyError(
                f"the first {_HOPELESS} trials all failed with {first.kind}: {first.message}; mend "
                "the study and start over with --fresh, or see the traceback by: hpsearch show "
                f"{min(self.progress.ids.values())}"
            )
