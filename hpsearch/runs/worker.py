"""The work of a worker process, or of this one: load the study once, then train trials."""

import hashlib
import importlib.metadata
import platform
import sys
import time
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hpsearch.core import progress
from hpsearch.core.data import Data
from hpsearch.core.errors import (
    BuildError,
    CheckpointError,
    DiskFullError,
    FatalError,
    HpsearchError,
    StudyError,
    TrialFailed,
    first_line,
    is_out_of_memory,
    message_of,
    without_numbers,
)
from hpsearch.core.files import hide_secrets
from hpsearch.core.interrupt import Interrupted
from hpsearch.core.seeds import derive_seed, seed_of_repeat
from hpsearch.core.trial import Cost, Facts, Failure, Job, Outcome, Score
from hpsearch.executors import Work
from hpsearch.runs.load import Overrides, describe_error, load_study, locate_error
from hpsearch.runs.sent_study import load_sent_study
from hpsearch.runs.study import StudyDefinition
from hpsearch.training import Split, Trainer, backend, engines, lean_import, sharing
from hpsearch.training.base import Build, WatchedBuild, check_space
from hpsearch.training.peak import peak_bytes

_TRACEBACK_CHARACTERS = 10_000  # kept of the beginning, and of the end, of a traceback
_POINTS = 8  # tried before a study is refused because all of them fail
_LIBRARIES = "keras|jax|jaxlib|tensorflow|torch|numpy|scipy|sklearn|absl|ml_dtypes|optree|h5py"


class AllPointsFailError(StudyError):
    """The study's code raises the same error at every point that was tried.

    Args:
        first: the error at the first point.
    """

    def __init__(self, points: int, first: BaseException) -> None:
        self.first = first
        super().__init__(f"all {points} points that were tried fail with {first_line(first)}")


def prepare_from_file(
    file: Path,
    overrides: Overrides,
    backend_name: str | None = None,
    engine: str = "auto",
    together: int | None = None,
    shared: Path | Data | None = None,
    mark: Path | None = None,
    try_points: bool = True,
) -> tuple[Facts, Work]:
    """Load study and data, and try what the search will do: splits, models, one training step.

    Args:
        backend_name: Keras's backend; None: as the environment says.
        engine: how to train, as `hpsearch.training.engines` has it.
        together: how many trials this worker trains side by side, at most; None: as many as the
            trainer can.
        shared: a folder for large data, which the first worker fills and all workers read. Or the
            data itself, for a worker that cannot read the task's files.
        mark: a file in the checkpoints' folder, which every worker must see.
        try_points: whether to try models at all.

    Raises HpsearchError where the study cannot work, before anything is spent or written.
    """
    if mark is not None and not mark.exists():
        raise CheckpointError(
            f"{platform.node()} does not see the checkpoints' folder {hide_secrets(mark.parent)}; give "
            "--checkpoints a folder or URL that every node reaches"
        )
    _import_keras(backend_name)  # first: the study file may import it
    study = load_study(file, overrides)
    with _locate_errors(file):
        source = hashlib.sha256(file.read_bytes()).hexdigest()
        return _load_and_prepare(
            study, source, backend_name, engine, together, shared, try_points=try_points
        )


def prepare_sent(
    sent: bytes,
    backend_name: str | None = None,
    engine: str = "auto",
    together: int | None = None,
    shared: Path | None = None,
    try_points: bool = True,
) -> tuple[Facts, Work]:
    """As `prepare_from_file`, of a study without a file. sent: by `sent_study.dump_study`."""
    _import_keras(backend_name)
    with _locate_errors(None):
        study = load_sent_study(sent)
        source = hashlib.sha256(sent).hexdigest()
        return _load_and_prepare(
            study, source, backend_name, engine, together, shared, try_points=try_points
        )


def prepare_here(
    study: StudyDefinition,
    backend_name: str | None = None,
    engine: str = "auto",
    together: int | None = None,
) -> tuple[Facts, Work]:
    """As `prepare_from_file`, of a study of this process, which trains itself."""
    _import_keras(backend_name)
    with _locate_errors(None):
        return _load_and_prepare(study, "", backend_name, engine, together, None)


def _import_keras(backend_name: str | None) -> None:
    _show_library_warnings()
    backend.choose(backend_name)
    lean_import.import_keras()


def _load_and_prepare(
    study: StudyDefinition,
    source: str,
    backend_name: str | None,
    engine: str,
    together: int | None,
    shared: Path | Data | None,
    *,
    try_points: bool = True,
) -> tuple[Facts, Work]:
    data = sharing.load(study.task, shared)
    progress.report_loaded()
    return prepare_work(
        study,
        data,
        backend_name,
        engine,
        together,
        source,
        try_points=try_points,
        shared=shared if isinstance(shared, Path) else None,
    )


@contextmanager
def _locate_errors(file: Path | None) -> Iterator[None]:
    """Raise whatever the study's code raises as a StudyError that says where. file: its file."""
    try:
        yield
    except AllPointsFailError as error:
        raise StudyError(f"{locate_error(error.first, file)}: {error}") from error
    except (HpsearchError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise StudyError(describe_error(error, file)) from error


def _show_library_warnings() -> None:
    """Where the user turned warnings into errors (PYTHONWARNINGS=error), only show libraries' ones.

    Keras could train nothing otherwise.
    """
    if any(option.startswith("error") for option in sys.warnoptions):
        warnings.filterwarnings("default", module=rf"({_LIBRARIES})(\.|$)")


def prepare_work(
    study: StudyDefinition,
    data: Data,
    backend_name: str | None = None,
    engine: str = "auto",
    together: int | None = None,
    source: str = "",
    *,
    try_points: bool = True,
    shared: Path | None = None,
) -> tuple[Facts, Work]:
    """Prepare to train a loaded study on these rows. Raises whatever its code raises.

    Arguments are those of `prepare_from_file`. source: the fingerprint of the study file.
    """
    chosen = backend.choose(backend_name)
    trainer = engines.make_trainer(
        study.task,
        engine,
        chosen,
        has_callbacks=study.callbacks is not None,
        shared=shared,
        trains_itself=study.train is not None,
        compares_curves=study.compares_curves,
    )
    splits = study.evaluator.splits(study.task, data, seed=derive_seed(study.seed, "splits"))
    check_space(study.trial_function, study.space, trains_itself=study.train is not None)
    remark, note = _try_points(study, trainer, splits[0], data) if try_points else (None, "")
    side_by_side = trainer.max_concurrent_fits > 1 and not remark
    most = trainer.max_concurrent_fits // len(splits) if side_by_side else 1
    if together is not None and side_by_side:
        _check_memory(together, trainer.fits_in_memory, len(splits))
    elif (together or 1) > 1 and not remark:
        remark = f"--together {together} has no effect: models are trained one after the other"
    facts = Facts(
        data.fingerprint,
        source,
        chosen,
        _find_versions(chosen),
        max(1, together or most) if side_by_side else 1,
        "\n".join(filter(None, [remark, note, _describe_unit(study, data)])),
        # To two digits: small differences in how it is computed make no other search.
        float(f"{trainer.epoch_seconds * len(splits):.2g}"),
    )
    return facts, _TrialWork(study, trainer, data, splits, chosen)


def _check_memory(together: int, fits: int, folds: int) -> None:
    """Raise StudyError where memory does not hold this many trials.

    Args:
        fits: how many models it holds.
        folds: models of a trial.
    """
    if together > max(1, fits // folds):
        raise StudyError(
            f"--together {together}: memory holds the weights, gradients and optimizer state of "
            f"{fits:,} such models, {folds} for each trial; --together {max(1, fits // folds)} is "
            "the most, and --together auto finds out how many are best"
        )


def _try_points(
    study: StudyDefinition, trainer: Trainer, split: Split, data: Data
) -> tuple[str | None, str]:
    """Build models at a few points, and train a step.

    Where the study's code raises at one point, only the trials of that point will fail. The study
    is refused where all points fail in the same way, or hpsearch itself finds a mistake.

    Returns the trainer's remark, if any, and a note about points that fail, else "".
    """
    points, build = study.space.probes(), WatchedBuild(study.trial_function)
    how: dict[str, Any] = {"most_epochs": study.most_epochs, "callbacks": study.callbacks}
    try:
        return trainer.probe(build, points, split, data, **how), ""
    except (Exception, SystemExit) as error:
        _refuse_mistakes(error)
    # Some point failed. Find one that works, among more points than those tried so far.
    rng = np.random.default_rng(0)
    points += [study.space.sample(rng) for _ in range(_POINTS - len(points))]
    errors: list[BaseException] = []
    for point in points:
        try:
            remark = trainer.probe(build, [point], split, data, **how)
            break
        except (Exception, SystemExit) as error:
            _refuse_mistakes(error)
            errors.append(_original_error(error))
    else:
        remark = None
        causes = {without_numbers(first_line(error)) for error in errors}
        if len(causes) == 1 and not isinstance(errors[0], TrialFailed):
            raise AllPointsFailError(len(points), errors[0]) from errors[0]
    unexpected = [error for error in errors if not isinstance(error, TrialFailed)]
    if not unexpected:
        return remark, ""
    return (
        remark,
        f"{'train' if study.build is None else 'build'} fails at some points; trials of these points "
        f"will fail: {first_line(unexpected[0])}",
    )


def _refuse_mistakes(error: BaseException) -> None:
    """Raise an error again unless the study's own code raised it, at this point."""
    if isinstance(error, FatalError) or isinstance(_original_error(error), HpsearchError):
        raise error


def _original_error(error: BaseException) -> BaseException:
    """The error that the study's code raised, also where a BuildError explains it."""
    return error.__cause__ or error if isinstance(error, BuildError) else error


def _describe_unit(study: StudyDefinition, data: Data) -> str:
    """The unit of the metric's values where it is not the target's own; else ""."""
    unit = "" if study.task.classifies or data.coding is None else data.coding.unit
    return f"{study.task.measure} is {unit}" if unit else ""


@dataclass(frozen=True, slots=True)
class _TrialWork:
    """Trains trials: what a worker does once it is prepared."""

    study: StudyDefinition
    trainer: Trainer
    data: Data
    splits: list[Split]
    backend: str

    def __call__(self, jobs: Sequence[Job]) -> Iterator[tuple[int, Outcome]]:
        """Train some trials, side by side if the trainer can; yield each as it ends."""
        waiting, size = list(range(len(jobs))), len(jobs)
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
            except (KeyboardInterrupt, GeneratorExit, Interrupted, DiskFullError, FatalError):
                raise
            except BaseException as error:  # also SystemExit: a build that calls it fails its trial
                # The error ended all of them: fail the trials at fault, train the others again.
                at_fault = [place for place in places if builds[place].failed]
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


def _find_versions(backend_name: str) -> dict[str, str]:
    names = ("hpsearch", "keras", backend_name, "numpy")
    return {"python": platform.python_version()} | {
        name: importlib.metadata.version(name) for name in names
    }
