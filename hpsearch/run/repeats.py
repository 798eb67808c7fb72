"""The best few trials trained anew with fresh seeds, so that the winner's luck is paid back."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from hpsearch.core.files import remove
from hpsearch.core.task import Metric
from hpsearch.core.trial import Every, Job, Outcome
from hpsearch.evaluators import Evaluator
from hpsearch.run.driver import Driver
from hpsearch.run.replay import Progress
from hpsearch.store import Journal


@dataclass(slots=True)
class Repeats:
    """Trains until the first `finalists` of the ranking have `repeats` repeats each.

    A trial that falls behind by its repeats lets another in, which has been lucky once and is then
    repeated too: whoever is first in the end has paid back. Values are of all trainings together.

    Args:
        best: returns the numbers of the search's complete trials, best first by what is known.
        folder: where checkpoints are left on the way.
        checkpoint_every: how often a repeat leaves one.
    """

    repeats: int
    finalists: int
    best: Callable[[], list[int]]
    journal: Journal
    progress: Progress
    driver: Driver
    evaluator: Evaluator
    metric: Metric
    folder: Path
    checkpoint_every: Every = Every()

    def run(self) -> bool:
        """Whether it came to its end before it was stopped."""
        return self.driver.run(self) == "finished"

    def next_jobs(self, running: Collection[Job]) -> Sequence[Job]:
        """All that is missing, once nothing runs: which trials are the best depends on repeats."""
        if running:
            return []
        places = islice(self._missing(), self.driver.executor.capacity)
        return [self._job(trial, repeat) for trial, repeat in places]

    def _missing(self) -> Iterator[tuple[int, int]]:
        for trial in self.best()[: self.finalists]:
            ended = self.journal.ended_repeats(trial)
            for repeat in range(1, self.repeats + 1):
                if repeat not in ended:
                    yield trial, repeat

    def _job(self, trial: int, repeat: int) -> Job:
        suggestion = self.progress.asked[trial]
        return Job(
            suggestion.params,
            suggestion.epochs,
            checkpoint_out=self._checkpoint(trial, repeat),
            checkpoint_every=self.checkpoint_every,
            repeat=repeat,
            trial=trial,
        )

    def job_interrupted(self, job: Job) -> None:
        """It goes on from its checkpoint when the run does."""

    def job_ended(self, job: Job, outcome: Outcome) -> None:
        trial, repeat = job.trial, job.repeat
        trainings = [*self.journal.trainings(trial), outcome]
        scores = [training.score for training in trainings if training.score is not None]
        value, se = self.evaluator.combined(scores, self.metric)
        self.journal.append_repeat(trial, repeat, outcome, value, se)
        self.driver.display.repeat_ended(self.progress.ids[trial], repeat, outcome, value)
        remove(self._checkpoint(trial, repeat))

    def _checkpoint(self, trial: int, repeat: int) -> Path:
        return self.folder / f"{trial}-repeat-{repeat}"
