"""The best few trials trained anew with fresh seeds, so that the winner's luck is paid back."""

from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Protocol

from hpsearch.core.files import remove
from hpsearch.core.interrupt import Interrupted
from hpsearch.core.task import Metric
from hpsearch.core.trial import Every, Job, Outcome
from hpsearch.evaluators import Evaluator
from hpsearch.executors import Executor
from hpsearch.run.replay import Progress
from hpsearch.store import Journal

_POLL = 0.1  # seconds after which a wish to stop is seen


class Listener(Protocol):
    def repeated(self, id_: int, repeat: int, outcome: Outcome, value: float) -> None: ...
    def stopping(self, running: int) -> None: ...


@dataclass(slots=True)
class Repeats:
    """Trains until the first `finalists` of the ranking have `repeats` repeats each.

    A trial that falls behind by its repeats lets another in, which has been lucky once and is then
    repeated too: whoever is first in the end has paid back. Values are of all trainings together.

    best: the numbers of the search's complete trials, best first by what is known. folder: where
    checkpoints are left on the way. overdue: whether what was asked to stop is to be given up.
    """

    repeats: int
    finalists: int
    best: Callable[[], list[int]]
    journal: Journal
    progress: Progress
    executor: Executor
    evaluator: Evaluator
    metric: Metric
    listener: Listener
    folder: Path
    every: Every = Every()
    stopped: Callable[[], bool] = lambda: False
    each_poll: Callable[[], None] = lambda: None
    overdue: Callable[[], bool] = lambda: False
    _running: dict["Future[Outcome]", tuple[int, int]] = field(default_factory=dict)

    def run(self) -> bool:
        """Whether it came to its end before it was stopped."""
        asked_to_stop = False
        while True:
            if self.stopped() and not asked_to_stop:
                asked_to_stop = True
                self.listener.stopping(len(self._running))
                self.executor.interrupt()
            if asked_to_stop and self.overdue():
                self.executor.close()
                return False
            if not asked_to_stop and not self._running:
                self._submit()
            if not self._running:
                return not asked_to_stop
            ended, _ = wait(self._running, _POLL, return_when=FIRST_COMPLETED)
            self.each_poll()
            for future in sorted(ended, key=lambda future: self._running[future]):
                self._tell(future)

    def _submit(self) -> None:
        # All that is missing, then a look at the ranking: which trials are the best depends on them.
        places = list(islice(self._missing(), self.executor.capacity))
        jobs = [self._job(trial, repeat) for trial, repeat in places]
        self._running = dict(zip(self.executor.submit_all(jobs), places, strict=True))

    def _missing(self) -> Iterator[tuple[int, int]]:
        for trial in self.best()[: self.finalists]:
            ended = self.journal.repeats(trial)
            for repeat in range(1, self.repeats + 1):
                if repeat not in ended:
                    yield trial, repeat

    def _job(self, trial: int, repeat: int) -> Job:
        suggestion = self.progress.asked[trial]
        return Job(
            suggestion.params,
            suggestion.epochs,
            save=self._checkpoint(trial, repeat),
            every=self.every,
            repeat=repeat,
            trial=trial,
        )

    def _tell(self, future: "Future[Outcome]") -> None:
        trial, repeat = self._running.pop(future)
        try:
            outcome = future.result()
        except Interrupted:
            return  # it goes on from its checkpoint when the run does
        trainings = [*self.journal.trainings(trial), outcome]
        scores = [training.score for training in trainings if training.score is not None]
        value, se = self.evaluator.combined(scores, self.metric)
        self.journal.repeated(trial, repeat, outcome, value, se)
        self.listener.repeated(self.progress.ids[trial], repeat, outcome, value)
        remove(self._checkpoint(trial, repeat))

    def _checkpoint(self, trial: int, repeat: int) -> Path:
        return self.folder / f"{trial}-repeat-{repeat}"
