"""What does the work of a trial, in a worker process or in this one."""

import hashlib
import importlib.metadata
import platform
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from hpsearch.errors import DiskFullError, HpsearchError, StudyError, first_line
from hpsearch.executors import Work
from hpsearch.interrupt import Interrupted
from hpsearch.load import Overrides, load, told
from hpsearch.seeds import derive
from hpsearch.study import Study
from hpsearch.task import Data
from hpsearch.training import Split, Trainer, backend, sharing
from hpsearch.training.base import check_space
from hpsearch.trial import Facts, Failure, Job, Outcome

_OUT_OF_MEMORY = ("resource_exhausted", "resourceexhausted", "outofmemory", "out of memory")


def prepare(
    file: Path, overrides: Overrides, backend_name: str | None, shared: Path | None = None
) -> tuple[Facts, Work]:
    """Load study and data once, and try what the search will do: splits, models, one step.

    shared: a folder in which large data lies for all workers; the first of them fills it.

    Raises HpsearchError where the study cannot work, before anything is spent or written.
    """
    running = backend.choose(backend_name)  # first: the study file may import Keras
    study = load(file, overrides)
    from hpsearch.training.fit import FitTrainer

    trainer = FitTrainer(study.task)
    try:
        data = sharing.load(study.task, shared)
        splits = study.evaluator.splits(study.task, data, seed=derive(study.seed, "splits"))
        check_space(study.build, study.space)
        trainer.probe(study.build, study.space.probes(), splits[0], data)
    except HpsearchError:
        raise
    except (Exception, SystemExit) as error:
        raise StudyError(told(error, file)) from error
    source = hashlib.sha256(file.read_bytes()).hexdigest()
    facts = Facts(data.fingerprint, source, running, _versions(running))
    return facts, _work(study, trainer, data, splits, running)


def _work(
    study: Study, trainer: Trainer, data: Data, splits: list[Split], running: str
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
            every=job.every,
        )
        score, failure = None, None
        try:
            score, failure = study.evaluator.run(trainer, fits, data, study.task.objective)
        except (Interrupted, DiskFullError):
            raise
        except (Exception, SystemExit) as error:  # a build that calls exit() fails its trial only
            kind = "memory" if _is_out_of_memory(error) else "exception"
            failure = Failure(kind, first_line(error), traceback.format_exc())
        return Outcome(
            score=score,
            failure=failure,
            seconds=time.perf_counter() - start,
            parameters=score.folds[0].parameters if score else 0,
            peak_bytes=_peak_bytes(running),
        )

    return work


def _is_out_of_memory(error: BaseException) -> bool:
    """Each framework has an error of its own, and wraps those of others."""
    seen: BaseException | None = error
    while seen is not None:
        text = f"{type(seen).__name__}: {seen}".lower()
        if isinstance(seen, MemoryError) or any(sign in text for sign in _OUT_OF_MEMORY):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def _peak_bytes(running: str) -> int:
    """The most memory this process ever held, in bytes: of its GPU, if it trains on one.

    0 where that is not told.
    """
    on_gpu = _peak_on_gpu(running)
    if on_gpu:
        return on_gpu
    try:
        import resource
    except ImportError:  # Windows
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit - _mapped_files()


def _mapped_files() -> int:
    """Bytes of files in memory, as shared data is: they are nobody's own."""
    with suppress(OSError, ValueError, StopIteration):
        with open("/proc/self/status") as file:
            line = next(line for line in file if line.startswith("RssFile"))
        return int(line.split()[1]) * 1024
    return 0


def _peak_on_gpu(running: str) -> int:
    with suppress(Exception):  # a figure for tables and packing is not worth a trial
        if running == "jax":
            import jax

            return int((jax.local_devices()[0].memory_stats() or {}).get("peak_bytes_in_use", 0))
        if running == "torch":
            import torch

            return int(torch.cuda.max_memory_allocated()) if torch.cuda.is_available() else 0
        import tensorflow

        if tensorflow.config.list_physical_devices("GPU"):
            return int(tensorflow.config.experimental.get_memory_info("GPU:0")["peak"])
    return 0


def _versions(running: str) -> dict[str, str]:
    names = ("hpsearch", "keras", running, "numpy")
    return {"python": platform.python_version()} | {
        name: importlib.metadata.version(name) for name in names
    }
