"""Faster writing of SQLite files that are thrown away unless they become whole."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine


@contextmanager
def unflushed() -> Iterator[None]:
    """Nothing waits for the disk: what a crash would tear is no export yet."""
    event.listen(Engine, "connect", _relax)
    try:
        yield
    finally:
        event.remove(Engine, "connect", _relax)


def _relax(connection: Any, _: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA synchronous = OFF")
    cursor.execute("PRAGMA journal_mode = MEMORY")
    cursor.close()
