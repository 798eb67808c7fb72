"""What the store asks of a database: both kinds take the same statements.

Statements keep to the SQL that SQLite and PostgreSQL have in common, with named parameters.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar
from zlib import crc32

from hpsearch.core.errors import HpsearchError

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


class Fence(Protocol):
    """Who must still own a study when a transaction is committed."""

    def check(self, connection: Any) -> None:
        """Raises StoreError where it is no longer owned; else it stays so until the commit."""


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


LASTING = ("searches", "retired", "asked", "told", "curves", "repeats", "openings", "verdicts")
"""Tables whose rows stay as they were inserted, so that each has a digest of its values."""

LISTS = ("train", "validation", "train_loss", "validation_loss")
"""Columns of `curves` that are long; their digest is a column of its own, `lists`."""


def insert(db: Database, table: str, *rows: Values) -> None:
    """Insert rows, all of the same columns, each with its digest. Raises DuplicateError."""
    if rows:
        if table in LASTING:
            rows = tuple({**row, "digest": _digest_row(row)} for row in rows)
        names = list(rows[0])
        columns, values = ", ".join(names), ", ".join(f":{name}" for name in names)
        db.execute(f"INSERT INTO {table} ({columns}) VALUES ({values})", rows)


def _digest_row(row: Values) -> int:
    return digest_of(row[name] for name in sorted(row) if name not in LISTS)


def digest_of(values: Iterable[Any]) -> int:
    """Of a row's values in the order of the columns' names, by which damage to it is noticed.

    The same for what is inserted and what is read: neither None nor NaN counts, and 1.0 is 1,
    because databases make the one of the other.
    """
    plain: list[Any] = []
    for value in values:
        if value is None or value != value:
            continue
        if isinstance(value, float) and not value.is_integer():
            plain.append(float(value))  # NumPy's has another repr
        else:
            plain.append(int(value) if isinstance(value, int | float) else value)
    return crc32(repr(plain).encode(errors="surrogatepass"))


def run(db: Database, statements: str) -> None:
    """Statements without values, divided by semicolons; all in the transaction there is."""
    for statement in filter(str.strip, statements.split(";")):
        db.execute(statement)
