"""A store in a PostgreSQL database that several machines share, by SQLAlchemy.

Imported only where a store is a URL: loading SQLAlchemy takes half as long as all of `rank`.
"""

import itertools
import random
import re
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import Connection, TextClause, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from hpsearch.core.errors import HpsearchError, NoStoreError, StoreError, first_line
from hpsearch.store.connection import driver_message, is_transient, make_engine, suggest_way_out
from hpsearch.store.database import (
    DuplicateError,
    Fence,
    QueryResult,
    Say,
    Values,
    insert_rows,
    run_statements,
)
from hpsearch.store.integrity import DAMAGE_ERRORS
from hpsearch.store.schema import TABLES, VERSION, upgrade_tables
from hpsearch.store.sqlite import check_version
from hpsearch.store.url import Url, folder_beside

T = TypeVar("T")
RETRY_SECONDS = 300.0  # for which a database that was reached once may be away
_LONGEST_PAUSE = 5.0  # seconds between two tries

# The last transaction of each writer. Rows of writers long gone are deleted by the next new one.
COMMITS = """
CREATE TABLE IF NOT EXISTS commits (
  writer TEXT PRIMARY KEY, number INTEGER NOT NULL, at REAL NOT NULL
);
"""
_RECORD_COMMIT = """
INSERT INTO commits (writer, number, at) VALUES (:writer, :number, :at)
ON CONFLICT (writer) DO UPDATE SET number = excluded.number, at = excluded.at
"""
# It writes the row, so that it waits for a transaction of the writer that has not ended.
_FIND_COMMIT = """
INSERT INTO commits (writer, number, at) VALUES (:writer, :number, :at)
ON CONFLICT (writer) DO UPDATE SET at = excluded.at RETURNING number
"""
_FORGET_COMMITS = "DELETE FROM commits WHERE at < :before"
_COMMITS_KEPT = 86400.0  # seconds, far more than RETRY_SECONDS

# Ids come from sequences, so that runs that write at the same time do not wait for each other.
OWN_TABLES = """
CREATE TABLE hpsearch (id TEXT NOT NULL, version INTEGER NOT NULL);
CREATE TABLE leases (
  study TEXT PRIMARY KEY, owner TEXT NOT NULL, host TEXT NOT NULL, pid INTEGER NOT NULL,
  expires REAL NOT NULL
);
CREATE SEQUENCE searches_id;
CREATE SEQUENCE asked_id;
CREATE SEQUENCE openings_id;
CREATE SEQUENCE runs_id;
"""
_HOLDER = """
SELECT host, pid FROM leases
WHERE study = :study AND expires > extract(epoch FROM clock_timestamp())
"""
# to_regclass would answer from a cache, which may not know what another run has just created.
_FIND_TABLE = "SELECT 1 FROM pg_class WHERE relname = :table AND pg_table_is_visible(oid)"
_TYPE_NAMES = {" WITHOUT ROWID": "", r"\bINTEGER\b": "BIGINT", r"\bREAL\b": "DOUBLE PRECISION"}
# The key of an advisory lock: two runs that create one store at the same time take turns.
_CREATE_LOCK = 0x68707365


class Postgresql:
    """An open database.

    Where the connection is lost, a transaction is tried again for RETRY_SECONDS. If it was lost
    during a commit, the server is asked whether that took place, so that nothing is written twice:
    every transaction of this writer has a number, which it leaves in `commits`. The server's own
    numbers (`pg_xact_status`) would not do: those that a crash loses are given out again.

    Args:
        create: make a store of an empty database, and upgrade an older store.

    Raises StoreError where there is no store, or the tables are another program's.
    """

    def __init__(
        self, url: Url, *, create: bool = False, fence: Fence | None = None, say: Say | None = None
    ) -> None:
        self._url, self._fence, self._say = url, fence, say or (lambda line: None)
        self._engine = make_engine(url, read_only=not create)
        self._reading = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        self._within: Connection | None = None  # of the current transaction
        self._writer, self._numbers = uuid.uuid4().hex, itertools.count(1)
        self._reached = False
        self.folder, self.name = folder_beside(url), ""
        try:
            self._open(create=create)
        except BaseException:
            self.close()
            raise

    def _open(self, *, create: bool) -> None:
        found = self._read_identity()
        self._reached = True
        if found is None and not create:
            raise NoStoreError(
                f"there is no store in {self._url}; run a study first, or name it by --store"
            )
        if found is not None:
            check_version(self._url, found[1], create=create)
        if create and found is not None and found[1] == VERSION:
            self.write(self._forget_commits)
        elif found is None or found[1] < VERSION:
            self._fence, fence = None, self._fence  # the table of leases may not exist yet
            self.write(self._create_or_upgrade)
            self._fence, found = fence, self._read_identity()
        assert found is not None
        database = re.sub(r"\W", "_", self._url.database or "postgresql")
        self.name = f"{database}-{found[0]}"

    def _read_identity(self) -> tuple[str, int] | None:
        """The store's own id and version; None where there is no store."""
        if not self.query(_FIND_TABLE, table="hpsearch"):
            return None
        return self.query("SELECT id, version FROM hpsearch")[0]

    def _create_or_upgrade(self) -> None:
        self.query("SELECT pg_advisory_xact_lock(:key)", key=_CREATE_LOCK)
        found = self._read_identity()
        if found is None:
            run_statements(self, TABLES + OWN_TABLES + COMMITS)
            insert_rows(self, "hpsearch", {"id": uuid.uuid4().hex[:8], "version": VERSION})
        elif found[1] < VERSION:
            upgrade_tables(self, found[1])
            if found[1] < 5:
                run_statements(self, COMMITS)
            self.execute("UPDATE hpsearch SET version = :version", [{"version": VERSION}])

    def query(self, statement: str, **values: Any) -> QueryResult:
        def attempt() -> QueryResult:
            with self._connection() as connection:
                found = connection.execute(_text(statement), values)
                return QueryResult(found.keys(), map(tuple, found))

        return attempt() if self._within else self._retry(attempt)

    def execute(self, statement: str, rows: Sequence[Values] = ({},)) -> None:
        assert self._within is not None, "statements that write are called within `write`"
        if not rows:
            return
        try:
            self._within.execute(_text(_to_postgresql(statement)), [*map(_storable, rows)])
        except IntegrityError as error:
            raise DuplicateError(first_line(error)) from None

    def write(self, work: Callable[[], T]) -> T:
        unanswered: list[tuple[int, T]] = []  # a transaction whose commit was sent and not answered

        def attempt() -> T:
            # Was the connection lost during a commit that took place?
            if unanswered and self._is_committed(unanswered[0][0]):
                return unanswered[0][1]
            unanswered.clear()
            with self._engine.connect() as connection, self._transaction(connection):
                if self._fence:
                    self._fence.check(connection)
                done = work()
                number = next(self._numbers)
                self.execute(_RECORD_COMMIT, [self._commit_row(number)])
                unanswered.append((number, done))
                connection.commit()
                return done

        return self._retry(attempt, "written")

    def read(self, work: Callable[[], T]) -> T:
        if self._within is not None:
            return work()

        def attempt() -> T:
            connected = self._engine.connect().execution_options(isolation_level="REPEATABLE READ")
            with connected as connection, self._transaction(connection):
                return work()

        try:
            return self._retry(attempt)
        except HpsearchError:
            raise
        except DAMAGE_ERRORS as error:
            raise StoreError(
                f"{self._url} cannot be read as a store: {first_line(error)}"
            ) from error

    def next_id(self, table: str) -> int:
        [(number,)] = self.query(f"SELECT nextval('{table}_id')")
        return int(number)

    def lock(self, table: str) -> None:
        assert self._within is not None
        self._within.execute(_text(f"LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE"))

    def free_bytes(self) -> int:
        return 0  # the server reuses them by itself

    def reclaim(self) -> None:
        """Nothing to do: the server reuses what deleted rows leave."""

    def find_owner(self, study: str) -> str | None:
        found = self.query(_HOLDER, study=study)
        return f"{found[0][1]}@{found[0][0]}" if found else ""

    def close(self) -> None:
        self._engine.dispose()

    def _forget_commits(self) -> None:
        self.execute(_FORGET_COMMITS, [{"before": time.time() - _COMMITS_KEPT}])

    def _is_committed(self, number: int) -> bool:
        if not self.query(_FIND_TABLE, table="commits"):  # no store is made yet
            return False
        [(last,)] = self.query(_FIND_COMMIT, **self._commit_row(0))
        return bool(last == number)

    def _commit_row(self, number: int) -> Values:
        return {"writer": self._writer, "number": number, "at": time.time()}

    @contextmanager
    def _transaction(self, connection: Connection) -> Iterator[None]:
        self._within = connection
        try:
            yield
        finally:
            self._within = None

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        if self._within is not None:
            yield self._within
        else:
            with self._reading.connect() as connection:
                yield connection

    def _retry(self, attempt: Callable[[], T], verb: str = "read") -> T:
        """Repeat an attempt until the database answers, for RETRY_SECONDS at most."""
        began, delay, tries = time.monotonic(), 0.05, 0
        while True:
            try:
                done = attempt()
            except DBAPIError as error:
                if not self._reached or not is_transient(error):
                    state = getattr(error.orig, "sqlstate", None)
                    way = suggest_way_out(state, driver_message(error), reached=self._reached)
                    verb = verb if self._reached or state else "reached"
                    raise StoreError(
                        f"{self._url} cannot be {verb} ({driver_message(error)}); {way}"
                    ) from None
                tries += 1
                if time.monotonic() - began > RETRY_SECONDS:
                    raise StoreError(
                        f"{self._url} has not answered for {RETRY_SECONDS:g} seconds "
                        f"({driver_message(error)}); the same command continues when it "
                        "does: no finished trial is lost"
                    ) from None
                if tries == 3:  # shorter outages are not worth a message
                    self._say(
                        f"{self._url} does not answer ({driver_message(error)}); trying again"
                    )
                # At random, so that not all runs retry at the same time.
                time.sleep(delay * random.uniform(0.5, 1.0))
                delay = min(_LONGEST_PAUSE, 2 * delay)
            else:
                if tries >= 3:
                    self._say(f"{self._url} answers again")
                return done


@cache
def _text(statement: str) -> TextClause:
    return text(statement)


@cache
def _to_postgresql(statement: str) -> str:
    """A statement that makes or alters tables, with PostgreSQL's type names."""
    if statement.lstrip().startswith(("CREATE", "ALTER")):
        for old, new in _TYPE_NAMES.items():
            statement = re.sub(old, new, statement)
    return statement


def _storable(values: Values) -> dict[str, Any]:
    """Values with NUL replaced by its symbol, because PostgreSQL's texts cannot hold NUL."""
    return {
        name: value.replace("\0", "\N{SYMBOL FOR NULL}") if isinstance(value, str) else value
        for name, value in values.items()
    }
