"""Connections to PostgreSQL, and the meaning of their errors."""

import re
from typing import Any

from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError

from hpsearch.store.url import Url

# A connection whose other end is gone is closed within half a minute, at either end.
_CONNECT = {
    "connect_timeout": 10, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3,
    "tcp_user_timeout": 20_000, "application_name": "hpsearch",
}  # fmt: skip
_SESSION = "SET idle_in_transaction_session_timeout = '30s'"
_READ_ONLY = "SET default_transaction_read_only = on"


def make_engine(url: Url, *, read_only: bool = False) -> Engine:
    """SQLAlchemy's engine, for use by one thread. Raises ImportError without a driver."""
    query = dict(url.query)
    address = URL.create(
        "postgresql+psycopg", url.user, url.password, url.host, url.port, url.database, query
    )
    options = {name: value for name, value in _CONNECT.items() if name not in query}
    engine = create_engine(address, connect_args=options, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def set_up(connection: Any, _: object) -> None:
        connection.autocommit = True
        connection.execute(f"{_SESSION}; {_READ_ONLY}" if read_only else _SESSION)
        connection.autocommit = False

    return engine


def is_transient(error: DBAPIError) -> bool:
    """Whether a retry may succeed: the connection is lost, or two transactions were in conflict.

    Error classes: https://www.postgresql.org/docs/current/errcodes-appendix.html
    """
    state = getattr(error.orig, "sqlstate", None)
    if state is None:  # nothing came from the server
        return error.connection_invalidated or type(error.orig).__name__ == "OperationalError"
    return (state[:2] in ("08", "40", "57") and state != "57014") or state in ("25P03", "53300")


def driver_message(error: DBAPIError) -> str:
    """The driver's message, on one line; never the statement or its values."""
    words = str(error.orig).strip().splitlines()[:1] or [type(error.orig).__name__]
    return re.sub(r"\s+", " ", words[0])


def suggest_way_out(state: str | None, words: str, *, reached: bool) -> str:
    """What the user can do. reached: whether the database answered before."""
    if state == "42501":
        return (
            "ask its owner to GRANT SELECT, INSERT, UPDATE, DELETE on the store's tables, or for "
            "a new store CREATE on the schema"
        )
    if state == "42P07":
        return "it holds tables of another program; name another database by --store"
    if reached:
        return "fix that, and run the same command again to continue: no finished trial is lost"
    if "password" in words:
        return "a password comes from the URL, $PGPASSWORD or ~/.pgpass"
    if "does not exist" in words:
        return "create it (createdb), or name another by --store"
    return "check that the address is right and that the server runs"
