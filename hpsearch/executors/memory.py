"""Who shares memory, and how much there is."""

import functools
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hpsearch.executors.devices import Device

_MOST_PER_DEVICE = 8
_GPU_CONTEXT = 2**29  # bytes that each process takes of a GPU beside what it allocates


class Room:
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


def memory_of(device: Device) -> str:
    return device.id if device.kind == "gpu" else "host"


def fitting(device: Device, peak: int, devices: int) -> int:
    """How many workers a device holds, each with the peak of the first jobs and some room."""
    if device.kind == "gpu":
        each, total, most = int(1.2 * peak) + _GPU_CONTEXT, device.total, _MOST_PER_DEVICE
    else:
        each, total = int(1.2 * peak), machine_memory() // devices
        most = len(device.cores)
    return max(1, min(most, int(0.9 * total) // each)) if total else 1


@functools.cache  # asked after every job
def machine_memory() -> int:
    """Bytes of this machine, or of the container; without end where nothing tells."""
    limits = [2**63]
    with suppress(ValueError, OSError, AttributeError):
        limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for file in ("memory.max", "memory/memory.limit_in_bytes"):
        with suppress(ValueError, OSError):
            limits.append(int(Path("/sys/fs/cgroup", file).read_text()))
    return min(limits)
