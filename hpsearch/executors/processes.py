"""Jobs run in warm worker processes, several on a device if they fit.

When a worker dies, another one is started and the job is repeated: training again gives the same
result. The search goes on meanwhile.
"""

import threading
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial

from hpsearch.core.errors import DeviceError, HpsearchError, StudyError
from hpsearch.core.interrupt import Interrupted
from hpsearch.core.trial import Facts, Failure, Outcome
from hpsearch.executors.base import Prepare, loaded_the_same
from hpsearch.executors.devices import Device, find_devices
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
from hpsearch.executors.lent_slots import Demand, LentSlots
from hpsearch.executors.worker_pool import WorkerPool
from hpsearch.executors.worker_process import WorkerDied, WorkerProcess


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
        lent: the slots where they are lent, by a process that shares the devices among several
            runs; their devices are these. None: all slots are this executor's own.
        in_flight: how many jobs may be in flight without harm. Where it is fewer than all slots
            take, only the slots lent count as workers.
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
        lent: LentSlots | None = None,
        in_flight: int = 2**63,
    ) -> None:
        super().__init__(prepare, timeout, recycle)
        self._prepare_without_models = prepare_without_models
        devices = list(devices) or find_devices("auto")
        self._pool = WorkerPool(
            lambda slot: WorkerProcess(self._prepare, slot, self._report_progress),
            devices,
            per_device,
        )
        self._workers = self._pool.workers
        self._is_lent, self._in_flight = lent is not None, in_flight
        self._slots_held = lent or LentSlots.own(devices, len(self._workers))
        self._slots_held.on_recall = self._recall
        self._slots_held.describe = self._describe_demand
        self._threads: list[threading.Thread] = []
        self._working: set[WorkerProcess] = set()
        self._closed = False

    @property
    def workers(self) -> int:
        if not self._learns_from_each:
            return len(self._workers)
        # A method that learns from each trial would know less if it were asked for workers that
        # are not there.
        return max(1, len(self._slots_held.usable))

    @property
    def _learns_from_each(self) -> bool:
        """Whether the search has fewer jobs in flight than all slots take."""
        return self._in_flight < len(self._workers) * self.together

    def open(self) -> Facts:
        place = self._slots_held.wait_for_any()
        if place is None:
            raise DeviceError("no device was free for it before the hours were over")
        self._facts = self._start_first(self._workers[place])
        for place, worker in enumerate(self._workers):
            self._serve_in_thread(worker, place)
        return self._facts

    def _start_first(self, worker: WorkerProcess) -> Facts:
        """Start it; if it dies, again, as often as for a job. Raises what `prepare` raises."""
        error: Exception = WorkerDied(0)
        for attempt in range(ATTEMPTS):
            try:
                return self._start_timed(worker, self._timeout)
            except (WorkerDied, TimedOut) as died:
                error = died
            if self._closed:
                break
            without = self._prepare_without_models
            if without is not None and (attempt > 0 or isinstance(error, TimedOut)):
                self._prepare = without  # also for workers that are added later
                for each in self._workers:
                    each.prepare = without
        raise first_worker_error(error, "see what it printed")

    def interrupt(self) -> None:
        with self._lock:
            self._stopping = True
            for pending in self._queue.take_all():  # there may be no slot where they would begin
                pending.future.set_exception(Interrupted())
            for worker in self._workers:
                if worker.busy:
                    worker.interrupt()

    def close(self) -> None:
        self._closed = True
        self._slots_held.close()
        self._queue.close()
        for worker in self._workers:
            worker.close()
        for thread in self._threads:  # one may just have started another worker
            thread.join(2.0)
        for worker in self._workers:
            worker.close()
        if self._is_lent:  # the run may go on for a while, as while it waits for its baselines
            self._slots_held.give_all_back()

    def _serve_in_thread(self, worker: WorkerProcess, place: int) -> None:
        self._threads.append(start_daemon(self._serve, worker, place))

    def _serve(self, worker: WorkerProcess, place: int) -> None:
        """A worker's thread: keep it running, and give it jobs until the executor is closed."""
        while self._slots_held.wait_for(place):
            if not self._is_lent:  # on a lent slot it starts with its first job
                with self._pool.gate(worker).enter(alone=False), suppress(Exception):
                    self._start(worker)  # if it cannot be started, the next job will say why
            taken = self._take_jobs(partial(self._slots_held.is_recalled, place))
            if self._closed:
                return
            if taken:
                self._do(worker, taken)
            if self._slots_held.is_recalled(place):
                worker.kill()  # before the slot is given back: it holds memory there
                self._slots_held.give_back(place)
            elif self._is_due_for_replacement(worker):
                worker.kill()

    def _do(self, worker: WorkerProcess, taken: list[PendingJob]) -> None:
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

    def _recall(self, place: int) -> None:
        """Have a slot given back: its jobs stop at the end of their epoch."""
        with self._lock:
            if self._workers[place].busy:
                self._workers[place].interrupt()
        self._queue.wake()

    def _is_recalled(self, worker: WorkerProcess) -> bool:
        return self._slots_held.is_recalled(self._workers.index(worker))

    def _put_back_recalled(self, jobs: Sequence[PendingJob]) -> None:
        """Queue jobs again whose slot was recalled; they go on from their checkpoints."""
        with self._lock:
            if not self._stopping:
                self._queue.put_first(jobs)
                return
        for pending in jobs:
            pending.future.set_exception(Interrupted())

    def _describe_demand(self) -> Demand:
        if self._closed:
            return Demand()
        if not self._has_begun and not self._stopping:  # it needs one slot, to try the study there
            return Demand(pending=0 if self._slots_held.usable else 1)
        if self._stopping:
            return Demand(idle=self._idle_places())
        return Demand(
            self._queue.count(), self._idle_places(), could_use_more=self._learns_from_each
        )

    def _idle_places(self) -> frozenset[int]:
        working = {self._workers.index(worker) for worker in list(self._working)}
        return self._slots_held.usable - working

    def _do_together(self, worker: WorkerProcess, taken: list[PendingJob]) -> None:
        left, error = finish_as_they_end(
            taken, self._outcomes(worker, taken), self._finish, partial(self._is_recalled, worker)
        )
        if isinstance(error, Interrupted):
            self._put_back_recalled(left)
            return
        if error is not None:  # which job is at fault shows when each is done alone
            worker.kill()
        self._queue.put_back(left)

    def _outcomes(
        self, worker: WorkerProcess, taken: list[PendingJob]
    ) -> Generator[tuple[int, Outcome], None, None]:
        timeout = None if self._timeout is None else self._timeout * len(taken)
        with self._pool.gate(worker).enter(alone=False):
            self._start(worker)
            with self._mark_busy(worker):
                yield from worker.do([pending.make_current_job() for pending in taken], timeout)

    def _do_alone(self, worker: WorkerProcess, pending: PendingJob) -> None:
        try:
            outcome = self._attempt(worker, pending)
        except (HpsearchError, Interrupted) as error:
            if isinstance(error, Interrupted) and self._is_recalled(worker):
                self._put_back_recalled([pending])
            else:
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
        facts = self._start_timed(worker)
        if not loaded_the_same(facts, self._facts):
            worker.kill()
            raise StudyError(
                "a worker was replaced, and the study or its data has changed since the run "
                "began; undo that, and the same command continues"
            )

    def _start_timed(self, worker: WorkerProcess, timeout: float | None = None) -> Facts:
        begun = time.monotonic()
        facts = worker.start(timeout)
        self._slots_held.note_start(time.monotonic() - begun)
        return facts

    def _attempt(self, worker: WorkerProcess, pending: PendingJob) -> Outcome:
        """Do one job, again where its worker dies or memory runs out; then it fails."""
        failure, alone = Failure("lost", "no worker could be started"), False
        for attempt in range(ATTEMPTS):
            if self._closed or self._stopping:
                raise Interrupted
            # Do it, with the device to itself if memory ran out before.
            try:
                with (
                    self._pool.gate(worker).enter(alone=alone),
                    self._pool.all_memory(worker, wanted=alone),
                ):
                    self._start(worker)
                    with self._mark_busy(worker):
                        ((_, outcome),) = worker.do([pending.make_current_job()], self._timeout)
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
        return len(self._slots_held.usable) - len(self._working)

    @contextmanager
    def _mark_busy(self, worker: WorkerProcess) -> Iterator[None]:
        with self._lock:  # else a job could be given just after all were asked to stop
            if self._stopping or self._is_recalled(worker):
                raise Interrupted
            worker.busy = True
        try:
            yield
        finally:
            worker.busy = False

    def _is_due_for_replacement(self, worker: WorkerProcess) -> bool:
        return self._has_done_enough(worker.jobs) or self._pool.holds_too_much(worker)

    def _add_workers_that_fit(self, outcome: Outcome) -> None:
        """Once the first jobs have shown how much memory one takes, start as many as fit."""
        with self._lock:
            self._pool.note_peak(outcome.peak_bytes)
            places = range(0) if self._stopping else self._pool.grow()
        for place in places:
            self._slots_held.lend(place)
            self._serve_in_thread(self._workers[place], place)
