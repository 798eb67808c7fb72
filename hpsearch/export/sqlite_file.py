"""SQLite files for other tools, written without waiting for the disk.

A crash may tear such a file, but an export appears only when it is whole.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.exc import SQLAlchemyError

from hpsearch.core.errors import HpsearchError, first_line
from hpsearch.export import EXPORT_MARK


@contextmanager
def new_database(path: Path) -> Iterator[str]:
    """The URL of a new SQLite file, written without syncing and finally marked as an export.

    Raises HpsearchError where it cannot be written.
    """
    if "?" in str(path.absolute()):
        raise HpsearchError(
            f"{path.parent} has a ? in its name, which SQLite's URLs cannot contain; "
            "name another folder"
        )
    event.listen(Engine, "connect", _turn_off_syncing)
    try:
        yield f"sqlite:///{path}"
        with closing(sqlite3.connect(path)) as opened:
            opened.execute(f"PRAGMA application_id = {int.from_bytes(EXPORT_MARK)}")
    except (SQLAlchemyError, sqlite3.Error) as error:  # a full disk
        raise HpsearchError(f"the database cannot be written: {first_line(error)}") from error
    finally:
        event.remove(Engine, "connect", _turn_off_syncing)


def _turn_off_syncing(connection: Any, _: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA synchronous = OFF")
    cursor.execute("PRAGMA journal_mode = MEMORY")
    cursor.close()
