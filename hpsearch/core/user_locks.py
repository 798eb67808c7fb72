"""Locks among the processes of one user on one machine. A dead process keeps none."""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def make_lock_folder() -> Path:
    """The folder of the locks. Raises OSError where it is not this user's own."""
    user = os.getuid() if hasattr(os, "getuid") else 0
    folder = Path(tempfile.gettempdir(), f"hpsearch-locks-{user}")
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != user:
        raise PermissionError(folder)
    return folder


@contextmanager
def one_at_a_time(what: str) -> Iterator[None]:
    """Wait until no other process is in such a block of the same name, and keep others out.

    Where the system has no such locks (Windows), or the folder is another user's, nobody waits.
    """
    name = hashlib.sha256(what.encode(errors="surrogatepass")).hexdigest()[:16]
    try:
        import fcntl

        file = open(make_lock_folder() / name, "ab")
    except (ImportError, OSError):
        yield
        return
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
