"""The store's tables, and opening a file that holds them.

State is derived, never stored: a trial asked and not told is running; told without a value, it
failed; a search is over when it answered "done" last.

A trial's first training is told; `repeats` holds those with fresh seeds: `own` is the value of one
alone, `value` and `se` those of all so far. In `curves` the first training is repeat 0, and `value`
is the fold's at the training's best epoch. An opening is written before the test is read, its
verdict after. `live` holds how far what runs is, and `runs` who searches, when last
heard, and how it ended: for those who look on. Only their rows are ever changed.
Times (`began`, `started`, `at`) are seconds since 1970; `device` names the worker too.
"""

import json
import sqlite3
from pathlib import Path
from urllib.parse import quote

from hpsearch.errors import NoStoreError, OldStoreError, StoreError

VERSION = 3
_APPLICATION = 0x68707365  # "hpse": SQLite's own place to tell whose file this is

SINCE_1 = """
CREATE TABLE searches (
  id INTEGER PRIMARY KEY,
  study TEXT NOT NULL, searcher TEXT NOT NULL, evaluator TEXT NOT NULL,
  seed INTEGER NOT NULL, backend TEXT NOT NULL,
  task TEXT NOT NULL, measure TEXT NOT NULL, direction TEXT NOT NULL, data TEXT NOT NULL,
  space TEXT NOT NULL, training TEXT NOT NULL,
  file TEXT NOT NULL, source TEXT NOT NULL, versions TEXT NOT NULL, began REAL NOT NULL
);
CREATE TABLE retired (
  search INTEGER PRIMARY KEY REFERENCES searches,
  successor INTEGER NOT NULL REFERENCES searches
);
CREATE TABLE asked (
  search INTEGER NOT NULL REFERENCES searches, seq INTEGER NOT NULL,
  trial INTEGER NOT NULL, answer TEXT NOT NULL,
  id INTEGER UNIQUE, params TEXT, epochs INTEGER, parent INTEGER,
  at REAL NOT NULL,
  PRIMARY KEY (search, seq)
) WITHOUT ROWID;
CREATE INDEX asked_by_trial ON asked (search, trial);
CREATE INDEX asked_by_parent ON asked (search, parent);
CREATE TABLE told (
  search INTEGER NOT NULL REFERENCES searches, seq INTEGER NOT NULL,
  trial INTEGER NOT NULL,
  value REAL, se REAL, best_epoch INTEGER, epochs INTEGER NOT NULL,
  parameters INTEGER NOT NULL, seconds REAL NOT NULL, peak_bytes INTEGER NOT NULL,
  failure TEXT, message TEXT, detail TEXT,
  at REAL NOT NULL,
  PRIMARY KEY (search, seq), UNIQUE (search, trial)
) WITHOUT ROWID;
"""

SINCE_2 = """
CREATE TABLE curves (
  search INTEGER NOT NULL REFERENCES searches, trial INTEGER NOT NULL,
  repeat INTEGER NOT NULL, fold INTEGER NOT NULL,
  train TEXT NOT NULL, validation TEXT NOT NULL,
  train_loss TEXT NOT NULL, validation_loss TEXT NOT NULL,
  value REAL NOT NULL, rows INTEGER NOT NULL, train_rows INTEGER NOT NULL,
  parameters INTEGER NOT NULL, seconds REAL NOT NULL,
  PRIMARY KEY (search, trial, repeat, fold)
) WITHOUT ROWID;
CREATE TABLE repeats (
  search INTEGER NOT NULL REFERENCES searches, trial INTEGER NOT NULL, repeat INTEGER NOT NULL,
  own REAL, value REAL, se REAL, best_epoch INTEGER, epochs INTEGER NOT NULL,
  parameters INTEGER NOT NULL, seconds REAL NOT NULL, peak_bytes INTEGER NOT NULL,
  failure TEXT, message TEXT, detail TEXT,
  at REAL NOT NULL,
  PRIMARY KEY (search, trial, repeat)
) WITHOUT ROWID;
CREATE TABLE openings (
  id INTEGER PRIMARY KEY, search INTEGER NOT NULL REFERENCES searches,
  test TEXT NOT NULL, model TEXT NOT NULL, at REAL NOT NULL
);
CREATE TABLE verdicts (
  opening INTEGER PRIMARY KEY REFERENCES openings,
  value REAL NOT NULL, se REAL, report TEXT NOT NULL, at REAL NOT NULL
);
"""

SINCE_3 = """
ALTER TABLE told ADD COLUMN device TEXT NOT NULL DEFAULT '';
ALTER TABLE told ADD COLUMN started REAL;
ALTER TABLE repeats ADD COLUMN device TEXT NOT NULL DEFAULT '';
ALTER TABLE repeats ADD COLUMN started REAL;
CREATE TABLE live (
  search INTEGER NOT NULL REFERENCES searches, trial INTEGER NOT NULL, repeat INTEGER NOT NULL,
  epochs REAL NOT NULL, value REAL, device TEXT NOT NULL, at REAL NOT NULL,
  PRIMARY KEY (search, trial, repeat)
) WITHOUT ROWID;
CREATE TABLE runs (
  id INTEGER PRIMARY KEY, search INTEGER NOT NULL REFERENCES searches,
  workers INTEGER NOT NULL, planned TEXT NOT NULL, began REAL NOT NULL,
  heard REAL NOT NULL, ended TEXT
);
"""
_ALL = SINCE_1, SINCE_2, SINCE_3


def connect(path: Path, *, create: bool) -> sqlite3.Connection:
    """Open a store; a file that is missing or empty becomes one if `create`.

    Raises StoreError where there is none, or the file is not a store of this program.
    """
    if not create and not path.is_file():
        raise NoStoreError(_missing(path))
    try:
        if create:
            path.parent.mkdir(parents=True, exist_ok=True)
        # Readers too need WAL's side files; that they write nothing is the pragma's doing.
        db = sqlite3.connect(path, isolation_level=None, timeout=30.0)
        try:
            _check_owner(db, path, create=create)
        except sqlite3.OperationalError:
            if create:
                raise
            # A folder that may not be written to: nobody writes there, so the file is whole.
            db.close()
            frozen = f"file:{quote(str(path.resolve()))}?mode=ro&immutable=1"
            db = sqlite3.connect(frozen, isolation_level=None, uri=True)
            _check_owner(db, path, create=create)
        db.row_factory = sqlite3.Row
        if create:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")
        else:
            db.execute("PRAGMA query_only = ON")
    except (sqlite3.DatabaseError, OSError) as error:
        raise StoreError(f"{path} cannot be opened as a store: {error}") from error
    return db


def _run(db: sqlite3.Connection, statements: str) -> None:
    """One by one: `executescript` would commit the transaction it is called in."""
    for statement in filter(str.strip, statements.split(";")):
        db.execute(statement)


def _upgrade(db: sqlite3.Connection, version: int) -> None:
    """From an earlier version to this one."""
    if version < 2:
        _upgrade_1(db)
    _run(db, SINCE_3)
    db.execute(f"PRAGMA user_version = {VERSION}")


def _upgrade_1(db: sqlite3.Connection) -> None:
    """From version 1, which knew neither repeats nor openings, and not what folds trained on."""
    db.execute("ALTER TABLE curves RENAME TO curves_1")
    _run(db, SINCE_2)
    best = dict(
        ((search, trial), epoch)
        for search, trial, epoch in db.execute("SELECT search, trial, best_epoch FROM told")
    )
    for row in db.execute("SELECT * FROM curves_1").fetchall():
        search, trial, fold, *lists, rows, parameters, seconds = row
        value = json.loads(lists[1])[best[search, trial] - 1]
        db.execute(
            f"INSERT INTO curves VALUES ({', '.join('?' * 13)})",
            (search, trial, 0, fold, *lists, value, rows, 0, parameters, seconds),
        )
    db.execute("DROP TABLE curves_1")


def in_memory() -> sqlite3.Connection:
    """An empty store that is gone with its connection."""
    db = sqlite3.connect(":memory:", isolation_level=None)
    db.row_factory = sqlite3.Row
    _run(db, "".join(_ALL))
    return db


def _missing(path: Path) -> str:
    return f"there is no store at {path}; run a study first, or name it by --store"


def _check_owner(db: sqlite3.Connection, path: Path, *, create: bool) -> None:
    if create:
        db.execute("BEGIN IMMEDIATE")  # two runs that begin one store at once take turns
    owner = db.execute("PRAGMA application_id").fetchone()[0]
    version = db.execute("PRAGMA user_version").fetchone()[0]
    empty = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
    if create and empty and owner == 0 and version == 0:
        _run(db, "".join(_ALL))
        db.execute(f"PRAGMA application_id = {_APPLICATION}")
        db.execute(f"PRAGMA user_version = {VERSION}")
    elif empty and owner == 0 and version == 0:
        raise NoStoreError(_missing(path))  # its maker was killed before the first commit
    elif owner != _APPLICATION:
        raise StoreError(
            f"{path} was made by another program and is left alone; name another file by --store"
        )
    elif version > VERSION:
        raise StoreError(
            f"{path} is of version {version}, newer than the {VERSION} this program knows; "
            "upgrade hpsearch, or name another file by --store"
        )
    elif version < VERSION and create:
        _upgrade(db, version)
    elif version < VERSION:
        raise OldStoreError(
            f"{path} is of version {version}, older than the {VERSION} this program reads; run any "
            "study of it once more (hpsearch run NAME), which upgrades it and loses nothing"
        )
    if create:
        db.execute("COMMIT")
