"""An open store, of either kind: its searches, and the journal of each."""

import time
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Self

from hpsearch.core.errors import NoStoreError, OldStoreError, StoreError
from hpsearch.store.database import Database, Fence, Say, insert
from hpsearch.store.journal import Journal
from hpsearch.store.records import SearchRecord
from hpsearch.store.sqlite import Sqlite
from hpsearch.store.url import Url

_RECORD = ", ".join(field.name for field in fields(SearchRecord))


class Store:
    """An open store; without a place, one in memory. `create` is for the one who runs a study;
    reading never writes. fence: of `study_lock`, if it gave one. say: hears of a database's outages.

    folder, name: where files that belong to the store lie, and what tells them from another's.
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
            self.db = _shared(place, create=create, fence=fence, say=say)
        else:
            self.db = Sqlite(place, create=create)
        self.folder, self.name = self.db.folder, self.db.name

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.db.close()

    def searches(self, study: str | None = None) -> list[SearchRecord]:
        """The searches that are not retired, oldest first."""
        found = self.db.query(
            f"SELECT {_RECORD} FROM searches WHERE id NOT IN (SELECT search FROM retired) "
            "AND (CAST(:study AS TEXT) IS NULL OR study = :study) ORDER BY id",
            study=study,
        )
        return [SearchRecord(**row) for row in found.records()]

    def begin(self, record: SearchRecord, *, instead_of: Sequence[SearchRecord] = ()) -> Journal:
        """Begin a search; those it stands instead of stay in the store but leave the rankings."""
        names = [field.name for field in fields(record) if field.name not in ("id", "began")]
        values = {name: getattr(record, name) for name in names} | {"began": time.time()}

        def write() -> int:
            new = self.db.next_id("searches")
            insert(self.db, "searches", {"id": new, **values})
            retired = [{"search": old.id, "successor": new} for old in instead_of]
            insert(self.db, "retired", *retired)
            return new

        return Journal(self.db, self.db.write(write))

    def journal(self, search: int) -> Journal:
        return Journal(self.db, search)


def exists(place: Path | Url) -> bool:
    """Whether there is a store, of whatever version."""
    if isinstance(place, Path):
        return place.exists()
    try:
        with Store(place):
            return True
    except NoStoreError:
        return False
    except OldStoreError:
        return True


def _shared(url: Url, **how: Any) -> Database:
    try:
        from hpsearch.store.postgresql import Postgresql

        return Postgresql(url, **how)
    except ImportError as error:
        raise StoreError(
            f"a store in PostgreSQL needs a driver ({error}): pip install 'hpsearch[postgresql]'"
        ) from error
