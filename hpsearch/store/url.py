"""Where a store lies: a file, or a database that several machines share."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from hpsearch.core.errors import StoreError
from hpsearch.core.rules import brief

_KINDS = ("postgresql", "postgres", "postgresql+psycopg")


@dataclass(frozen=True, slots=True)
class Url:
    """A database's address. Its password is in no text of it but where it is connected to.

    query: further options of libpq, as sslmode. What is not said, libpq takes from its environment
    variables (PGHOST, PGPASSWORD ...) and ~/.pgpass.
    """

    host: str | None = None
    port: int | None = None
    database: str | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    query: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    @classmethod
    def parse(cls, text: str) -> "Url":
        """Raises StoreError, which never repeats the text: it may hold a password."""
        kind = text.partition("://")[0]
        if kind not in _KINDS:
            raise StoreError(
                f"a store is a file or postgresql://USER@HOST/DATABASE, not a URL of {kind!r}"
            )
        try:
            parts = urlsplit(text)
            host, port = parts.hostname, parts.port
            misread = parts.fragment or "@" in parts.path + parts.query
        except ValueError:
            misread = True
        if misread:
            raise StoreError(
                "--store is no URL as postgresql://USER:PASSWORD@HOST:PORT/DATABASE; in a password, "
                "write @ as %40, / as %2F, ? as %3F, # as %23 and : as %3A, or put it into ~/.pgpass"
            )
        query = dict(parse_qsl(parts.query))
        password = query.pop("password", None) or parts.password
        return cls(
            unquote(host) if host else None,
            port,
            unquote(parts.path.strip("/")) or None,
            unquote(parts.username) if parts.username else None,
            unquote(password) if password else None,
            tuple(query.items()),
        )

    def __str__(self) -> str:
        """For people: without the password, and without options, which may name keys.

        >>> str(Url.parse("postgresql://ann:secret@db.lab:5433/trials?sslmode=require"))
        'postgresql://ann:***@db.lab:5433/trials'
        """
        password = ":***" if self.password else ""
        user = f"{self.user or ''}{password}@" if self.user or password else ""
        port = "" if self.port is None else f":{self.port}"
        return f"postgresql://{user}{self.host or ''}{port}/{self.database or ''}"


def place(text: str | Path | Url) -> Path | Url:
    """A store's file, or its URL. Raises StoreError for a URL of an unknown kind, and for no path.

    >>> place("postgresql://db.lab/trials")
    Url(host='db.lab', port=None, database='trials', user=None)
    """
    if isinstance(text, Url):
        return text
    if not isinstance(text, str | Path) or any(letter < " " for letter in str(text)):
        raise StoreError(f"a store is named by a path or a URL, got {brief(text)}")
    return Url.parse(text) if isinstance(text, str) and "://" in text else Path(text)


def folder_of(place: Path | Url) -> Path:
    """Where files lie that belong to a store: beside it, or here where it is elsewhere."""
    return place.parent if isinstance(place, Path) else Path(".hpsearch")


def default_place() -> Path | Url:
    """Where the store is if nobody says so: $HPSEARCH_STORE, else .hpsearch/store.db."""
    return place(os.environ.get("HPSEARCH_STORE") or ".hpsearch/store.db")
