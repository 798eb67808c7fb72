"""A store in a file of one machine, by the standard library."""

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from hpsearch.errors import NoStoreError, OldStoreError, StoreError
from hpsearch.store.database import DuplicateError, Rows, Values, run
from hpsearch.store.schema import TABLES, VERSION, upgrade
from hpsearch.store.url import folder_of

T = TypeVar("T")
_APPLICATION = 0x68707365  # "hpse": SQLite's own place to tell whose file this is


class Sqlite:
    """An open file; without a path, a store that is gone with its connection.

    Raises StoreError where there is none, or the file is not a store of this program; one that is
    missing or empty becomes one if `create`.
    """

    def __init__(self, path: Path | None, *, create: bool = False) -> None:
        self.folder, self.name = (folder_of(path), path.name) if path else (Path(), "memory")
        if path is None:
            self._db = sqlite3.connect(":memory:", isolation_level=None)
            run(self, TABLES)
        else:
            self._open(path, create=create)

    def _open(self, path: Path, *, create: bool) -> None:
        if not create and not path.is_file():
            raise NoStoreError(_missing(path))
        try:
            if create:
                path.parent.mkdir(parents=True, exist_ok=True)
            # Readers too need WAL's side files; that they write nothing is the pragma's doing.
            self._db = sqlite3.connect(path, isolation_level=None, timeout=30.0)
            try:
                self._check_owner(path, create=create)
            except sqlite3.OperationalError:
                if create:
                    raise
                # A folder that may not be written to: nobody writes there, so the file is whole.
                self.close()
                frozen = f"file:{quote(str(path.resolve()))}?mode=ro&immutable=1"
                self._db = sqlite3.connect(frozen, isolation_level=None, uri=True)
                self._check_owner(path, create=create)
            if create:
                self._db.execute("PRAGMA journal_mode = WAL")
                self._db.execute("PRAGMA synchronous = NORMAL")
            else:
                self._db.execute("PRAGMA query_only = ON")
        except (sqlite3.DatabaseError, OSError) as error:
            raise StoreError(f"{path} cannot be opened as a store: {error}") from error

    def _check_owner(self, path: Path, *, create: bool) -> None:
        if create:
            self._db.execute("BEGIN IMMEDIATE")  # two runs that begin one store at once take turns
        [(owner,)] = self.query("PRAGMA application_id")
        [(version,)] = self.query("PRAGMA user_version")
        [(tables,)] = self.query("SELECT count(*) FROM sqlite_master")
        fresh = tables == owner == version == 0
        if fresh and not create:
            raise NoStoreError(_missing(path))  # its maker was killed before the first commit
        if not fresh and owner != _APPLICATION:
            raise StoreError(
                f"{path} was made by another program and is left alone; name another file by --store"
            )
        if not fresh:
            check_version(path, version, create=create)
        if create:
            if fresh:
                run(self, TABLES)
            else:
                upgrade(self, version)
            self._db.execute(f"PRAGMA application_id = {_APPLICATION}")
            self._db.execute(f"PRAGMA user_version = {VERSION}")
            self._db.execute("COMMIT")

    def query(self, statement: str, **values: Any) -> Rows:
        found = self._db.execute(statement, values)
        return Rows([column[0] for column in found.description], found)

    def execute(self, statement: str, rows: Sequence[Values] = ({},)) -> None:
        try:
            for values in rows:
                self._db.execute(statement, values)
        except sqlite3.IntegrityError as error:
            raise DuplicateError(str(error)) from error

    def write(self, work: Callable[[], T]) -> T:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                done = work()
            except BaseException:
                if self._db.in_transaction:  # a full disk has ended it already
                    self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
        except sqlite3.OperationalError as error:
            raise StoreError(
                f"the store cannot be written ({error}); mend that, and the same command "
                "continues: what was told is kept"
            ) from error
        return done

    def next_id(self, table: str) -> int:
        [(number,)] = self.query(f"SELECT coalesce(max(id), 0) + 1 FROM {table}")
        return int(number)

    def lock(self, table: str) -> None:
        """Whoever writes is alone anyway."""

    def close(self) -> None:
        self._db.close()


def check_version(place: object, version: int, *, create: bool) -> None:
    """Raises StoreError for a store that is newer than this program, or older and not upgraded."""
    if version > VERSION:
        raise StoreError(
            f"{place} is of version {version}, newer than the {VERSION} this program knows; "
            "upgrade hpsearch, or name another store by --store"
        )
    if version < VERSION and not create:
        raise OldStoreError(
            f"{place} is of version {version}, older than the {VERSION} this program reads; run any "
            "study of it once more (hpsearch run NAME), which upgrades it and loses nothing"
        )


def _missing(path: Path) -> str:
    return f"there is no store at {path}; run a study first, or name it by --store"
