"""Whether a file of SQLite is a store as this program makes them, and whole.

A file may come from anybody, and disks fail: what is read from it is checked first.
"""

import sqlite3
from functools import cache
from pathlib import Path

from hpsearch.core.errors import StoreError
from hpsearch.store.database import LASTING, LISTS, digest_of
from hpsearch.store.schema import TABLES

LARGEST_ROW = 2**27  # bytes; the four curves of a fold of a million epochs have 80 MB

# What reading a damaged cell raises: it holds no JSON, another JSON, or too deep a one.
DAMAGES = (ValueError, TypeError, LookupError, RecursionError, ArithmeticError)

_TYPES = {"INTEGER": "('integer')", "REAL": "('real', 'integer')", "TEXT": "('text')"}


def check_file(db: sqlite3.Connection, path: Path) -> None:
    """Raise StoreError where tables are missing or are none, pages are damaged, a cell is of
    another type than its column, a row has another digest than it was written with, or rows of
    the journal are missing.
    """
    objects = dict(db.execute("SELECT name, type || ' ' || coalesce(sql, '') FROM sqlite_master"))
    for name, columns in _columns().items():
        # Views and virtual tables are programs, which may never end.
        if not objects.get(name, "").startswith("table CREATE TABLE"):
            raise _damaged(path, f"it has no table {name}")
        found = {row[1] for row in db.execute(f"PRAGMA table_xinfo({name})")}
        if missing := [column for column, *_ in columns if column not in found]:
            raise _damaged(path, f"its table {name} has no column {missing[0]}")
    if any(kind.startswith("trigger") for kind in objects.values()):
        raise _damaged(path, "it has triggers, which no version of this program makes")
    # Not quick_check, which does not compare indices with their tables.
    [(first,)] = db.execute("PRAGMA integrity_check(1)")
    if first != "ok":
        raise _damaged(path, " ".join(str(first).split())[:200])
    for name, columns in _columns().items():
        _check_types(db, path, name, columns)
        if name in LASTING:
            _check_digests(db, path, name, columns)
    _check_rows_together(db, path)


# What no row tells by itself, each with a query that finds one where it is so.
_TOGETHER = {
    "some of its rows are of no search": "SELECT 1 FROM pragma_foreign_key_check LIMIT 1",
    "events of its journal are missing": """
        SELECT 1 FROM (SELECT search, seq FROM asked UNION ALL SELECT search, seq FROM told)
        GROUP BY search HAVING min(seq) != 1 OR max(seq) != count(*) LIMIT 1
    """,
    "a trial was told and never asked": """
        SELECT 1 FROM told t WHERE NOT EXISTS (
            SELECT 1 FROM asked a
            WHERE a.search = t.search AND a.trial = t.trial AND a.answer = 'suggest'
        ) LIMIT 1
    """,
    "a search was put aside for itself, or for an earlier one": """
        SELECT 1 FROM retired WHERE successor <= search LIMIT 1
    """,
}


def _check_rows_together(db: sqlite3.Connection, path: Path) -> None:
    for what, query in _TOGETHER.items():
        if db.execute(query).fetchone():
            raise _damaged(path, what)


def _check_types(
    db: sqlite3.Connection, path: Path, table: str, columns: list[tuple[str, str, bool]]
) -> None:
    wrong = " OR ".join(
        f"(typeof({column}) NOT IN {_TYPES[kind]}"
        + ("" if required else f" AND {column} IS NOT NULL")
        + ")"
        for column, kind, required in columns
    )
    [(count,)] = db.execute(f"SELECT count(*) FROM (SELECT 1 FROM {table} WHERE {wrong} LIMIT 1)")
    if count:
        raise _damaged(path, f"a cell of its table {table} is not of the column's type")


def _check_digests(
    db: sqlite3.Connection, path: Path, table: str, columns: list[tuple[str, str, bool]]
) -> None:
    names = sorted(column for column, *_ in columns if column != "digest")
    for digest, *values in db.execute(
        f"SELECT digest, {', '.join(names)} FROM {table} WHERE digest IS NOT NULL"
    ):
        if digest_of(values) != digest:
            raise _damaged(path, f"a row of its table {table} is not what was written")


@cache
def _columns() -> dict[str, list[tuple[str, str, bool]]]:
    """By table: name, type, and whether it is always there, of each column.

    Without the curves themselves, by far the most that a store holds: they are checked as they
    are read.
    """
    made = sqlite3.connect(":memory:")
    try:
        made.executescript(TABLES)
        tables = [
            name for (name,) in made.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        return {
            table: [
                (name, kind, bool(required or key))
                for _, name, kind, required, _, key in made.execute(f"PRAGMA table_info({table})")
                if name not in LISTS
            ]
            for table in tables
        }
    finally:
        made.close()


def _damaged(path: Path, what: str) -> StoreError:
    return StoreError(
        f"{path} is damaged: {what}; take a backup of it, or name another store by --store"
    )
