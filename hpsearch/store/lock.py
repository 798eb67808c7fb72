"""One run of a study at a time."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hpsearch.errors import StoreError
from hpsearch.store.database import Say
from hpsearch.store.url import Url

if TYPE_CHECKING:
    from hpsearch.store.postgresql import Fence


@contextmanager
def owned(store: Path | Url, study: str, say: Say = lambda line: None) -> "Iterator[Fence | None]":
    """Own a study of a store: a file's by a lock of the operating system, a database's by a lease.

    A dead owner does not hold the lock, and the lease only for a minute. Yields what the store
    checks in every transaction, if it is a lease. Raises StoreError, which names the process that
    owns the study. Where the system has no such locks, a second run is noticed by the journal: two
    cannot append the same event.
    """
    if isinstance(store, Url):
        from hpsearch.store.lease import leased

        with leased(store, study, say) as lease:
            yield lease
    else:
        with _locked(store, study):
            yield None


@contextmanager
def _locked(store: Path, study: str) -> Iterator[None]:
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
