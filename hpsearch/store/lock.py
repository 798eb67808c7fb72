"""One run of a study at a time, whatever the store is."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hpsearch.store.database import Fence, Say
from hpsearch.store.file_lock import lock_file_study
from hpsearch.store.url import Url


@contextmanager
def study_lock(
    store: Path | Url, study: str, say: Say = lambda line: None
) -> Iterator[Fence | None]:
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
        with lock_file_study(store, study):
            yield None
