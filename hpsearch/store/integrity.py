"""Checks that a SQLite file is a store that this program made, and is undamaged.

A file may come from anywhere, and disks fail: its content is checked before it is used.
"""

import sqlite3
from functools import cache
from pathlib import Path

from hpsearch.core.errors import StoreError
from hpsearch.store.database import LONG_COLUMNS, PERMANENT_TABLES, digest_values
from hpsearch.store.schema import TABLES

# Bytes. The four curves of a fold of a million epochs have 80 MB, and each metric beside 40 MB.
LARGEST_ROW = 2**29

# What reading a damaged cell raises: it is not JSON, not the expected JSON, or nested too deeply.
DAMAGE_ERRORS = (ValueError, TypeError, LookupError, RecursionError, ArithmeticError)

_TYPES = {"INTEGER": "('integer')", "REAL": "('real', 'integer')", "TEXT": "('text')"}


def check_file(db: sqlite3.Connection, path: Path) -> None:
    """Raise StoreError where a file is damaged.

    Checked are its tables and pages, the type of each cell, the digest of each row, and whether
    rows of the journal are missing.
    """
    objects = dict(db.execute("SELECT name, type || ' ' || coalesce(sql, '') FROM sqlite_master"))
    for name, columns in _expected_columns().items():
        # Not a view or virtual table in its place: these run code, which may never end.
        if not objects.get(name, "").startswith("table CREATE TABLE"):
            raise _damage_error(path, f"it has no table {name}")
        found = {row[1] for row in db.execute(f"PRAGMA table_xinfo({name})")}
        if missing := [column for column, *_ in columns if column not in found]:
            raise _damage_error(path, f"its table {name} has no column {missing[0]}")
    if any(kind.startswith("trigger") for kind in objects.values()):
        raise _damage_error(path, "it has triggers, which no version of this program makes")
    # Not quick_check: it does not compare indices with their tables.
    [(first,)] = db.execute("PRAGMA integrity_check(1)")
    if first != "ok":
        raise _damage_error(path, " ".join(str(first).split())[:200])
    for name, columns in _expected_columns().items():
        _check_types(db, path, name, columns)
        if name in PERMANENT_TABLES:
            _check_digests(db, path, name, columns)
    _check_relations(db, path)


# Damage that no single row shows, each with a query that returns a row where there is some.
_RELATIONS = {
    "some of its rows belong to no search": "SELECT 1 FROM pragma_foreign_key_check LIMIT 1",
    "events of its journal are missing": """
        SELECT 1 FROM (SELECT search, seq FROM asked UNION ALL SELECT search, seq FROM told)
        GROUP BY search HAVING min(seq) != 1 OR max(seq) != count(*) LIMIT 1
    """,
    "a trial has an outcome and was never asked for": """
        SELECT 1 FROM told t WHERE NOT EXISTS (
            SELECT 1 FROM asked a
            WHERE a.search = t.search AND a.trial = t.trial AND a.answer = 'suggest'
        ) LIMIT 1
    """,
    "a search was replaced by itself, or by an earlier one": """
        SELECT 1 FROM retired WHERE successor <= search LIMIT 1
    """,
}


def _check_relations(db: sqlite3.Connection, path: Path) -> None:
    for what, query in _RELATIONS.items():
        if db.execute(query).fetchone():
            raise _damage_error(path, what)


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
        raise _damage_error(path, f"a cell of its table {table} is not of the column's type")


def _check_digests(
    db: sqlite3.Connection, path: Path, table: str, columns: list[tuple[str, str, bool]]
) -> None:
    names = sorted(column for column, *_ in columns if column != "digest")
    for digest, *values in db.execute(
        f"SELECT digest, {', '.join(names)} FROM {table} WHERE digest IS NOT NULL"
    ):
        if digest_values(values) != digest:
            raise _damage_error(path, f"a row of its table {table} is not what was written")


@cache
def _expected_columns() -> dict[str, list[tuple[str, str, bool]]]:
    """Each table's columns: name, type, and whether a value is required.

    Without the curves themselves, by far the largest part of a store: these are checked when read.
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
                if name not in LONG_COLUMNS
            ]
            for table in tables
        }
    finally:
        made.close()


def _damage_error(path: Path, what: str) -> StoreError:
    return StoreError(
        f"{path} is damaged: {what}; take a backup of it, or name another store by --store"
    )
