"""How a worker trains trials, once it is prepared."""

import math
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from hpsearch.core import interrupt, progress
from hpsearch.core.data import Data
from hpsearch.core.errors import (
    DiskFullError,
    FatalError,
    SourceChangedError,
    TrialFailed,
    first_line,
    is_out_of_memory,
    message_of,
)
from hpsearch.core.searched_preprocessing import PreprocessingFailed
from hpsearch.core.seeds import seed_of_repeat
from hpsearch.core.trial import Cost, Failure, Job, Outcome, Score
from hpsearch.runs.study import StudyDefinition
from hpsearch.training import Split, Trainer
from hpsearch.training.base import Build, WatchedBuild
from hpsearch.training.peak import peak_bytes

_TRACEBACK_CHARACTERS = 10_000  # kept of the beginning, and of the end, of a traceback


@dataclass(frozen=True, slots=True)
class TrialWork:
    """Trains trials of one study on its data."""

    study: StudyDefinition
    trainer: Trainer
    data: Data
    splits: list[Split]
    backend: str

    def __call__(self, jobs: Sequence[Job]) -> Iterator[tuple[int, Outcome]]:
        """Train some trials, side by side if the trainer can; yield each as it ends."""
        waiting, size = list(range(len(jobs))), len(jobs)
        interrupt.expect_in(min((job.seconds_left for job in jobs), default=math.inf))
        begun = time.perf_counter()
        while waiting:
            places, start = waiting[:size], time.perf_counter()
            builds = {place: WatchedBuild(self.study.trial_function) for place in places}
            try:
                for index, outcome in self._train([jobs[p] for p in places], [*builds.values()]):
                    waiting.remove(places[index])
                    progress.forget(jobs[places[index]])
                    cost = _measure_cost(outcome, len(jobs), time.perf_counter() - begun)
                    yield places[index], replace(outcome, cost=cost)
            except (KeyboardInterrupt, GeneratorExit, interrupt.Interrupted):
                raise
            except (DiskFullError, FatalError, SourceChangedError):
                raise  # no other trial would fare better
            except BaseException as error:  # also SystemExit: a build that calls it fails its trial
                # The error ended all of them: fail the trials at fault, train the others again.
                at_fault = [place for place in places if builds[place].failed]
                if isinstance(error, PreprocessingFailed):
                    at_fault = [place for place in places if self._is_at_fault(jobs[place], error)]
                if len(places) == 1:
                    at_fault = places
                seconds = (time.perf_counter() - start) / len(places)
                for place in at_fault:
                    waiting.remove(place)
                    progress.forget(jobs[place])
                    yield place, self._make_outcome(_make_failure(error), seconds)
                if not at_fault:
                    size = 1  # which one is at fault shows when each trains alone
                # Trials whose build has not worked yet go first: each is built twice at most.
                waiting.sort(key=lambda place: place in builds and builds[place].worked)

    def _is_at_fault(self, job: Job, error: PreprocessingFailed) -> bool:
        """Whether a job's point has the parameters by which preprocessing failed."""
        chosen = self.study.task.choose_preprocessing(job.params)
        return all(name in chosen and chosen[name] == v for name, v in error.params.items())

    def _train(self, jobs: Sequence[Job], builds: Sequence[Build]) -> Iterator[tuple[int, Outcome]]:
        study = self.study
        trials = [
            study.evaluator.plan_fits(
                self.splits,
                build,
                job.params,
                epochs=job.epochs,
                seed=seed_of_repeat(study.seed, job.repeat),
                patience=study.patience,
                checkpoint_in=job.checkpoint_in,
                checkpoint_out=job.checkpoint_out,
                checkpoint_every=job.checkpoint_every,
                seen=progress.JobProgress(job, len(self.splits)).of_fold,
                study=f"{study.name} {self.data.fingerprint}",
                most_epochs=study.most_epochs,
                callbacks=study.callbacks,
            )
            for job, build in zip(jobs, builds, strict=True)
        ]
        ended = study.evaluator.run(self.trainer, trials, self.data, study.task.objective)
        for place, score, seconds in ended:
            yield place, self._make_outcome(score, seconds)

    def _make_outcome(self, score: Score | Failure, seconds: float) -> Outcome:
        peak = peak_bytes(self.backend)
        if isinstance(score, Failure):
            return Outcome(failure=score, seconds=seconds, peak_bytes=peak)
        return Outcome(score, None, seconds, score.folds[0].n_weights, peak)


def _measure_cost(outcome: Outcome, together: int, elapsed: float) -> Cost:
    """The cost of a trial in a call of so many, so many seconds after the call began."""
    folds = outcome.score.folds if outcome.score else ()
    compiling = sum(curve.compile_seconds for curve in folds)
    return Cost(together, elapsed, float(compiling), folds[0].program if folds else "")


def _make_failure(error: BaseException) -> Failure:
    if isinstance(error, TrialFailed):
        return Failure("failed", message_of(error) or type(error).__name__)
    kind = "memory" if is_out_of_memory(error) else "exception"
    return Failure(kind, first_line(error), _format_traceback(error))


def _format_traceback(error: BaseException) -> str:
    """An error's traceback; the beginning and the end of a very long one."""
    text = "".join(traceback.format_exception(error))
    if len(text) <= 2 * _TRACEBACK_CHARACTERS:
        return text
    return f"{text[:_TRACEBACK_CHARACTERS]}\n...\n{text[-_TRACEBACK_CHARACTERS:]}"
