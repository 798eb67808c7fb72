"""Which workers there are on this machine, one for each slot, and what memory each uses."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from hpsearch.core.memory import machine_memory
from hpsearch.executors.devices import Device, Slot, assign_slots, give_all_memory
from hpsearch.executors.memory import MemoryGate, memory_name, workers_that_fit
from hpsearch.executors.worker_process import WorkerProcess

_JOBS_TO_MEASURE = 2  # that show how much memory a job takes
_MOST_OF_SHARE = 0.8  # of its share of the machine's memory that a worker may hold between jobs


class WorkerPool:
    """The workers of these devices. None is started here.

    Args:
        make_worker: makes the worker of a slot.
        per_device: workers on each device; None: one at first, and as many as fit by `grow`.

    Attributes:
        workers: each in its slot's place.
    """

    def __init__(
        self,
        make_worker: Callable[[Slot], WorkerProcess],
        devices: Sequence[Device],
        per_device: int | None,
    ) -> None:
        self._make_worker, self._devices = make_worker, devices
        self._growing = per_device is None
        slots = assign_slots(devices, per_device or 1, share=not self._growing)
        self.workers = [make_worker(slot) for slot in slots]
        self._gates = {memory_name(device): MemoryGate() for device in devices}
        self._peak, self._measured = 0, 0

    def gate(self, worker: WorkerProcess) -> MemoryGate:
        """The gate of the memory that it uses: a GPU's, or the machine's."""
        return self._gates[memory_name(worker.slot.device)]

    @contextmanager
    def all_memory(self, worker: WorkerProcess, *, wanted: bool) -> Iterator[None]:
        """Restart a worker with all of its device's memory; idle workers there are killed."""
        if not wanted:
            yield
            return
        for other in self.workers:
            if self.gate(other) is self.gate(worker):
                other.kill()
        shared = worker.slot
        worker.slot = give_all_memory(shared)
        try:
            yield
        finally:
            worker.kill()
            worker.slot = shared

    def holds_too_much(self, worker: WorkerProcess) -> bool:
        """Whether it holds more than its share of the machine's memory."""
        share = machine_memory() / len(self.workers)
        return worker.memory() > _MOST_OF_SHARE * share

    def note_peak(self, peak: int) -> None:
        """Note how many bytes a job took at most."""
        self._peak = max(self._peak, peak)
        self._measured += 1

    def grow(self) -> range:
        """Add as many workers as fit, once enough jobs were measured; returns their places."""
        before = len(self.workers)
        if not self._growing or self._measured < _JOBS_TO_MEASURE or not self._peak:
            return range(0)
        self._growing = False
        fit = min(workers_that_fit(d, self._peak, len(self._devices)) for d in self._devices)
        more = assign_slots(self._devices, fit, share=False)[before:]
        self.workers.extend(map(self._make_worker, more))
        return range(before, len(self.workers))
