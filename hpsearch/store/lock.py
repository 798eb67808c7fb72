"""One run of a study at a time, in any kind of store."""

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
    """Lock a study of a store: by a file lock for a file, by a lease for a database.

    A dead owner keeps no file lock, and keeps a lease for less than a minute. Yields the lease,
    which the store checks in every transaction, or None. Raises StoreError, which names the process
    that owns the study. Where the system has no file locks, the journal stops a second run: two
    runs cannot append the same event.
    """
    if isinstance(store, Url):
        from hpsearch.store.lease import lease_study

        with lease_study(store, study, say) as lease:
            yield lease
    else:
        with lock_file_study(store, study):
            yield None
