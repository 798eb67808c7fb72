"""One run of a study at a time, on several machines: a lease in the database that they share."""

import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from hpsearch.core.errors import StoreError, StoreLostError
from hpsearch.store.connection import make_engine
from hpsearch.store.database import Say
from hpsearch.store.postgresql import Postgresql
from hpsearch.store.url import Url

LEASE_SECONDS = 45.0  # after which a dead owner loses its lease
RENEW_SECONDS = 5.0  # after which a living owner renews it

_NOW = "extract(epoch FROM clock_timestamp())"  # the server's: machines' clocks differ
_TAKE = f"""
INSERT INTO leases (study, owner, host, pid, expires)
VALUES (:study, :owner, :host, :pid, {_NOW} + :seconds)
ON CONFLICT (study) DO UPDATE SET owner = excluded.owner, host = excluded.host,
  pid = excluded.pid, expires = excluded.expires
WHERE leases.expires < {_NOW} OR leases.owner = excluded.owner
RETURNING owner
"""
_RENEW = text(
    f"UPDATE leases SET expires = {_NOW} + :seconds WHERE study = :study AND owner = :owner"
)
_HOLD = text("SELECT 1 FROM leases WHERE study = :study AND owner = :owner FOR SHARE")
_HOLDER = "SELECT host, pid, expires FROM leases WHERE study = :study"
_GIVE_BACK = text("DELETE FROM leases WHERE study = :study AND owner = :owner")


class Lease:
    """A run's ownership of a study, for a limited time; a thread renews it.

    Every transaction of the run checks the lease, and locks its row until the commit. So a run that
    takes the lease over sees all that was written, and the former owner writes nothing more.
    """

    def __init__(self, url: Url, study: str) -> None:
        self._study, self._owner = study, uuid.uuid4().hex
        self._which = {"study": study, "owner": self._owner}
        self._url, self._ended = url, threading.Event()

    def check(self, connection: Connection) -> None:
        if connection.execute(_HOLD, self._which).first() is None:
            raise StoreLostError(
                f"study {self._study} is another run's by now, because this one did not renew its "
                f"lease for {LEASE_SECONDS:g} seconds; this one stops, and "
                "its finished trials are kept"
            )

    def acquire(self, db: Postgresql, say: Say) -> None:
        """Take the lease; wait while a dead owner has it. Raises StoreError for a living owner."""
        values = {"host": socket.gethostname(), "pid": os.getpid(), "seconds": LEASE_SECONDS}
        last_expiry: float | None = None
        while True:
            if db.write(lambda: db.query(_TAKE, **self._which, **values)):
                return
            for host, pid, expires in db.query(_HOLDER, study=self._study):
                if last_expiry is not None and expires > last_expiry:
                    raise StoreError(
                        f"study {self._study} is being run by process {pid} on {host}; wait for "
                        "it, or stop it"
                    )
                if last_expiry is None:
                    say(f"waiting: process {pid} on {host} may still run study {self._study}")
                last_expiry = expires
            time.sleep(min(0.5, RENEW_SECONDS / 4))

    def keep_renewing(self) -> None:
        """Renew the lease until `stop_renewing`, then delete it; retry soon where that fails."""
        own = make_engine(self._url).execution_options(isolation_level="AUTOCOMMIT")
        wait = RENEW_SECONDS
        while not self._ended.wait(wait):
            try:
                with own.connect() as connection:
                    connection.execute(_RENEW, self._which | {"seconds": LEASE_SECONDS})
                wait = RENEW_SECONDS
            except DBAPIError:
                wait = min(1.0, RENEW_SECONDS)
        with suppress(DBAPIError), own.connect() as connection:
            connection.execute(_GIVE_BACK, self._which)
        own.dispose()

    def stop_renewing(self) -> None:
        self._ended.set()


@contextmanager
def lease_study(url: Url, study: str, say: Say) -> Iterator[Lease]:
    """Lease a study of a store, which is made where there is none. Raises StoreError."""
    lease = Lease(url, study)
    db = Postgresql(url, create=True, say=say)
    try:
        lease.acquire(db, say)
    finally:
        db.close()
    renewing = threading.Thread(target=lease.keep_renewing, name="lease", daemon=True)
    renewing.start()
    try:
        yield lease
    finally:
        lease.stop_renewing()
        renewing.join(timeout=15.0)  # if the database does not answer, the lease runs out
