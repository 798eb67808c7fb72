"""How much memory there is, and which workers may use it at the same time."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from hpsearch.core.memory import machine_memory
from hpsearch.executors.devices import Device

_MOST_PER_DEVICE = 8
_GPU_CONTEXT = 2**29  # bytes of a GPU that each process takes, beside what it allocates


class MemoryGate:
    """Lets many workers in at once, or one that needs all of the memory."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = self._waiting_alone = 0
        self._has_one_alone = False

    @contextmanager
    def enter(self, *, alone: bool) -> Iterator[None]:
        with self._changed:
            if alone:
                self._waiting_alone += 1
                self._changed.wait_for(lambda: self._inside == 0)
                self._waiting_alone -= 1
                self._has_one_alone = True
            else:
                self._changed.wait_for(lambda: not self._has_one_alone and not self._waiting_alone)
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._has_one_alone = False
                self._changed.notify_all()


def memory_name(device: Device) -> str:
    """The name of the memory that a device uses: a GPU's own, or the machine's ("host")."""
    return device.id if device.kind == "gpu" else "host"


def workers_that_fit(device: Device, peak: int, devices: int) -> int:
    """How many workers fit on a device.

    Args:
        peak: bytes that each job took at most; a fifth is added.
        devices: how many share the machine's memory, if this one is no GPU.
    """
    if device.kind == "gpu":
        each, total, most = int(1.2 * peak) + _GPU_CONTEXT, device.total, _MOST_PER_DEVICE
    else:
        each, total = int(1.2 * peak), machine_memory() // devices
        most = len(device.cores)
    return max(1, min(most, int(0.9 * total) // each)) if total else 1
