"""What does the work of a trial, in a worker process or in this one."""

import hashlib
import importlib.metadata
import platform
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hpsearch import telling
from hpsearch.data import Data
from hpsearch.errors import (
    CheckpointError,
    DiskFullError,
    HpsearchError,
    StudyError,
    first_line,
    out_of_memory,
)
from hpsearch.executors import Work
from hpsearch.files import shown
from hpsearch.interrupt import Interrupted
from hpsearch.load import Overrides, load, told
from hpsearch.seeds import derive, repeated
from hpsearch.study import Study
from hpsearch.training import Split, Trainer, backend, engines, sharing
from hpsearch.training.base import check_space
from hpsearch.trial import Facts, Failure, Job, Outcome, Score


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
) -> tuple[Facts, Work]:
    """Load study and data once, and try what the search will do: splits, models, one step.

    shared: a folder in which large data lies for all workers; the first of them fills it. Or the
    data itself, where the task's files may be out of reach. mark: a file in the checkpoints' folder,
    that every worker must see.

    Raises HpsearchError where the study cannot work, before anything is spent or written.
    """
    if mark is not None and not mark.exists():
        raise CheckpointError(
            f"{platform.node()} does not see the checkpoints' folder {shown(mark.parent)}; give "
            "--checkpoints a folder or URL that every node reaches"
        )
    backend.choose(training.backend)  # first: the study file may import Keras
    study = load(file, overrides)
    try:
        data = sharing.load(study.task, shared)
        return ready(study, data, training, hashlib.sha256(file.read_bytes()).hexdigest())
    except HpsearchError:
        raise
    except (Exception, SystemExit) as error:
        raise StudyError(told(error, file)) from error


def ready(study: Study, data: Data, training: Training, source: str = "") -> tuple[Facts, Work]:
    """The same for a study that is loaded, on these rows; raises whatever its code raises."""
    running = backend.choose(training.backend)
    trainer = engines.trainer(study.task, training.engine, running)
    splits = study.evaluator.splits(study.task, data, seed=derive(study.seed, "splits"))
    check_space(study.build, study.space)
    remark = trainer.probe(study.build, study.space.probes(), splits[0], data)
    facts = Facts(
        data.fingerprint,
        source,
        running,
        _versions(running),
        1 if remark else max(1, min(training.together, trainer.together // len(splits))),
        "\n".join(filter(None, [remark, _unit(study, data)])),
    )
    return facts, _Works(study, trainer, data, splits, running)


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
        waiting = set(range(len(jobs)))
        try:
            for place, outcome in self._together(jobs):
                waiting.discard(place)
                yield place, outcome
        except (Interrupted, DiskFullError):
            raise
        except (Exception, SystemExit) as error:  # a build that calls exit() fails its trial only
            if len(jobs) > 1:  # one of them is at fault, and which one shows when each is alone
                for place in sorted(waiting):
                    yield from ((place, outcome) for _, outcome in self([jobs[place]]))
                return
            kind = "memory" if out_of_memory(error) else "exception"
            yield 0, self._outcome(Failure(kind, first_line(error), traceback.format_exc()), 0.0)

    def _together(self, jobs: Sequence[Job]) -> Iterator[tuple[int, Outcome]]:
        study = self.study
        trials = [
            study.evaluator.plan_fits(
                self.splits,
                study.build,
                job.params,
                epochs=job.epochs,
                seed=repeated(study.seed, job.repeat),
                patience=study.patience,
                start_epoch=job.begun,
                resume=job.resume,
                save=job.save,
                every=job.every,
                seen=telling.Told(job, len(self.splits)).fold,
            )
            for job in jobs
        ]
        ended = study.evaluator.run(self.trainer, trials, self.data, study.task.objective)
        for place, score, seconds in ended:
            yield place, self._outcome(score, seconds)

    def _outcome(self, score: Score | Failure, seconds: float) -> Outcome:
        peak = _peak_bytes(self.running)
        if isinstance(score, Failure):
            return Outcome(failure=score, seconds=seconds, peak_bytes=peak)
        parameters = score.folds[0].parameters
        return Outcome(score, None, seconds, parameters, peak)


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
