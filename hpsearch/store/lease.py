"""One run of a study at a time, over several machines: a lease in the database they share."""

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
from hpsearch.store.connection import engine
from hpsearch.store.database import Say
from hpsearch.store.postgresql import Postgresql
from hpsearch.store.url import Url

SECONDS = 45.0  # that a lease lasts; a dead owner loses it by then
RENEWED = 5.0  # seconds after which a living owner renews it

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
    """A study that a run owns, which a thread of its own renews.

    Every transaction of the run checks it, and holds the row until its commit: whoever takes the
    lease over afterwards finds all that was told, and the former owner writes nothing more.
    """

    def __init__(self, url: Url, study: str) -> None:
        self._study, self._owner = study, uuid.uuid4().hex
        self._which = {"study": study, "owner": self._owner}
        self._url, self._ended = url, threading.Event()

    def check(self, connection: Connection) -> None:
        if connection.execute(_HOLD, self._which).first() is None:
            raise StoreLostError(
                f"study {self._study} is another run's by now, as this one was not heard of for "
                f"{SECONDS:g} seconds; this one stops, and what it told is kept"
            )

    def take(self, db: Postgresql, say: Say) -> None:
        """Wait as long as an owner that is dead keeps it. Raises StoreError for one that lives."""
        values = {"host": socket.gethostname(), "pid": os.getpid(), "seconds": SECONDS}
        seen: float | None = None
        while True:
            if db.write(lambda: db.query(_TAKE, **self._which, **values)):
                return
            for host, pid, expires in db.query(_HOLDER, study=self._study):
                if seen is not None and expires > seen:
                    raise StoreError(
                        f"study {self._study} is being run by process {pid} on {host}; wait for "
                        "it, or stop it"
                    )
                if seen is None:
                    say(f"process {pid} on {host} runs study {self._study}, if it lives: waiting")
                seen = expires
            time.sleep(min(0.5, RENEWED / 4))

    def renew(self) -> None:
        """Until the end; what the database does not answer is asked again soon."""
        own = engine(self._url).execution_options(isolation_level="AUTOCOMMIT")
        wait = RENEWED
        while not self._ended.wait(wait):
            try:
                with own.connect() as connection:
                    connection.execute(_RENEW, self._which | {"seconds": SECONDS})
                wait = RENEWED
            except DBAPIError:
                wait = min(1.0, RENEWED)
        with suppress(DBAPIError), own.connect() as connection:
            connection.execute(_GIVE_BACK, self._which)
        own.dispose()

    def end(self) -> None:
        self._ended.set()


@contextmanager
def leased(url: Url, study: str, say: Say) -> Iterator[Lease]:
    """Own a study of a store, which is made where there is none. Raises StoreError."""
    lease = Lease(url, study)
    db = Postgresql(url, create=True, say=say)
    try:
        lease.take(db, say)
    finally:
        db.close()
    renewing = threading.Thread(target=lease.renew, name="lease", daemon=True)
    renewing.start()
    try:
        yield lease
    finally:
        lease.end()
        renewing.join(timeout=15.0)  # a database that does not answer forgets the lease by itself
