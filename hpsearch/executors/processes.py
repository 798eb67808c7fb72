"""Jobs run in warm worker processes, several on a device if they fit.

A worker that dies takes its job with it, not the search: another one is started and the job
repeated, because training again gives the same result.
"""

import functools
import os
import queue
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from pathlib import Path

from hpsearch.errors import HpsearchError, StudyError
from hpsearch.executors.base import Prepare
from hpsearch.executors.devices import Device, Slot, alone, find, slots
from hpsearch.executors.workers import TimedOut, Worker, WorkerDied
from hpsearch.interrupt import Interrupted
from hpsearch.trial import Facts, Failure, Job, Outcome

_ATTEMPTS = 4
_FIRST = 2  # jobs that show what one takes
_MOST_PER_DEVICE = 8
_GPU_CONTEXT = 2**29  # bytes that each process takes of a GPU beside what it allocates
_Jobs = queue.SimpleQueue[tuple[Job, "Future[Outcome]"] | None]


class Processes:
    """A worker in each slot, started one after the other; each takes the oldest job waiting.

    per_device: workers on each device; None: as many as fit, by the memory of the first jobs.
    timeout: seconds a job may take; it fails then. recycle: jobs after which a worker is
    replaced, because frameworks keep a little memory of every model; so is one that holds more
    than its share of the machine's.
    """

    def __init__(
        self,
        prepare: Prepare,
        devices: Sequence[Device] = (),
        per_device: int | None = 1,
        *,
        timeout: float | None = None,
        recycle: int | None = 200,
    ) -> None:
        self._prepare, self._timeout, self._recycle = prepare, timeout, recycle
        self._devices = list(devices) or find("auto")
        self._growing = per_device is None
        self._slots = slots(self._devices, per_device or 1, share=not self._growing)
        self._workers: list[Worker] = []
        self._threads: list[threading.Thread] = []
        self._jobs: _Jobs = queue.SimpleQueue()
        self._rooms = {_memory_of(device): _Room() for device in self._devices}
        self._facts: Facts | None = None
        self._closed = self._stopping = False
        self._lock = threading.Lock()
        self._peak, self._seen = 0, 0

    @property
    def capacity(self) -> int:
        return len(self._slots)

    def open(self) -> Facts:
        first = Worker(self._prepare, self._slots[0])
        self._workers.append(first)
        try:
            self._facts = first.start()
        except WorkerDied as error:
            raise HpsearchError(f"{error} while it loaded the study; see what it printed") from None
        self._serve_in_thread(first)
        for slot in self._slots[1:]:
            self._add(slot)
        return self._facts

    def submit(self, job: Job) -> "Future[Outcome]":
        future: Future[Outcome] = Future()
        self._jobs.put((job, future))
        return future

    def interrupt(self) -> None:
        with self._lock:
            self._stopping = True
            for worker in self._workers:
                if worker.busy:
                    worker.interrupt()

    def close(self) -> None:
        self._closed = True
        for worker in self._workers:
            self._jobs.put(None)
            worker.kill()
        for thread in self._threads:  # one may just have started another worker
            thread.join(2.0)
        for worker in self._workers:
            worker.kill()

    def _add(self, slot: Slot) -> None:
        worker = Worker(self._prepare, slot)
        self._workers.append(worker)
        self._serve_in_thread(worker)

    def _serve_in_thread(self, worker: Worker) -> None:
        # A daemon: an interrupted parent must not wait for a job that runs for hours.
        thread = threading.Thread(target=self._serve, args=(worker,), daemon=True)
        self._threads.append(thread)
        thread.start()

    def _serve(self, worker: Worker) -> None:
        while not self._closed:
            with self._room(worker).enter(alone=False), suppress(Exception):
                self._start(worker)  # if it cannot be started, the next job will say why
            item = self._jobs.get()
            if item is None or self._closed:
                return
            job, future = item
            try:
                outcome = self._attempt(worker, job)
            except (HpsearchError, Interrupted) as error:
                future.set_exception(error)
                continue
            if self._closed:
                return
            self._grow(outcome)
            future.set_result(outcome)
            if self._is_worn(worker):
                worker.kill()

    def _start(self, worker: Worker) -> None:
        if worker.alive or self._closed:
            return
        facts = worker.start()
        if self._closed:  # in the meantime
            worker.kill()
        if facts != self._facts:
            worker.kill()
            raise StudyError(
                "a worker was replaced, and the study or its data has changed since the run "
                "began; undo that, and the same command continues"
            )

    def _attempt(self, worker: Worker, job: Job) -> Outcome:
        failure, alone = Failure("lost", "no worker could be started"), False
        for attempt in range(_ATTEMPTS):
            if self._closed or self._stopping:
                raise Interrupted
            try:
                with self._room(worker).enter(alone=alone), self._all_memory(worker, wanted=alone):
                    self._start(worker)
                    outcome = self._do(worker, job)
            except WorkerDied as error:
                kind = "killed" if error.signal else "lost"
                failure = Failure(kind, f"{error}, {_ATTEMPTS} times in a row")
                # Linux ends by SIGKILL whoever holds most when memory runs out.
                alone = alone or (attempt > 0 and error.signal == "SIGKILL")
            except TimedOut:
                return Outcome(
                    failure=Failure("timeout", f"it took longer than {self._timeout:g} seconds")
                )
            except (HpsearchError, Interrupted):
                raise
            except Exception as error:  # whatever it is, the search must go on
                failure = Failure("lost", f"no worker could do it: {error}")
                worker.kill()  # it may yet answer what nobody waits for any more
            else:
                if outcome.failure is None or outcome.failure.kind != "memory" or alone:
                    return outcome
                failure, alone = outcome.failure, True
        return Outcome(failure=failure)

    def _do(self, worker: Worker, job: Job) -> Outcome:
        with self._lock:  # else a job could be given just after all were asked to stop
            if self._stopping:
                raise Interrupted
            worker.busy = True
        try:
            return worker.do(job, self._timeout)
        finally:
            worker.busy = False

    @contextmanager
    def _all_memory(self, worker: Worker, *, wanted: bool) -> Iterator[None]:
        """Give a worker its device to itself: idle workers hold memory too, and it had a share."""
        if not wanted:
            yield
            return
        for other in self._workers:
            if self._room(other) is self._room(worker):
                other.kill()
        shared = worker.slot
        worker.slot = alone(shared)
        try:
            yield
        finally:
            worker.kill()
            worker.slot = shared

    def _room(self, worker: Worker) -> "_Room":
        """Who shares memory shares a room: all workers of one GPU, or of the machine."""
        return self._rooms[_memory_of(worker.slot.device)]

    def _is_worn(self, worker: Worker) -> bool:
        if self._recycle is not None and worker.jobs >= self._recycle:
            return True
        return worker.memory() > 0.8 * _machine_memory() / len(self._workers)

    def _grow(self, outcome: Outcome) -> None:
        """Once the first jobs have shown what one takes, start as many workers as fit."""
        with self._lock:
            self._peak, self._seen = max(self._peak, outcome.peak_bytes), self._seen + 1
            if not self._growing or self._seen < _FIRST or not self._peak or self._stopping:
                return
            self._growing = False
            each = min(_fitting(device, self._peak, len(self._devices)) for device in self._devices)
            more = slots(self._devices, each, share=False)[len(self._slots) :]
            self._slots += more
        for slot in more:
            self._add(slot)


class _Room:
    """Lets workers in together, or one of them alone."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = self._waiting_alone = 0
        self._sealed = False

    @contextmanager
    def enter(self, *, alone: bool) -> Iterator[None]:
        with self._changed:
            if alone:
                self._waiting_alone += 1
                self._changed.wait_for(lambda: self._inside == 0)
                self._waiting_alone -= 1
                self._sealed = True
            else:
                self._changed.wait_for(lambda: not self._sealed and not self._waiting_alone)
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._sealed = False
                self._changed.notify_all()


def _memory_of(device: Device) -> str:
    return device.id if device.kind == "gpu" else "host"


def _fitting(device: Device, peak: int, devices: int) -> int:
    """How many workers a device holds, each with the peak of the first jobs and some room."""
    if device.kind == "gpu":
        each, total, most = int(1.2 * peak) + _GPU_CONTEXT, device.total, _MOST_PER_DEVICE
    else:
        each, total = int(1.2 * peak), _machine_memory() // devices
        most = len(device.cores)
    return max(1, min(most, int(0.9 * total) // each)) if total else 1


@functools.cache  # asked after every job
def _machine_memory() -> int:
    """Bytes of this machine, or of the container; without end where nothing tells."""
    limits = [2**63]
    with suppress(ValueError, OSError, AttributeError):
        limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for file in ("memory.max", "memory/memory.limit_in_bytes"):
        with suppress(ValueError, OSError):
            limits.append(int(Path("/sys/fs/cgroup", file).read_text()))
    return min(limits)
