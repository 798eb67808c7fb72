"""MLflow: an experiment for each search, a run for each trial."""

import logging
import os
import re
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from sqlalchemy import create_engine
from sqlalchemy.exc import SQLAlchemyError

from hpsearch.core.errors import HpsearchError, first_line
from hpsearch.core.files import hide_secrets
from hpsearch.core.outputs import OutputKind, choose_place, sqlite_mark
from hpsearch.export.sqlite import database
from hpsearch.export.trials import Search, Trial, curve_names, searches
from hpsearch.results.frames import StoreFrames

_STATUS = {"complete": "FINISHED", "failed": "FAILED", "running": "RUNNING", "stopped": "KILLED"}
_AT_ONCE = 1000  # metrics in one call, as servers allow


def write(results: StoreFrames, where: Path) -> None:
    """To a SQLite file."""
    with database(where) as url:
        send(results, url)


def send(results: StoreFrames, uri: str) -> None:
    """To a tracking server, or to whatever MLflow knows by a URI; experiments there are added to.

    Raises HpsearchError where nobody answers, or MLflow refuses.
    """
    check_reachable(uri)
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    try:
        client = MlflowClient(tracking_uri=uri)
        for search in searches(results):
            known = client.get_experiment_by_name(search.name)
            experiment = known.experiment_id if known else client.create_experiment(search.name)
            for trial in search.trials:
                _write(client, experiment, search, trial)
    except MlflowException as error:
        raise HpsearchError(
            hide_secrets(f"MLflow does not take it at {uri}: {first_line(error)}")
        ) from error


def check_reachable(uri: str) -> None:
    """Ask whether anybody answers at a URI, which MLflow itself would try for minutes.

    Then no single request is tried for long either, unless the environment says otherwise. Raises
    HpsearchError.
    """
    for name, value in _PATIENCE.items():
        os.environ.setdefault(name, value)
    if uri.startswith("sqlite:"):
        choose_place(Path(uri.partition("///")[2].partition("?")[0]), _MLFLOW_FILE)
        return
    try:
        parts = urlsplit(uri)
        if parts.scheme in ("http", "https"):
            # By way of proxies, if there are any. Whatever it answers, somebody does: also with a
            # certificate that nobody signed, of which MLflow has settings of its own.
            timeouts = (_CONNECTS_WITHIN, _ANSWERS_WITHIN)
            with suppress(requests.exceptions.SSLError):
                requests.get(uri, timeout=timeouts, stream=True).close()
        elif parts.hostname:
            port = parts.port or _PORTS.get(parts.scheme.partition("+")[0])
            if port is not None:
                socket.create_connection((parts.hostname, port), timeout=_CONNECTS_WITHIN).close()
                engine = create_engine(uri, hide_parameters=True)
                try:
                    engine.connect().close()
                finally:
                    engine.dispose()
    except (SQLAlchemyError, ImportError) as error:
        raise HpsearchError(
            hide_secrets(f"MLflow cannot use {uri}: {first_line(error)}")
        ) from error
    except (OSError, ValueError) as error:  # those of requests are OSErrors
        raise HpsearchError(
            f"nobody answers at {hide_secrets(uri)} ({_why(error)}); does the server run, and is the "
            "address right?"
        ) from error


_CONNECTS_WITHIN = 5.0  # seconds
_ANSWERS_WITHIN = 30.0  # a server that starts, or is busy, takes its time
_PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "30"}
_PORTS = {"postgresql": 5432, "postgres": 5432, "mysql": 3306, "mariadb": 3306, "mssql": 1433}


_MLFLOW_FILE = OutputKind("a database of MLflow", lambda file: sqlite_mark(file) is not None)


def _why(error: BaseException) -> str:
    """The innermost reason, in the system's words where it has any; it names no address."""
    while inner := error.__cause__ or error.__context__:
        error = inner
    return getattr(error, "strerror", None) or type(error).__name__


def _write(client: MlflowClient, experiment: str, search: Search, trial: Trial) -> None:
    run = client.create_run(
        experiment, start_time=_milliseconds(trial.started.timestamp()), run_name=trial.name
    ).info.run_id
    notes = {**search.notes, "state": trial.state, **trial.notes}
    params = [Param(_key(name), str(value)) for name, value in trial.params.items()]
    tags = [RunTag(_key(name), str(value)) for name, value in notes.items()]
    client.log_batch(run, params=params, tags=tags)
    metrics = list(_metrics(search, trial))
    for first in range(0, len(metrics), _AT_ONCE):
        client.log_batch(run, metrics=metrics[first : first + _AT_ONCE])
    if trial.state != "running":
        ended = _milliseconds((trial.ended or trial.started).timestamp())
        client.set_terminated(run, _STATUS[trial.state], ended)


def _metrics(search: Search, trial: Trial) -> Any:
    names = curve_names(search)
    for curve, values in trial.curves.items():
        for epoch, value in enumerate(values, 1):
            yield Metric(_key(names[curve]), value, _milliseconds(trial.at(epoch)), epoch)
    if trial.value is not None:
        best = int(trial.row.best_epoch)
        yield Metric("value", trial.value, _milliseconds(trial.at(best)), best)


def _key(name: str) -> str:
    """What MLflow takes as a name."""
    return re.sub(r"[^\w./ -]", "_", name)


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
