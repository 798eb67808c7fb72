"""MLflow: an experiment a search, a run a trial."""

import logging
import math
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
from hpsearch.export.export_records import (
    ExportedSearch,
    ExportedTrial,
    metrics_at_best,
    name_curves,
    read_searches,
)
from hpsearch.export.sqlite_file import new_database
from hpsearch.results.frames import StoreFrames

_STATUS = {"complete": "FINISHED", "failed": "FAILED", "running": "RUNNING", "stopped": "KILLED"}
_METRICS_PER_CALL = 1000  # metrics in one call, as servers allow


def write_export(results: StoreFrames, path: Path) -> None:
    """Write a new SQLite database of MLflow."""
    with new_database(path) as url:
        send_to_server(results, url)


def send_to_server(results: StoreFrames, uri: str) -> None:
    """Add all trials to a tracking server, or to any other store that MLflow knows by its URI.

    Experiments of the same names get more runs. Raises HpsearchError where no server answers, or
    MLflow refuses.
    """
    check_reachable(uri)
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    try:
        client = MlflowClient(tracking_uri=uri)
        for search in read_searches(results):
            known = client.get_experiment_by_name(search.name)
            experiment = known.experiment_id if known else client.create_experiment(search.name)
            for trial in search.trials:
                _write_run(client, experiment, search, trial)
    except MlflowException as error:
        raise HpsearchError(
            hide_secrets(f"MLflow does not take it at {uri}: {first_line(error)}")
        ) from error


def check_reachable(uri: str) -> None:
    """Check within seconds that a server answers at the URI; MLflow itself would try for minutes.

    It also sets few retries for later requests, unless the environment sets them. Raises
    HpsearchError.
    """
    for name, value in _RETRY_SETTINGS.items():
        os.environ.setdefault(name, value)
    if uri.startswith("sqlite:"):
        choose_place(Path(uri.partition("///")[2].partition("?")[0]), _MLFLOW_FILE)
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


def _write_run(
    client: MlflowClient, experiment: str, search: ExportedSearch, trial: ExportedTrial
) -> None:
    run = client.create_run(
        experiment, start_time=_milliseconds(trial.started.timestamp()), run_name=trial.name
    ).info.run_id
    notes = {**search.notes, "state": trial.state, **trial.notes}
    params = [Param(_mlflow_name(name), str(value)) for name, value in trial.params.items()]
    tags = [RunTag(_mlflow_name(name), str(value)) for name, value in notes.items()]
    client.log_batch(run, params=params, tags=tags)
    metrics = list(_all_metrics(search, trial))
    for first in range(0, len(metrics), _METRICS_PER_CALL):
        client.log_batch(run, metrics=metrics[first : first + _METRICS_PER_CALL])
    if trial.state != "running":
        ended = _milliseconds((trial.ended or trial.started).timestamp())
        client.set_terminated(run, _STATUS[trial.state], ended)


def _all_metrics(search: ExportedSearch, trial: ExportedTrial) -> Any:
    names = name_curves(search)
    for curve, values in trial.curves.items():
        for epoch, value in enumerate(values, 1):
            if math.isnan(value):  # a metric that is not defined at this epoch
                continue
            yield Metric(_mlflow_name(names[curve]), value, _milliseconds(trial.at(epoch)), epoch)
    if trial.value is not None:
        best = int(trial.row.best_epoch)
        for name, value in {"value": trial.value, **metrics_at_best(trial)}.items():
            yield Metric(_mlflow_name(name), value, _milliseconds(trial.at(best)), best)


def _mlflow_name(name: str) -> str:
    """A name with the characters that MLflow allows."""
    return re.sub(r"[^\w./ -]", "_", name)


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
