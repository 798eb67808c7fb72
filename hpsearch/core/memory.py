"""How much memory there is for this machine, and for this process."""

import functools
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_UNKNOWN = 2**63
_CGROUPS = Path("/sys/fs/cgroup")
_OWN_GROUPS = Path("/proc/self/cgroup")


@functools.cache  # asked after every job
def machine_memory() -> int:
    """Bytes of this machine, or of the container; 2**63 where the system does not say."""
    limits = [_UNKNOWN]
    with suppress(ValueError, OSError, AttributeError):
        limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for folder in _cgroup_folders():
        for name in ("memory.max", "memory.limit_in_bytes"):
            with suppress(ValueError, OSError):
                limits.append(int((folder / name).read_text()))
    return min(limits)


@functools.cache
def process_memory() -> int:
    """Bytes that this process may take: the machine's, or fewer by `ulimit -d` or `ulimit -v`."""
    limits = [machine_memory()]
    with suppress(ImportError, OSError, ValueError):  # no such limits on Windows
        import resource

        for name in (resource.RLIMIT_DATA, resource.RLIMIT_AS):
            limit = resource.getrlimit(name)[0]
            if limit != resource.RLIM_INFINITY:
                limits.append(limit)
    return min(limits)


def most_bytes_of_rows(memory: int | None = None) -> int:
    """How many bytes of a source's rows are held as one array: an eighth of the memory.

    It depends on the machine alone, not on what is free, so that a search which is continued
    trains as before.

    Args:
        memory: bytes; None: those of this process.
    """
    return (process_memory() if memory is None else memory) // 8


def _cgroup_folders() -> Iterator[Path]:
    """The folders of this process's control groups for memory, and those above them."""
    yield from (_CGROUPS, _CGROUPS / "memory")
    with suppress(OSError):
        for line in _OWN_GROUPS.read_text().splitlines():
            _, controllers, place = line.split(":", 2)
            if controllers and "memory" not in controllers.split(","):
                continue
            top = _CGROUPS / "memory" if controllers else _CGROUPS
            folder = top / place.lstrip("/")
            while folder != top and top in folder.parents:
                yield folder
                folder = folder.parent
