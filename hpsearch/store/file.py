"""The file of a SQLite store on disk: its identity, and copies of it.

SQLite first writes to a file beside it, NAME-wal, and moves that into the file later. Reading one
without the other misses trials, or gives nonsense.
"""

import os
import shutil
import sqlite3
import tempfile
from contextlib import suppress
from pathlib import Path

from hpsearch.core.errors import StoreError

Identity = tuple[int, int]
"""Device and inode of a file: the same under all of its names."""

_TRIES = 3  # to copy a file while a run writes to it


def identify_file(path: Path) -> Identity | None:
    """Its device and inode; None where there is no such file."""
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino


def wal_path(path: Path) -> Path:
    """The path of NAME-wal: beside the file that a symbolic link points to."""
    real = path.resolve()
    return real.with_name(f"{real.name}-wal")


def refuse_hard_links(path: Path) -> None:
    """Raise StoreError for a file with several names.

    SQLite looks for another NAME-wal under each name: a reader by one name misses what was written
    by the other, and two writers corrupt the file (https://www.sqlite.org/howtocorrupt.html, 2.3).
    """
    if identify_file(path) is not None and path.stat().st_nlink > 1:
        raise StoreError(
            f"{path} is a file with {path.stat().st_nlink} names (hard links), and each name would "
            "show other trials; keep the name that it was made by, and make the others symbolic "
            "links"
        )


def copy_to_read(path: Path) -> "tempfile.TemporaryDirectory[str]":
    """A private folder with copies of a store and its NAME-wal, under the same names.

    Raises StoreError where a run keeps writing to the store meanwhile.
    """
    files = [path.resolve(), wal_path(path)]
    folder = tempfile.TemporaryDirectory(prefix="hpsearch-store-")
    try:
        for _ in range(_TRIES):
            before = [_state(file) for file in files]
            for file in files:
                shutil.copyfile(file, Path(folder.name) / file.name)
            if before == [_state(file) for file in files]:
                return folder
        raise StoreError(
            f"{path} is being written to, and you may not write to its folder, so that not all of "
            "its trials can be read; allow this user to write to the folder, or wait for the run"
        )
    except BaseException:
        folder.cleanup()
        raise


def _state(file: Path) -> tuple[int, int, int]:
    found = file.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


def choose_rescue_path(path: Path) -> Path:
    """A free path beside a store for the copy that is saved of it."""
    real = path.resolve()
    number = 1
    while True:
        name = f"{real.stem}.rescued{f'-{number}' if number > 1 else ''}{real.suffix}"
        if not (found := real.with_name(name)).exists():
            return found
        number += 1


def write_rescue_copy(db: sqlite3.Connection, store: Path, earlier: Path | None) -> Path:
    """Write all that a connection to a store sees to a new one, and return its path.

    The file behind the connection may be deleted: while it is open, its content is still there.
    Where nothing can be written beside it, as while its folder is being deleted, the copy goes to
    the folder for temporary files.

    Args:
        earlier: the copy that was written before, which is replaced; None: there is none.
    """
    place = earlier or choose_rescue_path(store)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        return _write_copy(db, place)
    except (OSError, sqlite3.Error):
        return _write_copy(db, choose_rescue_path(Path(tempfile.gettempdir()) / store.name))


def _write_copy(db: sqlite3.Connection, place: Path) -> Path:
    partial = place.with_name(f"{place.name}.partial-{os.getpid()}")
    try:
        copy = sqlite3.connect(partial)
        try:
            db.backup(copy)
        finally:
            copy.close()
        os.replace(partial, place)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
    return place
