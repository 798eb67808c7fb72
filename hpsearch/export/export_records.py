"""Searches, their trials and mean curves, as all exports for other tools use them."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pandas as pd

from hpsearch.core.curves import CURVES
from hpsearch.core.space import Space
from hpsearch.loggers import base as loggers
from hpsearch.results.frames import StoreFrames
from hpsearch.results.metric_values import METRICS, curve_column, metric_names
from hpsearch.results.trial_filters import PARAMS
from hpsearch.store import SearchRecord

_NOTE_COLUMNS = (
    "se",
    "best_epoch",
    "epochs",
    "parameters",
    "seconds",
    "peak_bytes",
    "device",
    "repeats",
)


@dataclass(frozen=True, slots=True)
class ExportedTrial:
    """One trial.

    Args:
        params: in the types of the space.
        row: of `StoreFrames.trials`.
        curves: of the first training, the mean over folds, by their columns in
            `StoreFrames.curves`. They end where the shortest fold ends, as for the trial's value;
            those of metrics beside the task's have a NaN where any fold has one.
        metrics: the values of the metrics recorded beside the task's, at the best epoch.
        heir: the trial that continued it.
    """

    id: int
    params: Mapping[str, Any]
    row: Any
    curves: Mapping[str, list[float]]
    metrics: Mapping[str, float]
    heir: int | None

    @property
    def state(self) -> str:
        return str(self.row.state)

    @property
    def value(self) -> float | None:
        return None if pd.isna(self.row.value) else float(self.row.value)

    @property
    def epochs(self) -> int:
        return int(self.row.epochs)

    @property
    def started(self) -> datetime:
        """In UTC. Where the store does not hold it: when the trial was asked for."""
        return _to_datetime(self.row.asked if pd.isna(self.row.started) else self.row.started)

    @property
    def ended(self) -> datetime | None:
        return None if pd.isna(self.row.ended) else _to_datetime(self.row.ended)

    def at(self, epoch: int) -> float:
        """When an epoch ended, in seconds since 1970, as if all epochs took the same time."""
        start, end = self.started.timestamp(), (self.ended or self.started).timestamp()
        return start + (end - start) * epoch / max(self.epochs, 1)

    @property
    def notes(self) -> dict[str, Any]:
        """What else the store holds of it, as plain values."""
        known = {name: getattr(self.row, name) for name in _NOTE_COLUMNS}
        known |= {"continues": self.row.parent, "continued_by": self.heir}
        if self.state == "failed":
            known |= {"failure": self.row.failure, "message": self.row.message}
        plain = {n: v.item() if hasattr(v, "item") else v for n, v in known.items() if pd.notna(v)}
        return {"trial": self.id, **{n: v for n, v in plain.items() if v != ""}}

    @property
    def name(self) -> str:
        return loggers.name_trial(self.id, self.params)


@dataclass(frozen=True, slots=True)
class ExportedSearch:
    """A search that has trials.

    Args:
        name: the study's, with the search's options where the study has several searches.
    """

    name: str
    record: SearchRecord
    space: Space
    trials: tuple[ExportedTrial, ...]

    @property
    def metric_names(self) -> list[str]:
        """The metrics beside the task's of which any of its trials has curves."""
        first = curve_column("validation", "")
        columns = (column for trial in self.trials for column in trial.curves)
        found = (name.removeprefix(first) for name in columns if name.startswith(first))
        return list(dict.fromkeys(found))

    @property
    def notes(self) -> dict[str, Any]:
        return self.record.notes


def read_searches(results: StoreFrames) -> list[ExportedSearch]:
    """The searches that have trials, oldest first.

    Baselines are left out: other tools would take their names for a parameter of the space.
    """
    records = {record.id: record for record in results.searches if not record.has_baselines}
    frame = results.trials
    rows: list[Any] = list(
        frame[[n for n in frame if not str(n).startswith((PARAMS, METRICS))]].itertuples()
    )
    heirs = {int(row.parent): row.Index for row in rows if pd.notna(row.parent)}
    points, curves = results.points, _mean_curves(results)
    found: dict[int, list[ExportedTrial]] = {}
    for row in rows:
        mean = curves.get(row.Index, {}) if row.state == "complete" else {}
        if row.search in records:
            recorded = results.recorded.get(row.Index)
            known = recorded.at_best if recorded else {}
            metrics = {n: m.value for n, m in known.items() if math.isfinite(m.value)}
            trial = ExportedTrial(
                row.Index, points[row.Index], row, mean, metrics, heirs.get(row.Index)
            )
            found.setdefault(row.search, []).append(trial)
    names = _unique_names([records[search] for search in found])
    return [
        ExportedSearch(
            names[search],
            records[search],
            Space.from_json(json.loads(records[search].space)),
            tuple(trials),
        )
        for search, trials in sorted(found.items())
    ]


def name_curves(search: ExportedSearch) -> dict[str, str]:
    """Names of a search's curves for people, as `accuracy/validation`, by their columns."""
    names = loggers.name_curves(search.record.measure, search.metric_names)
    others = {
        curve_column(part, name): names[f"{name}/{part}"]
        for name in search.metric_names
        for part in CURVES[:2]
    }
    return {field: names[field] for field in CURVES} | others


def metrics_at_best(trial: ExportedTrial) -> dict[str, float]:
    """A trial's metrics beside the task's at the best epoch, by names that no curve has."""
    return {f"{loggers.VALUE}/{name}": value for name, value in trial.metrics.items()}


def _mean_curves(results: StoreFrames) -> dict[int, dict[str, list[float]]]:
    """The mean over folds of each trial's first training, as far as all folds reach."""
    frame = results.curves
    frame = frame.loc[frame["repeat"] == 0]
    metrics = [
        curve_column(part, name) for name in metric_names(results.recorded) for part in CURVES[:2]
    ]
    folds = frame.groupby("trial")["fold"].nunique()
    grouped = frame.groupby(["trial", "epoch"])
    means = grouped[[*CURVES, *metrics]].mean()
    defined = grouped[metrics].count().eq(grouped.size(), axis=0)
    means[metrics] = means[metrics].where(defined)
    reached = grouped.size() == folds.reindex(means.index.get_level_values("trial")).to_numpy()
    means = means.loc[reached].reset_index("epoch", drop=True)
    found: dict[int, dict[str, list[float]]] = {}
    for name in (*CURVES, *metrics):
        for trial, values in means.groupby(level="trial", sort=False)[name]:
            # A trial of another search, or of before, has no such metric.
            if name in CURVES or values.notna().any():
                found.setdefault(int(str(trial)), {})[name] = values.tolist()
    return found


def _unique_names(records: list[SearchRecord]) -> dict[int, str]:
    """A unique name for each search, by id."""
    studies = [record.study for record in records]
    found = {}
    for record in records:
        name = record.study
        if studies.count(name) > 1:
            name = (
                f"{name} {record.searcher} {record.evaluator} seed={record.seed} {record.backend}"
            )
        found[record.id] = name
    return found


def _to_datetime(stamp: pd.Timestamp) -> datetime:
    made: datetime = stamp.floor("us").to_pydatetime()
    return made
