"""One run of a study at a time, on one machine: a file lock beside the store's file."""

import hashlib
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from hpsearch.core.errors import StoreError
from hpsearch.store.file import identify_file

# Tries again for a moment: a process that only checks whether a study runs also takes the lock.
_TRIES, _PAUSE = 20, 0.02  # seconds


def process_name() -> str:
    """The name of this process, unique across machines: PID@HOST."""
    return f"{os.getpid()}@{socket.gethostname()}"


def find_owner(store: Path, study: str) -> str | None:
    """The process that runs a study of a file, as `process_name` names it; "" where none does.

    None where that is not known: the system has no such locks, or this user may not read them.
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
    """The path of a study's lock file, in `locks/` beside the store."""
    # Named by device and inode, so that all names of a store lead to one lock; and by a hash of the
    # study's name, which may be any text.
    found, real = identify_file(store), store.resolve()
    if found is None:
        raise FileNotFoundError(store)
    digest = hashlib.sha256(study.encode(errors="surrogatepass")).hexdigest()[:16]
    return real.parent / "locks" / f"{found[0]:x}-{found[1]:x}-{digest}"


@contextmanager
def lock_file_study(store: Path, study: str) -> Iterator[None]:
    """Lock a study of a store in a file. Raises StoreError where another process runs it."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    try:
        store.parent.mkdir(parents=True, exist_ok=True)
        if identify_file(store) is None:  # an empty file is no store yet, but it has an identity
            os.close(os.open(store, os.O_CREAT | os.O_WRONLY, 0o666))
        path = _lock_file(store, study)
        path.parent.mkdir(exist_ok=True)
        # Without a buffer: where the disk is full, closing the file would write again, and raise.
        file = open(path, "a+b", buffering=0)
    except OSError as error:
        raise StoreError(
            f"{store} cannot be written: {error.strerror or error}; name another place by --store"
        ) from error
    with file:
        if not _try_lock(file, fcntl.LOCK_EX | fcntl.LOCK_NB):
            file.seek(0)
            pid = file.read(1000).decode(errors="replace").partition("@")[0]
            raise StoreError(
                f"study {study} is being run by process {pid or '(unknown)'}; "
                "wait for it, or stop it"
            )
        try:
            file.truncate(0)
            file.write(process_name().encode())
        except OSError as error:  # a full disk
            raise StoreError(
                f"{store} cannot be written: {error.strerror or error}; fix that, or name another "
                "place by --store"
            ) from error
        yield


def _try_lock(file: IO[bytes], how: int) -> bool:
    """Whether the lock was free."""
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
