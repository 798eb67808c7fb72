"""MLflow: an experiment a search, a run a trial."""

import math
from pathlib import Path
from typing import Any

from mlflow.entities import Metric, Param
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from hpsearch.core.errors import HpsearchError, first_line
from hpsearch.core.files import hide_secrets
from hpsearch.export.export_records import (
    ExportedSearch,
    ExportedTrial,
    metrics_at_best,
    name_curves,
    read_searches,
)
from hpsearch.export.sqlite_file import new_database
from hpsearch.loggers.base import VALUE
from hpsearch.loggers.mlflow import (
    find_experiment,
    log_metrics,
    mlflow_name,
    prepare_mlflow,
    to_milliseconds,
    to_tags,
)
from hpsearch.results.frames import StoreFrames

_STATUS = {"complete": "FINISHED", "failed": "FAILED", "running": "RUNNING", "stopped": "KILLED"}


def write_export(results: StoreFrames, path: Path) -> None:
    """Write a new SQLite database of MLflow."""
    with new_database(path) as url:
        send_to_server(results, url)


def send_to_server(results: StoreFrames, uri: str) -> None:
    """Add all trials to a tracking server, or to any other store that MLflow knows by its URI.

    Experiments of the same names get more runs. Raises HpsearchError where no server answers, or
    MLflow refuses.
    """
    prepare_mlflow(uri)
    try:
        client = MlflowClient(tracking_uri=uri)
        for search in read_searches(results):
            experiment = find_experiment(client, search.name)
            for trial in search.trials:
                _write_run(client, experiment, search, trial)
    except MlflowException as error:
        raise HpsearchError(
            hide_secrets(f"MLflow does not take it at {uri}: {first_line(error)}")
        ) from error


def _write_run(
    client: MlflowClient, experiment: str, search: ExportedSearch, trial: ExportedTrial
) -> None:
    run = client.create_run(
        experiment, start_time=to_milliseconds(trial.started.timestamp()), run_name=trial.name
    ).info.run_id
    notes = {**search.notes, "state": trial.state, **trial.notes}
    params = [Param(mlflow_name(name), str(value)) for name, value in trial.params.items()]
    client.log_batch(run, params=params, tags=to_tags(notes))
    metrics = list(_all_metrics(search, trial))
    log_metrics(client, run, metrics)
    if trial.state != "running":
        ended = to_milliseconds((trial.ended or trial.started).timestamp())
        client.set_terminated(run, _STATUS[trial.state], ended)


def _all_metrics(search: ExportedSearch, trial: ExportedTrial) -> Any:
    names = name_curves(search)
    for curve, values in trial.curves.items():
        for epoch, value in enumerate(values, 1):
            if math.isnan(value):  # a metric that is not defined at this epoch
                continue
            yield Metric(mlflow_name(names[curve]), value, to_milliseconds(trial.at(epoch)), epoch)
    if trial.value is not None:
        best = int(trial.row.best_epoch)
        for name, value in {VALUE: trial.value, **metrics_at_best(trial)}.items():
            yield Metric(mlflow_name(name), value, to_milliseconds(trial.at(best)), best)
