"""What does the work of a trial, in a worker process or in this one."""

import hashlib
import importlib.metadata
import platform
import sys
import time
import traceback
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hpsearch import telling
from hpsearch.data import Data
from hpsearch.errors import (
    BuildError,
    CheckpointError,
    DiskFullError,
    FatalError,
    HpsearchError,
    StudyError,
    TrialFailed,
    first_line,
    message_of,
    out_of_memory,
    without_numbers,
)
from hpsearch.executors import Work
from hpsearch.files import shown
from hpsearch.interrupt import Interrupted
from hpsearch.load import Overrides, load, place_in, told
from hpsearch.seeds import derive, repeated
from hpsearch.study import Study
from hpsearch.training import Split, Trainer, backend, engines, sharing
from hpsearch.training.base import Build, WatchedBuild, check_space
from hpsearch.training.peak import peak_bytes
from hpsearch.trial import Facts, Failure, Job, Outcome, Score

_TRACEBACK = 10_000  # characters that are kept of the beginning, and of the end, of a traceback
_POINTS = 8  # of a space that are tried before a study is refused, because they all fail


_LIBRARIES = "keras|jax|jaxlib|tensorflow|torch|numpy|scipy|sklearn|absl|ml_dtypes|optree|h5py"


class AllPointsFail(StudyError):
    """The study's code raises the same at every point that was tried; first: at the first one."""

    def __init__(self, points: int, first: BaseException) -> None:
        self.first = first
        super().__init__(f"all {points} points that were tried fail with {first_line(first)}")


@dataclass(frozen=True, slots=True)
class Training:
    """How a worker trains. engine: as `hpsearch.training.engines` has it. together: trials side by
    side, at most. backend: None: as the environment says.
    """

    backend: str | None = None
    engine: str = "auto"
    together: int = 1


def prepare(
    file: Path,
    overrides: Overrides,
    training: Training,
    shared: Path | Data | None = None,
    mark: Path | None = None,
    try_points: bool = True,
) -> tuple[Facts, Work]:
    """Load study and data once, and try what the search will do: splits, models, one step.

    shared: a folder in which large data lies for all workers; the first of them fills it. Or the
    data itself, where the task's files may be out of reach. mark: a file in the checkpoints'
    folder, that every worker must see. try_points: whether to try models at all.

    Raises HpsearchError where the study cannot work, before anything is spent or written.
    """
    if mark is not None and not mark.exists():
        raise CheckpointError(
            f"{platform.node()} does not see the checkpoints' folder {shown(mark.parent)}; give "
            "--checkpoints a folder or URL that every node reaches"
        )
    _leave_libraries_their_warnings()
    backend.choose(training.backend)  # first: the study file may import Keras
    study = load(file, overrides)
    try:
        data = sharing.load(study.task, shared)
        source = hashlib.sha256(file.read_bytes()).hexdigest()
        telling.report_loaded()
        return ready(study, data, training, source, try_points=try_points)
    except AllPointsFail as error:
        raise StudyError(f"{place_in(file, error.first)}: {error}") from error
    except (HpsearchError, KeyboardInterrupt):
        raise
    except BaseException as error:  # whatever the study's code raises
        raise StudyError(told(error, file)) from error


def _leave_libraries_their_warnings() -> None:
    """Where the user turned all warnings into errors (PYTHONWARNINGS=error), show those that the
    frameworks raise of each other instead: Keras could train nothing.
    """
    if any(option.startswith("error") for option in sys.warnoptions):
        warnings.filterwarnings("default", module=rf"({_LIBRARIES})(\.|$)")


def ready(
    study: Study, data: Data, training: Training, source: str = "", *, try_points: bool = True
) -> tuple[Facts, Work]:
    """The same for a study that is loaded, on these rows; raises whatever its code raises."""
    running = backend.choose(training.backend)
    trainer = engines.trainer(study.task, training.engine, running)
    splits = study.evaluator.splits(study.task, data, seed=derive(study.seed, "splits"))
    check_space(study.build, study.space)
    remark, note = _try_points(study, trainer, splits[0], data) if try_points else (None, "")
    facts = Facts(
        data.fingerprint,
        source,
        running,
        _versions(running),
        1 if remark else max(1, min(training.together, trainer.together // len(splits))),
        "\n".join(filter(None, [remark, note, _unit(study, data)])),
    )
    return facts, _Works(study, trainer, data, splits, running)


def _try_points(study: Study, trainer: Trainer, split: Split, data: Data) -> tuple[str | None, str]:
    """Try what trials do, at a few points; returns what the trainer remarks, and who will fail.

    A point at which the study's code raises is a trial that will fail, and no reason to refuse the
    study, unless more of the space fails alike. Mistakes that hpsearch itself finds are refused.
    """
    points, build = study.space.probes(), WatchedBuild(study.build)
    try:
        return trainer.probe(build, points, split, data), ""
    except (Exception, SystemExit) as error:
        _refuse_mistakes(error)
    rng = np.random.default_rng(0)
    points += [study.space.sample(rng) for _ in range(_POINTS - len(points))]
    errors: list[BaseException] = []
    for point in points:
        try:
            remark = trainer.probe(build, [point], split, data)
            break
        except (Exception, SystemExit) as error:
            _refuse_mistakes(error)
            errors.append(_cause(error))
    else:
        remark = None
        causes = {without_numbers(first_line(error)) for error in errors}
        if len(causes) == 1 and not isinstance(errors[0], TrialFailed):
            raise AllPointsFail(len(points), errors[0]) from errors[0]
    unexpected = [error for error in errors if not isinstance(error, TrialFailed)]
    if not unexpected:
        return remark, ""
    return (
        remark,
        f"build fails at some points, whose trials will fail: {first_line(unexpected[0])}",
    )


def _refuse_mistakes(error: BaseException) -> None:
    """Raise it again where it is no exception of the study's own code at one point."""
    if isinstance(error, FatalError) or isinstance(_cause(error), HpsearchError):
        raise error


def _cause(error: BaseException) -> BaseException:
    """What the study's code raised, where hpsearch says more of it by a BuildError."""
    return error.__cause__ or error if isinstance(error, BuildError) else error


def _unit(study: Study, data: Data) -> str:
    """What the metric's values are in, where they are not in the target's own unit."""
    unit = "" if study.task.classifies or data.coding is None else data.coding.unit
    return f"{study.task.measure} is {unit}" if unit else ""


@dataclass(frozen=True, slots=True)
class _Works:
    """What a worker does once it is prepared."""

    study: Study
    trainer: Trainer
    data: Data
    splits: list[Split]
    running: str

    def __call__(self, jobs: Sequence[Job]) -> Iterator[tuple[int, Outcome]]:
        """Train some trials, together if the trainer can; yield them as they end."""
        waiting, size = list(range(len(jobs))), len(jobs)
        while waiting:
            places, begun = waiting[:size], time.perf_counter()
            builds = {place: WatchedBuild(self.study.build) for place in places}
            try:
                for index, outcome in self._together([jobs[p] for p in places], [*builds.values()]):
                    waiting.remove(places[index])
                    yield places[index], outcome
            except (KeyboardInterrupt, GeneratorExit, Interrupted, DiskFullError, FatalError):
                raise
            except BaseException as error:  # a build that calls exit() fails its trial only
                at_fault = [place for place in places if builds[place].failed]
                if len(places) == 1:
                    at_fault = places
                seconds = (time.perf_counter() - begun) / len(places)
                for place in at_fault:
                    waiting.remove(place)
                    yield place, self._outcome(_failure(error), seconds)
                if not at_fault:
                    size = 1  # one of them is at fault, and which one shows when each is alone
                # Those whose build is not known to work go first: each is called twice at most.
                waiting.sort(key=lambda place: place in builds and builds[place].worked)

    def _together(
        self, jobs: Sequence[Job], builds: Sequence[Build]
    ) -> Iterator[tuple[int, Outcome]]:
        study = self.study
        trials = [
            study.evaluator.plan_fits(
                self.splits,
                build,
                job.params,
                epochs=job.epochs,
                seed=repeated(study.seed, job.repeat),
                patience=study.patience,
                resume=job.resume,
                save=job.save,
                every=job.every,
                seen=telling.Told(job, len(self.splits)).fold,
                study=f"{study.name} {self.data.fingerprint}",
            )
            for job, build in zip(jobs, builds, strict=True)
        ]
        ended = study.evaluator.run(self.trainer, trials, self.data, study.task.objective)
        for place, score, seconds in ended:
            yield place, self._outcome(score, seconds)

    def _outcome(self, score: Score | Failure, seconds: float) -> Outcome:
        peak = peak_bytes(self.running)
        if isinstance(score, Failure):
            return Outcome(failure=score, seconds=seconds, peak_bytes=peak)
        parameters = score.folds[0].parameters
        return Outcome(score, None, seconds, parameters, peak)


def _failure(error: BaseException) -> Failure:
    if isinstance(error, TrialFailed):
        return Failure("failed", message_of(error) or type(error).__name__)
    kind = "memory" if out_of_memory(error) else "exception"
    return Failure(kind, first_line(error), _traceback(error))


def _traceback(error: BaseException) -> str:
    """Its traceback; of a very long one, how it begins and ends."""
    text = "".join(traceback.format_exception(error))
    if len(text) <= 2 * _TRACEBACK:
        return text
    return f"{text[:_TRACEBACK]}\n...\n{text[-_TRACEBACK:]}"


def _versions(running: str) -> dict[str, str]:
    names = ("hpsearch", "keras", running, "numpy")
    return {"python": platform.python_version()} | {
        name: importlib.metadata.version(name) for name in names
    }
