"""Jobs run on a Ray cluster, by actors that stay warm wherever Ray places them.

Ray decides which node an actor lands on, carries what passes between it and this process, and says
when it is gone. What is ours is to want as many actors as the cluster holds, and to give a job
again whose actor is lost: training again, from its last checkpoint, gives the same result.
"""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from hpsearch.core.errors import DeviceError, HpsearchError, StudyError, first_line
from hpsearch.core.interrupt import Interrupted
from hpsearch.core.trial import Facts, Failure, Outcome
from hpsearch.executors import ray_connection
from hpsearch.executors.base import Prepare, found_the_same
from hpsearch.executors.ray_worker import Lost, RayWorker
from hpsearch.executors.waiting import Lined, Waiting
from hpsearch.executors.workers import TimedOut

_ATTEMPTS = 4  # times that a job may end its worker
_LOSSES = 20  # times that it may be lost in all, also with the nodes it ran on
_LOOK = 1.0  # seconds between two looks at the nodes
_MESSAGES = 200.0  # a second, of how far trials are, from all workers together
_AGAIN = 30.0  # seconds until a worker that could not start is tried again

log = logging.getLogger(__name__)


class RayCluster(Lined):
    """A worker for each share of a GPU, or for each core, that the cluster's nodes have.

    address: "auto", or HOST:PORT of the head. gpus_per_worker: 1, or a part of one; 0: a core
    each; None: 1 where there are GPUs, else 0. folder: what the nodes get of the code: the study's.
    timeout, recycle: as `Processes` has them. `prepare` lies once in each node's memory, with the
    arrays in it, which its workers read without a copy.
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
        super().__init__()
        self._prepare, self._address, self._folder = prepare, address, folder
        self._gpus, self._timeout, self._recycle = gpus_per_worker, timeout, recycle
        self._ray: Any = None
        self._connected = False
        self._facts: Facts | None = None
        self._workers: set[RayWorker] = set()
        self._nodes: set[str] = set()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._stopping = False
        self._threads: list[threading.Thread] = []
        self._warned: set[str] = set()

    @property
    def capacity(self) -> int:
        ready = sum(worker.ready for worker in self._living())
        return max(1, ready) * (self._facts.together if self._facts else 1)

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
        if not self._wanted():
            raise DeviceError(
                f"--gpus-per-worker {self._gpus:g}: no node of this Ray cluster has so much; "
                f"it has {ray_connection.inventory(self._ray)}; --gpus-per-worker 0 trains on cores"
            )
        self._shared = self._ray.put(self._prepare)
        first, self._facts = self._start_first()
        self._in_thread(self._serve, first)
        self._in_thread(self._keep)
        return self._facts

    def _start_first(self) -> tuple[RayWorker, Facts]:
        """A worker, and what it found; where one dies, another is tried, as often as for a job."""
        error: Exception = RuntimeError("no worker could be started")
        for _ in range(_ATTEMPTS):
            worker = self._worker()
            if self._closing.is_set():  # after it was noted: else `close` might not know of it
                worker.kill()
                raise _closed()
            try:
                return worker, worker.start()
            except Lost as lost:
                error = lost
                self._workers.discard(worker)
                worker.kill()
        raise HpsearchError(
            f"{error} while it loaded the study, {_ATTEMPTS} times in a row; see Ray's logs"
        )

    def interrupt(self) -> None:
        with self._lock:
            self._stopping = True
        for item in self._line.drained():
            item.future.set_exception(Interrupted())
        for worker in list(self._workers):
            worker.interrupt()

    def close(self) -> None:
        self._closing.set()
        self._line.close()
        for worker in list(self._workers):
            worker.kill()
        for thread in self._threads:
            thread.join(2.0)
        if self._connected:
            self._ray.shutdown()
            self._connected = False

    def _keep(self) -> None:
        """As nodes come and go, want as many workers as there is room for."""
        while not self._closing.wait(_LOOK) and not self._stopping:
            with suppress(Exception):  # the head may be away for a while
                for _ in range(self._wanted() - len(self._living())):
                    self._in_thread(self._serve, self._worker())

    def _wanted(self) -> int:
        assert self._gpus is not None
        nodes = [node for node in self._ray.nodes() if node["Alive"]]
        self._nodes = {node["NodeID"] for node in nodes}
        return sum(fitting(node["Resources"], self._gpus) for node in nodes)

    def _living(self) -> list[RayWorker]:
        """Without those whose node is gone; an idle one is not heard of."""
        return [w for w in list(self._workers) if w.node is None or w.node in self._nodes]

    def _worker(self) -> RayWorker:
        assert self._gpus is not None
        worker = RayWorker(self._ray, self._shared, self._gpus, lambda told: self._heard(told))
        self._workers.add(worker)
        return worker

    def _in_thread(self, target: Callable[..., None], *arguments: Any) -> None:
        # A daemon: an interrupted parent must not wait for a job that runs for hours.
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads = [t for t in self._threads if t.is_alive()] + [thread]
        thread.start()

    def _serve(self, worker: RayWorker) -> None:
        try:
            if worker.ready or self._starts(worker):
                while self._is_fit(worker) and (taken := self._take()):
                    worker.busy = True
                    self._do(worker, taken)
                    worker.busy = False
        finally:
            self._workers.discard(worker)
            worker.kill()

    def _is_fit(self, worker: RayWorker) -> bool:
        return worker.ready and (self._recycle is None or worker.jobs < self._recycle)

    def _take(self) -> list[Waiting]:
        assert self._facts is not None
        return self._line.take(self._facts.together, self._idle)

    def _idle(self) -> int:
        return sum(worker.ready and not worker.busy for worker in self._living())

    def _starts(self, worker: RayWorker) -> bool:
        """Whether another node's worker could load the study, and found what the first one did."""
        try:
            if (why := _difference(worker.start(), self._facts)) is None:
                return True
            worker.ready = False
        except Lost as error:
            if not error.at_fault:  # its node went as it came
                return False
            why = str(error)
        except Exception as error:
            why = first_line(error)
        if not self._closing.is_set() and why not in self._warned:
            self._warned.add(why)
            log.warning("a worker on %s does not help: %s", worker.name or "a Ray node", why)
        self._closing.wait(_AGAIN)
        return False

    def _do(self, worker: RayWorker, taken: list[Waiting]) -> None:
        """Do jobs, side by side if there are several. Those that must be done again wait anew: one
        at a time, so that only the one at fault fails."""
        left = dict(enumerate(taken))
        for item in taken:
            item.taken(worker.name)
        try:
            if self._stopping:
                raise Interrupted
            jobs = [item.job for item in taken]
            seconds = max(0.25, len(self._workers) / _MESSAGES)
            for place, outcome in worker.do(jobs, seconds, self._timeout):
                if outcome.failure and outcome.failure.kind == "memory" and len(taken) > 1:
                    continue
                left.pop(place).end(outcome)
        except (HpsearchError, Interrupted) as error:
            for item in left.values():
                item.future.set_exception(error)
            return
        except Exception as error:
            worker.ready = False
            for item in left.values():
                item.lose(at_fault=not isinstance(error, Lost) or error.at_fault)
                if failure := self._hopeless(item, error, together=len(taken) > 1):
                    item.end(Outcome(failure=failure))
        self._again([item for item in left.values() if not item.future.done()])

    def _hopeless(self, item: Waiting, error: Exception, *, together: bool) -> Failure | None:
        if isinstance(error, TimedOut):
            took = Failure("timeout", f"it took longer than {self._timeout:g} seconds")
            return None if together else took
        if item.faults < _ATTEMPTS and item.losses < _LOSSES:
            return None
        return Failure("killed", f"{error}, {max(item.faults, item.losses)} times in a row")

    def _again(self, items: Sequence[Waiting]) -> None:
        with self._lock:
            if not self._stopping:
                for item in items:
                    item.single = True
                self._line.put(items)
                return
        for item in items:
            item.future.set_exception(Interrupted())


def _closed() -> HpsearchError:
    return HpsearchError("the workers were closed while they loaded the study")


def fitting(resources: Mapping[str, float], gpus: float) -> int:
    """How many workers a node holds; none shares two GPUs.

    >>> fitting({"CPU": 16.0, "GPU": 2.0}, 0.3)
    6
    >>> fitting({"CPU": 16.0}, 0)
    16
    """
    if not gpus:
        return int(resources.get("CPU", 0))
    return int(resources.get("GPU", 0)) * int(1 / gpus)


def _difference(facts: Facts, first: Facts | None) -> str | None:
    """Why a worker does not fit to the first one; how many trials it takes at a time may differ."""
    assert first is not None
    if facts.versions != first.versions:
        return f"it has {facts.versions}, others have {first.versions}; install the same"
    same = found_the_same(facts, first)
    return None if same else str(StudyError("its study or data is another one than the first's"))
