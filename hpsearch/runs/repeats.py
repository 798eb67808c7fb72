"""The best few trials trained again with fresh seeds, so that a lucky seed does not win."""

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from hpsearch.core.files import remove_folder
from hpsearch.core.metric import Metric
from hpsearch.core.trial import CheckpointInterval, Job, Outcome
from hpsearch.evaluators import Evaluator
from hpsearch.runs.driver import Driver
from hpsearch.runs.replay import SearchState
from hpsearch.store import Journal


@dataclass(slots=True)
class Repeats:
    """Repeats of the best trials as jobs for a driver.

    They end when the first `finalists` of the ranking have `repeats` repeats each. A trial that its
    repeats move out of the first places lets another one in, which is then repeated too. So no
    trial is first in the end by the luck of one training.

    Args:
        repeats: trainings of each finalist beside its first one.
        finalists: how many trials are repeated.
        rank_trials: returns the numbers of the search's complete trials, best first by all their
            trainings so far.
        folder: where repeats leave checkpoints.
        checkpoint_every: how often a repeat leaves one before its end.
        seconds_left: returns the seconds until the run's deadline; infinite where there is none.
    """

    repeats: int
    finalists: int
    rank_trials: Callable[[], list[int]]
    journal: Journal
    state: SearchState
    driver: Driver
    evaluator: Evaluator
    metric: Metric
    folder: Path
    checkpoint_every: CheckpointInterval = CheckpointInterval()
    seconds_left: Callable[[], float] = lambda: math.inf

    def run(self) -> bool:
        """Train them; returns whether all are done."""
        return self.driver.run(self) == "finished"

    def next_jobs(self, running: Collection[Job]) -> Sequence[Job]:
        """All that are missing, once nothing runs: which trials are the best depends on repeats."""
        if running:
            return []
        executor = self.driver.executor
        missing = islice(self._find_missing(), executor.workers * executor.together)
        return [self._make_job(trial, repeat) for trial, repeat in missing]

    def _find_missing(self) -> Iterator[tuple[int, int]]:
        """As (trial, repeat)."""
        for trial in self.rank_trials()[: self.finalists]:
            ended = self.journal.ended_repeats(trial)
            for repeat in range(1, self.repeats + 1):
                if repeat not in ended:
                    yield trial, repeat

    def _make_job(self, trial: int, repeat: int) -> Job:
        suggestion = self.state.suggestions[trial]
        return Job(
            suggestion.params,
            suggestion.epochs,
            checkpoint_out=self._checkpoint_folder(trial, repeat),
            checkpoint_every=self.checkpoint_every,
            repeat=repeat,
            trial=trial,
            seconds_left=self.seconds_left(),
        )

    def record_interruption(self, job: Job) -> None:
        """Nothing to note: a repeat without an outcome is missing, and goes on in the next run."""

    def record_outcome(self, job: Job, outcome: Outcome) -> None:
        trial, repeat = job.trial, job.repeat
        trainings = [*self.journal.trainings(trial), outcome]
        scores = [training.score for training in trainings if training.score is not None]
        value, se = self.evaluator.combined(scores, self.metric)
        self.journal.append_repeat(trial, repeat, outcome, value, se)
        self.driver.display.show_repeat(self.state.ids[trial], repeat, outcome, value)
        remove_folder(self._checkpoint_folder(trial, repeat))

    def _checkpoint_folder(self, trial: int, repeat: int) -> Path:
        return self.folder / f"{trial}-repeat-{repeat}"
