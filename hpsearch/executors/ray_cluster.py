"""Jobs run on a Ray cluster, by actors that stay warm wherever Ray places them.

Ray decides which node an actor runs on, carries what passes between it and this process, and says
when it is gone. This file asks for as many actors as the cluster can hold, and gives a job to
another one when its actor is lost: training again, from its last checkpoint, gives the same result.
"""

import logging
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from hpsearch.core.errors import DeviceError, HpsearchError, first_line
from hpsearch.core.interrupt import Interrupted
from hpsearch.core.trial import Facts, Failure, Outcome
from hpsearch.executors import ray_connection
from hpsearch.executors.base import Prepare, loaded_the_same
from hpsearch.executors.job_queue import (
    ATTEMPTS,
    PendingJob,
    QueuedExecutor,
    TimedOut,
    finish_as_they_end,
    first_worker_error,
    start_daemon,
    worker_failure,
)
from hpsearch.executors.ray_worker import RayWorker, WorkerLost

_MOST_LOSSES = 20  # times that a job may be lost in all, also with the nodes it ran on
_LOOK = 1.0  # seconds between two looks at the nodes
_MESSAGES = 200.0  # progress messages a second, from all workers together
_RETRY_START = 30.0  # seconds until a worker that could not start is tried again

log = logging.getLogger(__name__)


class RayCluster(QueuedExecutor):
    """Runs jobs on a Ray cluster: a worker for each core, or for each share of a GPU.

    Args:
        prepare: loads the study; called in each worker. It lies once in each node's memory, with
            the arrays in it, which workers read without a copy.
        address: "auto", or HOST:PORT of the head.
        gpus_per_worker: 1, or a part of one; 0: a core each; None: 1 where there are GPUs, else 0.
        folder: the study's folder, which is copied to the nodes.
        timeout: seconds that a job may take before it fails.
        recycle: jobs after which a worker is replaced.
    """

    def __init__(
        self,
        prepare: Prepare,
        address: str = "auto",
        gpus_per_worker: float | None = None,
        *,
        folder: Path | None = None,
        timeout: float | None = None,
        recycle: int | None = 200,
    ) -> None:
        super().__init__(prepare, timeout, recycle)
        self._address, self._folder, self._gpus = address, folder, gpus_per_worker
        self._ray: Any = None
        self._connected = False
        self._workers: set[RayWorker] = set()
        self._nodes: set[str] = set()
        self._closing = threading.Event()
        self._threads: list[threading.Thread] = []
        self._warned: set[str] = set()

    @property
    def workers(self) -> int:
        return max(1, sum(worker.ready for worker in self._living()))

    def open(self) -> Facts:
        try:
            return self._open()
        except HpsearchError:
            raise
        except Exception as error:  # after `close`, whatever Ray raises once it was shut down
            if not self._closing.is_set():
                raise
            raise _closed() from error

    def _open(self) -> Facts:
        self._ray, self._connected = ray_connection.connect(self._address, self._folder)
        if self._gpus is None:
            self._gpus = 1.0 if self._ray.cluster_resources().get("GPU", 0) >= 1 else 0.0
        if not self._count_wanted():
            raise DeviceError(
                f"--gpus-per-worker {self._gpus:g}: no node of this Ray cluster has so much; "
                f"it has {ray_connection.inventory(self._ray)}; --gpus-per-worker 0 trains on cores"
            )
        self._shared = self._ray.put(self._prepare)
        first, self._facts = self._start_first()
        self._start_thread(self._serve, first)
        self._start_thread(self._keep_workers)
        return self._facts

    def _start_first(self) -> tuple[RayWorker, Facts]:
        """A worker, and what it found; where one dies, another is tried, as often as for a job."""
        error: Exception = RuntimeError("no worker could be started")
        for _ in range(ATTEMPTS):
            worker = self._add_worker()
            if self._closing.is_set():  # after it was noted: else `close` might not know of it
                worker.kill()
                raise _closed()
            try:
                return worker, worker.start()
            except WorkerLost as lost:
                error = lost
                self._workers.discard(worker)
                worker.kill()
        raise first_worker_error(error, "see Ray's logs")

    def interrupt(self) -> None:
        with self._lock:
            self._stopping = True
        for pending in self._queue.take_all():
            pending.future.set_exception(Interrupted())
        for worker in list(self._workers):
            worker.interrupt()

    def close(self) -> None:
        self._closing.set()
        self._queue.close()
        for worker in list(self._workers):
            worker.kill()
        for thread in self._threads:
            thread.join(2.0)
        if self._connected:
            self._ray.shutdown()
            self._connected = False

    def _keep_workers(self) -> None:
        """Create workers as nodes come, and for those that were lost."""
        while not self._closing.wait(_LOOK) and not self._stopping:
            with suppress(Exception):  # the head may be away for a while
                for _ in range(self._count_wanted() - len(self._living())):
                    self._start_thread(self._serve, self._add_worker())

    def _count_wanted(self) -> int:
        """How many workers the living nodes can hold."""
        assert self._gpus is not None
        nodes = [node for node in self._ray.nodes() if node["Alive"]]
        self._nodes = {node["NodeID"] for node in nodes}
        return sum(workers_of_node(node["Resources"], self._gpus) for node in nodes)

    def _living(self) -> list[RayWorker]:
        """Workers whose node is not gone: the loss of an idle one raises nothing."""
        return [w for w in list(self._workers) if w.node is None or w.node in self._nodes]

    def _add_worker(self) -> RayWorker:
        assert self._gpus is not None
        worker = RayWorker(self._ray, self._shared, self._gpus, self._report_progress)
        self._workers.add(worker)
        return worker

    def _start_thread(self, target: Callable[..., None], *arguments: Any) -> None:
        started = start_daemon(target, *arguments)
        self._threads = [t for t in self._threads if t.is_alive()] + [started]

    def _serve(self, worker: RayWorker) -> None:
        """A worker's thread: start it, and give it jobs until it is lost, worn or closed."""
        try:
            if worker.ready or self._starts(worker):
                while self._is_fit(worker) and (taken := self._take_jobs()):
                    worker.busy = True
                    self._do(worker, taken)
                    worker.busy = False
        finally:
            self._workers.discard(worker)
            worker.kill()

    def _is_fit(self, worker: RayWorker) -> bool:
        return worker.ready and not self._has_done_enough(worker.jobs)

    def _count_idle(self) -> int:
        return sum(worker.ready and not worker.busy for worker in self._living())

    def _starts(self, worker: RayWorker) -> bool:
        """Whether another node's worker could load the study, and found what the first one did."""
        try:
            if (why := _difference(worker.start(), self._facts)) is None:
                return True
            worker.ready = False
        except WorkerLost as error:
            if not error.at_fault:  # its node went as it came
                return False
            why = str(error)
        except Exception as error:
            why = first_line(error)
        if not self._closing.is_set() and why not in self._warned:
            self._warned.add(why)
            log.warning("a worker on %s is not used: %s", worker.name or "a Ray node", why)
        self._closing.wait(_RETRY_START)
        return False

    def _do(self, worker: RayWorker, taken: list[PendingJob]) -> None:
        """Do jobs, side by side if there are several."""
        for pending in taken:
            pending.mark_started(worker.name)
        left, error = finish_as_they_end(taken, self._outcomes(worker, taken))
        if error is not None:
            worker.ready = False
            for pending in left:
                pending.count_loss(at_fault=not isinstance(error, WorkerLost) or error.at_fault)
                if failure := self._final_failure(pending, error, together=len(taken) > 1):
                    pending.finish(Outcome(failure=failure))
        self._do_again([pending for pending in left if not pending.future.done()])

    def _outcomes(
        self, worker: RayWorker, taken: list[PendingJob]
    ) -> Generator[tuple[int, Outcome], None, None]:
        if self._stopping:
            raise Interrupted
        seconds = max(0.25, len(self._workers) / _MESSAGES)
        yield from worker.do(
            [pending.make_current_job() for pending in taken], seconds, self._timeout
        )

    def _final_failure(
        self, pending: PendingJob, error: Exception, *, together: bool
    ) -> Failure | None:
        """Why a job whose worker is gone is not tried again; None: it is."""
        if isinstance(error, TimedOut):
            return None if together else self._timeout_failure()
        if pending.faults < ATTEMPTS and pending.losses < _MOST_LOSSES:
            return None
        return worker_failure("killed", error, max(pending.faults, pending.losses))

    def _do_again(self, jobs: Sequence[PendingJob]) -> None:
        with self._lock:
            if not self._stopping:
                self._queue.put_back(jobs)
                return
        for pending in jobs:
            pending.future.set_exception(Interrupted())


def _closed() -> HpsearchError:
    return HpsearchError("the workers were closed while they loaded the study")


def workers_of_node(resources: Mapping[str, float], gpus: float) -> int:
    """How many workers a node holds; no worker is spread over two GPUs.

    >>> workers_of_node({"CPU": 16.0, "GPU": 2.0}, 0.3)
    6
    >>> workers_of_node({"CPU": 16.0}, 0)
    16
    """
    if not gpus:
        return int(resources.get("CPU", 0))
    return int(resources.get("GPU", 0)) * int(1 / gpus)


def _difference(facts: Facts, first: Facts | None) -> str | None:
    """In which way a worker differs from the first one; None: in none that matters."""
    assert first is not None
    if facts.versions != first.versions:
        return f"it has {facts.versions}, others have {first.versions}; install the same"
    if facts.data != first.data:
        return (
            "its data differs from the first worker's; copy the same files, with their times, or "
            'name the data: Data(version="2026-11")'
        )
    same = loaded_the_same(facts, first)
    return None if same else "its study differs from the first worker's"
