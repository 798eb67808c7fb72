"""What one trial, message and checkpoint takes of the parent, the store and the cluster, from which
`hpsearch/executors/README.md` multiplies: `python -m tests.benchmarks.scale` (needs Ray).

Trials train nothing but have 100 epochs of curves, on one split and on four folds. The last line is
one JSON object: bytes of a trial in the store and as it is sent, milliseconds of the parent's
processors for a trial inline, on Ray, with a thousand in flight (`crowd`), and for a message of how
far a trial is; and milliseconds to write that, and to replay a trial when a search goes on.
"""

import json
import logging
import math
import pickle
import tempfile
import threading
import time
from collections import deque
from collections.abc import Collection, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any

import ray

from hpsearch import Random
from hpsearch.core import progress
from hpsearch.core.trial import Facts, Job, Outcome, ProgressReport
from hpsearch.executors import Executor, Inline, RayCluster, work_one_by_one
from hpsearch.executors.base import SubmitMixin, wait_for_others
from hpsearch.runs.replay import replay
from hpsearch.store import Store
from tests.benchmarks.overhead import METRIC, SPACE, outcome, prepare, search
from tests.builders import make_record

EPOCHS, TRIALS, MESSAGES, CROWD = 100, 2000, 4000, 1000


def chatter(job: Job) -> Outcome:
    """Many messages, each as if a quarter of a second had gone by."""
    assert progress._listener is not None
    for epoch in range(MESSAGES):
        time.sleep(0.001)
        progress._listener([ProgressReport(job.trial, 0, float(epoch), 0.5)])
    return outcome(job, epochs=1, folds=1)


def prepare_chatter() -> Any:
    return Facts("0" * 16, "0" * 64, "none", {}), work_one_by_one(chatter)


def trials(path: Path, executor: Executor) -> tuple[float, float]:
    """Bytes in the store, and milliseconds of this process's processors, a trial."""
    began = time.process_time()
    search(path, executor, TRIALS)
    spent = 1000 * (time.process_time() - began) / TRIALS
    with Store(path) as store:
        store.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path.stat().st_size / TRIALS, spent


def replayed(path: Path) -> float:
    """Milliseconds a trial, to go on with a search."""
    with Store(path) as store:
        (found,) = store.searches()
        search = Random(trials=TRIALS, epochs=1).start(SPACE, seed=0)
        began = time.perf_counter()
        progress = replay(search, store.journal(found.id).events(), METRIC)
        assert len(progress.suggestions) == TRIALS
        return 1000 * (time.perf_counter() - began) / TRIALS


def messages() -> float:
    """Milliseconds of this process's processors for one that comes from a worker."""
    executor = RayCluster(prepare_chatter, gpus_per_worker=0)
    executor.open()
    heard: list[ProgressReport] = []
    executor.listen(heard.append)
    began = time.process_time()
    executor.submit(Job({"dropout": 0.1, "learning_rate": 0.1}, 1)).result()
    spent = time.process_time() - began
    executor.close()
    assert len(heard) == MESSAGES
    return 1000 * spent / MESSAGES


def live(path: Path) -> float:
    """Milliseconds for each of 1,000 trials that run, to write how far it is."""
    some = [ProgressReport(trial, 0, 1.0, 0.5, "10.0.0.1 gpu 0") for trial in range(1000)]
    with Store(path, create=True) as store:
        journal = store.begin_search(make_record())
        journal.reached(some)
        began = time.perf_counter()
        for _ in range(20):
            journal.reached(some)
        return (time.perf_counter() - began) / 20


class Crowd(SubmitMixin):
    """A thousand workers, one of which ends at a time."""

    def __init__(self) -> None:
        self.workers, self.together = CROWD, 1
        self._running: deque[tuple[Job, Future[Outcome]]] = deque()
        self._more = threading.Semaphore(0)

    def open(self) -> Facts:
        threading.Thread(target=self._end, daemon=True).start()
        return prepare()[0]

    def submit_all(self, jobs: Sequence[Job]) -> "list[Future[Outcome]]":
        futures: list[Future[Outcome]] = [Future() for _ in jobs]
        self._running.extend(zip(jobs, futures, strict=True))
        for _ in jobs:
            self._more.release()
        return futures

    def wait(
        self, futures: "Collection[Future[Outcome]]", seconds: float
    ) -> "set[Future[Outcome]]":
        return wait_for_others(futures, seconds)

    def _end(self) -> None:
        while True:
            self._more.acquire()
            if len(self._running) < CROWD:
                time.sleep(0.001)
            job, future = self._running.popleft()
            future.set_result(outcome(job, epochs=EPOCHS, folds=1))

    def close(self) -> None: ...


def main() -> None:
    found = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ray.init(
            num_cpus=2,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            object_store_memory=200 * 2**20,
        )
        for folds in (1, 4):
            there = partial(prepare, EPOCHS, folds)
            job = Job({"dropout": 0.1, "learning_rate": 0.1}, EPOCHS)
            curves = [tuple(math.sin(i + 100 * k) for i in range(EPOCHS)) for k in range(4 * folds)]
            found[f"sent_bytes_{folds}"] = len(
                pickle.dumps((outcome(job, epochs=1, folds=1), curves))
            )
            path = folder / f"inline-{folds}.db"
            found[f"stored_bytes_{folds}"], found[f"journal_ms_{folds}"] = trials(
                path, Inline(there)
            )
            found[f"replay_ms_{folds}"] = replayed(path)
            on_ray = RayCluster(there, gpus_per_worker=0, recycle=None)
            found[f"ray_ms_{folds}"] = trials(folder / f"ray-{folds}.db", on_ray)[1]
        found["crowd_ms"] = trials(folder / "crowd.db", Crowd())[1]
        found["message_ms"] = messages()
        found["live_ms"] = live(folder / "live.db")
        ray.shutdown()
    for what, value in found.items():
        print(f"{what:16} {value:10.3f}")
    print(json.dumps({name: round(value, 4) for name, value in found.items()}))


if __name__ == "__main__":
    main()
