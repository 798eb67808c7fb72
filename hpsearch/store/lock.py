"""One run of a study at a time."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hpsearch.errors import StoreError


@contextmanager
def owned(store: Path, study: str) -> Iterator[None]:
    """Own a study of a store, by a lock of the operating system that a dead owner does not hold.

    Raises StoreError, which names the process that owns it. Where the system has no such locks,
    a second run is noticed by the journal: two cannot append the same event.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    folder = store.parent / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / f"{store.name}.{study}", "a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            raise StoreError(
                f"study {study} is being run by process {file.read().strip() or '(unknown)'}; "
                "wait for it, or stop it"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
