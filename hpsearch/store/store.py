"""An open store, in a file or a database: its searches, and the journal of each."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Self

from hpsearch.core.errors import NoStoreError, OldStoreError, StoreError
from hpsearch.core.metric import Metric
from hpsearch.store.database import Database, Fence, Say, insert_rows
from hpsearch.store.journal import Journal
from hpsearch.store.records import SearchRecord
from hpsearch.store.sqlite import Sqlite
from hpsearch.store.url import Url

_RECORD = ", ".join(field.name for field in fields(SearchRecord))


class Store:
    """An open store. Without `create` it is only read.

    Args:
        place: None for a store in memory.
        create: make it, or upgrade it, where necessary: for running a study.
        fence: what `study_lock` returned.
        say: called with messages on outages of a database.

    Attributes:
        folder: where files that belong to the store lie.
        name: tells these files from those of another store in the same folder.

    Raises NoStoreError, OldStoreError or another StoreError where it cannot be opened.
    """

    def __init__(
        self,
        place: Path | Url | None,
        *,
        create: bool = False,
        fence: Fence | None = None,
        say: Say | None = None,
    ) -> None:
        self.db: Database
        if isinstance(place, Url):
            self.db = _open_postgresql(place, create=create, fence=fence, say=say)
        else:
            self.db = Sqlite(place, create=create)
        self.folder, self.name = self.db.folder, self.db.name

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.db.close()

    def searches(self, study: str | None = None) -> list[SearchRecord]:
        """The searches that are neither retired nor deleted, oldest first."""
        found = self.db.query(
            f"SELECT {_RECORD} FROM searches WHERE id NOT IN (SELECT search FROM retired) "
            "AND id NOT IN (SELECT search FROM removed) AND (CAST(:study AS TEXT) IS NULL OR study = :study) ORDER BY id",
            study=study,
        )
        return [SearchRecord.from_row(row) for row in found.records()]

    def begin_search(
        self,
        record: SearchRecord,
        *,
        instead_of: Sequence[SearchRecord] = (),
        metrics: Iterable[Metric] = (),
    ) -> Journal:
        """Begin a search. Those that it replaces stay in the store but leave the rankings.

        Args:
            metrics: those that are recorded beside the task's.
        """
        names = [field.name for field in fields(record) if field.name not in ("id", "began")]
        values = {name: getattr(record, name) for name in names} | {"began": time.time()}

        def write() -> int:
            new = self.db.next_id("searches")
            insert_rows(self.db, "searches", {"id": new, **values})
            retired = [{"search": old.id, "successor": new} for old in instead_of]
            insert_rows(self.db, "retired", *retired)
            return new

        return Journal(self.db, self.db.write(write), metrics)

    def journal(self, search: int, metrics: Iterable[Metric] = ()) -> Journal:
        """The journal of a search; metrics: those that are recorded beside the task's from now."""
        return Journal(self.db, search, metrics)


def has_store(place: Path | Url) -> bool:
    """Whether there is a store, of any version."""
    if isinstance(place, Path):
        return place.exists()
    try:
        with Store(place):
            return True
    except NoStoreError:
        return False
    except OldStoreError:
        return True


def _open_postgresql(url: Url, **how: Any) -> Database:
    try:
        from hpsearch.store.postgresql import Postgresql

        return Postgresql(url, **how)
    except ImportError as error:
        raise StoreError(
            f"a store in PostgreSQL needs a driver ({error}): pip install 'hpsearch[postgresql]'"
        ) from error
