"""The place of a store: a file, or a database that several machines share."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from hpsearch.core.errors import StoreError
from hpsearch.core.rules import brief

_KINDS = ("postgresql", "postgres", "postgresql+psycopg")


@dataclass(frozen=True, slots=True)
class Url:
    """A database's address. Neither `str` nor `repr` shows its password.

    What is None, libpq takes from its environment variables (PGHOST, PGPASSWORD...) and ~/.pgpass.

    Args:
        query: further options of libpq, such as sslmode.
    """

    host: str | None = None
    port: int | None = None
    database: str | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    query: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    @classmethod
    def parse(cls, text: str) -> "Url":
        """Read a URL. Raises StoreError, whose message never repeats the text and its password."""
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
                "--store needs a URL such as postgresql://USER:PASSWORD@HOST:PORT/DATABASE; in a "
                "password, write @ as %40, / as %2F, ? as %3F, # as %23 and : as %3A, or put it "
                "into ~/.pgpass"
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
        """For people: without the password, and without options, which may name key files.

        >>> str(Url.parse("postgresql://ann:secret@db.lab:5433/trials?sslmode=require"))
        'postgresql://ann:***@db.lab:5433/trials'
        """
        password = ":***" if self.password else ""
        user = f"{self.user or ''}{password}@" if self.user or password else ""
        port = "" if self.port is None else f":{self.port}"
        return f"postgresql://{user}{self.host or ''}{port}/{self.database or ''}"


def parse_place(text: str | Path | Url) -> Path | Url:
    """A store's file, or its URL, from text. Raises StoreError where it is neither.

    >>> parse_place("postgresql://db.lab/trials")
    Url(host='db.lab', port=None, database='trials', user=None)
    """
    if isinstance(text, Url):
        return text
    if not isinstance(text, str | Path) or any(letter < " " for letter in str(text)):
        raise StoreError(f"a store is named by a path or a URL, got {brief(text)}")
    return Url.parse(text) if isinstance(text, str) and "://" in text else Path(text)


def folder_beside(place: Path | Url) -> Path:
    """The folder for a store's further files: beside a file, else .hpsearch in this folder."""
    return place.parent if isinstance(place, Path) else Path(".hpsearch")


def default_place() -> Path | Url:
    """The store's place where no option names one: $HPSEARCH_STORE, else .hpsearch/store.db."""
    return parse_place(os.environ.get("HPSEARCH_STORE") or ".hpsearch/store.db")
