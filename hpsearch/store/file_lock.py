"""One run of a study at a time, on one machine: a lock of the operating system beside the store's file."""

import hashlib
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from hpsearch.core.errors import StoreError
from hpsearch.store.file import identity

# A process that only looks whether a study is owned holds its lock for an instant.
_TRIES, _PAUSE = 20, 0.02  # seconds


def this_process() -> str:
    """How an owner is called, over all machines."""
    return f"{os.getpid()}@{socket.gethostname()}"


def owner(store: Path, study: str) -> str | None:
    """Who runs a study of a file: as `this_process` calls it; "" where nobody does.

    None where that cannot be told: the system has no such locks, or this user may not look.
    """
    try:
        import fcntl

        with open(_lock_file(store, study), "rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return file.read(1000).decode(errors="replace")
            return ""
    except FileNotFoundError:
        return ""
    except (ImportError, OSError):
        return None


def _lock_file(store: Path, study: str) -> Path:
    """Beside the store, and of its device and inode: it has one lock whatever it is called.

    A study's name may be any text, so a hash of it stands for it.
    """
    found, real = identity(store), store.resolve()
    if found is None:
        raise FileNotFoundError(store)
    digest = hashlib.sha256(study.encode(errors="surrogatepass")).hexdigest()[:16]
    return real.parent / "locks" / f"{found[0]:x}-{found[1]:x}-{digest}"


@contextmanager
def lock_file_study(store: Path, study: str) -> Iterator[None]:
    """Own a study of a store in a file. Raises StoreError, which names the process that owns it."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    try:
        store.parent.mkdir(parents=True, exist_ok=True)
        if identity(store) is None:  # what is locked must be there; empty, it is no store yet
            os.close(os.open(store, os.O_CREAT | os.O_WRONLY, 0o666))
        path = _lock_file(store, study)
        path.parent.mkdir(exist_ok=True)
        file = open(path, "a+b")
    except OSError as error:
        raise StoreError(
            f"{store} cannot be written: {error.strerror or error}; name another place by --store"
        ) from error
    with file:
        if not _lock(file, fcntl.LOCK_EX | fcntl.LOCK_NB):
            file.seek(0)
            pid = file.read(1000).decode(errors="replace").partition("@")[0]
            raise StoreError(
                f"study {study} is being run by process {pid or '(unknown)'}; "
                "wait for it, or stop it"
            )
        try:
            file.truncate(0)
            file.write(this_process().encode())
            file.flush()
        except OSError as error:  # a full disk
            raise StoreError(
                f"{store} cannot be written: {error.strerror or error}; mend that, or name another "
                "place by --store"
            ) from error
        yield


def _lock(file: IO[bytes], how: int) -> bool:
    """Whether it could be had."""
    import fcntl

    for _ in range(_TRIES):
        try:
            fcntl.flock(file, how)
            return True
        except BlockingIOError:
            time.sleep(_PAUSE)
        except OSError:  # a file system without locks: the journal notices a second run
            return True
    return False
