"""Cores, cache and memory of the machine that JAX computes on."""

import functools
import os
from contextlib import suppress
from pathlib import Path

import jax

from hpsearch.core.memory import process_memory

_UNITS = {"K": 2**10, "M": 2**20, "G": 2**30}
_USUAL_CACHE = 2**25  # bytes, where the system does not say
_MAX_CORES = 16
_MAX_COMPILERS = 4


def use_all_cores() -> None:
    """Let JAX split a batch of models over all cores, if JAX has not started yet.

    Not where the user says in $XLA_FLAGS over how many.

    It does not use them by itself: a step of small models is too short to be shared by threads.
    A single core counts as two: a program that is split over devices is compiled in another way
    than one that is not, and a fit would end in other last bits.
    """
    with suppress(RuntimeError, ValueError):
        if "xla_force_host_platform_device_count" not in os.environ.get("XLA_FLAGS", ""):
            jax.config.update("jax_num_cpu_devices", max(2, min(_MAX_CORES, _count_cores())))


def count_devices(members: int) -> int:
    """Over how many devices this many members are split: so that each has two, and 2, 4, 8, ...

    But all devices at most. A second one has no members where there are few, and costs nothing;
    with it, all programs are compiled alike, and a fit ends the same whoever trains beside it.
    """
    devices = len(jax.local_devices())
    return min(devices, max(2, 1 << (max(1, -(-members // 2)) - 1).bit_length()))


def _count_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def count_compilers() -> int:
    """How many programs are compiled at a time: each takes several cores now and then."""
    return max(1, min(_MAX_COMPILERS, _count_cores() // 4))


def relative_compile_seconds() -> float:
    """About how long a program takes to compile, for that on cores: for a GPU, XLA tries kernels out.

    A network of three hidden layers took 9 to 14 seconds on an H100 with jaxlib 0.11.
    """
    return 1.0 if jax.default_backend() == "cpu" else 6.0


@functools.cache
def relative_speed() -> float:
    """About how fast models are trained side by side, in cores of a usual processor."""
    return float(len(jax.local_devices())) if jax.default_backend() == "cpu" else 300.0


@functools.cache
def cache_bytes() -> int:
    """Size of the processor's last cache; practically unlimited on a GPU."""
    if jax.default_backend() != "cpu":
        return 2**63
    sizes = [_USUAL_CACHE]
    for file in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size")):
        with suppress(OSError, ValueError, KeyError):
            text = file.read_text().strip()
            sizes.append(int(text[:-1]) * _UNITS[text[-1]])
    return sizes[-1]


def device_bytes() -> int:
    """Memory of the device that JAX computes on, whatever is free of it now."""
    stats = jax.local_devices()[0].memory_stats() or {}
    return int(stats.get("bytes_limit", process_memory()))


def free_bytes() -> int:
    """Free memory of the device that JAX computes on; practically unlimited if unknown."""
    stats = jax.local_devices()[0].memory_stats() or {}
    if "bytes_limit" in stats:
        return int(stats["bytes_limit"]) - int(stats.get("bytes_in_use", 0))
    with suppress(OSError, ValueError, StopIteration):
        with open("/proc/meminfo") as file:
            line = next(line for line in file if line.startswith("MemAvailable"))
        return int(line.split()[1]) * 2**10
    return 2**63
