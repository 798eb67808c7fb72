"""The interface of a store's database, which SQLite and PostgreSQL implement.

Statements use the SQL that both have in common, with named parameters.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar
from zlib import crc32

from hpsearch.core.curves import CURVES
from hpsearch.core.errors import HpsearchError

T = TypeVar("T")
Say = Callable[[str], None]
Values = Mapping[str, Any]


class DuplicateError(HpsearchError):
    """A row with this key exists already."""


class QueryResult(list[tuple[Any, ...]]):
    """The rows that a query found. names: of the columns."""

    def __init__(self, names: Iterable[str], rows: Iterable[tuple[Any, ...]]) -> None:
        super().__init__(rows)
        self.names = tuple(names)

    def records(self) -> list[dict[str, Any]]:
        return [dict(zip(self.names, row, strict=True)) for row in self]


class Fence(Protocol):
    """Keeps a run that has lost its study from writing."""

    def check(self, connection: Any) -> None:
        """Raise StoreLostError where the run no longer owns its study.

        If it returns, the run owns the study until the transaction is committed.
        """


class Database(Protocol):
    """An open database, for use by the thread that opened it.

    Attributes:
        folder: where files that belong to the store lie.
        name: tells these files from those of another store in the same folder.
    """

    folder: Path
    name: str

    def query(self, statement: str, **values: Any) -> QueryResult: ...

    def execute(self, statement: str, rows: Sequence[Values] = ({},)) -> None:
        """Run the statement once for each row of values. Raises DuplicateError."""

    def read(self, work: Callable[[], T]) -> T:
        """Return the result of `work`, whose queries all see the store at the same moment.

        `work` may run again where the connection is lost. Raises StoreError where the store's
        content makes no sense.
        """

    def write(self, work: Callable[[], T]) -> T:
        """Return the result of `work`, which is one transaction: all of it is written, or nothing.

        `work` may run again where the connection is lost, so it must change only the database.
        Raises StoreError where the store cannot be written, and StoreLostError where it is no
        longer this run's.
        """

    def next_id(self, table: str) -> int:
        """An id that no row of the table has. Call it within `write`."""

    def lock(self, table: str) -> None:
        """Keep others from writing to this table until the end of `write`."""

    def free_bytes(self) -> int:
        """Bytes that deleted rows have left unused in the store's file."""

    def reclaim(self) -> None:
        """Give unused bytes back to the disk. Raises StoreError where others write meanwhile."""

    def find_owner(self, study: str) -> str | None:
        """The process that runs a study now, as `process_name` names it.

        "" where none does; None where that is not known.
        """

    def close(self) -> None: ...


PERMANENT_TABLES = (
    "searches",
    "retired",
    "asked",
    "told",
    "curves",
    "repeats",
    "openings",
    "verdicts",
)
"""The journal's tables; each row has a digest of its values.

Their rows are never changed, but for a study's name, and deleted only with the whole study.
"""

CURVE_LISTS = CURVES
"""The columns of `curves` with a fit's four curves, each a JSON list."""

LONG_COLUMNS = (*CURVE_LISTS, "metrics")
"""The long columns of `curves`. They have a digest of their own, in the column `lists`."""


def insert_rows(db: Database, table: str, *rows: Values) -> None:
    """Insert rows that have the same columns, each with its digest. Raises DuplicateError."""
    if rows:
        if table in PERMANENT_TABLES:
            rows = tuple({**row, "digest": _digest_row(row)} for row in rows)
        names = list(rows[0])
        columns, values = ", ".join(names), ", ".join(f":{name}" for name in names)
        db.execute(f"INSERT INTO {table} ({columns}) VALUES ({values})", rows)


def update_row(db: Database, table: str, row: Values, changes: Values) -> None:
    """Change a row of a permanent table that has an id, and its digest. Call it within `write`."""
    new = {name: value for name, value in {**row, **changes}.items() if name != "digest"}
    settings = ", ".join(f"{name} = :{name}" for name in changes)
    db.execute(
        f"UPDATE {table} SET {settings}, digest = :digest WHERE id = :id",
        [{**changes, "digest": _digest_row(new), "id": row["id"]}],
    )


def _digest_row(row: Values) -> int:
    return digest_values(row[name] for name in sorted(row) if name not in LONG_COLUMNS)


def digest_values(values: Iterable[Any]) -> int:
    """The checksum of a row's values, in the order of its columns' names; shows damage to it."""
    # The same for what is inserted and what is read back: databases turn NaN into None, and 1 into
    # 1.0. So None and NaN are left out, and whole numbers are taken as integers.
    plain: list[Any] = []
    for value in values:
        if value is None or value != value:
            continue
        if isinstance(value, float) and not value.is_integer():
            plain.append(float(value))  # NumPy's floats have another repr
        else:
            plain.append(int(value) if isinstance(value, int | float) else value)
    return crc32(repr(plain).encode(errors="surrogatepass"))


def run_statements(db: Database, statements: str) -> None:
    """Run statements without values, separated by semicolons, in the current transaction."""
    for statement in filter(str.strip, statements.split(";")):
        db.execute(statement)
