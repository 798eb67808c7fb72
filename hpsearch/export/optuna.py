"""An Optuna storage with a study for each search: for optuna-dashboard, and for Optuna itself.

COMPLETE are trials that went as far as their search takes any; PRUNED those that it ended, or
continued as another trial, at a rung before that. A running trial is RUNNING, a failed one FAIL.
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
from hpsearch.export.sqlite import database
from hpsearch.export.trials import Search, Trial, searches
from hpsearch.results.frames import StoreFrames
from hpsearch.searchers.optuna_ranges import to_distribution


def write(results: StoreFrames, where: Path) -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with database(where) as url:
        storage = optuna.storages.RDBStorage(url)
        try:
            for search in searches(results):
                _write(search, storage)
        finally:
            storage.remove_session()
            storage.engine.dispose()


def _write(search: Search, storage: optuna.storages.RDBStorage) -> None:
    study = optuna.create_study(
        storage=storage,
        study_name=search.name,
        direction="maximize" if search.record.metric.higher_is_better else "minimize",
    )
    with warnings.catch_warnings(action="ignore"):  # it is experimental
        study.set_metric_names([search.record.measure])
    for name, value in search.notes.items():
        study.set_user_attr(name, value)
    ranges = {name: _distribution(parameter) for name, parameter in search.space.items()}
    study.add_trials(_trial(trial, search, ranges) for trial in search.trials)


def _distribution(parameter: Float | Int | Choice) -> BaseDistribution:
    if not isinstance(parameter, Choice):
        return to_distribution(parameter)
    return to_distribution(parameter, [_option(parameter, value) for value in parameter.options])


def _option(parameter: Choice, value: Any) -> Any:
    """An option by its own value, so that it can be read in Optuna.

    Where Python calls two options equal (1 and True), all of them become text.
    """
    return value if len(set(parameter.options)) == len(parameter.options) else repr(value)


def _trial(trial: Trial, search: Search, ranges: Mapping[str, BaseDistribution]) -> FrozenTrial:
    params = dict(trial.params)
    for name, value in params.items():
        parameter = search.space[name]
        if isinstance(parameter, Choice):
            params[name] = _option(parameter, value)
    state = _state(trial, search)
    made = create_trial(
        state=state,
        value=trial.value if state is TrialState.COMPLETE else None,
        params=params,
        distributions={name: ranges[name] for name in params},
        user_attrs=trial.notes | ({} if trial.value is None else {"value": trial.value}),
        intermediate_values=dict(enumerate(trial.curves.get("validation", ()), 1)),
    )
    made.datetime_start = _local(trial.started)
    made.datetime_complete = _local(trial.ended) if trial.ended else None
    return made


_STATES = {
    "failed": TrialState.FAIL,
    "running": TrialState.RUNNING,
    "stopped": TrialState.WAITING,  # asked for, and no run is alive that trains it
}


def _state(trial: Trial, search: Search) -> TrialState:
    if trial.state in _STATES:
        return _STATES[trial.state]
    continues = any(other.heir is not None for other in search.trials)
    furthest = max(other.epochs for other in search.trials)
    ended = trial.heir is not None or (continues and trial.epochs < furthest)
    return TrialState.PRUNED if ended else TrialState.COMPLETE


def _local(at: datetime) -> datetime:
    """Optuna keeps the clock's time without its zone."""
    return at.astimezone().replace(tzinfo=None)
