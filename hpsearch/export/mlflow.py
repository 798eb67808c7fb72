"""MLflow: an experiment for each search, a run for each trial."""

import logging
import re
from pathlib import Path
from typing import Any

from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from hpsearch.errors import HpsearchError, first_line
from hpsearch.export.sqlite import unflushed
from hpsearch.export.trials import Search, Trial, curve_names, searches
from hpsearch.report.results import Results

_STATUS = {"complete": "FINISHED", "failed": "FAILED", "running": "RUNNING", "stopped": "KILLED"}
_AT_ONCE = 1000  # metrics in one call, as servers allow


def write(results: Results, where: Path) -> None:
    """To a SQLite file."""
    with unflushed():
        send(results, f"sqlite:///{where}")


def send(results: Results, uri: str) -> None:
    """To a tracking server, or to whatever MLflow knows by a URI; experiments there are added to.

    Raises HpsearchError where MLflow refuses.
    """
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
        raise HpsearchError(f"MLflow does not take it at {uri}: {first_line(error)}") from error


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
