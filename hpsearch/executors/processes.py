"""Jobs run in warm worker processes, several on a device if they fit.

When a worker dies, another one is started and the job is repeated: training again gives the same
result. The search goes on meanwhile.
"""

import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress

from hpsearch.core.errors import HpsearchError, StudyError
from hpsearch.core.interrupt import Interrupted
from hpsearch.core.trial import Facts, Failure, Job, Outcome
from hpsearch.executors.base import Prepare, loaded_the_same
from hpsearch.executors.devices import Device, Slot, assign_slots, find_devices, give_all_memory
from hpsearch.executors.job_queue import (
    ATTEMPTS,
    PendingJob,
    QueuedExecutor,
    TimedOut,
    finish_as_they_end,
    first_worker_error,
    lacks_memory,
    start_daemon,
    worker_failure,
)
from hpsearch.executors.memory import MemoryGate, machine_memory, memory_name, workers_that_fit
from hpsearch.executors.worker_process import WorkerDied, WorkerProcess

_JOBS_TO_MEASURE = 2  # that show how much memory a job takes


class Processes(QueuedExecutor):
    """Runs jobs in worker processes, one for each slot; they start one after the other.

    Args:
        prepare: loads the study; called in each worker.
        per_device: workers on each device; None: as many as fit, by the memory that the first
            jobs took.
        timeout: seconds that a job may take before it fails.
        recycle: jobs after which a worker is replaced, because frameworks keep a little memory of
            every model. A worker that holds more than its share of the machine's memory is
            replaced too.
        prepare_without_models: like `prepare`, but without building models. Used instead where
            building them kills or hangs the first worker, so that those models become trials
            that fail.
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
        super().__init__(prepare, timeout, recycle)
        self._prepare_without_models = prepare_without_models
        self._devices = list(devices) or find_devices("auto")
        self._growing = per_device is None
        self._slots = assign_slots(self._devices, per_device or 1, share=not self._growing)
        self._workers: list[WorkerProcess] = []
        self._threads: list[threading.Thread] = []
        self._working: set[WorkerProcess] = set()
        self._gates = {memory_name(device): MemoryGate() for device in self._devices}
        self._closed = False
        self._peak, self._measured = 0, 0

    @property
    def workers(self) -> int:
        return len(self._slots)

    def open(self) -> Facts:
        first = self._add_worker(self._slots[0])
        self._facts = self._start_first(first)
        self._serve_in_thread(first)
        for slot in self._slots[1:]:
            self._serve_in_thread(self._add_worker(slot))
        return self._facts

    def _start_first(self, worker: WorkerProcess) -> Facts:
        """Start it; if it dies, again, as often as for a job. Raises what `prepare` raises."""
        error: Exception = WorkerDied(0)
        for attempt in range(ATTEMPTS):
            try:
                return worker.start(self._timeout)
            except (WorkerDied, TimedOut) as died:
                error = died
            if self._closed:
                break
            without = self._prepare_without_models
            if without is not None and (attempt > 0 or isinstance(error, TimedOut)):
                self._prepare = worker.prepare = without
        raise first_worker_error(error, "see what it printed")

    def interrupt(self) -> None:
        with self._lock:
            self._stopping = True
            for worker in self._workers:
                if worker.busy:
                    worker.interrupt()

    def close(self) -> None:
        self._closed = True
        self._queue.close()
        for worker in self._workers:
            worker.close()
        for thread in self._threads:  # one may just have started another worker
            thread.join(2.0)
        for worker in self._workers:
            worker.close()

    def _add_worker(self, slot: Slot) -> WorkerProcess:
        worker = WorkerProcess(self._prepare, slot, self._report_progress)
        self._workers.append(worker)
        return worker

    def _serve_in_thread(self, worker: WorkerProcess) -> None:
        self._threads.append(start_daemon(self._serve, worker))

    def _serve(self, worker: WorkerProcess) -> None:
        """A worker's thread: keep it running, and give it jobs until the executor is closed."""
        while not self._closed:
            with self._gate(worker).enter(alone=False), suppress(Exception):
                self._start(worker)  # if it cannot be started, the next job will say why
            taken = self._take_jobs()
            if not taken or self._closed:
                return
            for pending in taken:
                pending.mark_started(worker.slot.name)
            self._working.add(worker)
            try:
                if len(taken) > 1:
                    self._do_together(worker, taken)
                else:
                    self._do_alone(worker, taken[0])
            finally:
                self._working.discard(worker)
            if self._is_due_for_replacement(worker):
                worker.kill()

    def _do_together(self, worker: WorkerProcess, taken: list[PendingJob]) -> None:
        left, error = finish_as_they_end(taken, self._outcomes(worker, taken), self._finish)
        if error is not None:  # which job is at fault shows when each is done alone
            worker.kill()
        self._queue.put_back(left)

    def _outcomes(
        self, worker: WorkerProcess, taken: list[PendingJob]
    ) -> Generator[tuple[int, Outcome], None, None]:
        timeout = None if self._timeout is None else self._timeout * len(taken)
        with self._gate(worker).enter(alone=False):
            self._start(worker)
            with self._mark_busy(worker):
                yield from worker.do([pending.job for pending in taken], timeout)

    def _do_alone(self, worker: WorkerProcess, pending: PendingJob) -> None:
        try:
            outcome = self._attempt(worker, pending.job)
        except (HpsearchError, Interrupted) as error:
            pending.future.set_exception(error)
        else:
            self._finish(pending, outcome)

    def _finish(self, pending: PendingJob, outcome: Outcome) -> None:
        if not self._closed:
            self._add_workers_that_fit(outcome)
            pending.finish(outcome)

    def _start(self, worker: WorkerProcess) -> None:
        if worker.alive or self._closed:
            return
        facts = worker.start()
        if not loaded_the_same(facts, self._facts):
            worker.kill()
            raise StudyError(
                "a worker was replaced, and the study or its data has changed since the run "
                "began; undo that, and the same command continues"
            )

    def _attempt(self, worker: WorkerProcess, job: Job) -> Outcome:
        """Do one job, again where its worker dies or memory runs out; then it fails."""
        failure, alone = Failure("lost", "no worker could be started"), False
        for attempt in range(ATTEMPTS):
            if self._closed or self._stopping:
                raise Interrupted
            # Do it, with the device to itself if memory ran out before.
            try:
                with self._gate(worker).enter(alone=alone), self._all_memory(worker, wanted=alone):
                    self._start(worker)
                    with self._mark_busy(worker):
                        ((_, outcome),) = worker.do([job], self._timeout)
            # The worker died or hung: note why, and try again if that may help.
            except WorkerDied as error:
                failure = worker_failure("killed" if error.signal else "lost", error, ATTEMPTS)
                # When memory runs out, Linux kills the process that holds most by SIGKILL.
                alone = alone or (attempt > 0 and error.signal == "SIGKILL")
            except TimedOut:
                return Outcome(failure=self._timeout_failure())
            except (HpsearchError, Interrupted):
                raise
            except Exception as error:  # whatever it is, the search must go on
                failure = Failure("lost", f"no worker could do it: {error}")
                worker.kill()  # it may yet answer what nobody waits for any more
            # It ended. Too little memory counts only if it had all of the device's.
            else:
                if not lacks_memory(outcome) or alone:
                    return outcome
                assert outcome.failure is not None
                failure, alone = outcome.failure, True
        return Outcome(failure=failure)

    def _count_idle(self) -> int:
        return len(self._workers) - len(self._working)

    @contextmanager
    def _mark_busy(self, worker: WorkerProcess) -> Iterator[None]:
        with self._lock:  # else a job could be given just after all were asked to stop
            if self._stopping:
                raise Interrupted
            worker.busy = True
        try:
            yield
        finally:
            worker.busy = False

    @contextmanager
    def _all_memory(self, worker: WorkerProcess, *, wanted: bool) -> Iterator[None]:
        """Restart a worker with all of its device's memory; idle workers there are killed."""
        if not wanted:
            yield
            return
        for other in self._workers:
            if self._gate(other) is self._gate(worker):
                other.kill()
        shared = worker.slot
        worker.slot = give_all_memory(shared)
        try:
            yield
        finally:
            worker.kill()
            worker.slot = shared

    def _gate(self, worker: WorkerProcess) -> MemoryGate:
        """The gate of the memory that it uses: a GPU's, or the machine's."""
        return self._gates[memory_name(worker.slot.device)]

    def _is_due_for_replacement(self, worker: WorkerProcess) -> bool:
        share = machine_memory() / len(self._workers)
        return self._has_done_enough(worker.jobs) or worker.memory() > 0.8 * share

    def _add_workers_that_fit(self, outcome: Outcome) -> None:
        """Once the first jobs have shown how much memory one takes, start as many as fit."""
        with self._lock:
            self._peak = max(self._peak, outcome.peak_bytes)
            self._measured += 1
            if not self._growing or self._measured < _JOBS_TO_MEASURE:
                return
            if not self._peak or self._stopping:
                return
            self._growing = False
            fit = min(workers_that_fit(d, self._peak, len(self._devices)) for d in self._devices)
            more = assign_slots(self._devices, fit, share=False)[len(self._slots) :]
            self._slots += more
        for slot in more:
            self._serve_in_thread(self._add_worker(slot))
