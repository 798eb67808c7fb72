"""What does the work of a trial, in a worker process or in this one."""

import importlib.metadata
import platform
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from hpsearch.errors import BuildError, HpsearchError
from hpsearch.executors import Work
from hpsearch.load import Overrides, load
from hpsearch.seeds import derive
from hpsearch.study import Study
from hpsearch.task import Data
from hpsearch.training import Split, Trainer, backend
from hpsearch.training.base import check_names
from hpsearch.trial import Facts, Failure, Job, Outcome


def prepare(file: Path, overrides: Overrides, backend_name: str | None) -> tuple[Facts, Work]:
    """Load study and data once, and try what the search will do: splits, models, one step.

    Raises HpsearchError where the study cannot work, before anything is spent or written.
    """
    running = backend.choose(backend_name)  # first: the study file may import Keras
    study = load(file, overrides)
    data = study.task.load()
    splits = study.evaluator.splits(study.task, data, seed=derive(study.seed, "splits"))
    check_names(study.build, study.space)
    from hpsearch.training.fit import FitTrainer

    trainer = FitTrainer(study.task)
    try:
        trainer.probe(study.build, study.space.probes(), splits[0], data)
    except HpsearchError:
        raise
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        raise BuildError(
            f"build fails: {_line(error)} ({place.filename}:{place.lineno})"
        ) from error
    return Facts(data.fingerprint, data.rows, running, _versions(running)), _work(
        study, trainer, data, splits
    )


def _work(
    study: Study, trainer: Trainer, data: Data, splits: list[Split]
) -> Callable[[Job], Outcome]:
    def work(job: Job) -> Outcome:
        start = time.perf_counter()
        fits = study.evaluator.plan_fits(
            splits,
            study.build,
            job.params,
            epochs=job.epochs,
            seed=study.seed,
            patience=study.patience,
            start_epoch=job.begun,
            resume=job.resume,
            save=job.save,
        )
        score, failure = None, None
        try:
            score, failure = study.evaluator.run(trainer, fits, data, study.task.objective)
        except (Exception, SystemExit) as error:  # a build that calls exit() fails its trial only
            failure = Failure("exception", _line(error), traceback.format_exc())
        return Outcome(
            score=score,
            failure=failure,
            seconds=time.perf_counter() - start,
            parameters=score.folds[0].parameters if score else 0,
            peak_bytes=_peak_bytes(),
        )

    return work


def _line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _peak_bytes() -> int:
    """The most memory this process ever held, in bytes; 0 where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _versions(running: str) -> dict[str, str]:
    names = ("hpsearch", "keras", running, "numpy")
    return {"python": platform.python_version()} | {
        name: importlib.metadata.version(name) for name in names
    }
