"""Whether MLflow's server answers, found out within seconds."""

import os
import socket
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import requests
from sqlalchemy import create_engine
from sqlalchemy.exc import SQLAlchemyError

from hpsearch.core.errors import HpsearchError, first_line
from hpsearch.core.files import hide_secrets
from hpsearch.core.outputs import OutputKind, choose_place, sqlite_mark


def check_reachable(uri: str) -> None:
    """Check within seconds that a server answers at the URI; MLflow itself would try for minutes.

    It also sets few retries for later requests, unless the environment sets them. Raises
    HpsearchError.
    """
    for name, value in _RETRY_SETTINGS.items():
        os.environ.setdefault(name, value)
    if (file := sqlite_file(uri)) is not None:
        choose_place(file, _MLFLOW_FILE)
        return
    try:
        parts = urlsplit(uri)
        if parts.scheme in ("http", "https"):
            # By requests, which uses proxies as MLflow does. Any answer will do, also one with an
            # unknown certificate: whether to accept that is a setting of MLflow.
            timeouts = (_CONNECT_TIMEOUT, _READ_TIMEOUT)
            with suppress(requests.exceptions.SSLError):
                requests.get(uri, timeout=timeouts, stream=True).close()
        elif parts.hostname:
            port = parts.port or _PORTS.get(parts.scheme.partition("+")[0])
            if port is not None:
                socket.create_connection((parts.hostname, port), timeout=_CONNECT_TIMEOUT).close()
                engine = create_engine(uri, hide_parameters=True)
                try:
                    engine.connect().close()
                finally:
                    engine.dispose()
    except (SQLAlchemyError, ImportError) as error:
        raise HpsearchError(
            hide_secrets(f"MLflow cannot use {uri}: {first_line(error)}")
        ) from error
    except (OSError, ValueError) as error:  # errors of requests are OSErrors
        raise HpsearchError(
            f"nobody answers at {hide_secrets(uri)} ({_innermost_reason(error)}); does the server run, "
            "and is the address right?"
        ) from error


def sqlite_file(uri: str) -> Path | None:
    """The file of a SQLite database; None for any other place."""
    if not uri.startswith("sqlite:"):
        return None
    return Path(uri.partition("///")[2].partition("?")[0])


def with_whole_path(uri: str) -> str:
    """The place with its file's whole path: MLflow keeps connections by URI, whatever the folder.

    >>> with_whole_path("http://here:5000")
    'http://here:5000'
    """
    file = sqlite_file(uri)
    if file is None or file.is_absolute() or not str(file).strip("."):
        return uri
    scheme, _, rest = uri.partition("///")
    _, question, options = rest.partition("?")
    return f"{scheme}///{file.absolute()}{question}{options}"


_CONNECT_TIMEOUT = 5.0  # seconds
_READ_TIMEOUT = 30.0  # seconds: a server that starts, or is busy, is slow
_RETRY_SETTINGS = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "30"}
_PORTS = {"postgresql": 5432, "postgres": 5432, "mysql": 3306, "mariadb": 3306, "mssql": 1433}


_MLFLOW_FILE = OutputKind("a database of MLflow", lambda file: sqlite_mark(file) is not None)


def _innermost_reason(error: BaseException) -> str:
    """The innermost cause, in the system's words where there are any. It contains no address."""
    while inner := error.__cause__ or error.__context__:
        error = inner
    return getattr(error, "strerror", None) or type(error).__name__
