"""The file of a SQLite store on disk: which file it is, and copies of it.

SQLite keeps what was written last beside the file, in NAME-wal, until it is moved into the file. So
whoever reads one without the other misses trials, or reads nonsense.
"""

import os
import shutil
import sqlite3
import tempfile
from contextlib import suppress
from pathlib import Path

from hpsearch.core.errors import StoreError

Identity = tuple[int, int]
"""Device and inode: a file's, whatever it is called."""

_TRIES = 3  # to copy a file that somebody writes to


def identity(path: Path) -> Identity | None:
    """None where there is no such file."""
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino


def wal_of(path: Path) -> Path:
    """Where SQLite keeps what was written last; it looks beside the file that a link points to."""
    real = path.resolve()
    return real.with_name(f"{real.name}-wal")


def refuse_hard_links(path: Path) -> None:
    """Raise StoreError for a file of several names.

    By each name SQLite looks for another NAME-wal: who reads by one name misses what was written by
    the other, and two who write spoil the file (https://www.sqlite.org/howtocorrupt.html, 2.3).
    """
    if identity(path) is not None and path.stat().st_nlink > 1:
        raise StoreError(
            f"{path} is one file of {path.stat().st_nlink} names (hard links), of which each would "
            "see other trials; keep the name that it was made by, and make the others symbolic links"
        )


def copy_to_read(path: Path) -> "tempfile.TemporaryDirectory[str]":
    """A private folder with a copy of a store and of its NAME-wal, both called as they are.

    Raises StoreError where somebody goes on writing meanwhile.
    """
    files = [path.resolve(), wal_of(path)]
    folder = tempfile.TemporaryDirectory(prefix="hpsearch-store-")
    try:
        for _ in range(_TRIES):
            before = [_state(file) for file in files]
            for file in files:
                shutil.copyfile(file, Path(folder.name) / file.name)
            if before == [_state(file) for file in files]:
                return folder
        raise StoreError(
            f"{path} is being written to, and its folder may not be: no reader sees all of its "
            "trials; allow this user to write to the folder, or wait for the run"
        )
    except BaseException:
        folder.cleanup()
        raise


def _state(file: Path) -> tuple[int, int, int]:
    found = file.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


def place_to_rescue(path: Path) -> Path:
    """A path beside a store, at which nothing is, for what is saved of it."""
    real = path.resolve()
    number = 1
    while True:
        name = f"{real.stem}.rescued{f'-{number}' if number > 1 else ''}{real.suffix}"
        if not (found := real.with_name(name)).exists():
            return found
        number += 1


def rescue(db: sqlite3.Connection, place: Path) -> Path:
    """Write all that a connection sees to a store of its own; returns where it is.

    The file behind the connection may be deleted: as long as it is open, all of it is there. Where
    the folder cannot be made any more, it is written to the folder for temporary files.
    """
    with suppress(OSError):
        place.parent.mkdir(parents=True, exist_ok=True)
    if not place.parent.is_dir():
        place = Path(tempfile.gettempdir()) / place.name
    partial = place.with_name(f"{place.name}.partial-{os.getpid()}")
    try:
        copy = sqlite3.connect(partial)
        try:
            db.backup(copy)
        finally:
            copy.close()
        os.replace(partial, place)
    finally:
        partial.unlink(missing_ok=True)
    return place
