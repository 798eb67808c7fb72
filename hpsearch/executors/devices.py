"""Which GPUs and cores there are, and the environment of a worker on each; loads no framework."""

import csv
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from hpsearch.core.errors import DeviceError

MOST_WORKERS = 1000
"""The most workers of a machine: whoever asks for more has mistyped, and their names alone would
fill the memory."""

_GIB = 2**30
_GPU_NAME = re.compile(r"\d+$|gpu-|mig-")  # in lower case
_LEAST_FREE = 0.1  # of a GPU's memory; with less free, another program uses it


@dataclass(frozen=True, slots=True)
class Device:
    """A GPU, a share of this machine's cores, or the machine as frameworks find it ("host").

    Args:
        id: the value for CUDA_VISIBLE_DEVICES; empty for cores.
        total: bytes of memory; 0 if unknown.
    """

    kind: Literal["gpu", "cpu", "host"]
    id: str = ""
    name: str = ""
    total: int = 0
    cores: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Slot:
    """A place for one worker.

    Args:
        environment: names and values, to be set before a framework is imported.
        cores: those that it may use.
        name: for people: "gpu 0", and "gpu 0.2" for the second worker there.
    """

    device: Device
    environment: tuple[tuple[str, str], ...]
    cores: tuple[int, ...]
    name: str = ""


@dataclass(frozen=True, slots=True)
class _Gpu:
    index: str
    uuid: str
    name: str
    total: int
    free: int


def find_devices(wanted: str = "auto") -> list[Device]:
    """The devices named: "auto" (every free GPU, else the host), "cpu:2", or "0,1,GPU-a1b2".

    Numbers count what CUDA_VISIBLE_DEVICES leaves visible, as frameworks do. Raises DeviceError.
    """
    text = wanted.strip().lower()
    if text == "cpu" or text.startswith("cpu:"):
        return _cpu_devices(text.removeprefix("cpu").removeprefix(":") or "1", wanted)
    visible = _leave_visible(_list_gpus())
    if text == "auto":
        free = [_to_device(gpu) for gpu in visible if not _is_taken(gpu)]
        if visible and not free:
            return _cpu_devices("1", wanted)
        return free or [Device("host", cores=tuple(sorted(_own_cores())))]
    found: list[Device] = []
    for name in (part.strip() for part in wanted.split(",")):
        if not _GPU_NAME.match(name.lower()):
            raise DeviceError(
                f"--devices {wanted}: {name!r} is neither auto, cpu, cpu:N nor GPU numbers"
            )
        gpu = _gpu_named(visible, name)
        if gpu is None:
            there = ", ".join(f"{i} ({gpu.name})" for i, gpu in enumerate(visible))
            raise DeviceError(
                f"--devices {wanted}: there is no GPU {name}; this machine has "
                f"{there or 'none that nvidia-smi shows; use cpu'}"
            )
        if _is_taken(gpu):
            raise DeviceError(
                f"--devices {wanted}: GPU {name} ({gpu.name}) has {gpu.free / _GIB:.1f} of "
                f"{gpu.total / _GIB:.1f} GiB free; leave it out, or stop what uses it"
            )
        device = _to_device(gpu)
        if device in found:
            raise DeviceError(f"--devices {wanted}: GPU {name} occurs twice; use --per-device")
        found.append(device)
    return found


def assign_slots(devices: Sequence[Device], per_device: int, *, share: bool = True) -> list[Slot]:
    """A slot for each worker: the first of every device, then the second...

    Args:
        devices: of this machine; none on a Ray cluster.
        share: limit each worker of a GPU to its part of the memory; else it takes what it needs.

    Raises DeviceError where they are more than any machine has use for.
    """
    if len(devices) * per_device > MOST_WORKERS:
        raise DeviceError(
            f"a machine takes at most {MOST_WORKERS:,} workers; --per-device {per_device} is too "
            f"many on {len(devices)} devices"
        )
    cores = sorted(_own_cores())
    count = len(devices) * per_device
    made = []
    for place in range(count):
        device = devices[place % len(devices)]
        if device.cores:
            own = _share(device.cores, place // len(devices), per_device)
        else:
            own = _share(cores, place, count)
        environment = _environment(device, per_device, share=share)
        made.append(Slot(device, environment, own, _slot_name(devices, place)))
    return made


def _slot_name(devices: Sequence[Device], place: int) -> str:
    device = devices[place % len(devices)]
    number = device.id or (str(place % len(devices)) if len(devices) > 1 else "")
    nth = place // len(devices)
    return f"{device.kind} {number}".rstrip() + (f".{nth + 1}" if nth else "")


def give_all_memory(slot: Slot) -> Slot:
    """The same slot, with all of its device's memory."""
    environment = _environment(slot.device, 1, share=True)
    return replace(slot, environment=environment)


def ray_environment(gpus: float) -> dict[str, str]:
    """The environment of a worker that Ray places: on a share of a GPU, or on one core."""
    device = Device("gpu" if gpus else "cpu")
    found = dict(_environment(device, 1 / (gpus or 1), 1, share=True))
    if gpus:  # Ray sets it
        del found["CUDA_VISIBLE_DEVICES"]
    return found


def _environment(
    device: Device, per_device: float, threads: int | None = None, *, share: bool
) -> tuple[tuple[str, str], ...]:
    """The environment that a worker needs before a framework is imported.

    Args:
        threads: of NumPy's and PyTorch's libraries; None: this machine's number of cores.
    """
    # Libraries divide their work by the number of threads, and sums divided otherwise differ in the
    # last bits. A result must not depend on how many workers there are. So each gets the same
    # number of threads, and is kept to its share of the cores by affinity.
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    found = {name: str(threads or len(_own_cores())) for name in names}
    found |= {name: str(len(_own_cores())) for name in ("NPROC", "TF_NUM_INTRAOP_THREADS")}
    found |= {"MKL_DYNAMIC": "FALSE", "OMP_DYNAMIC": "FALSE"}  # or they take fewer at times
    found["OMP_WAIT_POLICY"] = "PASSIVE"  # threads that share a core must not spin on it
    if device.kind == "cpu":
        found |= {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu"}
    elif device.kind == "gpu":
        found |= {"CUDA_VISIBLE_DEVICES": device.id, "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
        found["TF_FORCE_GPU_ALLOW_GROWTH"] = "true"
        if share:
            found["XLA_PYTHON_CLIENT_MEM_FRACTION"] = f"{0.9 / per_device:.3f}"
        else:
            found["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
    return tuple(found.items())


def _cpu_devices(count: str, wanted: str) -> list[Device]:
    cores = sorted(_own_cores())
    if not re.fullmatch(r"0*[1-9][0-9]{0,3}", count) or int(count) > MOST_WORKERS:
        raise DeviceError(
            f"--devices {wanted}: cpu takes a number of workers, as cpu:2, of at most "
            f"{MOST_WORKERS:,}"
        )
    number = int(count)
    return [
        Device("cpu", name=f"{len(own)} cores", cores=own)
        for own in (_share(cores, place, number) for place in range(number))
    ]


def _share(cores: Sequence[int], place: int, of: int) -> tuple[int, ...]:
    """One of `of` equal parts; where there are fewer cores than parts, cores are shared."""
    if of >= len(cores):
        return (cores[place % len(cores)],)
    return tuple(cores[place * len(cores) // of : (place + 1) * len(cores) // of])


def _own_cores() -> set[int]:
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def _list_gpus() -> list[_Gpu]:
    """The GPUs that nvidia-smi lists, in the order of the bus; none without nvidia-smi."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    fields = "index,uuid,name,memory.total,memory.free"
    try:
        listed = subprocess.run(
            [tool, f"--query-gpu={fields}", "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    rows = [[cell.strip() for cell in row] for row in csv.reader(listed.splitlines())]
    return [
        _Gpu(index, uuid, name, _to_bytes(total), _to_bytes(free))
        for index, uuid, name, total, free in (row for row in rows if len(row) == 5)
    ]


def _to_bytes(mebibytes: str) -> int:
    """0 where the driver does not say ("[N/A]"), as where GPU and machine share memory."""
    return int(float(mebibytes) * 2**20) if mebibytes.replace(".", "").isdigit() else 0


def _leave_visible(gpus: Sequence[_Gpu]) -> list[_Gpu]:
    """The GPUs named by CUDA_VISIBLE_DEVICES, in its order; like CUDA, up to the first unknown."""
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if allowed is None:
        return list(gpus)
    left: list[_Gpu] = []
    for name in allowed.split(","):
        gpu = next((g for g in gpus if _is_named(g, name.strip())), None)
        if gpu is None:
            break
        left.append(gpu)
    return left


def _is_named(gpu: _Gpu, name: str) -> bool:
    return name == gpu.index or (name.startswith("GPU-") and gpu.uuid.startswith(name))


def _gpu_named(visible: Sequence[_Gpu], name: str) -> _Gpu | None:
    if name.isdigit():
        return visible[int(name)] if int(name) < len(visible) else None
    return next((gpu for gpu in visible if name.startswith("GPU-") and _is_named(gpu, name)), None)


def _is_taken(gpu: _Gpu) -> bool:
    return gpu.total > 0 and gpu.free < _LEAST_FREE * gpu.total


def _to_device(gpu: _Gpu) -> Device:
    return Device("gpu", gpu.index, gpu.name, gpu.total)
