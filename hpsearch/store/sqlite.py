"""A store in a SQLite file on one machine, by the standard library."""

import sqlite3
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from hpsearch.core.errors import (
    HpsearchError,
    NoStoreError,
    OldStoreError,
    StoreError,
    StoreLostError,
    short_reason,
)
from hpsearch.core.outputs import STORE_MARK
from hpsearch.store import file_lock
from hpsearch.store.database import DuplicateError, QueryResult, Values, run_statements
from hpsearch.store.file import (
    Identity,
    copy_to_read,
    identify_file,
    refuse_hard_links,
    wal_path,
    write_rescue_copy,
)
from hpsearch.store.integrity import DAMAGE_ERRORS, LARGEST_ROW, check_file
from hpsearch.store.schema import TABLES, VERSION, upgrade_tables
from hpsearch.store.url import folder_beside

T = TypeVar("T")
_APPLICATION = int.from_bytes(STORE_MARK)  # SQLite's application_id of a store
# UnicodeError: a message of SQLite may repeat damaged text.
_ERRORS = (sqlite3.Error, UnicodeError)
_WAIT = 30.0  # seconds for another writer to finish
_LAST_REMOVED = {"searches": "search", "asked": "last_trial"}  # columns of `removed`, by table


class Sqlite:
    """An open file; without a path, a store in memory.

    Args:
        create: make a store where the file is missing or empty, and upgrade an older store.

    Raises StoreError where there is no file, or it is not a store of this program.
    """

    def __init__(self, path: Path | None, *, create: bool = False) -> None:
        self.folder, self.name = (folder_beside(path), path.name) if path else (Path(), "memory")
        self._path, self._files = path, dict[Path, Identity | None]()
        self._rescue: Path | None = None
        self._copy: tempfile.TemporaryDirectory[str] | None = None
        self._db: sqlite3.Connection | None = None
        if path is None:
            self._connect(":memory:")
            run_statements(self, TABLES)
            return
        try:
            self._open(path, create=create)
        except BaseException as error:
            self.close()
            if isinstance(error, (*_ERRORS, OSError)):
                raise StoreError(
                    f"{path} cannot be opened as a store: {short_reason(error)}; name another "
                    "by --store"
                ) from error
            raise

    def _open(self, path: Path, *, create: bool) -> None:
        if not create and not path.is_file():
            raise NoStoreError(_missing_store(path))
        # SQLite would open a device and write files beside it.
        if path.exists() and not path.is_file():
            raise StoreError(f"{path} is not a file; name another by --store")
        refuse_hard_links(path)
        if create:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connect(str(path))
            self._check_or_create(path, create=True)
            self._switch_to_wal()
            self._connection.execute("PRAGMA synchronous = NORMAL")
            # So that nothing is written of a search that somebody has just deleted.
            self._connection.execute("PRAGMA foreign_keys = ON")
            self.query("SELECT count(*) FROM sqlite_master")  # creates NAME-wal
            self._files = {file: identify_file(file) for file in (path.absolute(), wal_path(path))}
        else:
            self._open_to_read(path)
            self._connection.execute("PRAGMA query_only = ON")

    def _switch_to_wal(self) -> None:
        """Have a log of writes beside the file.

        SQLite waits for other writers everywhere but here: while another run makes the same store,
        it would fail at once.
        """
        end = time.monotonic() + _WAIT
        while True:
            try:
                self._connection.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                is_busy = getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
                if not is_busy or time.monotonic() > end:
                    raise
            time.sleep(0.01)

    def _open_to_read(self, path: Path) -> None:
        # Not opened read-only: readers too need WAL's side files. PRAGMA query_only keeps them from
        # writing.
        self._connect(str(path))
        try:
            self._check_or_create(path, create=False)
            return
        except sqlite3.OperationalError as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF not in (
                sqlite3.SQLITE_CANTOPEN,
                sqlite3.SQLITE_READONLY,
            ):
                raise
        # This user may not write to the folder. Without NAME-wal the file is complete and is read
        # as it is; else a copy of both is read.
        self.close()
        wal = wal_path(path)
        if wal.exists() and wal.stat().st_size:
            self._copy = copy_to_read(path)
            self._connect(str(Path(self._copy.name) / path.resolve().name))
        else:
            self._connect(f"file:{quote(str(path.resolve()))}?mode=ro&immutable=1", uri=True)
        self._check_or_create(path, create=False)

    def _connect(self, where: str, *, uri: bool = False) -> None:
        self._db = sqlite3.connect(where, isolation_level=None, timeout=_WAIT, uri=uri)
        # The file may come from anywhere: its functions and views are not trusted, and the size of
        # a row is limited.
        self._db.execute("PRAGMA trusted_schema = OFF")
        self._db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LARGEST_ROW)

    @property
    def _connection(self) -> sqlite3.Connection:
        assert self._db is not None, "the store is closed"
        return self._db

    def _check_or_create(self, path: Path, *, create: bool) -> None:
        """Check version and content; if `create`, make or upgrade the tables first."""
        if create:  # two runs that create one store at the same time take turns
            self._connection.execute("BEGIN IMMEDIATE")
        [(owner,)] = self._connection.execute("PRAGMA application_id")
        [(version,)] = self._connection.execute("PRAGMA user_version")
        [(tables,)] = self._connection.execute("SELECT count(*) FROM sqlite_master")
        fresh = tables == owner == version == 0
        # An empty file: the run that made it was killed before its first commit.
        if fresh and not create:
            raise NoStoreError(_missing_store(path))
        if not fresh and owner != _APPLICATION:
            raise StoreError(
                f"{path} was made by another program and is left alone; name another file by "
                "--store"
            )
        if not fresh:
            check_version(path, version, create=create)
        if fresh:
            run_statements(self, TABLES)
        elif version < VERSION:
            upgrade_tables(self, version)
            check_file(self._connection, path)
        if create:
            self._connection.execute(f"PRAGMA application_id = {_APPLICATION}")
            self._connection.execute(f"PRAGMA user_version = {VERSION}")
            self._connection.execute("COMMIT")
        # Outside the transaction, so that other runs can write: checking a large file takes time.
        if version == VERSION:
            check_file(self._connection, path)

    def query(self, statement: str, **values: Any) -> QueryResult:
        try:
            found = self._connection.execute(statement, values)
            return QueryResult([column[0] for column in found.description], found)
        except _ERRORS as error:
            raise StoreError(
                f"{self._path} cannot be read as a store: {short_reason(error)}"
            ) from error

    def execute(self, statement: str, rows: Sequence[Values] = ({},)) -> None:
        try:
            for values in rows:
                self._connection.execute(statement, values)
        except sqlite3.IntegrityError as error:
            raise DuplicateError(str(error)) from error

    def read(self, work: Callable[[], T]) -> T:
        if self._connection.in_transaction:
            return work()
        try:
            self._connection.execute("BEGIN")
            try:
                return work()
            finally:
                with suppress(sqlite3.Error):  # what was read is valid all the same
                    self._connection.execute("COMMIT")
        except HpsearchError:
            raise
        except (*_ERRORS, *DAMAGE_ERRORS) as error:
            raise StoreError(
                f"{self._path} cannot be read as a store: {short_reason(error)}; take a backup "
                "of it"
            ) from error

    def write(self, work: Callable[[], T]) -> T:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                done = work()
            except BaseException:
                if self._connection.in_transaction:  # a full disk has rolled it back already
                    self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")
        except _ERRORS as error:
            raise StoreError(
                f"the store cannot be written ({short_reason(error)}); fix that, and the same "
                "command continues: no finished trial is lost"
            ) from error
        # After the commit, so that the rescued copy has this transaction too.
        self._rescue_if_deleted()
        return done

    def _rescue_if_deleted(self) -> None:
        """Save a copy and raise StoreLostError where the open file is no longer at its path."""
        try:
            if all(identify_file(file) == opened for file, opened in self._files.items()):
                return
        except OSError:  # it may be hidden only for now
            return
        assert self._path is not None
        try:
            self._rescue = write_rescue_copy(self._connection, self._path, self._rescue)
        except (*_ERRORS, OSError) as error:
            raise StoreLostError(
                f"{self._path} was deleted or replaced while it was written to, and what it held "
                f"cannot be saved: {short_reason(error)}"
            ) from error
        raise StoreLostError(
            f"{self._path} was deleted or replaced while it was written to; all that it held is in "
            f"{self._rescue}: move that to {self._path}, and the same command continues"
        )

    def next_id(self, table: str) -> int:
        [(last,)] = self.query(f"SELECT coalesce(max(id), 0) FROM {table}")
        if table in _LAST_REMOVED:  # an id that once meant another trial is not given again
            [(removed,)] = self.query(
                f"SELECT coalesce(max({_LAST_REMOVED[table]}), 0) FROM removed"
            )
            last = max(last, removed)
        return int(last) + 1

    def lock(self, table: str) -> None:
        """Nothing to do: SQLite has one writer at a time."""

    def free_bytes(self) -> int:
        [(pages,)] = self.query("PRAGMA freelist_count")
        [(size,)] = self.query("PRAGMA page_size")
        return int(pages) * int(size)

    def reclaim(self) -> None:
        try:
            self._connection.execute("VACUUM")
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except _ERRORS as error:
            raise StoreError(
                f"{self._path} cannot be made smaller now ({short_reason(error)}); nothing is lost"
            ) from error

    def find_owner(self, study: str) -> str | None:
        return None if self._path is None else file_lock.find_owner(self._path, study)

    def close(self) -> None:
        if self._db is not None:
            self._db.close()
        if self._copy is not None:
            self._copy.cleanup()
        self._db = self._copy = None


def check_version(place: object, version: int, *, create: bool) -> None:
    """Raise StoreError for a newer store, or an older one that is only read."""
    if version > VERSION:
        raise StoreError(
            f"{place} is of version {version}, newer than the {VERSION} this program knows; "
            "upgrade hpsearch, or name another store by --store"
        )
    if version < VERSION and not create:
        raise OldStoreError(
            f"{place} is of version {version}, older than the {VERSION} this program reads; run "
            "any study of it once more (hpsearch run NAME), which upgrades it and loses nothing"
        )


def _missing_store(path: Path) -> str:
    return f"there is no store at {path}; run a study first, or name it by --store"
