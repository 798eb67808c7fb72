"""An Optuna storage with a study for each search: for optuna-dashboard, and for Optuna itself.

COMPLETE: a trial that went as far as its search takes any trial. PRUNED: a trial that the search
ended, or continued as another trial, at an earlier rung. RUNNING: a running trial. FAIL: a failed
one.
"""

import warnings
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from hpsearch.core.parameters import Choice, Float, Int
from hpsearch.export.export_records import (
    ExportedSearch,
    ExportedTrial,
    metrics_at_best,
    read_searches,
)
from hpsearch.export.sqlite_file import new_database
from hpsearch.results.frames import StoreFrames
from hpsearch.searchers.optuna_ranges import to_distribution


def write_export(results: StoreFrames, path: Path) -> None:
    """Write a new SQLite database of Optuna, with a study a search."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with new_database(path) as url:
        storage = optuna.storages.RDBStorage(url)
        try:
            for search in read_searches(results):
                _write_study(search, storage)
        finally:
            storage.remove_session()
            storage.engine.dispose()


def _write_study(search: ExportedSearch, storage: optuna.storages.RDBStorage) -> None:
    study = optuna.create_study(
        storage=storage,
        study_name=search.name,
        direction="maximize" if search.record.metric.higher_is_better else "minimize",
    )
    with warnings.catch_warnings(action="ignore"):  # it is experimental
        study.set_metric_names([search.record.measure])
    for name, value in search.notes.items():
        study.set_user_attr(name, value)
    ranges = {name: export_distribution(parameter) for name, parameter in search.space.items()}
    study.add_trials(_to_frozen_trial(trial, search, ranges) for trial in search.trials)


def export_distribution(parameter: Float | Int | Choice) -> BaseDistribution:
    """A parameter as it is exported. Options that are equal in Python (1, True) become text."""
    if isinstance(parameter, Choice):
        options = [_to_category(parameter, value) for value in parameter.options]
        return to_distribution(parameter, options)
    return to_distribution(parameter)


def _to_category(parameter: Choice, value: Any) -> Any:
    return value if len(set(parameter.options)) == len(parameter.options) else repr(value)


def _to_frozen_trial(
    trial: ExportedTrial, search: ExportedSearch, ranges: Mapping[str, BaseDistribution]
) -> FrozenTrial:
    params = dict(trial.params)
    for name, value in params.items():
        parameter = search.space[name]
        if isinstance(parameter, Choice):
            params[name] = _to_category(parameter, value)
    state = _to_state(trial, search)
    made = create_trial(
        state=state,
        value=trial.value if state is TrialState.COMPLETE else None,
        params=params,
        distributions={name: ranges[name] for name in params},
        user_attrs=trial.notes
        | ({} if trial.value is None else {"value": trial.value})
        | metrics_at_best(trial),
        intermediate_values=dict(enumerate(trial.curves.get("validation", ()), 1)),
    )
    made.datetime_start = _to_local_time(trial.started)
    made.datetime_complete = _to_local_time(trial.ended) if trial.ended else None
    return made


_STATES = {
    "failed": TrialState.FAIL,
    "running": TrialState.RUNNING,
    "stopped": TrialState.WAITING,  # was asked for, but no run is alive to train it
}


def _to_state(trial: ExportedTrial, search: ExportedSearch) -> TrialState:
    if trial.state in _STATES:
        return _STATES[trial.state]
    # Only a trial that went as far as any is complete; a rung ended or continued the others.
    continues = any(other.heir is not None for other in search.trials)
    furthest = max(other.epochs for other in search.trials)
    ended = trial.heir is not None or (continues and trial.epochs < furthest)
    return TrialState.PRUNED if ended else TrialState.COMPLETE


def _to_local_time(at: datetime) -> datetime:
    """In local time without its zone, as Optuna keeps times."""
    return at.astimezone().replace(tzinfo=None)
