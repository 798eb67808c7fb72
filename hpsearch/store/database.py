"""What the store asks of a database: both kinds take the same statements.

Statements keep to the SQL that SQLite and PostgreSQL have in common, with named parameters.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from hpsearch.errors import HpsearchError

T = TypeVar("T")
Say = Callable[[str], None]
Values = Mapping[str, Any]


class DuplicateError(HpsearchError):
    """A row of this key is there already."""


class Rows(list[tuple[Any, ...]]):
    """What a query found. names: of the columns."""

    def __init__(self, names: Iterable[str], rows: Iterable[tuple[Any, ...]]) -> None:
        super().__init__(rows)
        self.names = tuple(names)

    def records(self) -> list[dict[str, Any]]:
        return [dict(zip(self.names, row, strict=True)) for row in self]


class Database(Protocol):
    """An open database. It is used by the thread that opened it.

    folder, name: where files that belong to the store lie, and how those are called that must not
    be taken for another store's.
    """

    folder: Path
    name: str

    def query(self, statement: str, **values: Any) -> Rows: ...

    def execute(self, statement: str, rows: Sequence[Values] = ({},)) -> None:
        """Run it once for each row of values. Raises DuplicateError."""

    def read(self, work: Callable[[], T]) -> T:
        """Return what `work` makes of queries that all see the store as it is at one moment.

        It may be begun anew where the connection is lost. Raises StoreError where what it finds
        makes no sense.
        """

    def write(self, work: Callable[[], T]) -> T:
        """Do all of `work`, or nothing, and return what it returns.

        It may be begun anew where the connection is lost, so it changes nothing but the database.
        Raises StoreError where it cannot be written, and StoreLostError where the store is no longer
        this run's.
        """

    def next_id(self, table: str) -> int:
        """A number that no row has, of a table with an `id`; to be called within `write`."""

    def lock(self, table: str) -> None:
        """Nobody else writes to this table until the end of `write`."""

    def owner(self, study: str) -> str | None:
        """Who runs a study now, as `lock.this_process` calls it; "": nobody; None: not known."""

    def close(self) -> None: ...


def insert(db: Database, table: str, *rows: Values) -> None:
    """Insert rows, all of the same columns. Raises DuplicateError."""
    if rows:
        names = list(rows[0])
        columns, values = ", ".join(names), ", ".join(f":{name}" for name in names)
        db.execute(f"INSERT INTO {table} ({columns}) VALUES ({values})", rows)


def run(db: Database, statements: str) -> None:
    """Statements without values, divided by semicolons; all in the transaction there is."""
    for statement in filter(str.strip, statements.split(";")):
        db.execute(statement)
