"""Jobs run in warm worker processes, several on a device if they fit.

A worker that dies takes its job with it, not the search: another one is started and the job
repeated, because training again gives the same result.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from hpsearch.core.errors import HpsearchError, StudyError
from hpsearch.core.interrupt import Interrupted
from hpsearch.core.trial import Facts, Failure, Job, Outcome
from hpsearch.executors.base import Prepare, found_the_same
from hpsearch.executors.devices import Device, Slot, alone, find, slots
from hpsearch.executors.memory import Room, fitting, machine_memory, memory_of
from hpsearch.executors.waiting import Lined, Waiting
from hpsearch.executors.workers import TimedOut, Worker, WorkerDied

_ATTEMPTS = 4
_FIRST = 2  # jobs that show what one takes


class Processes(Lined):
    """A worker in each slot, started one after the other; each takes the jobs that waited longest,
    as many as it can do together.

    per_device: workers on each device; None: as many as fit, by the memory of the first jobs.
    timeout: seconds a job may take; it fails then. recycle: jobs after which a worker is
    replaced, because frameworks keep a little memory of every model; so is one that holds more
    than its share of the machine's. prepare_without_models: the same as `prepare` without building
    models; taken instead where these end or hang the first workers, so that they are trials that
    fail.
    """

    def __init__(
        self,
        prepare: Prepare,
        devices: Sequence[Device] = (),
        per_device: int | None = 1,
        *,
        timeout: float | None = None,
        recycle: int | None = 200,
        prepare_without_models: Prepare | None = None,
    ) -> None:
        super().__init__()
        self._prepare, self._timeout, self._recycle = prepare, timeout, recycle
        self._prepare_without_models = prepare_without_models
        self._devices = list(devices) or find("auto")
        self._growing = per_device is None
        self._slots = slots(self._devices, per_device or 1, share=not self._growing)
        self._workers: list[Worker] = []
        self._threads: list[threading.Thread] = []
        self._working: set[Worker] = set()
        self._rooms = {memory_of(device): Room() for device in self._devices}
        self._facts: Facts | None = None
        self._closed = self._stopping = False
        self._lock = threading.Lock()
        self._peak, self._seen = 0, 0

    @property
    def capacity(self) -> int:
        return len(self._slots) * (self._facts.together if self._facts else 1)

    def open(self) -> Facts:
        first = self._worker(self._slots[0])
        self._facts = self._start_first(first)
        self._serve_in_thread(first)
        for slot in self._slots[1:]:
            self._add(slot)
        return self._facts

    def _start_first(self, worker: Worker) -> Facts:
        """Start it; if it dies, again, as often as for a job. Raises what `prepare` does."""
        error: Exception = WorkerDied(0)
        for attempt in range(_ATTEMPTS):
            try:
                return worker.start(self._timeout)
            except (WorkerDied, TimedOut) as died:
                error = died
            if self._closed:
                break
            without = self._prepare_without_models
            if without is not None and (attempt > 0 or isinstance(error, TimedOut)):
                self._prepare = worker.prepare = without
        raise HpsearchError(
            f"{error} while it loaded the study, {_ATTEMPTS} times in a row; see what it printed"
        )

    def interrupt(self) -> None:
        with self._lock:
            self._stopping = True
            for worker in self._workers:
                if worker.busy:
                    worker.interrupt()

    def close(self) -> None:
        self._closed = True
        self._line.close()
        for worker in self._workers:
            worker.close()
        for thread in self._threads:  # one may just have started another worker
            thread.join(2.0)
        for worker in self._workers:
            worker.close()

    def _add(self, slot: Slot) -> None:
        self._serve_in_thread(self._worker(slot))

    def _worker(self, slot: Slot) -> Worker:
        worker = Worker(self._prepare, slot)
        worker.heard = lambda reached: self._heard(reached)  # who listens may come later
        self._workers.append(worker)
        return worker

    def _serve_in_thread(self, worker: Worker) -> None:
        # A daemon: an interrupted parent must not wait for a job that runs for hours.
        thread = threading.Thread(target=self._serve, args=(worker,), daemon=True)
        self._threads.append(thread)
        thread.start()

    def _serve(self, worker: Worker) -> None:
        while not self._closed:
            with self._room(worker).enter(alone=False), suppress(Exception):
                self._start(worker)  # if it cannot be started, the next job will say why
            assert self._facts is not None
            taken = self._line.take(self._facts.together, self._idle)
            if not taken or self._closed:
                return
            for item in taken:
                item.taken(worker.slot.name)
            with self._at_work(worker):
                if len(taken) > 1:
                    self._line.put(self._do_together(worker, taken))
                else:
                    self._do_single(worker, taken[0])
            if self._is_worn(worker):
                worker.kill()

    def _do_together(self, worker: Worker, taken: list[Waiting]) -> list[Waiting]:
        """Do jobs side by side; returns those that must be done again, one at a time."""
        left = dict(enumerate(taken))
        timeout = None if self._timeout is None else self._timeout * len(taken)
        try:
            with self._room(worker).enter(alone=False):
                self._start(worker)
                with self._busy(worker):
                    for index, outcome in worker.do([item.job for item in taken], timeout):
                        if outcome.failure is None or outcome.failure.kind != "memory":
                            self._end(left.pop(index), outcome)
        except (HpsearchError, Interrupted) as error:
            for item in left.values():
                item.future.set_exception(error)
            return []
        except Exception:  # one of them is at fault, and which one shows when each is alone
            worker.kill()
        for item in left.values():
            item.single = True
        return list(left.values())

    def _do_single(self, worker: Worker, item: Waiting) -> None:
        try:
            outcome = self._attempt(worker, item.job)
        except (HpsearchError, Interrupted) as error:
            item.future.set_exception(error)
        else:
            self._end(item, outcome)

    def _end(self, item: Waiting, outcome: Outcome) -> None:
        if not self._closed:
            self._grow(outcome)
            item.end(outcome)

    def _start(self, worker: Worker) -> None:
        if worker.alive or self._closed:
            return
        facts = worker.start()
        if not found_the_same(facts, self._facts):
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
                    with self._busy(worker):
                        ((_, outcome),) = worker.do([job], self._timeout)
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

    def _idle(self) -> int:
        """Workers that wait, or soon will."""
        return len(self._workers) - len(self._working)

    @contextmanager
    def _at_work(self, worker: Worker) -> Iterator[None]:
        self._working.add(worker)
        try:
            yield
        finally:
            self._working.discard(worker)

    @contextmanager
    def _busy(self, worker: Worker) -> Iterator[None]:
        with self._lock:  # else a job could be given just after all were asked to stop
            if self._stopping:
                raise Interrupted
            worker.busy = True
        try:
            yield
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

    def _room(self, worker: Worker) -> Room:
        """Who shares memory shares a room: all workers of one GPU, or of the machine."""
        return self._rooms[memory_of(worker.slot.device)]

    def _is_worn(self, worker: Worker) -> bool:
        if self._recycle is not None and worker.jobs >= self._recycle:
            return True
        return worker.memory() > 0.8 * machine_memory() / len(self._workers)

    def _grow(self, outcome: Outcome) -> None:
        """Once the first jobs have shown what one takes, start as many workers as fit."""
        with self._lock:
            self._peak, self._seen = max(self._peak, outcome.peak_bytes), self._seen + 1
            if not self._growing or self._seen < _FIRST or not self._peak or self._stopping:
                return
            self._growing = False
            each = min(fitting(device, self._peak, len(self._devices)) for device in self._devices)
            more = slots(self._devices, each, share=False)[len(self._slots) :]
            self._slots += more
        for slot in more:
            self._add(slot)
