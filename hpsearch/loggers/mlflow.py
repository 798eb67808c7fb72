"""MLflow: an experiment a study, a run a trial."""

import logging
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from mlflow.entities import Metric, Param, RunTag
from mlflow.tracking import MlflowClient

from hpsearch.core.files import temporary_beside
from hpsearch.core.trial import Outcome
from hpsearch.core.user_locks import one_at_a_time
from hpsearch.loggers.base import (
    LoggedSearch,
    LoggedTrial,
    begun_notes,
    epoch_time,
    mean_curves,
    points_of,
    trial_notes,
    values_at_best,
)
from hpsearch.loggers.mlflow_server import check_reachable, sqlite_file, with_whole_path

METRICS_PER_CALL = 1000  # metrics in one call, as servers allow
_SEARCH, _TRIAL = "hpsearch.search", "hpsearch.trial"  # tags by which a run is found again
_ENDED = ("FINISHED", "FAILED")
_PAGE = 1000


def make_tool(uri: str) -> "MlflowTool":
    """The tool of a tracking server, or of any other place that MLflow knows by its URI.

    Raises HpsearchError where nobody answers.
    """
    prepare_mlflow(uri)
    return MlflowTool(uri)


def prepare_mlflow(uri: str) -> None:
    """Quieten MLflow, and check that it can use a place. Raises HpsearchError where it cannot."""
    check_reachable(uri)
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)


class MlflowTool:
    """Logs trials as runs. A trial's run is found again by its tags."""

    def __init__(self, uri: str) -> None:
        self._uri = with_whole_path(uri)
        self._runs: dict[int, str] = {}  # by trial
        self._ended: set[int] = set()
        self._known: dict[int, dict[str, set[int]]] = {}  # by trial and name, epochs

    def open(self, search: LoggedSearch) -> None:
        self._search = search
        # Studies of a sweep may come at the same time, and MLflow sets a database up without locks.
        with one_at_a_time(f"mlflow {self._uri}"):
            if (file := sqlite_file(self._uri)) is not None:
                make_database(file)
            self._client = MlflowClient(tracking_uri=self._uri)
            self._client.search_experiments(max_results=1)
        self._experiment = find_experiment(self._client, search.name)
        for run in self._find_runs():
            trial = run.data.tags.get(_TRIAL, "")
            if trial.isdigit():
                self._runs[int(trial)] = run.info.run_id
                if run.info.status in _ENDED:
                    self._ended.add(int(trial))

    def _find_runs(self) -> Iterator[Any]:
        token = None
        wanted = f"tags.`{_SEARCH}` = '{self._search.key}'"
        while True:
            page = self._client.search_runs(
                [self._experiment], wanted, max_results=_PAGE, page_token=token
            )
            yield from page
            token = page.token
            if not token:
                return

    def has_ended(self, trial: int) -> bool:
        return trial in self._ended

    def begin_trial(self, trial: LoggedTrial, at: float | None = None) -> None:
        if trial.id in self._known:
            return
        if trial.id in self._runs:  # of a run that was killed or stopped
            run = self._runs[trial.id]
            self._client.update_run(run, status="RUNNING")
            names = self._client.get_run(run).data.metrics
            self._known[trial.id] = {
                name: {each.step for each in self._client.get_metric_history(run, name)}
                for name in names
            }
            return
        tags = {_SEARCH: self._search.key, _TRIAL: str(trial.id)}
        started = None if at is None else to_milliseconds(at)
        run = self._client.create_run(
            self._experiment, start_time=started, tags=tags, run_name=trial.name
        ).info.run_id
        self._runs[trial.id], self._known[trial.id] = run, {}
        params = [Param(mlflow_name(name), str(value)) for name, value in trial.params.items()]
        self._client.log_batch(run, params=params, tags=to_tags(begun_notes(self._search, trial)))

    def log_epoch(self, trial: int, name: str, epoch: int, value: float, at: float) -> None:
        known = self._known[trial].setdefault(mlflow_name(name), set())
        if epoch not in known:
            known.add(epoch)
            metric = Metric(mlflow_name(name), value, to_milliseconds(at), epoch)
            self._client.log_batch(self._runs[trial], metrics=[metric])

    def end_trial(self, trial: LoggedTrial, outcome: Outcome, at: float) -> None:
        self.begin_trial(trial, outcome.started)
        run, known = self._runs[trial.id], self._known[trial.id]
        curves = {
            mlflow_name(name): values
            for name, values in mean_curves(outcome, self._search.metric).items()
        }
        metrics = [
            Metric(name, value, to_milliseconds(epoch_time(outcome, epoch, at)), epoch)
            for epoch, values in points_of(curves, known)
            for name, value in values.items()
        ]
        best = outcome.score.best_epoch if outcome.score else 0
        metrics += [
            Metric(mlflow_name(name), value, to_milliseconds(at), best)
            for name, value in values_at_best(outcome, self._search.metric).items()
            if best not in known.get(mlflow_name(name), ())
        ]
        log_metrics(self._client, run, metrics)
        state = "failed" if outcome.failure else "complete"
        notes = {"state": state, **trial_notes(trial, outcome)}
        self._client.log_batch(run, tags=to_tags(notes))
        status = "FAILED" if outcome.failure else "FINISHED"
        self._client.set_terminated(run, status, to_milliseconds(at))
        self._ended.add(trial.id)
        del self._known[trial.id]

    def close(self, at: float) -> None:
        for trial in self._known:
            self._client.set_terminated(self._runs[trial], "KILLED", to_milliseconds(at))


def make_database(file: Path) -> None:
    """Have MLflow make a SQLite file of its own, whole or not at all; one that is there stays.

    A process that is killed while MLflow sets up the tables would leave a file that no later run
    could use.
    """
    if file.exists() or os.name == "nt":  # Windows renames no file that is open
        return
    partial = temporary_beside(file.absolute())
    try:
        MlflowClient(tracking_uri=f"sqlite:///{partial}").search_experiments(max_results=1)
        os.replace(partial, file)
    finally:
        with suppress(OSError):  # Windows, where it is still open
            partial.unlink(missing_ok=True)


def find_experiment(client: MlflowClient, name: str) -> str:
    """The id of the experiment of this name, which is made where there is none."""
    known = client.get_experiment_by_name(name)
    return str(known.experiment_id if known else client.create_experiment(name))


def log_metrics(client: MlflowClient, run: str, metrics: list[Metric]) -> None:
    """Log metrics, as many in one call as servers allow."""
    for first in range(0, len(metrics), METRICS_PER_CALL):
        client.log_batch(run, metrics=metrics[first : first + METRICS_PER_CALL])


def to_tags(notes: Mapping[str, Any]) -> list[RunTag]:
    """Notes as the tags of a run."""
    return [RunTag(mlflow_name(name), str(value)) for name, value in notes.items()]


def mlflow_name(name: str) -> str:
    """A name with the characters that MLflow allows.

    >>> mlflow_name("loss (mse)/validation")
    'loss _mse_/validation'
    """
    return re.sub(r"[^\w./ -]", "_", name)


def to_milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
