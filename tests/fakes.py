"""A searcher whose trials continue others, and work that trains nothing."""

import json
import os
import signal
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np

from hpsearch import Choice, Float, Space
from hpsearch.core import interrupt, progress
from hpsearch.core.errors import DataError, FatalError
from hpsearch.core.files import is_local, write_whole
from hpsearch.core.metric import Metric
from hpsearch.core.option_text import describe_options
from hpsearch.core.trial import (
    Curve,
    Facts,
    Failure,
    Job,
    Observation,
    Outcome,
    Pause,
    Score,
    Suggestion,
)
from hpsearch.executors import Work, work_one_by_one
from hpsearch.searchers import Search


@dataclass(frozen=True, slots=True)
class Halving:
    """One bracket of successive halving with two rungs: n points, then the better half goes on."""

    points: int = 4
    epochs: int = 4

    @property
    def label(self) -> str:
        return describe_options(self)

    @property
    def continues(self) -> bool:
        return True

    @property
    def in_flight(self) -> int:
        return 1

    def resized(self, *, trials: int | None = None, epochs: int | None = None) -> Self:
        return replace(self, points=trials or self.points, epochs=epochs or self.epochs)

    def start(self, space: Space, *, seed: int, first: Sequence[Mapping[str, Any]] = ()) -> Search:
        rng = np.random.default_rng(seed)
        drawn = [space.sample(rng) for _ in range(self.points)]
        return _Halving(self, [*first, *drawn][: self.points])


@dataclass(slots=True)
class _Halving:
    options: Halving
    points: list[Mapping[str, Any]]
    losses: dict[int, float] = field(default_factory=dict)

    def ask(self, trial: int) -> Suggestion | Pause:
        n = self.options.points
        if trial < n:
            return Suggestion(self.points[trial], max(1, self.options.epochs // 2))
        if trial >= n + n // 2:
            return Pause.DONE
        if len(self.losses) < n:
            return Pause.WAIT
        best = sorted(range(n), key=lambda t: (self.losses[t], t))[trial - n]
        return Suggestion(self.points[best], self.options.epochs, parent=best)

    def continuable(self, trial: int) -> bool:
        return trial < self.options.points

    def tell(self, trial: int, seen: Observation) -> None:
        if trial < self.options.points:
            self.losses[trial] = float("inf") if seen.loss is None else seen.loss


def outcome(job: Job) -> Outcome:
    """What a job would give if its value were its dropout; a dropout above 0.45 fails."""
    value = float(job.params["dropout"])
    if value > 0.45:
        return Outcome(
            failure=Failure("exception", "too much dropout", "Traceback ..."), seconds=0.1
        )
    curve = tuple(value + 1 / (epoch + 1) for epoch in range(job.epochs))
    fold = Curve(curve, curve, curve, curve, rows=10, n_weights=7)
    return Outcome(Score(curve[-1], None, job.epochs, (fold,)), seconds=0.1, n_weights=7)


METRIC = Metric("loss", "min")
SPACE = Space(dropout=Float(0.0, 0.4), optimizer=Choice("adam", "sgd"))
FACTS = Facts(data="0" * 16, source="0" * 64, backend="none", versions={})


def prepare() -> tuple[Facts, Work]:
    return FACTS, work_one_by_one(outcome)


def prepare_dying() -> tuple[Facts, Work]:
    """Work that kills its process once for each name of a file in `params["once"]`, or always."""
    return FACTS, work_one_by_one(_die_or_work)


def prepare_dying_first(folder: str, deaths: int) -> tuple[Facts, Work]:
    """Work whose process is killed while it loads, so many times."""
    there = len(list(Path(folder).iterdir()))
    if there < deaths:
        Path(folder, str(there)).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return prepare()


def prepare_hanging_when_loaded() -> tuple[Facts, Work]:
    progress.report_loaded()
    time.sleep(600)
    return prepare()


def prepare_remarking() -> tuple[Facts, Work]:
    """Facts that tell of this process what no other one would."""
    remark = f"build fails at some points: {os.getpid()}"
    return replace(FACTS, remark=remark, together=1 + os.getpid()), work_one_by_one(outcome)


class LicenseLost(FatalError):
    def __init__(self, server: str, port: int) -> None:
        super().__init__(f"no license at {server}:{port}")


def prepare_refusing_jobs() -> tuple[Facts, Work]:
    """Work that ends the run by an error of the study's own class."""
    return FACTS, work_one_by_one(_lose_license)


def _lose_license(job: Job) -> Outcome:
    raise LicenseLost("somewhere", 80)


def prepare_forking() -> tuple[Facts, Work]:
    """Work that leaves a child behind, and then dies or not as `params["act"]` says."""
    return FACTS, work_one_by_one(_fork)


def _fork(job: Job) -> Outcome:
    if not (child := os.fork()):
        time.sleep(600)
        os._exit(0)
    Path(str(job.params["to"]), str(child)).touch()
    if job.params["act"] == "die":
        os.kill(os.getpid(), signal.SIGSEGV)
    return outcome(job)


def prepare_refused() -> tuple[Facts, Work]:
    raise DataError("the data is not good enough")


def prepare_broken() -> tuple[Facts, Work]:
    return FACTS, {}["no such key"]


def prepare_reading(array: "np.ndarray[Any, Any]") -> tuple[Facts, Work]:
    """Work that says of the array it was given whether it may write into it, and its sum."""
    return FACTS, work_one_by_one(partial(_read, array))


def _read(array: "np.ndarray[Any, Any]", job: Job) -> Outcome:
    report = json.dumps({"writable": array.flags.writeable, "sum": float(array.sum())})
    return Outcome(failure=Failure("report", report))


def _die_or_work(job: Job) -> Outcome:
    marker = str(job.params["once"])
    if marker == "always" or not Path(marker).exists():
        if marker != "always":
            Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return outcome(job)


def prepare_staged() -> tuple[Facts, Work]:
    """Work told by `params["act"]` what to do, which leaves a trace in the folder `params["to"]`."""
    return FACTS, work_one_by_one(_act)


def _act(job: Job) -> Outcome:
    act, folder = str(job.params["act"]), Path(str(job.params["to"]))
    device = os.environ.get("CUDA_VISIBLE_DEVICES", "none")
    here = folder / f"{device} {os.getpid()} {time.monotonic_ns()}"
    crowd = [path.name for path in folder.glob(f"{device} *") if path.suffix != ".gone"]
    here.touch()
    try:
        if act == "hang":
            time.sleep(600)
        if act == "hungry" and crowd:  # it fits only alone
            return Outcome(failure=Failure("memory", "RESOURCE_EXHAUSTED: out of memory"))
        if act == "glutton":
            return Outcome(failure=Failure("memory", "RESOURCE_EXHAUSTED: out of memory"))
        if act == "patient":
            while not interrupt.is_requested():
                time.sleep(0.01)
            raise interrupt.Interrupted
        progress.JobProgress(job, folds=1)
        time.sleep(float(job.params.get("seconds", 0.0)))
    finally:
        here.rename(here.with_suffix(".gone"))
    fold = Curve((0.1,), (0.1,), (0.1,), (0.1,), rows=10, n_weights=7)
    report = json.dumps({"device": device, "crowd": len(crowd), "pid": os.getpid(), **_place()})
    return Outcome(
        Score(0.1, None, 1, (fold,)),
        Failure("report", report),
        n_weights=7,
        peak_bytes=int(job.params.get("peak", 0)),
    )


def _place() -> dict[str, Any]:
    names = (
        "XLA_PYTHON_CLIENT_MEM_FRACTION", "XLA_PYTHON_CLIENT_PREALLOCATE", "OMP_NUM_THREADS", "NPROC",
    )  # fmt: skip
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    return {"cores": cores, **{name: os.environ.get(name) for name in names}}


def prepare_failing(*_: Any, **__: Any) -> tuple[Facts, Work]:
    """Stands in for `run.worker.prepare_from_file`: every trial fails."""
    failed = Outcome(failure=Failure("exception", "too much dropout", "Traceback"), seconds=0.1)
    return FACTS, work_one_by_one(lambda job: failed)


def prepare_chain(
    file: Path,
    overrides: Any,
    backend_name: str | None,
    engine: str,
    together: int,
    shared: Any = None,
    mark: Path | None = None,
    try_points: bool = True,
) -> tuple[Facts, Work]:
    """Stands in for `run.worker.prepare_from_file`: training is a chain of hashes, 10 ms an epoch."""
    return FACTS, work_one_by_one(_chain)


def _chain(job: Job) -> Outcome:
    """Each epoch's value depends on all before it, so that going on from a wrong state shows."""
    start, values = time.perf_counter(), list[float]()
    assert job.checkpoint_out is not None
    own = job.checkpoint_out / "fold-0.npz"
    for path in filter(None, (own, job.checkpoint_in and job.checkpoint_in / "fold-0.npz")):
        if path.exists():
            values = json.loads(path.read_text())
            assert len(values) == job.start_epoch or path == own, (
                "a parent's checkpoint is of its end"
            )
            break
    for epoch in range(len(values), job.epochs):
        time.sleep(0.01)
        text = json.dumps([sorted(job.params.items()), values, epoch])
        values.append(zlib.crc32(text.encode()) / 2**32)
        if interrupt.is_requested() or epoch + 1 == job.epochs or (epoch + 1) % 3 == 0:
            own.parent.mkdir(parents=True, exist_ok=True)
            if is_local(own):
                write_whole(own, json.dumps(values))
            else:
                own.write_text(json.dumps(values))
        if interrupt.is_requested() and epoch + 1 < job.epochs:
            raise interrupt.Interrupted
    curve = tuple(values)
    best = min(curve)
    fold = Curve(curve, curve, curve, curve, rows=10, n_weights=7)
    score = Score(best, None, curve.index(best) + 1, (fold,))
    return Outcome(score, seconds=time.perf_counter() - start, n_weights=7)
