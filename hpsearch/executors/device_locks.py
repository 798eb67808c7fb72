"""Locks that tell commands which share devices out among studies of each other."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from hpsearch.core.errors import DeviceError
from hpsearch.core.user_locks import make_lock_folder
from hpsearch.executors.devices import Device


@contextmanager
def lock_devices(devices: Sequence[Device], say: Callable[[str], object]) -> Iterator[None]:
    """Lock devices for one sweep on this machine and user. A dead process keeps no lock.

    Another sweep on the same cores only makes both slower, which `say` is told. On a GPU their
    models would not fit together. Raises DeviceError, which names the other process.
    """
    with ExitStack() as opened:
        for name in sorted({_name_of(device) for device in devices}):
            try:
                owner = _lock(make_lock_folder() / name, opened)
            except (ImportError, OSError):  # Windows; or a folder of another user
                continue
            if owner is None:
                continue
            if name == "cores":
                say(f"process {owner} trains several studies on these cores too; both take longer")
            else:
                raise DeviceError(
                    f"{name.replace('-', ' ')} is shared out by process {owner}, which trains "
                    "several studies; leave it out of --devices, or wait for that process"
                )
        yield


def _name_of(device: Device) -> str:
    return f"GPU-{device.id.replace(os.sep, '_')}" if device.kind == "gpu" else "cores"


def _lock(path: Path, opened: ExitStack) -> str | None:
    """Lock a file until `opened` is closed; returns the process that has locked it, if one has."""
    import fcntl

    file: IO[bytes] = opened.enter_context(open(path, "a+b"))
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        return file.read(20).decode(errors="replace") or "(unknown)"
    file.truncate(0)
    file.write(str(os.getpid()).encode())
    file.flush()
    return None
